"""Options of one run."""

from __future__ import annotations

from datetime import datetime
from random import Random
from typing import Literal

import msgspec

from prodwatch.judge.signals import gating_signals, gating_unfilled, has_gating_signals
from prodwatch.model.environment import Environment

_ID_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
Mode = Literal["check", "gate", "dashboard", "serve", "merge"]


class ReleaseOverride(msgspec.Struct, frozen=True, kw_only=True):
    """The release as the caller names it; it is then not read from AWS."""

    version: str
    previous: str | None = None


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """One run's options, as the command line or the dashboard gives them."""

    allow_writes: bool = False
    """Run mutating checks in a protected environment too."""
    fail_fast: bool = False
    """Start no more checks after the first `fail` or `error` of a check that counts."""
    deadline_s: float | None = None
    """Time limit of the whole run; checks it cuts off are `inconclusive`."""
    jobs: int | None = None
    """Overrides `[limits] concurrency`."""
    no_diagnose: bool = False
    no_signals: bool = False
    """Do not read `[[metric]]` and `[[alarm]]` entries as evidence next to the checks."""
    mode: Mode = "check"
    strict: bool = False
    """`degraded` exits 1."""
    allow_empty: bool = False
    """An empty selection exits 0."""
    shard: tuple[int, int] | None = None
    """(i, n), i from 1: the part of the checks to run; an empty part exits 0 and `merge_results` decides."""
    ci: str | None = None
    host: str = ""
    digest: str | None = None
    """Digest of everything that the shards of one run have in common."""
    run_id: str | None = None
    """None for a new id."""
    release: ReleaseOverride | None = None


def reads_signals(environment: Environment, options: RunOptions) -> bool:
    """Return whether a run with these options reads signals: a single run does by default."""
    return options.mode == "check" and not options.no_signals and has_gating_signals(environment)


def left_out(environment: Environment) -> str | None:
    """Return the notice of a run that leaves signals out; None when there are none to leave out."""
    metrics, alarms = gating_signals(environment)
    unfilled = [each.kind for each in gating_unfilled(environment)]
    counts = [
        (len(metrics) + unfilled.count("metric"), "[[metric]]"),
        (len(alarms) + unfilled.count("alarm"), "[[alarm]]"),
    ]
    named = " and ".join(f"{count} {table}" for count, table in counts if count)
    return f"--no-signals left out {named}: the verdict rests on the checks alone" if named else None


def fresh_run_id(now: datetime, random: Random) -> str:
    """Return an id that sorts by time: `20261120-110302-k3f9x2`."""
    tail = "".join(random.choices(_ID_CHARACTERS, k=6))
    return f"{now:%Y%m%d-%H%M%S}-{tail}"
