"""A shop on release night as values: every panel of a front end has something true-looking to show, from one seed."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from prodwatch.model.check import CheckDefinition
from prodwatch.model.event import RunEvent
from prodwatch.model.signal import Batch, Trace
from tests.support.scene import checks, logs, release, services, signals

Moment = Literal["before", "during", "after"]


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """What a session would have seen up to `now`."""

    now: datetime
    definitions: tuple[CheckDefinition, ...]
    events: tuple[RunEvent, ...]
    batches: tuple[Batch, ...]
    traces: dict[str, Trace]
    """Whole traces by id, for whoever opens one."""


def bad_release(now: datetime, *, moment: Moment = "during", seed: int = 42, rounds: int = 20) -> Scene:
    """Return the shop while v42, slow and broken for euros, takes a tenth of the traffic.

    `before`: an hour of quiet under v41. `during`: 192 s into the release. `after`: rolled back 5 minutes ago.
    """
    dice = random.Random(seed)
    started = now - {"before": timedelta(0), "during": timedelta(seconds=192), "after": timedelta(minutes=14)}[moment]
    timing = release.Timing(now=now, started=started, moment=moment)
    traces, summaries = signals.traces(timing, dice)
    return Scene(
        now=now,
        definitions=checks.definitions(),
        events=tuple(checks.events(timing, dice, rounds)),
        batches=tuple(_batches(timing, dice, summaries)),
        traces=traces,
    )


def _batches(timing: release.Timing, dice: random.Random, summaries: Batch) -> Iterable[Batch]:
    yield release.history(timing)
    yield release.alarms(timing)
    yield signals.metrics(timing, dice)
    yield from logs.log_history(timing, dice)
    yield summaries
    # Dice of its own: what other parts draw stays as it was.
    yield services.services(timing, random.Random(7))
