"""The fault plan: seeded, changeable while it runs, applied through both SDKs."""

from __future__ import annotations

from typing import Any, get_args

import aiohttp
import cbor2
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from prodwatch.demo.aws import EmbeddedAws, Fault, FaultPlan
from prodwatch.demo.aws.distorted_response import distorted
from prodwatch.demo.aws.faults import Active, ForeignBody
from prodwatch.demo.aws.in_process_server import embedded_aws
from prodwatch.demo.aws.protocols.encode import HttpResponse
from prodwatch.demo.workload import WebRequest, WebResponse
from tests.support.waiting import turn

over_aiobotocore = pytest.mark.parametrize("call", ["aiobotocore"], indirect=True)
over_boto3 = pytest.mark.parametrize("call", ["boto3"], indirect=True)

GROUP = "g"


def strikes(plan: FaultPlan, service: str, operation: str, times: int, now_s: float = 0.0) -> list[bool]:
    return [bool(plan.draw(service, operation, now_s).faults) for _ in range(times)]


@pytest.mark.parametrize(
    ("pattern", "service", "operation", "expected"),
    [
        ("logs:FilterLogEvents", "logs", "FilterLogEvents", True),
        ("logs:*", "logs", "PutLogEvents", True),
        ("*", "xray", "BatchGetTraces", True),
        ("logs:Filter*", "logs", "GetLogEvents", False),
        ("lambda:InvokeFunction", "lambda", "Invoke", True),
        ("s3:GetObject", "s3", "HeadObject", True),
        ("states:StartExecution", "stepfunctions", "StartExecution", True),
        ("web:GET /shop/*", "web", "GET /shop/orders", True),
    ],
)
def test_a_fault_applies_to_operations_and_iam_actions(
    pattern: str, service: str, operation: str, expected: bool
) -> None:
    plan = FaultPlan([Fault(operation=pattern, kind="throttle")])
    assert strikes(plan, service, operation, 1) == [expected]


def test_count_and_window_limit_a_fault() -> None:
    plan = FaultPlan([Fault(operation="*", kind="throttle", count=2)])
    assert strikes(plan, "logs", "X", 4) == [True, True, False, False]
    plan = FaultPlan([Fault(operation="*", kind="throttle", from_s=10, until_s=20)])
    assert [strikes(plan, "logs", "X", 1, now_s)[0] for now_s in (9, 10, 19, 20)] == [False, True, True, False]


def test_probability_draws_alike_from_equal_seeds() -> None:
    fault = Fault(operation="*", kind="throttle", probability=0.3)
    first = strikes(FaultPlan([fault], seed=5), "logs", "X", 300)
    assert first == strikes(FaultPlan([fault], seed=5), "logs", "X", 300)
    assert first != strikes(FaultPlan([fault], seed=6), "logs", "X", 300)
    assert 60 < sum(first) < 120


def test_a_rate_throttles_calls_above_it() -> None:
    plan = FaultPlan([Fault(operation="*", kind="rate", per_s=5)])
    assert strikes(plan, "logs", "X", 8, now_s=0.0) == [False] * 5 + [True] * 3
    assert strikes(plan, "logs", "X", 3, now_s=0.4) == [False, False, True]


def test_hits_are_counted_and_described() -> None:
    plan = FaultPlan([Fault(operation="logs:*", kind="throttle")])
    strikes(plan, "logs", "X", 3)
    strikes(plan, "xray", "X", 3)
    assert plan.describe()[0] | {"hits": 3} == plan.describe()[0]
    plan.clear()
    assert plan.describe() == []


CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "logs": ("DescribeLogGroups", {}),
    "xray": ("GetTraceSummaries", {"StartTime": 1, "EndTime": 2}),
    "cloudwatch": ("DescribeAlarms", {}),
    "lambda": ("GetAlias", {"FunctionName": "f", "Name": "live"}),
    "codedeploy": ("ListDeployments", {}),
    "cloudformation": ("DescribeStacks", {}),
    "sts": ("GetCallerIdentity", {}),
    "sqs": ("ListQueues", {}),
    "dynamodb": ("ListTables", {}),
    "s3": ("ListBuckets", {}),
    "ssm": ("GetParameter", {"Name": "x"}),
    "secretsmanager": ("GetSecretValue", {"SecretId": "x"}),
}


