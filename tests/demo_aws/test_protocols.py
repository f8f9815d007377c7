"""The protocols: CBOR, identification of operations, and every protocol of CloudWatch."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.loaders import Loader
from botocore.session import Session
from multidict import CIMultiDict

from prodwatch.demo.aws import EmbeddedAws, Fault, MetricAlarm
from prodwatch.demo.aws.protocols.identify import HttpRequest, identify


def signed(service: str, region: str = "eu-west-1") -> dict[str, str]:
    scope = f"AKIA/20260115/{region}/{service}/aws4_request"
    return {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=x"}


@pytest.mark.parametrize(
    ("method", "target", "headers", "body", "expected"),
    [
        ("POST", "/", {"X-Amz-Target": "Logs_20140328.FilterLogEvents"}, b"{}", ("logs", "FilterLogEvents", "json")),
        (
            "POST",
            "/",
            {"X-Amz-Target": "Unheard.Of", **signed("kinesis")},
            b"{}",
            ("kinesis", "Of", "json"),
        ),
        (
            "POST",
            "/service/GraniteServiceVersion20100801/operation/GetMetricData",
            {"smithy-protocol": "rpc-v2-cbor"},
            b"",
            ("cloudwatch", "GetMetricData", "smithy-rpc-v2-cbor"),
        ),
        (
            "POST",
            "/",
            {"Content-Type": "application/x-www-form-urlencoded", **signed("monitoring")},
            b"Version=2010-08-01&Action=DescribeAlarms",
            ("cloudwatch", "DescribeAlarms", "query"),
        ),
        (
            "GET",
            "/?Action=DescribeStacks",
            signed("cloudformation"),
            b"",
            ("cloudformation", "DescribeStacks", "query"),
        ),
        ("POST", "/TraceSummaries", signed("xray"), b"{}", ("xray", "GetTraceSummaries", "rest-json")),
        ("POST", "/TraceSegments", {}, b"{}", ("xray", "PutTraceSegments", "rest-json")),
        (
            "GET",
            "/2015-03-31/functions/arn%3Aaws%3Alambda%3Ax/aliases/live",
            signed("lambda"),
            b"",
            ("lambda", "GetAlias", "rest-json"),
        ),
        ("GET", "/bucket/a/b?versionId=1", signed("s3"), b"", ("s3", "GetObject", "rest-xml")),
        ("HEAD", "/bucket/a/b", signed("s3"), b"", ("s3", "HeadObject", "rest-xml")),
        ("DELETE", "/bucket/a/b", signed("s3"), b"", ("s3", "DeleteObject", "rest-xml")),
        ("DELETE", "/bucket/a/b?uploadId=1", signed("s3"), b"", ("s3", "AbortMultipartUpload", "rest-xml")),
        ("PUT", "/bucket/a/b", signed("s3"), b"", ("s3", "PutObject", "rest-xml")),
        ("PUT", "/bucket/a/b?partNumber=1&uploadId=1", signed("s3"), b"", ("s3", "UploadPart", "rest-xml")),
        ("GET", "/bucket?list-type=2&prefix=x", signed("s3"), b"", ("s3", "ListObjectsV2", "rest-xml")),
        (
            "GET",
            "/bucket/key?X-Amz-Credential=AKIA%2F20260115%2Feu-west-1%2Fs3%2Faws4_request",
            {},
            b"",
            ("s3", "GetObject", "rest-xml"),
        ),
        ("GET", "/nothing", {}, b"", ("unknown", "unknown", "rest-json")),
        ("GET", "/nothing", signed("xray"), b"", ("xray", "unknown", "rest-json")),
    ],
    ids=lambda value: str(value)[:40],
)
def test_operations_are_identified(method: str, target: str, headers: Any, body: bytes, expected: Any) -> None:
    path, _, query = target.partition("?")
    result = identify(HttpRequest(method=method, path=path, query=query, headers=CIMultiDict(headers), body=body))
    assert (result.service, result.operation, result.protocol) == expected


def test_path_parameters_are_unquoted_and_the_region_is_that_of_the_signature() -> None:
    request = HttpRequest(
        method="GET",
        path="/2015-03-31/functions/a%3Ab/aliases/live",
        query="",
        headers=CIMultiDict(signed("lambda", "us-east-2")),
        body=b"",
    )
    result = identify(request)
    assert (result.region, result.path_params) == ("us-east-2", {"FunctionName": "a:b", "Name": "live"})


class OneProtocol(Loader):
    """Models of services with one protocol."""

    def __init__(self, protocol: str) -> None:
        super().__init__()
        self._protocol = protocol

    def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> Any:
        model = super().load_service_model(service_name, type_name, api_version)
        if type_name != "service-2":
            return model
        model = copy.deepcopy(model)
        model["metadata"] |= {"protocol": self._protocol, "protocols": [self._protocol]}
        return model


@pytest.fixture(params=["query", "json", "smithy-rpc-v2-cbor"])
def cloudwatch(request: pytest.FixtureRequest, aws: EmbeddedAws) -> Any:
    session = Session()
    session.register_component("data_loader", OneProtocol(request.param))
    client: Any = session.create_client(
        "cloudwatch", region_name="eu-west-1", endpoint_url=aws.url, aws_access_key_id="x", aws_secret_access_key="x"
    )
    yield client
    client.close()


async def test_cloudwatch_in_each_of_its_protocols(cloudwatch: Any, aws: EmbeddedAws, wall: Any) -> None:
    def ask(operation: str, **params: Any) -> Any:
        return getattr(cloudwatch, operation)(**params)

    dimensions = [{"Name": "FunctionName", "Value": "a&b <ü>"}]
    await asyncio.to_thread(
        ask,
        "put_metric_data",
        Namespace="N",
        MetricData=[
            {
                "MetricName": "M",
                "Dimensions": dimensions,
                "Timestamp": wall.now_s - 60,
                "Values": [1.0, 2.5],
                "Counts": [1.0, 2.0],
            }
        ],
    )
    stat = {"Metric": {"Namespace": "N", "MetricName": "M", "Dimensions": dimensions}, "Period": 60, "Stat": "p99"}
    data = await asyncio.to_thread(
        ask,
        "get_metric_data",
        MetricDataQueries=[{"Id": "m", "MetricStat": stat}],
        StartTime=wall.now_s - 600,
        EndTime=wall.now_s,
    )
    (result,) = data["MetricDataResults"]
    assert (result["Values"], result["Timestamps"][0].timestamp()) == ([2.5], wall.now_s - 60)
    metrics = await asyncio.to_thread(ask, "list_metrics")
    assert metrics["Metrics"][0]["Dimensions"] == dimensions
    statistics = await asyncio.to_thread(
        ask, "get_metric_statistics", Namespace="N", MetricName="M", Dimensions=dimensions, Period=60,
        StartTime=wall.now_s - 600, EndTime=wall.now_s, Statistics=["Sum"], ExtendedStatistics=["p50"],
    )  # fmt: skip
    assert statistics["Datapoints"][0]["ExtendedStatistics"] == {"p50": 2.5}
    aws.alarms.put(MetricAlarm(name="a", namespace="N", metric="M"))
    alarms = await asyncio.to_thread(ask, "describe_alarms", AlarmNames=["a"], AlarmTypes=["MetricAlarm"])
    assert alarms["MetricAlarms"][0]["ActionsEnabled"] is True
    assert alarms["MetricAlarms"][0]["Threshold"] == 0.0
    with pytest.raises(ClientError) as caught:
        await asyncio.to_thread(ask, "set_alarm_state", AlarmName="none", StateValue="OK", StateReason="x")
    assert (
        caught.value.response["Error"] | {"Code": "ResourceNotFound", "Message": "Unknown alarm"}
        == (caught.value.response["Error"])
    )
    aws.faults.add(Fault(operation="cloudwatch:*", kind="access_denied"))
    with pytest.raises(ClientError, match=r"\(AccessDenied\).*cloudwatch:ListMetrics"):
        await asyncio.to_thread(ask, "list_metrics")
