"""A check's own trace and lines: asked for until they appear, and what was there stays until then."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from typing import Any

import pytest

from prodwatch.model.check import SourcePosition
from prodwatch.model.event import CheckFinished
from prodwatch.model.result import CheckResult, Correlation
from prodwatch.model.signal import Batch, LogRecord, Span, Trace
from prodwatch.model.status import Status
from prodwatch.store import Store
from prodwatch.testing.clock import START, FakeClock
from prodwatch.tui.check_telemetry import (
    MAX_FOLLOWED_ROUNDS,
    MAX_SEARCHES,
    MAX_TAIL_CHECKS,
    MAX_TRACE_POLLS,
    TRACE_POLL_INTERVAL_S,
    CheckRound,
    CheckTelemetry,
)
from prodwatch.tui.screens.check import CheckScreen
from tests.support.scripted_session import ScriptedSession

S = START.timestamp()


def trace(trace_id: str, name: str = "shop-api", *, complete: bool = True) -> Trace:
    return Trace(id=trace_id, spans=(Span(id="s", name=name, start_s=S, end_s=S + 1),), complete=complete)


class LateSession(ScriptedSession):
    """Shows traces and lines only when the test says so."""

    def __init__(self, store: Store, clock: FakeClock) -> None:
        super().__init__(store, clock)
        self.traces: dict[str, Trace] = {}
        self.lines: list[LogRecord] = []

    async def fetch_trace(self, trace_id: str) -> Trace | None:
        self.asked.append(("fetch_trace", (trace_id,)))
        return self.traces.get(trace_id)

    async def fetch_logs_for(self, request_ids: Sequence[str], trace_id: str | None) -> Sequence[LogRecord]:
        await super().fetch_logs_for(request_ids, trace_id)
        return self.lines


class Stage:
    """The follower over a late session and a clock wound by hand."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = Store(self.clock)
        self.session = LateSession(self.store, self.clock)
        self.open = True
        self.follower = CheckTelemetry(self.store, self.session, self.clock, start=self._start, open_=lambda: self.open)
        self._running: set[Any] = set()

    def _start(self, _what: str, task: Coroutine[Any, Any, None]) -> None:
        self._running.add(asyncio.ensure_future(task))

    async def end(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def looks(self, what: str = "fetch_trace") -> int:
        return sum(asked == what for asked, _ in self.session.asked)


@pytest.fixture
async def stage() -> Any:
    here = Stage()
    yield here
    await here.end()


def round_of(name: str) -> CheckRound:
    return CheckRound(START, (f"1-{name}",), (f"r-{name}",))


async def test_a_trace_is_asked_for_until_it_is_there_and_whole(stage: Stage) -> None:
    stage.follower.follow(round_of("a"))
    await stage.clock.advance(2 * TRACE_POLL_INTERVAL_S)
    assert stage.follower.trace_note("1-a").startswith(
        "waiting for the trace; X-Ray usually needs 5 to 30 s; 3 attempts"
    )
    stage.session.traces["1-a"] = trace("1-a", complete=False)
    await stage.clock.advance(TRACE_POLL_INTERVAL_S)
    assert [each.id for each in stage.follower.traces(round_of("a"))] == ["1-a"]
    stage.session.traces["1-a"] = trace("1-a")
    await stage.clock.advance(TRACE_POLL_INTERVAL_S)
    looks = stage.looks()
    await stage.clock.advance(60)
    assert stage.looks() == looks == 5


async def test_it_gives_up_and_says_so(stage: Stage) -> None:
    stage.follower.follow(round_of("a"))
    await stage.clock.advance(MAX_TRACE_POLLS * TRACE_POLL_INTERVAL_S)
    assert "not in X-Ray" in stage.follower.trace_note("1-a")
    assert stage.looks() == MAX_TRACE_POLLS


async def test_rounds_that_come_faster_than_x_ray_each_get_their_trace(stage: Stage) -> None:
    for name in "abc":
        stage.follower.follow(round_of(name))
        await stage.clock.advance(15)
    stage.session.traces["1-a"] = trace("1-a")
    await stage.clock.advance(TRACE_POLL_INTERVAL_S)
    assert stage.follower.before(round_of("c"), stage.follower.traces) == round_of("a")
    for number in range(MAX_FOLLOWED_ROUNDS):
        stage.follower.follow(round_of(f"later-{number}"))
    before = [ids for what, ids in stage.session.asked if what == "fetch_trace"].count(("1-b",))
    await stage.clock.advance(30)
    assert [ids for what, ids in stage.session.asked if what == "fetch_trace"].count(("1-b",)) == before


async def test_nobody_asks_for_a_check_that_was_closed(stage: Stage) -> None:
    stage.follower.follow(round_of("a"))
    await stage.clock.advance(1)
    stage.open = False
    await stage.clock.advance(100)
    assert stage.looks() == 1
    assert stage.looks("fetch_logs_for") == 0


async def test_lines_are_searched_for_only_when_the_tail_does_not_bring_them(stage: Stage) -> None:
    stage.follower.follow(round_of("a"))
    await stage.clock.advance(MAX_TAIL_CHECKS * TRACE_POLL_INTERVAL_S - 1)
    assert stage.looks("fetch_logs_for") == 0
    assert stage.follower.lines_note(round_of("a")).startswith("waiting for its log lines")
    stage.session.lines = [LogRecord(timestamp_ms=2, message="second", group="g")]
    await stage.clock.advance(2)
    assert [line.message for line in stage.follower.lines(round_of("a"))] == ["second"]
    tailed = LogRecord(timestamp_ms=1, message="tailed", group="g", request_id="r-b")
    stage.follower.follow(round_of("b"))
    stage.store.apply(Batch(source="logs", records=(tailed,)))
    await stage.clock.advance(60)
    assert stage.follower.lines(round_of("b")) == [tailed]
    assert stage.looks("fetch_logs_for") == 1


async def test_no_line_is_awaited_of_what_only_asked_aws_itself(stage: Stage) -> None:
    asked_aws = CheckRound(START, (), ("r-a",), logged=False)
    stage.follower.follow(asked_aws)
    await stage.clock.advance(300)
    assert stage.looks("fetch_logs_for") == 0
    assert "write no line" in stage.follower.lines_note(asked_aws)


async def test_a_search_that_finds_nothing_ends_and_says_where_it_looked(stage: Stage) -> None:
    stage.follower.follow(round_of("a"))
    await stage.clock.advance(300)
    assert stage.looks("fetch_logs_for") == MAX_SEARCHES
    assert "searched the last 15 min" in stage.follower.lines_note(round_of("a"))


def finished(name: str, at_s: float) -> CheckFinished:
    return CheckFinished(
        result=CheckResult(
            id="orders/order-in-euros",
            name="a",
            title="order in euros",
            kind="smoke",
            type="http",
            status=Status.FAIL,
            started_at=START + timedelta(seconds=at_s),
            correlation=Correlation(trace_id=f"1-{name}", request_ids=(f"r-{name}",)),
            source=SourcePosition("checks/a.toml", 1, 1),
        )
    )


async def test_an_open_check_fills_up_by_itself_and_keeps_the_round_before_until_then(run: Any) -> None:
    async with run(keys=["enter"]) as bench:
        assert isinstance(bench.app.screen, CheckScreen)
        await bench.sees("most time is spent in DynamoDB")
        bench.store.apply_event(finished("new", 20))
        await bench.frames()
        await bench.sees("1-new")
        await bench.sees("waiting for the trace; X-Ray usually needs 5 to 30 s")
        await bench.sees("meanwhile, the round of 11:59:57:")
        await bench.sees("most time is spent in DynamoDB")
        await bench.sees("waiting for its log lines")
        await bench.sees("placing order id=TEST-7f3a")
        bench.store.add_trace(trace("1-new", "brand-new"))
        line = LogRecord(timestamp_ms=int(S * 1000), message="its own new line", group="g", request_id="r-new")
        bench.store.apply(Batch(source="logs", records=(line,)))
        await bench.sees("brand-new")
        await bench.sees("its own new line")
        await bench.misses("until then")
        await bench.misses("placing order")


async def test_a_check_leads_to_its_trace_and_copies_what_it_can(run: Any) -> None:
    async with run(keys=["enter", "o"], notifications=True) as bench:
        assert "#xray:traces/1-68a7c1f2" in bench.app.clipboard
        await bench.sees("AWS console address copied")
        await bench.press("a")
        await bench.sees("makes no AWS call to copy")
        await bench.press("R")
        assert ("rerun", "orders/recent-errors") in {(what, each) for what, ids in bench.session.asked for each in ids}
