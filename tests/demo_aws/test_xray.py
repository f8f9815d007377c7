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
    results: list[dict[str, Any]] = []
    params = {"StartTime": wall.now_s - 300, "EndTime": wall.now_s, **params}
    while True:
        page = await call("xray", "GetTraceSummaries", **params)
        results += page["TraceSummaries"]
        if "NextToken" not in page:
            return results
        params["NextToken"] = page["NextToken"]


async def test_a_summary_has_every_member_of_the_model(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    start_s = wall.now_s - 10
    for item in a_request(start_s):
        aws.traces.put(item)
    (results,) = await summaries(call, wall)
    assert results["Id"] == trace_id()
    assert (results["Duration"], results["ResponseTime"]) == (1.0, 1.0)
    assert (results["HasFault"], results["HasError"], results["HasThrottle"], results["IsPartial"]) == (
        True,
        False,
        False,
        False,
    )
    assert results["StartTime"].timestamp() == start_s
    assert results["Http"] == {
        "HttpURL": "https://api/orders",
        "HttpStatus": 502,
        "HttpMethod": "POST",
        "UserAgent": "curl",
        "ClientIp": "10.0.0.1",
    }
    assert results["Annotations"]["tier"][0]["AnnotationValue"] == {"StringValue": "gold"}
    assert results["Annotations"]["size"][0]["AnnotationValue"] == {"NumberValue": 3.0}
    assert results["Annotations"]["retry"][0]["AnnotationValue"] == {"BooleanValue": True}
    assert results["Annotations"]["tier"][0]["ServiceIds"][0]["Name"] == "shop-orders"
    assert [(item["Name"], item["Type"]) for item in results["ServiceIds"]] == [
        ("orders-table", "AWS::DynamoDB::Table"),
        ("shop-api", "AWS::ApiGateway::Stage"),
        ("shop-orders", FN),
    ]
    assert results["Users"][0]["UserName"] == "frank"
    assert results["ResourceARNs"] == [{"ARN": "arn:aws:lambda:eu-west-1:123456789012:function:shop-orders:42"}]
    assert results["EntryPoint"]["Name"] == "shop-api"
    assert results["Revision"] == 2


async def test_root_causes_follow_the_fault_to_its_origin(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    for item in a_request(wall.now_s - 10):
        aws.traces.put(item)
    (result,) = await summaries(call, wall)
    (cause,) = result["FaultRootCauses"]
    assert cause["ClientImpacting"] is True
    paths = [(item["Name"], [entity["Name"] for entity in item["EntityPath"]]) for item in cause["Services"]]
    assert paths == [
        ("shop-api", ["shop-api", "Lambda"]),
        ("shop-orders", ["shop-orders", "handler", "DynamoDB"]),
        ("orders-table", ["orders-table"]),
    ]
    assert cause["Services"][1]["EntityPath"][2]["Exceptions"] == [
        {"Name": "ProvisionedThroughputExceededException", "Message": "too much"}
    ]
    assert cause["Services"][2]["Inferred"] is True
    assert result["ErrorRootCauses"] == []
    (slow,) = result["ResponseTimeRootCauses"]
    function = slow["Services"][1]
    assert [(item["Name"], item["Coverage"]) for item in function["EntityPath"]] == [
        ("shop-orders", 0.87),
        ("handler", 0.8),
        ("DynamoDB", 0.6),
    ]


async def test_a_throttle_is_an_error_of_the_trace(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    aws.traces.put(segment(wall.now_s - 5, throttle=True))
    (result,) = await summaries(call, wall)
    assert (result["HasError"], result["HasThrottle"], result["HasFault"]) == (True, True, False)
    assert len(result["ErrorRootCauses"]) == 1


async def test_a_fault_flag_set_to_false_is_not_a_fault(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    aws.traces.put(segment(wall.now_s - 5, fault=False, error=False))
    (result,) = await summaries(call, wall)
    assert (result["HasError"], result["HasFault"], result["FaultRootCauses"]) == (False, False, [])


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
    results = await summaries(call, wall)
    assert [item["Id"] for item in results] == [trace_id(number) for number in range(229, -1, -1)]


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
    results = await summaries(call, wall, FilterExpression="fault")
    assert [item["Id"] for item in results] == [trace_id(2)]


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
    results = await summaries(call, wall, TimeRangeType=kind, **window)
    assert len(results) == expected
    if kind == "Event" and results:
        assert results[0]["MatchedEventTime"].timestamp() == wall.now_s - 30


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
    response = await call("xray", "PutTraceSegments", TraceSegmentDocuments=[json.dumps(item) for item in documents])
    assert response == {"UnprocessedTraceSegments": []}
    batch = await call("xray", "BatchGetTraces", TraceIds=[trace_id(1), trace_id(2)])
    assert batch["UnprocessedTraceIds"] == [trace_id(2)]
    (results,) = batch["Traces"]
    assert (results["Id"], results["Duration"], results["LimitExceeded"]) == (trace_id(1), 0.5, False)
    sent, inferred = (json.loads(item["Document"]) for item in results["Segments"])
    assert [item["name"] for item in sent["subsegments"]] == ["S3"]
    assert (inferred["origin"], inferred["inferred"], inferred["parent_id"]) == ("AWS::S3::Bucket", True, "9" * 16)
    with pytest.raises(ClientError, match="At most 5"):
        await call("xray", "BatchGetTraces", TraceIds=[trace_id(number) for number in range(6)])
    assert aws.traces.get(trace_id(1)) is not None


async def test_a_big_trace_exceeds_the_limit(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    for number in range(3):
        item = segment(wall.now_s - 4, number, metadata={"x": "y" * 200_000})
        aws.traces.put(item | {"trace_id": trace_id(9)})
    (result,) = (await call("xray", "BatchGetTraces", TraceIds=[trace_id(9)]))["Traces"]
    assert result["LimitExceeded"] is True
    assert len(result["Segments"]) == 2


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
    (response,) = (await call("xray", "PutTraceSegments", TraceSegmentDocuments=[document]))["UnprocessedTraceSegments"]
    assert response["ErrorCode"] == "ParseError"
    assert problem in response["Message"]


async def test_with_transaction_search_xray_has_no_traces(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    assert await call("xray", "GetTraceSegmentDestination") == {"Destination": "XRay", "Status": "ACTIVE"}
    (rule,) = (await call("xray", "GetIndexingRules"))["IndexingRules"]
    assert rule["Rule"]["Probabilistic"]["DesiredSamplingPercentage"] == 1.0
    aws.traces.put(segment(wall.now_s - 4))
    aws.traces.destination = ("CloudWatchLogs", "ACTIVE")
    assert (await call("xray", "GetTraceSegmentDestination"))["Destination"] == "CloudWatchLogs"
    assert (await call("xray", "BatchGetTraces", TraceIds=[trace_id()]))["UnprocessedTraceIds"] == [trace_id()]


async def test_the_service_graph_counts_nodes_and_edges(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    for item in a_request(wall.now_s - 10):
        aws.traces.put(item)
    aws.traces.put(segment(wall.now_s - 9, 7, name="shop-orders"))
    aws.traces.put(segment(wall.now_s - 8, 8, name="shop-orders", throttle=True))
    aws.traces.put(segment(wall.now_s - 8, 9, name="shop-orders", error=True))
    graph = await call("xray", "GetServiceGraph", StartTime=wall.now_s - 60, EndTime=wall.now_s)
    nodes = {item["Name"]: item for item in graph["Services"] if item["Type"] != "client"}
    names = {item["ReferenceId"]: item["Name"] for item in graph["Services"]}
    edges = {
        ("a client" if item["Type"] == "client" else item["Name"], names[edge["ReferenceId"]]): edge[
            "SummaryStatistics"
        ]["TotalCount"]
        for item in graph["Services"]
        for edge in item["Edges"]
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
    assert sum(item["Count"] for item in nodes["shop-orders"]["ResponseTimeHistogram"]) == 4
    assert nodes["shop-api"]["Root"] is True
    clients = [item for item in graph["Services"] if item["Type"] == "client"]
    assert [(item["Name"], item["State"]) for item in clients] == [("shop-api", "unknown"), ("shop-orders", "unknown")]
    own = await call("xray", "GetTraceGraph", TraceIds=[trace_id()])
    assert {item["Name"] for item in own["Services"]} == {"shop-api", "shop-orders", "orders-table"}


async def test_a_large_service_graph_is_paged(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    for number in range(1, 61):
        aws.traces.put(segment(wall.now_s - 10, number, name=f"service-{number:02}"))
    window = {"StartTime": wall.now_s - 60, "EndTime": wall.now_s}
    first = await call("xray", "GetServiceGraph", **window)
    pages = [first]
    while token := pages[-1].get("NextToken"):
        pages.append(await call("xray", "GetServiceGraph", **window, NextToken=token))
    assert [len(each["Services"]) for each in pages] == [50, 50, 20]
    assert len({item["ReferenceId"] for each in pages for item in each["Services"]}) == 120
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
    roots = [item for item in store.tally(0, 330).services("1") if "Root" in item]
    assert sum(item["SummaryStatistics"]["TotalCount"] for item in roots) == 200


class Told:
    """A history of traces only."""

    def __init__(self, documents: list[dict[str, Any]]) -> None:
        self.documents = documents
        self.asked = 0

    def segments(self, start_s: float, end_s: float) -> list[dict[str, Any]]:
        self.asked += 1
        return [item for item in self.documents if start_s <= item["start_time"] < end_s]

    def calls(self, start_s: float, end_s: float) -> list[TracedCall]:
        return [
            TracedCall((item["name"], "client"), (item["name"], FN), item["start_time"], item["end_time"])
            for item in self.segments(start_s, end_s)
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
