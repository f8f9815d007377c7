"""CloudWatch Logs through both SDKs: order, paging, visibility, limits, errors."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.demo.aws import EmbeddedAws, Fault, FaultPlan
from prodwatch.demo.aws.api_call import ApiCall
from prodwatch.demo.aws.logs.read_operations import Reader
from prodwatch.demo.aws.logs.store import LogStore

over_boto3 = pytest.mark.parametrize("call", ["boto3"], indirect=True)

over_aiobotocore = pytest.mark.parametrize("call", ["aiobotocore"], indirect=True)

GROUP = "/aws/lambda/shop-orders"
ARN = f"arn:aws:logs:eu-west-1:123456789012:log-group:{GROUP}"


async def everything(call: Any, **params: Any) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    while True:
        page = await call("logs", "FilterLogEvents", **params)
        events += page["events"]
        if "nextToken" not in page:
            return events
        params["nextToken"] = page["nextToken"]


async def test_events_interleave_by_timestamp_then_ingestion(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    aws.logs.put(GROUP, "b", [(wall.now_ms - 50, "second"), (wall.now_ms - 10, "fourth")])
    wall.now_s += 1
    aws.logs.put(GROUP, "a", [(wall.now_ms - 1090, "first"), (wall.now_ms - 1050, "third")])
    page = await call("logs", "FilterLogEvents", logGroupName=GROUP)
    assert [item["message"] for item in page["events"]] == ["first", "second", "third", "fourth"]
    assert page["searchedLogStreams"] == []
    assert {item["logStreamName"] for item in page["events"]} == {"a", "b"}


async def test_event_ids_have_56_digits_and_are_unique_for_identical_lines(
    call: Any, aws: EmbeddedAws, wall: Any
) -> None:
    aws.logs.put(GROUP, "s", [(wall.now_ms, "same")] * 3)
    ids = [item["eventId"] for item in await everything(call, logGroupName=GROUP)]
    assert len(set(ids)) == 3
    assert all(len(item) == 56 and item.isdigit() for item in ids)
    assert ids == [item["eventId"] for item in await everything(call, logGroupIdentifier=ARN)]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"logGroupIdentifier": ARN}, ["1", "2", "3", "4"]),
        ({"logGroupIdentifier": ARN + ":*"}, ["1", "2", "3", "4"]),
        ({"logGroupName": GROUP, "startTime": 2000}, ["2", "3", "4"]),
        ({"logGroupName": GROUP, "startTime": 2000, "endTime": 3000}, ["2", "3"]),
        ({"logGroupName": GROUP, "logStreamNames": ["x/1"]}, ["1", "3"]),
        ({"logGroupName": GROUP, "logStreamNamePrefix": "x/"}, ["1", "2", "3"]),
        ({"logGroupName": GROUP, "filterPattern": "?2 ?4"}, ["2", "4"]),
        ({"logGroupName": GROUP, "limit": 2}, ["1", "2", "3", "4"]),
        ({"logGroupName": GROUP, "startFromHead": False, "limit": 3}, ["4", "3", "2", "1"]),
        ({"logGroupName": GROUP, "startTime": 9000}, []),
    ],
    ids=str,
)
@over_boto3
async def test_filter_log_events_selects_by_window_stream_and_pattern(
    call: Any, aws: EmbeddedAws, params: Any, expected: list[str]
) -> None:
    for stamp, stream in ((1, "x/1"), (2, "x/2"), (3, "x/1"), (4, "y")):
        aws.logs.put(GROUP, stream, [(stamp * 1000, str(stamp))])
    assert [item["message"] for item in await everything(call, **params)] == expected


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"logGroupName": "none"}, "ResourceNotFoundException"),
        ({"logGroupName": GROUP, "logGroupIdentifier": ARN}, "InvalidParameterException"),
        ({}, "InvalidParameterException"),
        ({"logGroupName": GROUP, "nextToken": "made up"}, "InvalidParameterException"),
        ({"logGroupName": GROUP, "filterPattern": "{ $.a"}, "InvalidParameterException"),
        ({"logGroupName": GROUP, "startTime": 5, "endTime": 1}, "InvalidParameterException"),
        ({"logGroupName": GROUP, "logStreamNames": ["none"]}, "ResourceNotFoundException"),
        ({"logGroupName": GROUP, "logStreamNames": ["s"], "logStreamNamePrefix": "s"}, "InvalidParameterException"),
    ],
    ids=str,
)
@over_aiobotocore
async def test_filter_log_events_refuses_invalid_parameters(
    call: Any, aws: EmbeddedAws, params: Any, code: str
) -> None:
    aws.logs.put(GROUP, "s", [(1, "x")])
    with pytest.raises(ClientError) as caught:
        await call("logs", "FilterLogEvents", **params)
    assert caught.value.response["Error"]["Code"] == code


async def test_a_token_belongs_to_its_query_and_expires(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    aws.logs.put(GROUP, "s", [(stamp, "x") for stamp in range(5)])
    token = (await call("logs", "FilterLogEvents", logGroupName=GROUP, limit=2))["nextToken"]
    with pytest.raises(ClientError, match="nextToken is invalid"):
        await call("logs", "FilterLogEvents", logGroupName=GROUP, startTime=1, nextToken=token)
    page = await call("logs", "FilterLogEvents", logGroupName=GROUP, limit=2, nextToken=token)
    assert [item["timestamp"] for item in page["events"]] == [2, 3]
    wall.now_s += 24 * 3600 + 1
    with pytest.raises(ClientError, match="nextToken is invalid"):
        await call("logs", "FilterLogEvents", logGroupName=GROUP, limit=2, nextToken=token)


async def test_a_page_ends_at_one_megabyte(call: Any, aws: EmbeddedAws) -> None:
    aws.logs.put(GROUP, "s", [(stamp, "x" * 200_000) for stamp in range(12)])
    page = await call("logs", "FilterLogEvents", logGroupName=GROUP)
    assert len(page["events"]) == 5
    assert len(await everything(call, logGroupName=GROUP)) == 12


async def test_late_events_appear_after_newer_ones(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    aws.logs.put(GROUP, "s", [(wall.now_ms - 5000, "late")], visible_ms=wall.now_ms + 30_000)
    aws.logs.put(GROUP, "s", [(wall.now_ms, "now")])
    assert [item["message"] for item in await everything(call, logGroupName=GROUP)] == ["now"]
    wall.now_s += 30
    assert [item["message"] for item in await everything(call, logGroupName=GROUP)] == ["late", "now"]


async def test_get_log_events_pages_both_ways_and_ends_by_repeating_its_token(call: Any, aws: EmbeddedAws) -> None:
    aws.logs.put(GROUP, "s", [(stamp, str(stamp)) for stamp in range(10)])
    aws.logs.put(GROUP, "other", [(3, "no")])
    names = {"logGroupName": GROUP, "logStreamName": "s", "limit": 4}
    tail = await call("logs", "GetLogEvents", **names)
    assert [item["message"] for item in tail["events"]] == ["6", "7", "8", "9"]
    earlier = await call("logs", "GetLogEvents", **names, nextToken=tail["nextBackwardToken"])
    assert [item["message"] for item in earlier["events"]] == ["2", "3", "4", "5"]
    head = await call("logs", "GetLogEvents", **names, startFromHead=True)
    assert [item["message"] for item in head["events"]] == ["0", "1", "2", "3"]
    end = await call("logs", "GetLogEvents", **names, nextToken=tail["nextForwardToken"])
    assert end["events"] == []
    assert end["nextForwardToken"] == tail["nextForwardToken"]
    aws.logs.put(GROUP, "s", [(10, "10")])
    more = await call("logs", "GetLogEvents", **names, nextToken=end["nextForwardToken"])
    assert [item["message"] for item in more["events"]] == ["10"]


async def test_get_log_events_ends_before_its_end_time_and_refuses_invalid_tokens(call: Any, aws: EmbeddedAws) -> None:
    aws.logs.put(GROUP, "s", [(1, "1"), (2, "2")])
    page = await call("logs", "GetLogEvents", logGroupName=GROUP, logStreamName="s", startTime=1, endTime=2)
    assert [item["message"] for item in page["events"]] == ["1"]
    for params, code in (
        ({"logStreamName": "s", "nextToken": "f/x"}, "InvalidParameterException"),
        ({"logStreamName": "none"}, "ResourceNotFoundException"),
    ):
        with pytest.raises(ClientError) as caught:
            await call("logs", "GetLogEvents", logGroupName=GROUP, **params)
        assert caught.value.response["Error"]["Code"] == code
    with pytest.raises(ClientError, match="log group does not exist"):
        await call("logs", "GetLogEvents", logGroupName="none", logStreamName="s")


async def test_groups_and_streams_are_created_written_described_and_deleted(call: Any, wall: Any) -> None:
    await call("logs", "CreateLogGroup", logGroupName=GROUP)
    with pytest.raises(ClientError) as caught:
        await call("logs", "CreateLogGroup", logGroupName=GROUP)
    assert caught.value.response["Error"]["Code"] == "ResourceAlreadyExistsException"
    await call("logs", "CreateLogStream", logGroupName=GROUP, logStreamName="s")
    with pytest.raises(ClientError, match="already exists"):
        await call("logs", "CreateLogStream", logGroupName=GROUP, logStreamName="s")
    response = await call(
        "logs",
        "PutLogEvents",
        logGroupName=GROUP,
        logStreamName="s",
        logEvents=[{"timestamp": wall.now_ms, "message": "hello"}],
    )
    assert len(response["nextSequenceToken"]) == 56
    await call("logs", "PutRetentionPolicy", logGroupName=GROUP, retentionInDays=7)
    (group,) = (await call("logs", "DescribeLogGroups"))["logGroups"]
    assert group["arn"] == ARN + ":*"
    assert group["logGroupArn"] == ARN
    assert (group["storedBytes"], group["retentionInDays"], group["creationTime"]) == (31, 7, wall.now_ms)
    (stream,) = (await call("logs", "DescribeLogStreams", logGroupName=GROUP))["logStreams"]
    assert (stream["firstEventTimestamp"], stream["lastEventTimestamp"]) == (wall.now_ms, wall.now_ms)
    assert stream["arn"] == f"{ARN}:log-stream:s"
    await call("logs", "DeleteLogStream", logGroupName=GROUP, logStreamName="s")
    assert (await call("logs", "FilterLogEvents", logGroupName=GROUP))["events"] == []
    await call("logs", "DeleteLogGroup", logGroupName=GROUP)
    assert (await call("logs", "DescribeLogGroups"))["logGroups"] == []


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("DeleteLogGroup", {}),
        ("CreateLogStream", {"logStreamName": "s"}),
        ("DeleteLogStream", {"logStreamName": "s"}),
        ("PutRetentionPolicy", {"retentionInDays": 1}),
        ("DescribeLogStreams", {}),
        ("PutLogEvents", {"logStreamName": "s", "logEvents": [{"timestamp": 1, "message": "x"}]}),
    ],
)
@over_boto3
async def test_a_missing_group_is_not_found(call: Any, operation: str, params: Any) -> None:
    with pytest.raises(ClientError, match="log group does not exist"):
        await call("logs", operation, logGroupName="none", **params)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"logGroupNamePrefix": "/aws/lambda/"}, ["/aws/lambda/a", "/aws/lambda/b"]),
        ({"logGroupNamePattern": "LAMBDA/B"}, ["/aws/lambda/b"]),
        ({"logGroupIdentifiers": ["arn:aws:logs:eu-west-1:123456789012:log-group:/other"]}, ["/other"]),
        ({"limit": 2}, ["/aws/lambda/a", "/aws/lambda/b"]),
        ({}, ["/aws/lambda/a", "/aws/lambda/b", "/other"]),
    ],
    ids=str,
)
@over_aiobotocore
async def test_groups_are_described_by_prefix_pattern_and_identifier(
    call: Any, aws: EmbeddedAws, params: Any, expected: list[str]
) -> None:
    for name in ("/other", "/aws/lambda/b", "/aws/lambda/a"):
        aws.logs.create_group(name)
    page = await call("logs", "DescribeLogGroups", **params)
    assert [item["logGroupName"] for item in page["logGroups"]] == expected
    assert ("nextToken" in page) is ("limit" in params)


async def test_streams_by_last_event(call: Any, aws: EmbeddedAws) -> None:
    for stream, stamp in (("a", 3), ("b", 9), ("c", 6)):
        aws.logs.put(GROUP, stream, [(stamp, "x")])
    newest = await call("logs", "DescribeLogStreams", logGroupName=GROUP, orderBy="LastEventTime", descending=True)
    assert [item["logStreamName"] for item in newest["logStreams"]] == ["b", "c", "a"]
    named = await call("logs", "DescribeLogStreams", logGroupName=GROUP, logStreamNamePrefix="b")
    assert [item["logStreamName"] for item in named["logStreams"]] == ["b"]
    with pytest.raises(ClientError, match="LastEventTime"):
        await call("logs", "DescribeLogStreams", logGroupName=GROUP, orderBy="LastEventTime", logStreamNamePrefix="b")
    for stream in ("missing",):
        with pytest.raises(ClientError, match="log stream does not exist"):
            await call("logs", "DeleteLogStream", logGroupName=GROUP, logStreamName=stream)


async def test_put_log_events_enforces_the_limits_of_a_batch(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    aws.logs.create_group(GROUP)
    aws.logs.create_stream(GROUP, "s")
    names = {"logGroupName": GROUP, "logStreamName": "s"}
    day = 86_400_000

    async def put(*stamps: int) -> dict[str, Any]:
        response = await call(
            "logs", "PutLogEvents", **names, logEvents=[{"timestamp": item, "message": "m"} for item in stamps]
        )
        assert isinstance(response, dict)
        return response

    with pytest.raises(ClientError, match="chronological"):
        await put(wall.now_ms, wall.now_ms - 1)
    with pytest.raises(ClientError, match="24 hours"):
        await put(wall.now_ms - day - 1, wall.now_ms)
    with pytest.raises(ClientError, match="Upload too large"):
        await call(
            "logs",
            "PutLogEvents",
            **names,
            logEvents=[{"timestamp": wall.now_ms, "message": "x"}] * 10_001,
        )
    with pytest.raises(ClientError, match="log stream does not exist"):
        await call(
            "logs",
            "PutLogEvents",
            logGroupName=GROUP,
            logStreamName="none",
            logEvents=[{"timestamp": 1, "message": "x"}],
        )
    old = await put(wall.now_ms - 14 * day - 5, wall.now_ms - 14 * day + 5)
    assert old["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1}
    new = await put(wall.now_ms, wall.now_ms + 7_200_001)
    assert new["rejectedLogEventsInfo"] == {"tooNewLogEventStartIndex": 1}
    assert len(await everything(call, logGroupName=GROUP)) == 2


async def test_each_region_has_its_own_logs(call: Any, aws: EmbeddedAws) -> None:
    aws.logs.put(GROUP, "s", [(1, "x")])
    assert (await call("logs", "DescribeLogGroups", region="us-east-1"))["logGroups"] == []


def a_call(**params: Any) -> ApiCall:
    return ApiCall(
        service="logs",
        operation="FilterLogEvents",
        params=params,
        region="eu-west-1",
        account="1",
        now_s=1000.0,
    )


def test_a_sparse_pattern_gives_empty_pages_with_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prodwatch.demo.aws.logs.read_operations._MAX_SCANNED", 10)
    store = LogStore(wall=lambda: 1000.0, faults=FaultPlan())
    store.put("g", "s", [(stamp, "needle" if stamp == 25 else "hay") for stamp in range(30)])
    pages = list(pages_of(Reader(store), logGroupName="g", filterPattern="needle"))
    assert [len(page["events"]) for page in pages] == [0, 0, 1]


def pages_of(reader: Reader, **params: Any) -> Any:
    import json

    while True:
        page = json.loads(reader.filter_log_events(a_call(**params)).body)
        yield page
        if "nextToken" not in page:
            return
        params["nextToken"] = page["nextToken"]


@given(
    events=st.lists(st.tuples(st.integers(0, 40), st.sampled_from("ab"), st.integers(0, 1)), max_size=40),
    limit=st.integers(1, 7),
    start=st.integers(0, 20),
    end=st.integers(20, 40),
)
def test_pages_give_every_visible_event_of_the_window_once(events: Any, limit: int, start: int, end: int) -> None:
    store = LogStore(wall=lambda: 1000.0, faults=FaultPlan())
    store.create_group("g")
    expected = []
    for number, (stamp, stream, late) in enumerate(events):
        store.put("g", stream, [(stamp, str(number))], visible_ms=1_000_001 if late else None)
        if start <= stamp <= end and not late:
            expected.append((stamp, number))
    pages = list(pages_of(Reader(store), logGroupName="g", startTime=start, endTime=end, limit=limit))
    results = [(item["timestamp"], int(item["message"])) for page in pages for item in page["events"]]
    assert results == sorted(expected)
    assert all(len(page["events"]) <= limit for page in pages)


def test_a_full_group_discards_its_oldest_events_and_counts_them() -> None:
    store = LogStore(wall=lambda: 1000.0, faults=FaultPlan(), max_events_per_group=100)
    store.put("g", "s", [(stamp, "x") for stamp in range(150)])
    kept = [event.timestamp_ms for event in store.read("g", 0, 200)]
    assert store.discarded == 150 - len(kept)
    assert kept == list(range(150 - len(kept), 150))


async def test_a_late_fault_delays_put_events(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    aws.faults.add(Fault(operation="logs:PutLogEvents", kind="late", delay_s=45, count=1))
    aws.logs.put(GROUP, "s", [(wall.now_ms, "late")])
    aws.logs.put(GROUP, "s", [(wall.now_ms, "prompt")])
    assert [item["message"] for item in await everything(call, logGroupName=GROUP)] == ["prompt"]
    wall.now_s += 45
    assert len(await everything(call, logGroupName=GROUP)) == 2
