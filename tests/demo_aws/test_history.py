"""A computed history merged with put records, through both SDKs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from prodwatch.demo.aws import EmbeddedAws, Fault
from prodwatch.demo.aws.in_process_server import embedded_aws
from prodwatch.demo.workload import LogEvent, MetricSample, TracedCall

GROUP = "/aws/lambda/past"
OPENED_S = 1_768_478_400


class Story:
    """One line a second, one trace each ten seconds, one metric: from an hour before the start, without end."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, float, float]] = []

    def log_groups(self) -> dict[str, int]:
        return {GROUP: (OPENED_S - 8 * 86_400) * 1000}

    def log_events(self, group: str, start_ms: int, end_ms: int) -> Any:
        self.asked.append((group, start_ms, end_ms))
        for second in range(max(start_ms // 1000, OPENED_S - 3600), end_ms // 1000 + 1):
            for stream in ("b", "a"):
                stamp = second * 1000
                if start_ms <= stamp <= end_ms:
                    yield LogEvent(
                        timestamp_ms=stamp,
                        stream=stream,
                        message=f"line {second}",
                        ingested_ms=stamp + 200,
                        visible_ms=stamp + (30_000 if second % 10 == 0 else 500),
                    )

    def segments(self, start_s: float, end_s: float) -> Any:
        for second in range(int(max(start_s, OPENED_S - 3600)), int(end_s)):
            if second % 10 == 0 and start_s <= second:
                trace_id = f"1-{second:08x}-{second:024x}"
                api: dict[str, Any] = {
                    "trace_id": trace_id,
                    "id": f"{second:016x}",
                    "name": "api",
                    "start_time": float(second),
                }
                api |= {"end_time": second + 1.0, "subsegments": [{"id": f"{second:015x}b", "name": "call"}]}
                api["subsegments"][0] |= {"start_time": float(second), "end_time": second + 1.0}
                yield api
            if second % 10 == 5 and start_s <= second:
                origin = second - 5
                trace_id = f"1-{origin:08x}-{origin:024x}"
                yield {
                    "trace_id": trace_id,
                    "id": f"{origin:015x}c",
                    "parent_id": f"{origin:015x}b",
                    "name": "worker",
                    "start_time": float(second),
                    "end_time": second + 2.0,
                }

    def calls(self, start_s: float, end_s: float) -> Any:
        for second in range(int(max(start_s, OPENED_S - 3600)), int(end_s)):
            if second % 10 == 0 and start_s <= second:
                yield TracedCall(("api", "client"), ("api", "client"), second, second + 1.0)
                yield TracedCall(("api", "client"), ("worker", "client"), second + 5.0, second + 7.0)

    def metric_names(self) -> Any:
        return [("N", "M", {"a": "b"})]

    def metric_samples(self, _namespace: str, _metric: str, _dimensions: Any, start_s: int, end_s: int) -> Any:
        for minute in range(max(start_s, OPENED_S - 3600), end_s, 60):
            yield MetricSample(timestamp_s=minute, values=(1.0, 3.0), counts=(1.0, 2.0), visible_s=minute + 90)


@pytest_asyncio.fixture
async def aws(wall: Any) -> AsyncIterator[EmbeddedAws]:
    async with embedded_aws(wall=wall, history=Story()) as (server, _):
        yield server


async def scan(call: Any, **params: Any) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    while True:
        page = await call("logs", "FilterLogEvents", logGroupName=GROUP, **params)
        events += page["events"]
        if "nextToken" not in page:
            return events
        params["nextToken"] = page["nextToken"]


async def test_pages_merge_past_and_put_events(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    aws.logs.put(GROUP, "live", [(wall.now_ms - 60_500, "put")])
    events = await scan(call, startTime=wall.now_ms - 120_000, endTime=wall.now_ms - 31_000, limit=17)
    stamps = [item["timestamp"] for item in events]
    assert stamps == sorted(stamps)
    assert len(events) == 90 * 2 + 1
    assert len({item["eventId"] for item in events}) == len(events)
    assert {item["logStreamName"] for item in events} == {"a", "b", "live"}
    again = await scan(call, startTime=wall.now_ms - 100_000, endTime=wall.now_ms - 31_000)
    assert {item["eventId"] for item in again} < {item["eventId"] for item in events}


async def test_past_events_can_be_late_and_never_in_the_future(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    seen = [item["timestamp"] // 1000 - OPENED_S for item in await scan(call, startTime=wall.now_ms - 25_000)]
    assert [second for second in seen if second % 10 == 0] == []
    assert max(seen) == -1
    wall.now_s += 30
    later = {item["timestamp"] // 1000 - OPENED_S for item in await scan(call, startTime=wall.now_ms - 55_000)}
    assert {-20, -10, 0} <= later
    assert max(later) == 29


async def test_a_scan_from_the_beginning_of_time_reaches_the_first_event(call: Any, aws: EmbeddedAws) -> None:
    page = await call("logs", "FilterLogEvents", logGroupName=GROUP, limit=1)
    assert page["events"][0]["timestamp"] == (OPENED_S - 3600) * 1000


async def test_groups_and_streams_of_the_past_are_described(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    (group,) = (await call("logs", "DescribeLogGroups"))["logGroups"]
    assert (group["logGroupName"], group["creationTime"]) == (GROUP, (OPENED_S - 8 * 86_400) * 1000)
    streams = (await call("logs", "DescribeLogStreams", logGroupName=GROUP))["logStreams"]
    assert [item["logStreamName"] for item in streams] == ["a", "b"]
    tail = await call("logs", "GetLogEvents", logGroupName=GROUP, logStreamName="a", limit=3)
    assert len(tail["events"]) == 3


async def test_past_traces_are_complete_across_minutes(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    results: list[Any] = []
    params: dict[str, Any] = {"StartTime": wall.now_s - 1800, "EndTime": wall.now_s - 60}
    while True:
        page = await call("xray", "GetTraceSummaries", **params)
        results += page["TraceSummaries"]
        if "NextToken" not in page:
            break
        params["NextToken"] = page["NextToken"]
    starts = [item["StartTime"].timestamp() - OPENED_S for item in results]
    assert starts == list(range(-60, -1801, -10))
    assert {item["Duration"] for item in results} == {7.0}
    assert {item["Revision"] for item in results} == {2}
    ids = [results[0]["Id"], results[99]["Id"], "1-00000001-000000000000000000000000", "odd"]
    batch = await call("xray", "BatchGetTraces", TraceIds=ids)
    assert [item["Id"] for item in batch["Traces"]] == ids[:2]
    assert batch["UnprocessedTraceIds"] == ids[2:]
    assert all(len(item["Segments"]) == 2 for item in batch["Traces"])


async def test_past_traces_become_visible_segment_by_segment(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    async def newest(kind: str) -> tuple[float, int]:
        page = await call(
            "xray", "GetTraceSummaries", StartTime=wall.now_s - 30, EndTime=wall.now_s, TimeRangeType=kind
        )
        item = page["TraceSummaries"][0]
        return item["StartTime"].timestamp() - OPENED_S, item["Revision"]

    assert await newest("Event") == (-10, 1)
    wall.now_s += 3
    assert await newest("Event") == (-10, 2)


async def test_past_metrics_become_visible_late(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    aws.metrics.put("N", "M", {"a": "b"}, wall.now_s - 600, [7.0])
    stat = {
        "Metric": {"Namespace": "N", "MetricName": "M", "Dimensions": [{"Name": "a", "Value": "b"}]},
        "Period": 60,
        "Stat": "Sum",
    }
    response = await call(
        "cloudwatch",
        "GetMetricData",
        MetricDataQueries=[{"Id": "m", "MetricStat": stat}],
        StartTime=wall.now_s - 660,
        EndTime=wall.now_s,
    )
    (result,) = response["MetricDataResults"]
    assert result["Timestamps"][0].timestamp() == wall.now_s - 120
    assert result["Values"] == [7.0] * 8 + [14.0, 7.0]
    assert len((await call("cloudwatch", "ListMetrics", RecentlyActive="PT3H"))["Metrics"]) == 1


def test_computed_history_is_cached_for_the_next_read(wall: Any) -> None:
    story = Story()
    aws = EmbeddedAws(history=story, wall=wall)
    for _ in range(5):
        assert len(list(aws.logs.read(GROUP, wall.now_ms - 30_000, wall.now_ms))) > 40
    assert len(story.asked) == 2


async def test_a_late_fault_delays_history_too(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    before = await scan(call, startTime=wall.now_ms - 60_000)
    aws.faults.add(Fault(operation="logs:PutLogEvents", kind="late", delay_s=45, probability=0.5))
    during = await scan(call, startTime=wall.now_ms - 60_000)
    assert during == await scan(call, startTime=wall.now_ms - 60_000)
    assert len(during) < len(before) * 0.8
    assert {item["eventId"] for item in during} < {item["eventId"] for item in before}
    wall.now_s += 45
    assert {item["eventId"] for item in before} < {
        item["eventId"] for item in await scan(call, startTime=wall.now_ms - 105_000)
    }


async def test_a_past_stream_is_paged_backwards(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    names = {"logGroupName": GROUP, "logStreamName": "a", "limit": 250}
    tail = await call("logs", "GetLogEvents", **names)
    earlier = await call("logs", "GetLogEvents", **names, nextToken=tail["nextBackwardToken"])
    stamps = [item["timestamp"] for item in earlier["events"] + tail["events"]]
    assert len(stamps) == 500
    assert stamps == sorted(set(stamps))
    nothing = await call("logs", "GetLogEvents", logGroupName=GROUP, logStreamName="unheard of", startTime=wall.now_ms)
    assert nothing["events"] == []
