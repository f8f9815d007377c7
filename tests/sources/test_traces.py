"""Traces from an X-Ray that pages, throttles, delays and lets traces grow: each revision once, or a reason why not."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodwatch.aws.interface import AwsError
from prodwatch.model.signal import Batch, SourcePhase, SourceStatus, Span, Trace, TraceSummary
from prodwatch.model.status import Reason
from prodwatch.sources.backoff import Backoff
from prodwatch.sources.redaction import SignalRedactor
from prodwatch.sources.traces import TraceSource, fetch_trace, fetch_traces
from prodwatch.sources.traces.read_rate import BURST, PACES, SCANNED_PER_S, ScanBudget, pace_for
from prodwatch.sources.traces.source import MAX_WINDOW_S, PART_S
from prodwatch.testing.aws import ScriptedAws
from prodwatch.testing.clock import START, FakeClock
from prodwatch.text.redact import Redactor

SUMMARIES, BATCH, DESTINATION = "xray:GetTraceSummaries", "xray:BatchGetTraces", "xray:GetTraceSegmentDestination"
SINCE = START - timedelta(minutes=10)
INDEXING = "xray:GetIndexingRules"
ID = "1-5f84c7a5-cd52b1d2e1c4a3b2c1d0e9f8"


@dataclass(slots=True)
class Growth:
    """One revision of a trace: its update time, and the time from which X-Ray shows it."""

    at_s: float
    visible_s: float
    partial: bool = False


@dataclass
class FakeXRay(ScriptedAws):
    """Traces by id as lists of revisions, in pages; `outages` are the calls that throttle."""

    clock: FakeClock
    traces: dict[str, list[Growth]] = field(default_factory=dict)
    page_size: int = 100
    outages: set[int] = field(default_factory=set)
    knows_event: bool = True
    order: str = "newest first"

    def __post_init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.looked = 0

    async def pages(
        self, service: str, operation: str, params: Mapping[str, Any] | None = None, **_: Any
    ) -> AsyncIterator[dict[str, Any]]:
        asked = dict(params or {})
        results = self._matching(asked)
        if self.order == "oldest first":
            results.reverse()
        elif self.order == "no order":
            random.Random(len(results)).shuffle(results)
        for start in range(0, max(1, len(results)), self.page_size):
            self.asked += 1
            await self.call(service, operation, asked)
            if self.asked in self.outages:
                raise AwsError("slow down", code="Throttled", reason=Reason.THROTTLED, service="xray", operation="X")
            if asked["TimeRangeType"] == "Event" and not self.knows_event:
                message = "TimeRangeType Event is not known"
                raise AwsError(message, code="Invalid", reason=Reason.API_ERROR, service="xray", operation="X")
            page = results[start : start + self.page_size]
            more = {"NextToken": "more"} if start + self.page_size < len(results) else {}
            self.looked += len(page)
            yield {"TraceSummaries": page, "TracesProcessedCount": len(page), **more}

    def _matching(self, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
        now_s = (self.clock.now() - START).total_seconds()
        low, high = ((asked[key] - START).total_seconds() for key in ("StartTime", "EndTime"))
        results = []
        for id_, growths in self.traces.items():
            seen = [(number, each) for number, each in enumerate(growths, 1) if each.visible_s <= now_s]
            if not seen:
                continue
            revision, latest = seen[-1]
            moment_s = latest.at_s if asked["TimeRangeType"] == "Event" else growths[0].at_s
            if low <= moment_s <= high:
                results.append((moment_s, id_, revision, latest, growths[0].at_s))
        return [
            {
                "Id": id_,
                "StartTime": START + timedelta(seconds=began_s),
                "MatchedEventTime": START + timedelta(seconds=moment_s),
                "Duration": 0.5,
                "Revision": revision,
                "IsPartial": latest.partial,
            }
            for moment_s, id_, revision, latest, began_s in sorted(results, key=lambda each: (-each[0], each[1]))
        ]

    def windows(self) -> list[tuple[datetime, datetime]]:
        return [(params["StartTime"], params["EndTime"]) for name, params in self.calls if name == SUMMARIES]


def source_of(aws: ScriptedAws, clock: FakeClock, *, since: datetime = SINCE, **more: Any) -> TraceSource:
    calm = lambda: Backoff(uniform=lambda low, high: high)  # noqa: E731 -- one argument of one call
    return TraceSource(aws, clock=clock, since=since, signal_redactor=SignalRedactor(Redactor()), backoff=calm, **more)


async def watched(source: TraceSource, clock: FakeClock, seconds: float, step_s: float = 0.5) -> list[Batch]:
    results: list[Batch] = []

    async def run() -> None:
        async with aclosing(source.batches()) as batches:  # type: ignore[type-var]  # a generator underneath
            async for batch in batches:
                results.append(batch)  # noqa: PERF401 -- others read the list meanwhile

    task = asyncio.create_task(run())
    for _ in range(int(seconds / step_s)):
        await clock.advance(step_s)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return results


def reported(batches: list[Batch]) -> list[TraceSummary]:
    return [each for batch in batches for each in batch.records if isinstance(each, TraceSummary)]


def statuses(batches: list[Batch]) -> list[SourceStatus]:
    return [batch.status for batch in batches if batch.status]


def steady(per_s: float, seconds: float, *, before_s: float = 600.0) -> dict[str, list[Growth]]:
    """Return traces at regular intervals that are shown at once."""
    return {
        f"1-{n:08x}": [Growth(n / per_s - before_s, n / per_s - before_s)]
        for n in range(int(per_s * (seconds + before_s)))
    }


@st.composite
def growing(draw: st.DrawFn) -> list[Growth]:
    at_s = draw(st.floats(-300, 120))
    growths = []
    for _ in range(draw(st.integers(1, 4))):
        late_s = draw(st.floats(0, 50))
        growths.append(Growth(at_s, at_s + late_s, draw(st.booleans())))
        at_s += draw(st.floats(late_s, late_s + 60))
    growths[-1].partial = False
    return growths


@settings(max_examples=20, deadline=None)
@given(
    st.lists(growing(), max_size=8),
    st.sets(st.integers(1, 30), max_size=6),
    st.integers(1, 5),
    st.booleans(),
)
def test_every_trace_is_reported_in_its_highest_revision_and_no_revision_twice(
    traces: list[list[Growth]], outages: set[int], page_size: int, sample: bool
) -> None:
    async def run() -> list[TraceSummary]:
        clock = FakeClock()
        named = {f"1-{n:08x}": growths for n, growths in enumerate(traces)}
        aws = FakeXRay(clock, named, page_size=page_size, outages=outages)
        return reported(await watched(source_of(aws, clock, sample=sample), clock, 600, 5.0))

    results = asyncio.run(run())
    for n, growths in enumerate(traces):
        revisions = [each.revision for each in results if each.id == f"1-{n:08x}"]
        assert revisions == sorted(set(revisions))
        assert revisions[-1] == len(growths)


async def test_an_open_trace_is_reported_as_partial_and_again_when_it_has_ended() -> None:
    clock = FakeClock()
    aws = FakeXRay(clock, {ID: [Growth(-5, 0, partial=True), Growth(20, 25)]})
    results = reported(await watched(source_of(aws, clock), clock, 60))
    assert [(each.revision, each.partial) for each in results] == [(1, True), (2, False)]


async def test_what_becomes_visible_late_is_found_by_the_deep_look() -> None:
    clock = FakeClock()
    aws = FakeXRay(clock, {ID: [Growth(2, 200)]})
    assert len(reported(await watched(source_of(aws, clock), clock, 400))) == 1


async def test_windows_overlap_by_a_minute_go_deep_every_two_and_never_before_the_session() -> None:
    clock = FakeClock()
    aws = FakeXRay(clock)
    await watched(source_of(aws, clock), clock, 260)
    windows = aws.windows()
    spans = [round((end - start).total_seconds()) for start, end in windows]
    assert windows[0] == (SINCE, START)
    assert [each for each in spans[1:] if each != 70] == [610, 610]
    assert min(start for start, _ in windows) == SINCE


async def test_traces_read_before_a_throttle_are_reported() -> None:
    clock = FakeClock()
    aws = FakeXRay(clock, steady(0.1, 0), page_size=20, outages={3})
    results = await watched(source_of(aws, clock), clock, 60)
    assert len(reported(results)) == 60
    assert SourcePhase.THROTTLED in {each.phase for each in statuses(results)}


async def test_a_long_look_back_that_must_be_whole_goes_in_order_and_says_how_far_it_is() -> None:
    clock = FakeClock()
    aws = FakeXRay(clock, steady(0.1, 0, before_s=30_000))
    since = START - timedelta(seconds=30_000)
    batches = await watched(source_of(aws, clock, since=since, sample=False), clock, 5)
    results = reported(batches)
    assert len(results) == 3_000
    assert [each.start_ms for each in results] == sorted(each.start_ms for each in results)
    assert max((end - start).total_seconds() for start, end in aws.windows()) <= 1.5 * PART_S
    *behind, last = statuses(batches)
    assert {each.phase for each in behind} == {SourcePhase.BEHIND}
    assert [each.fresh_at for each in behind] == [since + timedelta(seconds=PART_S * n) for n in range(1, 50)]
    assert "up to 03:50:00 UTC so far" in str(behind[0].message)
    assert (last.phase, last.message) == (SourcePhase.LIVE, None)


async def test_a_window_longer_than_one_query_is_cut_and_reported() -> None:
    clock = FakeClock()
    aws = FakeXRay(clock)
    batches = await watched(source_of(aws, clock, since=START - timedelta(hours=9)), clock, 5)
    assert aws.windows()[0] == (START - timedelta(seconds=MAX_WINDOW_S), START)
    assert "06:00:00 UTC were not read: one X-Ray query covers at most 6 h" in str(statuses(batches)[0].message)


@pytest.mark.parametrize("per_s", [0.5, 3, 8, 12, 40])
async def test_what_is_looked_at_stays_within_bounds_and_what_is_left_out_is_counted(per_s: float) -> None:
    clock = FakeClock()
    aws = FakeXRay(clock, steady(per_s, 300, before_s=60))
    batches = await watched(source_of(aws, clock, since=START - timedelta(seconds=60)), clock, 300, 5.0)
    assert aws.looked <= BURST + SCANNED_PER_S * 300 + aws.page_size * 11
    last = statuses(batches)[-1]
    assert len({each.id for each in reported(batches)}) + last.sampled == pytest.approx(per_s * 360, rel=0.1, abs=40)
    assert ("sampled: about" in str(last.message)) is (per_s == 40)
    assert (last.message is None) is (per_s == 0.5)


@pytest.mark.parametrize("order", ["newest first", "oldest first", "no order"])
@pytest.mark.parametrize(
    ("per_s", "before_s"),
    [
        (67, 300),
        pytest.param(40, 60, marks=pytest.mark.slow),
        pytest.param(200, 120, marks=pytest.mark.slow),
    ],
)
async def test_K38_traces_are_shown_or_counted_in_whatever_order_they_come(
    order: str, per_s: float, before_s: float
) -> None:
    clock = FakeClock()
    aws = FakeXRay(clock, steady(per_s, 300, before_s=before_s), order=order)
    batches = await watched(source_of(aws, clock, since=START - timedelta(seconds=before_s)), clock, 300, 5.0)
    assert aws.looked <= BURST + SCANNED_PER_S * 300 + aws.page_size * 31
    told, last = {each.id: each for each in reported(batches)}, statuses(batches)[-1]
    total = per_s * (300 + before_s)
    assert len(told) + last.sampled == pytest.approx(total, rel=0.15)
    newest_s = max(each.start_ms for each in told.values()) / 1000
    assert newest_s > clock.now().timestamp() - 25, "the newest traces are read"
    assert "sampled: about" in str(last.message)


async def test_K38_time_that_was_not_read_is_not_fresh() -> None:
    clock = FakeClock()
    aws = FakeXRay(clock, steady(67, 0, before_s=300), order="oldest first")
    first, *_ = statuses(await watched(source_of(aws, clock, since=START - timedelta(seconds=300)), clock, 1))
    assert first.phase is SourcePhase.BEHIND
    assert first.fresh_at is not None
    assert first.fresh_at < START - timedelta(seconds=200)
    assert "sampled: about" in str(first.message)


async def test_without_sampling_all_traces_are_read_at_any_traffic() -> None:
    clock = FakeClock()
    aws = FakeXRay(clock, steady(40, 120, before_s=60))
    source = source_of(aws, clock, since=START - timedelta(seconds=60), sample=False)
    batches = await watched(source, clock, 160, 5.0)
    assert len(reported(batches)) == 40 * 180
    assert statuses(batches)[-1].sampled == 0


@given(st.floats(0, 1000))
def test_the_pace_is_the_most_thorough_that_may_be_paid(per_s: float) -> None:
    chosen = pace_for(per_s)
    assert chosen is PACES[-1] or chosen.scans_per_trace * per_s <= SCANNED_PER_S
    assert all(each.scans_per_trace * per_s > SCANNED_PER_S for each in PACES[: PACES.index(chosen)])
    assert [each.scans_per_trace for each in PACES] == sorted((each.scans_per_trace for each in PACES), reverse=True)


def test_a_purse_fills_with_time_up_to_a_bound() -> None:
    purse = ScanBudget(0.0)
    purse.spend(BURST + 100)
    assert purse.available(0.0) == -100
    assert purse.available(50.0) == 50 * SCANNED_PER_S - 100
    assert purse.available(10_000.0) == BURST
    assert purse.available(9_000.0) == BURST


async def test_an_endpoint_without_update_times_is_queried_by_start_and_that_is_reported() -> None:
    clock = FakeClock()
    aws = FakeXRay(clock, {ID: [Growth(-5, -5)]}, knows_event=False)
    batches = await watched(source_of(aws, clock), clock, 25)
    assert len(reported(batches)) == 1
    assert "by start time only" in str(statuses(batches)[-1].message)
    kinds = [params["TimeRangeType"] for name, params in aws.calls if name == SUMMARIES]
    assert kinds == ["Event", "TraceId", "TraceId", "TraceId"]


async def test_a_filter_goes_to_x_ray_as_it_is() -> None:
    clock = FakeClock()
    aws = FakeXRay(clock)
    await watched(source_of(aws, clock, filter_expression='service("api") { fault }'), clock, 5)
    assert {params["FilterExpression"] for name, params in aws.calls if name == SUMMARIES} == {
        'service("api") { fault }'
    }


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (
            [{"Rule": {"Probabilistic": {"ActualSamplingPercentage": 2.5}}}],
            "X-Ray has only the 2.5 % of traces it indexes",
        ),
        (
            [{"Rule": {"Probabilistic": {"DesiredSamplingPercentage": 1}}}],
            "X-Ray has only the 1 % of traces it indexes",
        ),
        ([], "X-Ray has only the traces it indexes"),
        (None, "X-Ray has only the traces it indexes"),
    ],
    ids=["actual", "desired", "no rule", "denied"],
)
async def test_transaction_search_says_which_share_x_ray_has(rules: list[dict[str, Any]] | None, said: str) -> None:
    clock = FakeClock()
    aws = FakeXRay(clock)
    aws.answers[DESTINATION] = lambda _: {"Destination": "CloudWatchLogs", "Status": "ACTIVE"}
    aws.answers[INDEXING] = lambda _: {"IndexingRules": rules}
    if rules is None:
        aws.fail(INDEXING, Reason.ACCESS_DENIED)
    batches = await watched(source_of(aws, clock), clock, 25)
    assert statuses(batches)[-1].message == f"Transaction Search is on: {said}"
    assert aws.count(INDEXING) == 1


# Whole traces by id


def whole(id_: str) -> dict[str, Any]:
    return {"Id": id_, "Segments": [{"Document": '{"id":"a","name":"a","start_time":1,"end_time":2}'}]}


def script(aws: ScriptedAws, visible: Mapping[str, float], clock: FakeClock) -> list[list[str]]:
    """Respond to BatchGetTraces; each id is processed from a given time on."""
    asked: list[list[str]] = []

    def answer(params: Mapping[str, Any]) -> dict[str, Any]:
        ids = list(params["TraceIds"])
        asked.append(ids)
        now_s = clock.monotonic_s()
        ready = [each for each in ids if visible.get(each, 1e9) <= now_s]
        return {"Traces": [whole(each) for each in ready], "UnprocessedTraceIds": [i for i in ids if i not in ready]}

    aws.answers[BATCH] = answer
    return asked


async def test_whole_traces_are_asked_for_five_at_a_time(aws: ScriptedAws) -> None:
    clock = FakeClock()
    ids = [f"1-5f84c7a5-{n:024x}" for n in range(12)]
    asked = script(aws, dict.fromkeys(ids, 0.0), clock)
    results = await fetch_traces(aws, [*ids, ids[0]], SignalRedactor(Redactor()), clock=clock)
    assert [len(each) for each in asked] == [5, 5, 2]
    assert list(results) == ids


async def test_what_x_ray_has_not_processed_is_asked_for_again_with_growing_pauses(aws: ScriptedAws) -> None:
    clock = FakeClock()
    base = clock.monotonic_s()
    ids = [f"1-5f84c7a5-{n:024x}" for n in range(3)]
    asked = script(aws, {ids[0]: base, ids[1]: base + 12}, clock)
    fetching = asyncio.create_task(fetch_traces(aws, ids, SignalRedactor(Redactor()), clock=clock, within_s=30))
    for _ in range(80):
        await clock.advance(0.5)
    results = await fetching
    assert list(results) == ids[:2]
    assert asked[0] == ids
    assert asked[-1] == ids[2:]
    assert len(asked) == 7  # at 0, 1, 3, 7, 15, 23 and 30 seconds


@pytest.mark.parametrize("written", [ID, ID.replace("-", "")[1:], f"Root={ID};Sampled=1"], ids=["own", "W3C", "header"])
async def test_every_form_of_id_finds_the_trace(aws: ScriptedAws, written: str) -> None:
    asked = script(aws, {ID: 0.0}, FakeClock())
    results = await fetch_trace(aws, written, SignalRedactor(Redactor()))
    assert results is not None
    assert results.id == ID
    assert asked == [[ID]]


def test_a_value_nested_beyond_reading_costs_itself_and_not_the_trace() -> None:
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]
    span = Span(id="a", name="a", start_s=1.0, metadata={"deep": deep})
    (clean,) = SignalRedactor(Redactor()).trace(Trace(id=ID, spans=(span,))).spans
    assert clean.metadata == {"value": "(nested too deeply to be shown)"}