@pytest.mark.parametrize(
    ("kind", "service", "code", "status"),
    [
        ("throttle", "logs", "ThrottlingException", 400),
        ("throttle", "xray", "ThrottledException", 429),
        ("throttle", "cloudwatch", "Throttling", 400),
        ("throttle", "lambda", "TooManyRequestsException", 429),
        ("throttle", "codedeploy", "ThrottlingException", 400),
        ("throttle", "cloudformation", "Throttling", 400),
        ("throttle", "s3", "SlowDown", 503),
        ("throttle", "sqs", "RequestThrottled", 400),
        ("access_denied", "logs", "AccessDeniedException", 400),
        ("access_denied", "xray", "AccessDeniedException", 403),
        ("access_denied", "cloudwatch", "AccessDenied", 403),
        ("access_denied", "lambda", "AccessDeniedException", 403),
        ("access_denied", "codedeploy", "AccessDeniedException", 400),
        ("access_denied", "cloudformation", "AccessDenied", 403),
        ("access_denied", "sts", "AccessDenied", 403),
        ("access_denied", "sqs", "AccessDenied", 403),
        ("access_denied", "dynamodb", "AccessDeniedException", 400),
        ("access_denied", "s3", "AccessDenied", 403),
        ("access_denied", "ssm", "AccessDeniedException", 400),
        ("access_denied", "secretsmanager", "AccessDeniedException", 400),
        ("expired_token", "logs", "ExpiredTokenException", 400),
        ("expired_token", "xray", "ExpiredTokenException", 403),
        ("expired_token", "sts", "ExpiredToken", 403),
        ("expired_token", "s3", "ExpiredToken", 400),
        ("error_5xx", "logs", "ServiceUnavailableException", 503),
        ("error_5xx", "cloudwatch", "ServiceUnavailableException", 503),
        ("error_5xx", "s3", "ServiceUnavailable", 503),
        ("error_5xx", "cloudformation", "ServiceUnavailableException", 503),
    ],
)
@over_boto3
async def test_each_service_has_its_own_errors(
    call: Any, aws: EmbeddedAws, kind: Any, service: str, code: str, status: int
) -> None:
    operation, params = CALLS[service]
    aws.faults.add(Fault(operation=f"{service}:{operation}", kind=kind, count=1))
    with pytest.raises(ClientError) as caught:
        await call(service, operation, **params)
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    if kind == "access_denied":
        assert f"is not authorized to perform: {service}:" in caught.value.response["Error"]["Message"]


async def test_access_denied_names_the_iam_action(call: Any, aws: EmbeddedAws) -> None:
    aws.faults.add(Fault(operation="lambda:InvokeFunction", kind="access_denied"))
    with pytest.raises(ClientError, match="no identity-based policy allows the lambda:InvokeFunction action"):
        await call("lambda", "Invoke", FunctionName="f")


async def test_empty_and_short_pages_have_a_token_that_continues(call: Any, aws: EmbeddedAws) -> None:
    aws.logs.put(GROUP, "s", [(stamp, "x") for stamp in range(9)])
    aws.faults.add(Fault(operation="logs:FilterLogEvents", kind="empty_page", count=1))
    empty = await call("logs", "FilterLogEvents", logGroupName=GROUP)
    assert empty["events"] == []
    aws.faults.add(Fault(operation="logs:FilterLogEvents", kind="short_page", count=1))
    short = await call("logs", "FilterLogEvents", logGroupName=GROUP, limit=6, nextToken=empty["nextToken"])
    assert [item["timestamp"] for item in short["events"]] == [0, 1]
    rest = await call("logs", "FilterLogEvents", logGroupName=GROUP, nextToken=short["nextToken"])
    assert [item["timestamp"] for item in rest["events"]] == [2, 3, 4, 5, 6, 7, 8]


