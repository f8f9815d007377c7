"""A window that has ended is read once, nothing of after it is shown, and then everything stands still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from prodwatch.model.check import SourcePosition
from prodwatch.model.environment import AwsTarget, Environment, LogTarget
from prodwatch.model.identity import AlarmId
from prodwatch.model.signal import (
    AlarmState,
    Batch,
    LogRecord,
    MetricKey,
    MetricPoint,
    MetricSeries,
    ReleaseEvent,
    ReleasePhase,
    ReleaseState,
    SourcePhase,
    SourceStatus,
    TraceSummary,
)
from prodwatch.session import past
from prodwatch.session.past import BoundedReads, FixedClock, OffsetClock, PastAlarms, PastReader
from prodwatch.session.stream_completion import FAILED_FOR_S
from prodwatch.store import Store
from prodwatch.testing.clock import START, FakeClock
from prodwatch.text.redact import Redactor
from prodwatch.views.time_window import Window
from tests.support.waiting import turn

END = START - timedelta(hours=1)
WINDOW = Window(start=END - timedelta(hours=1), end=END)
HERE = SourcePosition("config/prod.toml", 1, 1)
END_MS = int(END.timestamp() * 1000)


def change(minutes_after_end: float, before: str, after: str) -> ReleaseEvent:
    at = END + timedelta(minutes=minutes_after_end)
    return ReleaseEvent(at=at, source="alarm", subject="x", what=f"alarm {after}", from_=before, to=after)


@pytest.mark.parametrize(
    ("since", "changes", "state"),
    [
        (END - timedelta(days=1), (), "OK"),
        (END - timedelta(minutes=5), (change(-9, "OK", "ALARM"), change(-5, "ALARM", "OK")), "OK"),
        (END + timedelta(minutes=5), (change(-9, "OK", "ALARM"), change(5, "ALARM", "OK")), "ALARM"),
        (END + timedelta(minutes=5), (change(5, "ALARM", "OK"),), "ALARM"),
        (END + timedelta(minutes=5), (), "INSUFFICIENT_DATA"),
        (None, (), "INSUFFICIENT_DATA"),
    ],
    ids=["long quiet", "fired within", "firing at the end", "changed only since", "history is gone", "nobody knows"],
)
def test_an_alarm_is_shown_as_it_was_then(
    since: datetime | None, changes: tuple[ReleaseEvent, ...], state: str
) -> None:
    alarms = PastAlarms(END)
    alarms.add(AlarmState(name="x", state="OK", since=since))
    for each in changes:
        alarms.add_change(each)
    assert [each.state for each in alarms.states()] == [state]


def test_clocks_show_the_window_and_sleep_for_real() -> None:
    real = FakeClock()
    standing, moved = FixedClock(END, real), OffsetClock(END, real)
    asyncio.run(real.advance(30.0))
    assert standing.now() == END
    assert moved.now() == END + timedelta(seconds=30)
    assert standing.monotonic_s() == real.monotonic_s()


class Asked:
    def __init__(self) -> None:
        self.params: dict[str, Any] = {}

    async def call(self, _service: str, operation: str, params: Any = None, **_: Any) -> dict[str, Any]:
        self.params[operation] = params
        return {}

    async def pages(self, _service: str, operation: str, params: Any = None, **_: Any) -> AsyncIterator[dict[str, Any]]:
        self.params[f"pages of {operation}"] = params
        yield {}


async def test_K10_aws_is_asked_for_the_window_only() -> None:
    asked: Any = Asked()
    aws = BoundedReads(asked, WINDOW, END)
    await aws.call("logs", "FilterLogEvents", {"logGroupName": "g", "startTime": 5})
    await aws.call("codedeploy", "ListDeployments", {"applicationName": "shop"})
    await aws.call("lambda", "GetAlias", {"Name": "live"})
    assert [page async for page in aws.pages("codedeploy", "ListDeployments", {"deploymentGroupName": "a"})] == [{}]
    assert asked.params["FilterLogEvents"]["endTime"] == END_MS
    assert asked.params["ListDeployments"]["createTimeRange"]["end"] == END
    assert asked.params["pages of ListDeployments"]["createTimeRange"]["end"] == END
    assert asked.params["GetAlias"] == {"Name": "live"}


class Told:
    """A source that tells its batches and goes on for ever."""

    def __init__(self, name: str, *batches: Batch) -> None:
        self.name = name
        self._batches = batches
        self.ended = False

    async def batches(self) -> AsyncIterator[Batch]:
        try:
            for each in self._batches:
                yield each
            await asyncio.Event().wait()
        finally:
            self.ended = True


def live(source: str, **more: Any) -> SourceStatus:
    return SourceStatus(source=source, phase=SourcePhase.LIVE, fresh_at=END + timedelta(seconds=1), **more)


KEY = MetricKey("Shop", "Orders", (), "Sum", None, "orders")


def sources() -> list[Told]:
    event = ReleaseEvent(at=END - timedelta(minutes=9), source="codedeploy", subject="d", what="deployment created")
    later = ReleaseEvent(at=END + timedelta(minutes=9), source="codedeploy", subject="e", what="deployment created")
    state = ReleaseState(function="f", phase=ReleasePhase.SUCCEEDED, version="43")
    trace = TraceSummary(id="1-a", start_ms=END_MS - 5, duration_s=1.0)
    points = tuple(MetricPoint(END_MS // 1000 + offset, 1.0) for offset in (-120, -60, 0, 60))
    return [
        Told("release", Batch(source="release", records=(event, later, state), status=live("release"))),
        Told(
            "alarms",
            Batch(source="alarms", records=(AlarmState(name="x", state="ALARM", since=START),)),
            Batch(source="alarms", records=(change(-9, "ALARM", "OK"), change(59, "OK", "ALARM"))),
            Batch(source="alarms", status=live("alarms")),
        ),
        Told(
            "traces",
            Batch(source="traces", records=(trace, TraceSummary(id="1-b", start_ms=END_MS + 5, duration_s=1.0))),
            Batch(source="traces", status=live("traces")),
        ),
        Told(
            "metrics",
            Batch(source="metrics", records=(MetricSeries(key=KEY, points=points),), status=live("metrics")),
        ),
        Told(
            "logs",
            Batch(source="logs:g", records=(LogRecord(END_MS - 1, "in", "g"), LogRecord(END_MS + 1, "after", "g"))),
            Batch(source="logs:g", status=live("logs:g")),
        ),
    ]


@dataclass
class FakeEngine:
    environment: Environment
    aws: Any
    redactor: Redactor

    def clean(self, text: str) -> str:
        return self.redactor.text(text)


@pytest.fixture
def engine() -> Any:
    environment = Environment(name="prod", title="Prod", source=HERE, aws=AwsTarget(), logs=(LogTarget(group="g"),))
    return FakeEngine(environment, Asked(), Redactor())


async def read(engine: Any, told: Sequence[Told], monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(past, "build_sources", lambda *_, **__: list(told))
    clock = FakeClock(auto=True)
    store = Store(FixedClock(END, clock))
    await PastReader(engine, WINDOW, store, clock).run()
    return store


async def test_everything_is_read_once_and_then_stands_still(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told = sources()
    store = await read(engine, told, monkeypatch)
    assert all(each.ended for each in told)
    assert {each.phase for each in store.sources.values()} == {SourcePhase.IDLE}
    assert set(store.sources) == {"release", "alarms", "traces", "metrics", "logs:g"}
    assert all("read to its end" in each.notes for each in store.sources.values())


async def test_nothing_of_after_the_window_is_shown(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store = await read(engine, sources(), monkeypatch)
    assert [each.message for each in store.logs.ring] == ["in"]
    assert [each.subject for each in store.release.events if each.source == "codedeploy"] == ["d"]
    assert not store.release.states
    assert store.release.alarms[AlarmId("x")].state == "OK"
    assert list(store.traces.summaries) == ["1-a"]
    assert [point.timestamp_s - END_MS // 1000 for point in store.metrics.series[KEY].points] == [-120, -60]


async def test_a_source_that_is_denied_is_said_and_holds_no_other_up(
    engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = sources()
    told[0] = Told(
        "release",
        Batch(
            source="release", status=SourceStatus(source="release", phase=SourcePhase.DENIED, action="lambda:GetAlias")
        ),
    )
    monkeypatch.setattr(past, "build_sources", lambda *_, **__: list(told))
    clock = FakeClock(auto=True)
    store = Store(FixedClock(END, clock))
    running = asyncio.create_task(PastReader(engine, WINDOW, store, clock).run())
    async with asyncio.timeout(60):
        while not all(each.ended for each in told[1:]):
            await turn()
    assert store.sources["release"].phase is SourcePhase.DENIED
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert told[0].ended


def phase(name: SourcePhase, **more: Any) -> Batch:
    return Batch(source="logs:g", status=SourceStatus(source="logs:g", phase=name, **more))


async def test_K30_one_failed_reading_does_not_end_the_reading_of_a_log_group(
    engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = sources()
    told[-1] = Told(
        "logs",
        phase(SourcePhase.FAILED, message="InternalFailure"),
        *(phase(SourcePhase.BEHIND, message=f"page {number}") for number in range(40)),
        Batch(source="logs:g", records=(LogRecord(END_MS - 1, "in", "g"),)),
        Batch(source="logs:g", status=live("logs:g")),
    )
    store = await read(engine, told, monkeypatch)
    assert [each.message for each in store.logs.ring] == ["in"]
    assert store.sources["logs:g"].phase is SourcePhase.IDLE


class Failing(Told):
    """A source of which every reading fails, each second."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__("logs")
        self.clock = clock

    async def batches(self) -> AsyncIterator[Batch]:
        try:
            while True:
                yield phase(SourcePhase.FAILED, message="InternalFailure")
                await self.clock.sleep(1.0)
        finally:
            self.ended = True


async def test_K30_a_log_group_that_fails_for_long_is_given_up_and_stays_unseen(
    engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock(auto=True)
    told = [*sources()[:-1], Failing(clock)]
    monkeypatch.setattr(past, "build_sources", lambda *_, **__: told)
    store = Store(FixedClock(END, clock))
    await PastReader(engine, WINDOW, store, clock).run()
    assert clock.monotonic_s() >= FAILED_FOR_S
    assert store.sources["logs:g"].phase is SourcePhase.FAILED
