"""X-Ray through both SDKs: summaries, paging, revisions, root causes, batches, graphs."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from prodwatch.demo.aws import EmbeddedAws, Fault, FaultPlan
from prodwatch.demo.aws.xray.service_graph import tally_of
from prodwatch.demo.aws.xray.store import TraceStore
from prodwatch.demo.workload import History, TracedCall

over_boto3 = pytest.mark.parametrize("call", ["boto3"], indirect=True)

over_aiobotocore = pytest.mark.parametrize("call", ["aiobotocore"], indirect=True)

FN = "AWS::Lambda::Function"


def trace_id(number: int = 1) -> str:
    return f"1-6968d640-{number:024x}"


def segment(start_s: float, number: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "trace_id": trace_id(number),
        "id": f"{number:016x}",
        "name": "orders",
        "origin": FN,
        "start_time": start_s,
        "end_time": start_s + 0.5,
        **more,
    }


def a_request(start_s: float) -> list[dict[str, Any]]:
    """A gateway that calls a function, which fails in a table it queries."""
    cause = {"exceptions": [{"id": "e", "type": "ProvisionedThroughputExceededException", "message": "too much"}]}
    query = {
        "id": "c" * 16,
        "name": "DynamoDB",
        "namespace": "aws",
        "start_time": start_s + 0.2,
        "end_time": start_s + 0.8,
        "fault": True,
        "cause": cause,
        "aws": {"table_name": "orders-table", "operation": "Query"},
    }
    handler = {
        "id": "b" * 16,
        "name": "handler",
        "start_time": start_s + 0.1,
        "end_time": start_s + 0.9,
        "fault": True,
        "subsegments": [query],
        "annotations": {"tier": "gold", "size": 3, "retry": True},
    }
    api = {
        "trace_id": trace_id(),
        "id": "1" * 16,
        "name": "shop-api",
        "origin": "AWS::ApiGateway::Stage",
        "start_time": start_s,
        "end_time": start_s + 1.0,
        "fault": True,
        "user": "frank",
        "http": {
            "request": {"url": "https://api/orders", "method": "POST", "user_agent": "curl", "client_ip": "10.0.0.1"},
            "response": {"status": 502},
        },
        "subsegments": [
            {"id": "2" * 16, "name": "Lambda", "namespace": "aws", "fault": True, "start_time": start_s,
             "end_time": start_s + 0.95},
        ],
    }  # fmt: skip
    function = {
        "trace_id": trace_id(),
        "id": "3" * 16,
        "parent_id": "2" * 16,
        "name": "shop-orders",
        "origin": FN,
        "start_time": start_s + 0.05,
        "end_time": start_s + 0.92,
        "fault": True,
        "resource_arn": "arn:aws:lambda:eu-west-1:123456789012:function:shop-orders:42",
        "subsegments": [handler],
    }
    return [api, function]


async def summaries(call: Any, wall: Any, **params: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    params = {"StartTime": wall.now_s - 300, "EndTime": wall.now_s, **params}
    while True:
        page = await call("xray", "GetTraceSummaries", **params)
        found += page["TraceSummaries"]
        if "NextToken" not in page:
            return found
        params["NextToken"] = page["NextToken"]


async def test_a_summary_has_every_member_of_the_model(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    start_s = wall.now_s - 10
    for one in a_request(start_s):
        aws.traces.put(one)
    (found,) = await summaries(call, wall)
    assert found["Id"] == trace_id()
    assert (found["Duration"], found["ResponseTime"]) == (1.0, 1.0)
    assert (found["HasFault"], found["HasError"], found["HasThrottle"], found["IsPartial"]) == (
        True,
        False,
        False,
        False,
    )
    assert found["StartTime"].timestamp() == start_s
    assert found["Http"] == {
        "HttpURL": "https://api/orders",
        "HttpStatus": 502,
        "HttpMethod": "POST",
        "UserAgent": "curl",
        "ClientIp": "10.0.0.1",
    }
    assert found["Annotations"]["tier"][0]["AnnotationValue"] == {"StringValue": "gold"}
    assert found["Annotations"]["size"][0]["AnnotationValue"] == {"NumberValue": 3.0}
    assert found["Annotations"]["retry"][0]["AnnotationValue"] == {"BooleanValue": True}
    assert found["Annotations"]["tier"][0]["ServiceIds"][0]["Name"] == "shop-orders"
    assert [(one["Name"], one["Type"]) for one in found["ServiceIds"]] == [
        ("orders-table", "AWS::DynamoDB::Table"),
        ("shop-api", "AWS::ApiGateway::Stage"),
        ("shop-orders", FN),
    ]
    assert found["Users"][0]["UserName"] == "frank"
    assert found["ResourceARNs"] == [{"ARN": "arn:aws:lambda:eu-west-1:123456789012:function:shop-orders:42"}]
    assert found["EntryPoint"]["Name"] == "shop-api"
    assert found["Revision"] == 2


async def test_root_causes_follow_the_fault_to_its_origin(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    for one in a_request(wall.now_s - 10):
        aws.traces.put(one)
    (found,) = await summaries(call, wall)
    (cause,) = found["FaultRootCauses"]
    assert cause["ClientImpacting"] is True
    paths = [(one["Name"], [entity["Name"] for entity in one["EntityPath"]]) for one in cause["Services"]]
    assert paths == [
        ("shop-api", ["shop-api", "Lambda"]),
        ("shop-orders", ["shop-orders", "handler", "DynamoDB"]),
        ("orders-table", ["orders-table"]),
    ]
    assert cause["Services"][1]["EntityPath"][2]["Exceptions"] == [
        {"Name": "ProvisionedThroughputExceededException", "Message": "too much"}
    ]
    assert cause["Services"][2]["Inferred"] is True
    assert found["ErrorRootCauses"] == []
    (slow,) = found["ResponseTimeRootCauses"]
    function = slow["Services"][1]
    assert [(one["Name"], one["Coverage"]) for one in function["EntityPath"]] == [
        ("shop-orders", 0.87),
        ("handler", 0.8),
        ("DynamoDB", 0.6),
    ]


async def test_a_throttle_is_an_error_of_the_trace(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    aws.traces.put(segment(wall.now_s - 5, throttle=True))
    (found,) = await summaries(call, wall)
    assert (found["HasError"], found["HasThrottle"], found["HasFault"]) == (True, True, False)
    assert len(found["ErrorRootCauses"]) == 1


async def test_a_fault_flag_set_to_false_is_not_a_fault(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    aws.traces.put(segment(wall.now_s - 5, fault=False, error=False))
    (found,) = await summaries(call, wall)
    assert (found["HasError"], found["HasFault"], found["FaultRootCauses"]) == (False, False, [])


async def test_an_open_segment_makes_a_partial_trace_until_it_is_replaced(
    call: Any, aws: EmbeddedAws, wall: Any
) -> None:
    start_s = wall.now_s - 5
    open_one = segment(start_s, in_progress=True)
    open_one.pop("end_time")
    aws.traces.put(open_one)
    (first,) = await summaries(call, wall)
    assert first["IsPartial"] is True
    assert "ResponseTime" not in first
    aws.traces.put(segment(start_s), visible_s=wall.now_s + 3)
    assert (await summaries(call, wall))[0]["Revision"] == 1
    wall.now_s += 3
    (last,) = await summaries(call, wall)
    assert (last["IsPartial"], last["Revision"], last["ResponseTime"]) == (False, 2, 0.5)


async def test_pages_of_100_newest_first(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    for number in range(230):
        aws.traces.put(segment(wall.now_s - 200 + number * 0.5, number))
    page = await call("xray", "GetTraceSummaries", StartTime=wall.now_s - 300, EndTime=wall.now_s)
    assert len(page["TraceSummaries"]) == 100
    assert page["TracesProcessedCount"] == 100
    found = await summaries(call, wall)
    assert [one["Id"] for one in found] == [trace_id(number) for number in range(229, -1, -1)]


async def test_an_empty_page_continues_with_its_token(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    for number in range(3):
        aws.traces.put(segment(wall.now_s - 9 + number, number))
    aws.faults.add(Fault(operation="xray:GetTraceSummaries", kind="empty_page", count=1))
    page = await call("xray", "GetTraceSummaries", StartTime=wall.now_s - 300, EndTime=wall.now_s)
    assert page["TraceSummaries"] == []
    rest = await summaries(call, wall, NextToken=page["NextToken"])
    assert len(rest) == 3
    with pytest.raises(ClientError, match="NextToken is invalid"):
        await summaries(call, wall, FilterExpression="fault", NextToken=page["NextToken"])


async def test_a_rare_condition_gives_empty_pages(
    call: Any, aws: EmbeddedAws, wall: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prodwatch.demo.aws.xray.handlers.MAX_SCANNED", 10)
    for number in range(25):
        aws.traces.put(segment(wall.now_s - 100 + number, number, fault=number == 2))
    page = await call(
        "xray", "GetTraceSummaries", StartTime=wall.now_s - 300, EndTime=wall.now_s, FilterExpression="fault"
    )
    assert (page["TraceSummaries"], page["TracesProcessedCount"]) == ([], 10)
    found = await summaries(call, wall, FilterExpression="fault")
    assert [one["Id"] for one in found] == [trace_id(2)]


@pytest.mark.parametrize(
    ("kind", "offset_s", "expected"),
    [
        ("TraceId", (-101, -99), 1),
        ("TraceId", (-60, 0), 0),
        ("Event", (-101, -99), 0),
        ("Event", (-31, -29), 1),
        ("Service", (-100, -99), 1),
        ("Service", (-31, -29), 0),
    ],
)
@over_aiobotocore
async def test_a_window_selects_by_start_update_or_end(
    call: Any, aws: EmbeddedAws, wall: Any, kind: Any, offset_s: Any, expected: int
) -> None:
    aws.traces.put(segment(wall.now_s - 100), visible_s=wall.now_s - 30)
    window = {"StartTime": wall.now_s + offset_s[0], "EndTime": wall.now_s + offset_s[1]}
    found = await summaries(call, wall, TimeRangeType=kind, **window)
    assert len(found) == expected
    if kind == "Event" and found:
        assert found[0]["MatchedEventTime"].timestamp() == wall.now_s - 30


@pytest.mark.parametrize(
    "params",
    [
        {"EndTime": 0},
        {"StartTime": 1},
        {"FilterExpression": "service("},
        {"FilterExpression": "x" * 2001},
        {"NextToken": "made up"},
    ],
    ids=str,
)
@over_boto3
async def test_get_trace_summaries_refuses_invalid_parameters(call: Any, wall: Any, params: Any) -> None:
    with pytest.raises(ClientError) as caught:
        await summaries(call, wall, **params)
    assert caught.value.response["Error"]["Code"] == "InvalidRequestException"


async def test_segments_put_through_the_api_and_read_back_in_batches(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    start_s = wall.now_s - 4
    loose = {
        "type": "subsegment",
        "trace_id": trace_id(1),
        "id": "9" * 16,
        "parent_id": f"{1:016x}",
        "name": "S3",
        "namespace": "aws",
        "start_time": start_s,
        "end_time": start_s + 0.1,
    }
    documents = [segment(start_s), loose]
    answer = await call("xray", "PutTraceSegments", TraceSegmentDocuments=[json.dumps(one) for one in documents])
    assert answer == {"UnprocessedTraceSegments": []}
    batch = await call("xray", "BatchGetTraces", TraceIds=[trace_id(1), trace_id(2)])
    assert batch["UnprocessedTraceIds"] == [trace_id(2)]
    (found,) = batch["Traces"]
    assert (found["Id"], found["Duration"], found["LimitExceeded"]) == (trace_id(1), 0.5, False)
    sent, inferred = (json.loads(one["Document"]) for one in found["Segments"])
    assert [one["name"] for one in sent["subsegments"]] == ["S3"]
    assert (inferred["origin"], inferred["inferred"], inferred["parent_id"]) == ("AWS::S3::Bucket", True, "9" * 16)
    with pytest.raises(ClientError, match="At most 5"):
        await call("xray", "BatchGetTraces", TraceIds=[trace_id(number) for number in range(6)])
    assert aws.traces.get(trace_id(1)) is not None


async def test_a_big_trace_exceeds_the_limit(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    for number in range(3):
        one = segment(wall.now_s - 4, number, metadata={"x": "y" * 200_000})
        aws.traces.put(one | {"trace_id": trace_id(9)})
    (found,) = (await call("xray", "BatchGetTraces", TraceIds=[trace_id(9)]))["Traces"]
    assert found["LimitExceeded"] is True
    assert len(found["Segments"]) == 2


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ("{broken", "Invalid segment"),
        ("[]", "not an object"),
        (json.dumps({"name": "x"}), "MissingId"),
        (json.dumps({"id": "1", "trace_id": "1-a-b", "start_time": 1, "end_time": 2}), "MissingName"),
        (json.dumps({"id": "1", "trace_id": "1-a-b", "name": "x"}), "MissingStartTime"),
        (json.dumps({"id": "1", "trace_id": "1-a-b", "name": "x", "start_time": 1}), "MissingEndTime"),
    ],
)
@over_aiobotocore
async def test_unreadable_segments_are_reported(call: Any, document: str, problem: str) -> None:
    (answer,) = (await call("xray", "PutTraceSegments", TraceSegmentDocuments=[document]))["UnprocessedTraceSegments"]
    assert answer["ErrorCode"] == "ParseError"
    assert problem in answer["Message"]


async def test_with_transaction_search_xray_has_no_traces(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    assert await call("xray", "GetTraceSegmentDestination") == {"Destination": "XRay", "Status": "ACTIVE"}
    (rule,) = (await call("xray", "GetIndexingRules"))["IndexingRules"]
    assert rule["Rule"]["Probabilistic"]["DesiredSamplingPercentage"] == 1.0
    aws.traces.put(segment(wall.now_s - 4))
    aws.traces.destination = ("CloudWatchLogs", "ACTIVE")
    assert (await call("xray", "GetTraceSegmentDestination"))["Destination"] == "CloudWatchLogs"
    assert (await call("xray", "BatchGetTraces", TraceIds=[trace_id()]))["UnprocessedTraceIds"] == [trace_id()]


async def test_the_service_graph_counts_nodes_and_edges(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    for one in a_request(wall.now_s - 10):
        aws.traces.put(one)
    aws.traces.put(segment(wall.now_s - 9, 7, name="shop-orders"))
    aws.traces.put(segment(wall.now_s - 8, 8, name="shop-orders", throttle=True))
    aws.traces.put(segment(wall.now_s - 8, 9, name="shop-orders", error=True))
    graph = await call("xray", "GetServiceGraph", StartTime=wall.now_s - 60, EndTime=wall.now_s)
    nodes = {one["Name"]: one for one in graph["Services"] if one["Type"] != "client"}
    names = {one["ReferenceId"]: one["Name"] for one in graph["Services"]}
    edges = {
        ("a client" if one["Type"] == "client" else one["Name"], names[edge["ReferenceId"]]): edge["SummaryStatistics"][
            "TotalCount"
        ]
        for one in graph["Services"]
        for edge in one["Edges"]
    }
    assert edges == {
        ("a client", "shop-api"): 1,
        ("a client", "shop-orders"): 3,
        ("shop-api", "shop-orders"): 1,
        ("shop-orders", "orders-table"): 1,
    }
    orders = nodes["shop-orders"]["SummaryStatistics"]
    assert (orders["OkCount"], orders["TotalCount"]) == (1, 4)
    assert orders["ErrorStatistics"] == {"ThrottleCount": 1, "OtherCount": 1, "TotalCount": 2}
    assert orders["FaultStatistics"] == {"OtherCount": 1, "TotalCount": 1}
    assert orders["TotalResponseTime"] == pytest.approx(0.87 + 3 * 0.5)
    assert sum(one["Count"] for one in nodes["shop-orders"]["ResponseTimeHistogram"]) == 4
    assert nodes["shop-api"]["Root"] is True
    clients = [one for one in graph["Services"] if one["Type"] == "client"]
    assert [(one["Name"], one["State"]) for one in clients] == [("shop-api", "unknown"), ("shop-orders", "unknown")]
    own = await call("xray", "GetTraceGraph", TraceIds=[trace_id()])
    assert {one["Name"] for one in own["Services"]} == {"shop-api", "shop-orders", "orders-table"}


async def test_a_large_service_graph_is_paged(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    for number in range(1, 61):
        aws.traces.put(segment(wall.now_s - 10, number, name=f"service-{number:02}"))
    window = {"StartTime": wall.now_s - 60, "EndTime": wall.now_s}
    first = await call("xray", "GetServiceGraph", **window)
    pages = [first]
    while token := pages[-1].get("NextToken"):
        pages.append(await call("xray", "GetServiceGraph", **window, NextToken=token))
    assert [len(each["Services"]) for each in pages] == [50, 50, 20]
    assert len({one["ReferenceId"] for each in pages for one in each["Services"]}) == 120
    with pytest.raises(ClientError, match="NextToken is invalid"):
        await call("xray", "GetServiceGraph", **{**window, "StartTime": wall.now_s - 90}, NextToken=first["NextToken"])


def test_whole_past_minutes_are_counted_once_and_incomplete_ones_each_time() -> None:
    history = Told(
        [segment(start_s, start_s, name="late" if start_s > 290 else "early") for start_s in range(100, 300)]
    )
    now_s = 310.0
    store = TraceStore(wall=lambda: now_s, faults=FaultPlan(), history=cast("History", history))
    for start_s, end_s in [(0.0, 310.0), (0.0, 310.0), (130.0, 250.0), (130.5, 249.5)]:
        services = store.tally(start_s, end_s).services("1")
        assert services == tally_of(store.newest_first(start_s, end_s)).services("1")
    asked = history.asked
    store.tally(60.0, 240.0)
    assert history.asked == asked
    now_s = 330.0
    roots = [one for one in store.tally(0, 330).services("1") if "Root" in one]
    assert sum(one["SummaryStatistics"]["TotalCount"] for one in roots) == 200


class Told:
    """A history of traces only."""

    def __init__(self, documents: list[dict[str, Any]]) -> None:
        self.documents = documents
        self.asked = 0

    def segments(self, start_s: float, end_s: float) -> list[dict[str, Any]]:
        self.asked += 1
        return [each for each in self.documents if start_s <= each["start_time"] < end_s]

    def calls(self, start_s: float, end_s: float) -> list[TracedCall]:
        return [
            TracedCall((each["name"], "client"), (each["name"], FN), each["start_time"], each["end_time"])
            for each in self.segments(start_s, end_s)
        ]


def test_a_full_store_discards_its_oldest_traces_and_counts_them() -> None:
    store = TraceStore(wall=lambda: 100.0, faults=FaultPlan(), max_traces=3)
    for number in range(5):
        store.put(segment(50.0, number))
    assert store.discarded == 2
    assert store.get(trace_id(0)) is None
    assert store.get(trace_id(4)) is not None


def test_a_document_without_ids_is_refused() -> None:
    store = TraceStore(wall=lambda: 100.0, faults=FaultPlan())
    with pytest.raises(ValueError, match="needs a trace_id and an id"):
        store.put({"name": "x"})