async def test_a_refused_token_in_the_middle_of_a_scan(call: Any, aws: EmbeddedAws) -> None:
    aws.logs.put(GROUP, "s", [(stamp, "x") for stamp in range(9)])
    aws.faults.add(Fault(operation="logs:FilterLogEvents", kind="invalid_token"))
    page = await call("logs", "FilterLogEvents", logGroupName=GROUP, limit=5)
    with pytest.raises(ClientError, match="nextToken is invalid"):
        await call("logs", "FilterLogEvents", logGroupName=GROUP, limit=5, nextToken=page["nextToken"])


@pytest.mark.parametrize("kind", ["drop", "drop_after"])
async def test_a_closed_connection(call: Any, aws: EmbeddedAws, kind: Any) -> None:
    aws.faults.add(Fault(operation="logs:CreateLogGroup", kind=kind, count=1))
    with pytest.raises(Exception, match=r"(?i)connection|disconnected"):
        await call("logs", "CreateLogGroup", logGroupName=GROUP)
    assert (aws.logs.group(GROUP) is not None) is (kind == "drop_after")
    assert "logGroups" in await call("logs", "DescribeLogGroups")


async def test_a_delay_sleeps_before_the_response(wall: Any, sdk_at: Any) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    plan = FaultPlan([Fault(operation="xray:*", kind="delay", delay_s=2.5, count=1)])
    async with embedded_aws(wall=wall, sleep=sleep, faults=plan) as (_, url):
        for kind in ("boto3", "aiobotocore"):
            await sdk_at(url, kind)("xray", "GetTraceSegmentDestination")
    assert slept == [2.5]


