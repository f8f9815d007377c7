"""When a stream of logs ends: what was visible late by then has been looked for, and what lies beyond is said."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.cli.live.line_writer import LineWriter
from prodwatch.cli.live.log_output import HOLD_S, HOLD_TO_END_S, REORDER_S, LogStream
from prodwatch.demo.aws.faults import Fault, FaultPlan
from prodwatch.model.environment import LogTarget
from prodwatch.model.signal import Batch, LogRecord, SourcePhase, SourceStatus
from prodwatch.session.stream_completion import SETTLE_S, SWEEP_S, StreamCompletion
from prodwatch.sources.backoff import Backoff
from prodwatch.sources.logs.scan_plan import PROMISED_S
from prodwatch.sources.logs.source import LogSource
from prodwatch.testing.clock import START, FakeClock
from tests.support.fake_log_api import LogDoor
from tests.support.log_fault_regimes import Screen, plain_line, shown

START_MS = int(START.timestamp() * 1000)


class Read:
    """Groups being read until an ending has come, on a virtual clock."""

    def __init__(self, plan: FaultPlan | None = None, **end: Any) -> None:
        self.clock = FakeClock()
        self.door = LogDoor(self.clock, plan)
        for group in ("a", "b"):
            self.door.region.logs.create_group(group)
        self.source = LogSource(
            self.door,
            [LogTarget(group="a"), LogTarget(group="b")],
            clock=self.clock,
            parse=plain_line,
            since=START - timedelta(minutes=5),
            backoff=lambda: Backoff(uniform=lambda _, high: high),
        )
        self.source.pin({"a", "b"})
        self.ending = StreamCompletion(["logs:a", "logs:b"], clock=self.clock, sweep=self.source.sweep, **end)
        self.screen = Screen()
        show = self.screen.show

        def heard(batch: Batch) -> None:
            show(batch)
            self.ending.update(batch)

        self.screen.show = heard  # type: ignore[method-assign]

    def write(self, at_s: float, visible_s: float) -> None:
        """Put a line, by seconds since the start."""
        self.door.region.logs.put(
            "a", "s", [(START_MS + int(at_s * 1000), f"line {at_s}")], visible_ms=START_MS + int(visible_s * 1000)
        )

    @asynccontextmanager
    async def to_the_end(self) -> AsyncIterator[float]:
        """Run until the ending has come; yields the second of that."""
        async with shown(self.source, self.screen):
            while not self.ending.done():
                await self.clock.advance(0.1)
                assert self.clock.monotonic_s() < 300
            yield self.clock.monotonic_s()

    @property
    def lines(self) -> list[str]:
        return sorted(message for _, message in self.screen.lines.elements())


async def test_a_line_visible_late_is_found_by_the_last_look() -> None:
    read = Read(idle_s=5.0)
    read.write(-60, -50)
    read.write(-40, 3)  # visible after the first reading, and too old for the fast one
    async with read.to_the_end() as ended_s:
        assert read.lines == ["line -40", "line -60"]
        assert max(status.late for status in read.screen.states) == 1
        assert ended_s < 8
        reach = read.ending.reach()
        assert reach is not None
        assert reach[1] >= START + timedelta(seconds=5)


async def test_a_window_that_ends_now_is_looked_through_once_more() -> None:
    read = Read(until=START)
    read.write(-30, SETTLE_S - 1)
    async with read.to_the_end():
        assert read.lines == ["line -30"]
        assert read.ending.unswept() == []


async def test_a_window_long_past_needs_no_last_look_and_nothing_is_open() -> None:
    read = Read(until=START - timedelta(seconds=PROMISED_S + 1))
    async with read.to_the_end():
        assert read.ending.reach() is None
        assert read.door.count("logs:FilterLogEvents") == 2


async def test_a_last_look_that_cannot_be_finished_is_given_up_and_said() -> None:
    denied = Fault(operation="logs:FilterLogEvents", kind="throttle", from_s=START.timestamp() + 5.32)
    read = Read(FaultPlan([denied]), idle_s=5.0)
    async with read.to_the_end() as ended_s:
        assert SWEEP_S < ended_s < SWEEP_S + 10
        assert read.ending.unswept() == ["logs:a", "logs:b"]
        assert read.ending.unread() == []


async def test_what_is_followed_says_how_far_late_lines_have_been_looked_for() -> None:
    read = Read()
    async with shown(read.source, read.screen):
        await read.clock.advance(90)
        reach = read.ending.reach()
    assert reach is not None
    read_to, late_to = ((at - START).total_seconds() for at in reach)
    assert read_to > 88
    assert 70 <= late_to <= read_to


class Out(io.BytesIO):
    @property
    def lines(self) -> list[str]:
        return self.getvalue().decode().splitlines()


def line(at_ms: int, group: str, late_ms: int = 0) -> LogRecord:
    return LogRecord(START_MS + at_ms, f"{at_ms}", group, late_ms=late_ms)


def stream(out: Out, clock: FakeClock) -> LogStream:
    logs = LogStream(LineWriter(out), lambda record: record.message, clock=clock)
    logs.tick(caught_up=True)
    return logs


async def test_lines_wait_a_moment_for_older_ones_of_other_groups() -> None:
    out, clock = Out(), FakeClock()
    logs = stream(out, clock)
    logs.take([line(1, "a"), line(5, "b")])
    await clock.advance(REORDER_S / 2)
    logs.take([line(3, "a"), line(9, "a")])
    logs.take([line(2, "b", late_ms=7)])
    logs.tick(caught_up=True)
    assert out.lines == ["2"]  # a late line has nothing to wait for
    await clock.advance(REORDER_S / 2)
    logs.tick(caught_up=True)
    assert out.lines == ["2", "1", "3", "5"]
    logs.finish()
    assert out.lines == ["2", "1", "3", "5", "9"]


async def test_a_stream_that_ends_waits_longer_for_the_first_reading_of_all_groups() -> None:
    out, clock = Out(), FakeClock()
    logs = LogStream(LineWriter(out), lambda record: record.message, clock=clock, hold_s=HOLD_TO_END_S)
    logs.take([line(5, "a")])
    await clock.advance(HOLD_S * 10)
    logs.tick(caught_up=False)
    logs.take([line(3, "b")])
    logs.tick(caught_up=True)
    assert out.lines == ["3", "5"]


def test_a_window_of_the_past_is_written_in_one_piece() -> None:
    out = Out()
    logs = LogStream(
        LineWriter(out), lambda record: record.message, clock=FakeClock(), until=START, hold_s=HOLD_TO_END_S
    )
    logs.take([line(-5, "a")])
    logs.tick(caught_up=True)
    logs.take([line(-9, "b", late_ms=7)])
    logs.tick(caught_up=True)
    assert out.lines == []
    logs.finish()
    assert out.lines == ["-9", "-5"]


def test_the_only_group_waits_for_nobody() -> None:
    out = Out()
    logs = stream(out, FakeClock())
    logs.take([line(1, "a"), line(2, "a")])
    assert out.lines == ["1", "2"]


@given(st.lists(st.tuples(st.integers(0, 9_999), st.sampled_from("abc"), st.integers(0, 900)), max_size=60))
async def test_lines_that_come_within_a_second_of_their_time_are_in_order(rows: list[tuple[int, str, int]]) -> None:
    out, clock = Out(), FakeClock()
    logs = stream(out, clock)
    logs.take([line(-2, "a"), line(-1, "b")])
    for tick in range(1, 130):
        await clock.advance(0.1)
        logs.take([line(at, group) for at, group, wait_ms in rows if (at + wait_ms) // 100 == tick - 1])
        logs.tick(caught_up=True)
    stamps = [int(each) for each in out.lines]
    assert stamps == sorted(stamps)
    assert len(stamps) == len(rows) + 2


@pytest.mark.parametrize("phase", [SourcePhase.THROTTLED, SourcePhase.FAILED])
def test_trouble_does_not_undo_what_was_read(phase: SourcePhase) -> None:
    clock = FakeClock()
    ending = StreamCompletion(["logs:a"], clock=clock, idle_s=0.0)
    ending.update(Batch(source="logs:a", status=SourceStatus(source="logs:a", phase=phase, fresh_at=START)))
    assert ending.done()
