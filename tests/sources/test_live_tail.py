"""Live Tail delivers lines sooner, is charged, and never adds a line or leaks a connection."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.aws.interface import AwsError
from prodwatch.model.environment import LogTarget
from prodwatch.model.signal import Batch, LogRecord
from prodwatch.model.status import Reason
from prodwatch.sources.backoff import Backoff
from prodwatch.sources.logs import live_tail
from prodwatch.sources.logs.events import RawEvent
from prodwatch.sources.logs.merge_live_tail_and_polling import GRACE_S, LiveTailMerge
from prodwatch.sources.logs.source import LogSource
from prodwatch.testing.aws import ScriptedAws
from prodwatch.testing.clock import START, FakeClock

MS = int(START.timestamp() * 1000)


class Tail:
    """A scripted Live Tail: an update per second; counts sessions and closings."""

    def __init__(self, aws: ScriptedAws, clock: FakeClock) -> None:
        self.clock = clock
        self.opened: list[dict[str, Any]] = []
        self.closed = 0
        self.lines: list[dict[str, Any]] = []
        self.sampled = False
        self.fail: AwsError | None = None
        aws.streams["logs:StartLiveTail"] = self.events
        aws.answers["logs:DescribeLogGroups"] = lambda params: {
            "logGroups": [
                {"logGroupName": name, "logGroupArn": f"arn:aws:logs:eu-west-1:123456789012:log-group:{name}"}
                for name in (params["logGroupNamePrefix"], params["logGroupNamePrefix"] + "-other")
            ]
        }

    async def events(self, params: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        self.opened.append(dict(params))
        try:
            yield {"sessionStart": {}}
            while True:
                await self.clock.sleep(1)
                if self.fail:
                    raise self.fail
                results, self.lines = self.lines, []
                yield {"sessionUpdate": {"sessionMetadata": {"sampled": self.sampled}, "sessionResults": results}}
        finally:
            self.closed += 1

    def say(self, message: str, group: str = "a") -> None:
        at_ms = int(self.clock.now().timestamp() * 1000)
        self.lines.append(
            {
                "timestamp": at_ms,
                "message": message,
                "logStreamName": "s",
                "logGroupIdentifier": f"123456789012:{group}",
            }
        )


class Watch:
    """A log source that is being read."""

    def __init__(self, aws: ScriptedAws, clock: FakeClock, *targets: LogTarget) -> None:
        def parse(event: RawEvent, group: str, late_ms: int) -> LogRecord:
            return LogRecord(event.timestamp, event.message, group, late_ms=late_ms)

        self.source = LogSource(
            aws, targets, clock=clock, parse=parse, since=START, backoff=lambda: Backoff(uniform=lambda _, high: high)
        )
        self.found: list[Batch] = []
        self.task = asyncio.create_task(self.run())

    async def run(self) -> None:
        async with aclosing(self.source.batches()) as batches:  # type: ignore[type-var]
            async for batch in batches:
                self.found.append(batch)

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    @property
    def lines(self) -> list[str]:
        return [each.message for batch in self.found for each in batch.records if isinstance(each, LogRecord)]

    @property
    def message(self) -> str:
        return next(batch.status.message or "" for batch in reversed(self.found) if batch.status)


def units(aws: ScriptedAws) -> float:
    return sum(float(params["units"]) for name, params in aws.calls if "units" in params)


LIVE = LogTarget(group="a", live_tail=True)


async def test_a_line_comes_live_polling_rests_and_every_minute_is_charged(aws: ScriptedAws) -> None:
    clock = FakeClock()
    tail = Tail(aws, clock)
    watch = Watch(aws, clock, LIVE)
    watch.source.pin({"a"})
    await clock.advance(60)
    polled = aws.count("logs:FilterLogEvents")
    tail.say("hello")
    await clock.advance(60)
    assert watch.lines == ["hello"]
    assert aws.count("logs:FilterLogEvents") - polled <= 14
    assert watch.message == "Live Tail on"
    await watch.stop()
    assert units(aws) == pytest.approx(2, abs=0.05)
    assert tail.closed == len(tail.opened) == 1
    assert tail.opened[0]["logGroupIdentifiers"] == ["arn:aws:logs:eu-west-1:123456789012:log-group:a"]


async def test_a_sample_brings_polling_back_at_once(aws: ScriptedAws) -> None:
    clock = FakeClock()
    tail = Tail(aws, clock)
    watch = Watch(aws, clock, LIVE)
    watch.source.pin({"a"})
    await clock.advance(30)
    tail.sampled = True
    polled = aws.count("logs:FilterLogEvents")
    await clock.advance(30)
    assert aws.count("logs:FilterLogEvents") - polled >= 20
    await watch.stop()


async def test_a_broken_session_is_reopened_and_its_end_is_reported(aws: ScriptedAws) -> None:
    clock = FakeClock()
    tail = Tail(aws, clock)
    watch = Watch(aws, clock, LIVE)
    await clock.advance(20)
    tail.fail = AwsError(
        "the connection broke", code="X", reason=Reason.NETWORK, service="logs", operation="StartLiveTail"
    )
    await clock.advance(20)
    assert "Live Tail off, polling continues: the connection broke" in watch.message
    tail.fail = None
    await clock.advance(60)
    assert watch.message == "Live Tail on"
    assert len(tail.opened) >= 3
    await watch.stop()


async def test_a_broken_session_is_reported_and_even_a_quiet_group_is_polled_at_once(aws: ScriptedAws) -> None:
    clock = FakeClock()
    tail = Tail(aws, clock)
    watch = Watch(aws, clock, LIVE)
    await clock.advance(120)
    polled = aws.count("logs:FilterLogEvents")
    tail.fail = AwsError("it broke", code="X", reason=Reason.NETWORK, service="logs", operation="StartLiveTail")
    reported = len(watch.found)
    await clock.advance(1.9)
    assert aws.count("logs:FilterLogEvents") > polled
    notes = [batch.status.message or "" for batch in watch.found[reported:] if batch.status]
    assert any(note.startswith("Live Tail off") for note in notes)
    await watch.stop()


async def test_a_session_is_renewed_before_aws_ends_it(aws: ScriptedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    assert timedelta(seconds=live_tail.RENEW_S) < timedelta(hours=3), "then AWS ends it"
    monkeypatch.setattr(live_tail, "RENEW_S", 300.0)
    clock = FakeClock()
    tail = Tail(aws, clock)
    watch = Watch(aws, clock, LIVE)
    await clock.advance(360)
    assert (len(tail.opened), tail.closed) == (2, 1)
    await watch.stop()
    assert tail.closed == 2


async def test_a_denied_tail_leaves_the_polling_alone(aws: ScriptedAws) -> None:
    clock = FakeClock()
    Tail(aws, clock)
    aws.fail("logs:StartLiveTail", Reason.ACCESS_DENIED)
    aws.answers["logs:FilterLogEvents"] = lambda _: {"events": [{"timestamp": MS, "message": "polled", "eventId": "1"}]}
    watch = Watch(aws, clock, LIVE)
    await clock.advance(30)
    assert watch.lines == ["polled"]
    assert "Live Tail off, polling continues: logs:StartLiveTail failed" in watch.message
    assert aws.count("logs:StartLiveTail") == 1
    await watch.stop()


async def test_a_spent_budget_ends_the_session(aws: ScriptedAws) -> None:
    clock = FakeClock()
    tail = Tail(aws, clock)
    watch = Watch(aws, clock, LIVE)
    await clock.advance(20)
    aws.fail("logs:FilterLogEvents", Reason.LIMIT)
    await clock.advance(120)
    assert (len(tail.opened), tail.closed) == (1, 1)
    aws.failing.clear()
    await clock.advance(120)
    assert watch.message == "Live Tail off, polling continues: the session ended"
    await watch.stop()


async def test_eleven_groups_need_two_sessions_and_other_groups_none(aws: ScriptedAws) -> None:
    clock = FakeClock()
    tail = Tail(aws, clock)
    targets = [LogTarget(group=f"g{number}", live_tail=True) for number in range(11)]
    watch = Watch(aws, clock, *targets, LogTarget(group="quiet"))
    await clock.advance(5)
    await watch.stop()
    assert sorted(len(each["logGroupIdentifiers"]) for each in tail.opened) == [1, 10]


copies = st.integers(0, 4)


@given(written=copies, by_live=st.lists(copies, min_size=1, max_size=3), order=st.randoms())
def test_however_lines_come_each_is_shown_as_often_as_it_was_written(
    written: int, by_live: list[int], order: Any
) -> None:
    """Each live session delivers some of the copies and polling all of them, in any order."""
    merge = LiveTailMerge()
    event = RawEvent(MS, "same", "", "s")
    sessions = [min(count, written) for count in by_live]
    steps = ["polled"] * written + [f"live {number}" for number, count in enumerate(sessions) for _ in range(count)]
    order.shuffle(steps)
    # Sessions follow each other, with anything in between.
    live = iter(sorted(step for step in steps if step != "polled"))
    shown: Counter[bool] = Counter()
    session = ""
    for step in steps:
        if step == "polled":
            shown[merge.add_polled(event, START.timestamp())] += 1
            continue
        name = next(live)
        if name != session:
            session = name
            merge.begin_session(START.timestamp())
        shown[merge.add_live(event, START.timestamp())] += 1
    assert shown[True] == written


@pytest.mark.parametrize(
    ("written_s", "missed"),
    [(GRACE_S - 1, 0), (GRACE_S, 1), (60 - GRACE_S, 1), (61 - GRACE_S, 0)],
    ids=["as the session begins", "soon after", "long enough ago", "just now"],
)
def test_a_line_that_only_polling_delivers_is_missed_where_the_session_should_have_had_it(
    written_s: float, missed: int
) -> None:
    merge = LiveTailMerge()
    merge.begin_session(START.timestamp())
    event = RawEvent(timestamp=int((START.timestamp() + written_s) * 1000), message="x")
    assert merge.add_polled(event, START.timestamp() + 60)
    assert merge.missed == missed


@pytest.mark.parametrize("live", [True, False], ids=["delivered live", "no session"])
def test_no_line_is_missed_that_was_delivered_or_that_no_session_could_deliver(live: bool) -> None:
    merge = LiveTailMerge()
    event = RawEvent(timestamp=int((START.timestamp() + 30) * 1000), message="x")
    merge.begin_session(START.timestamp())
    if live:
        assert merge.add_live(event, START.timestamp() + 31)
    else:
        merge.end_session()
    assert merge.add_polled(event, START.timestamp() + 60) is not live
    assert merge.missed == 0