async def test_a_late_fault_hides_traces_and_metrics_too(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    aws.faults.add(Fault(operation="xray:PutTraceSegments", kind="late", delay_s=20))
    aws.faults.add(Fault(operation="cloudwatch:PutMetricData", kind="late", delay_s=20))
    aws.traces.put({"trace_id": "1-a-b", "id": "1", "name": "n", "start_time": wall.now_s, "end_time": wall.now_s})
    aws.metrics.put("N", "M", {}, wall.now_s, [1.0])
    window = {"StartTime": wall.now_s - 60, "EndTime": wall.now_s + 60}

    async def seen() -> tuple[int, int]:
        traces = await call("xray", "GetTraceSummaries", **window)
        metrics = await call(
            "cloudwatch",
            "GetMetricStatistics",
            Namespace="N",
            MetricName="M",
            Period=60,
            Statistics=["Sum"],
            **window,
        )
        return len(traces["TraceSummaries"]), len(metrics["Datapoints"])

    assert await seen() == (0, 0)
    wall.now_s += 20
    assert await seen() == (1, 1)


async def test_the_plan_is_changed_over_http_while_the_server_runs(aws: EmbeddedAws) -> None:
    address = aws.url + "/_prodwatch/faults"
    async with aiohttp.ClientSession() as session:

        async def send(method: str, body: Any = None) -> tuple[int, Any]:
            async with session.request(method, address, json=body) as response:
                return response.status, await response.json()

        fault = {"operation": "logs:*", "kind": "throttle"}
        assert (await send("POST", fault))[0] == 200
        assert (await send("POST", [{"operation": "*", "kind": "delay", "delay_s": 0.1}]))[0] == 200
        status, answer = await send("GET")
        assert [(item["operation"], item["kind"], item["hits"]) for item in answer["faults"]] == [
            ("logs:*", "throttle", 0),
            ("*", "delay", 0),
        ]
        assert len((await send("POST", {"seed": 3, "faults": [fault]}))[1]["faults"]) == 1
        assert (await send("DELETE"))[1] == {"faults": []}
        for bad in ({"operation": "*", "kind": "nonsense"}, {"operation": "*", "kind": "drop", "x": 1}, 5):
            status, answer = await send("POST", bad)
            assert status == 400
            assert answer["message"].startswith("not a fault")
        assert (await send("PUT"))[0] == 405
        async with session.get(aws.url + "/_prodwatch/health") as response:
            assert await response.json() == {"status": "ok"}
        async with session.get(aws.url + "/_prodwatch/other") as response:
            assert response.status == 404


@pytest.mark.parametrize(
    ("kind", "status", "message"),
    [
        ("throttle", 429, "Too Many Requests"),
        ("rate", 200, ""),
        ("error_5xx", 503, "Service Unavailable"),
        ("access_denied", 403, "Forbidden"),
        ("expired_token", 403, "The security token included in the request is expired"),
    ],
)
async def test_faults_apply_to_mounted_handlers_as_in_a_gateway(
    aws: EmbeddedAws, kind: Any, status: Any, message: Any
) -> None:
    async def shop(request: WebRequest) -> WebResponse:
        await turn()
        return WebResponse(status=200, body=b'{"message": ""}')

    aws.mount("/shop", shop)
    aws.faults.add(Fault(operation="web:GET /shop/*", kind=kind))
    async with aiohttp.ClientSession() as session, session.get(aws.url + "/shop/orders") as response:
        assert response.status == status
        assert (await response.json(content_type=None))["message"] == message


@over_aiobotocore  # boto3 reads half a response as an empty one
async def test_a_truncated_response(call: Any, aws: EmbeddedAws) -> None:
    aws.logs.put(GROUP, "s", [(stamp, "x") for stamp in range(50)])
    aws.faults.add(Fault(operation="logs:FilterLogEvents", kind="truncate", count=1))
    with pytest.raises(ConnectionClosedError):
        await call("logs", "FilterLogEvents", logGroupName=GROUP)
    assert len((await call("logs", "FilterLogEvents", logGroupName=GROUP))["events"]) == 50


async def test_a_whole_plan_can_be_assigned_while_it_runs(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    aws.faults.add(Fault(operation="*", kind="error_5xx"))
    aws.faults = FaultPlan([Fault(operation="logs:PutLogEvents", kind="late", delay_s=9)])
    aws.logs.put(GROUP, "s", [(wall.now_ms, "x")])
    assert (await call("logs", "FilterLogEvents", logGroupName=GROUP))["events"] == []
    wall.now_s += 9
    assert len((await call("logs", "FilterLogEvents", logGroupName=GROUP))["events"]) == 1


def test_the_lateness_of_history_is_not_random() -> None:
    plan = FaultPlan([Fault(operation="logs:PutLogEvents", kind="late", delay_s=30, probability=0.25, until_s=100)])
    late = plan.record_lateness("logs", "PutLogEvents")
    assert late is not None
    first = [late(50.0, number) for number in range(1000)]
    assert first == [late(50.0, number) for number in range(1000)]
    assert 200 < sum(item == 30 for item in first) < 300
    assert [late(100.0, number) for number in range(100)] == [0.0] * 100
    assert plan.record_lateness("xray", "PutTraceSegments") is None


RESPONSES = {
    "json": HttpResponse(status=200, headers={"ETag": "e"}, body=b'{"events": [{"message": "a", "timestamp": 1}]}'),
    "smithy-rpc-v2-cbor": HttpResponse(status=200, body=cbor2.dumps({"events": [{"message": "a", "timestamp": 1}]})),
    "query": HttpResponse(
        status=200,
        body=b"<R xmlns='u'><XResult><events><member><message>a</message><timestamp>1</timestamp></member></events>"
        b"</XResult></R>",
    ),
}


@pytest.mark.parametrize("protocol", RESPONSES)
def test_a_member_is_left_out_of_every_element(protocol: str) -> None:
    response = RESPONSES[protocol]
    fault = Fault(operation="*", kind="missing_member", member="events.message")
    body = distorted(response, Active(faults=(fault,)), protocol).body
    assert b"message" not in body
    assert b"timestamp" in body
    assert distorted(response, Active(), protocol).body == response.body


def test_a_header_is_left_out() -> None:
    fault = Fault(operation="*", kind="missing_member", member="etag")
    assert distorted(RESPONSES["json"], Active(faults=(fault,)), "json").headers == {}


@pytest.mark.parametrize("protocol", RESPONSES)
@pytest.mark.parametrize("body", get_args(ForeignBody))
def test_a_foreign_body_keeps_the_envelope(protocol: str, body: Any) -> None:
    response = RESPONSES[protocol]
    result = distorted(response, Active(faults=(Fault(operation="*", kind="foreign_body", body=body),)), protocol)
    assert (result.status, result.headers) == (response.status, response.headers)
    assert result.body != response.body
