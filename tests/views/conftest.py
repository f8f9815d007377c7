"""A store that has seen the scene up to a moment, and results built in one line."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from prodwatch.model.check import CheckDefinition, SourcePosition
from prodwatch.model.event import CheckFinished
from prodwatch.model.result import CheckResult
from prodwatch.model.status import Status
from prodwatch.store import Store
from prodwatch.testing.clock import START, FakeClock
from tests.support.scene import Moment, bad_release

Play = Callable[[Moment], Store]
HERE = SourcePosition("checks/a.toml", 1, 1)


@pytest.fixture
def now() -> datetime:
    return START


@pytest.fixture
def play() -> Play:
    def at(moment: Moment) -> Store:
        store = Store(FakeClock())
        scene = bad_release(START, moment=moment)
        store.define(scene.definitions)
        for batch in scene.batches:
            store.apply(batch)
        for event in scene.events:
            store.apply_event(event)
        return store

    return at


class Checks:
    """A store of checks, told round by round; the last round ends a second before START."""

    def __init__(self) -> None:
        self.store = Store(FakeClock())
        self._definitions: list[CheckDefinition] = []

    def define(self, check_id: str, **more: Any) -> None:
        self._definitions.append(
            CheckDefinition(
                id=check_id,
                name=check_id,
                title=more.pop("title", check_id),
                type="http",
                source=HERE,
                every_s=more.pop("every_s", 30.0),
                **more,
            )
        )
        self.store.define(self._definitions)

    def rounds(self, check_id: str, *statuses: Status, age_s: float = 1.0, **more: Any) -> None:
        count = len(statuses)
        for place, status in enumerate(statuses):
            at = START - timedelta(seconds=age_s + 30 * (count - 1 - place))
            self.store.apply_event(
                CheckFinished(
                    result=CheckResult(
                        id=check_id,
                        name=check_id,
                        title=more.get("title", check_id),
                        kind=more.get("kind", "smoke"),
                        type=more.get("type", "http"),
                        status=status,
                        flags=more.get("flags", ()),
                        message=more.get("message"),
                        reason_code=more.get("reason_code"),
                        started_at=at,
                        duration_ms=0,
                        source=HERE,
                    )
                )
            )


@pytest.fixture
def checks() -> Checks:
    return Checks()
