"""The server itself: moto, errors, clock, mounts, start and stop."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest
from botocore.exceptions import ClientError

from prodwatch.demo.aws import EmbeddedAws, Fault
from prodwatch.demo.aws.in_process_server import embedded_aws
from prodwatch.demo.aws.moto_backend import MotoError
from prodwatch.demo.aws.protocols.identify import HttpRequest
from prodwatch.demo.workload import WebRequest, WebResponse
from tests.support.waiting import turn

over_boto3 = pytest.mark.parametrize("call", ["boto3"], indirect=True)


async def test_moto_handles_other_operations(call: Any, aws: EmbeddedAws) -> None:
    assert (await call("sts", "GetCallerIdentity"))["Account"] == "123456789012"
    url = (await call("sqs", "CreateQueue", QueueName="inbox"))["QueueUrl"]
    assert url == f"{aws.url}/123456789012/inbox"
    await call("sqs", "SendMessage", QueueUrl=url, MessageBody="hello")
    attributes = await call("sqs", "GetQueueAttributes", QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    assert attributes["Attributes"] == {"ApproximateNumberOfMessages": "1"}
    await call(
        "dynamodb",
        "CreateTable",
        TableName="t",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    await call("dynamodb", "PutItem", TableName="t", Item={"id": {"S": "ü 1"}})
    assert (await call("dynamodb", "GetItem", TableName="t", Key={"id": {"S": "ü 1"}}))["Item"] == {"id": {"S": "ü 1"}}
    await call("ssm", "PutParameter", Name="/shop/x", Value="v", Type="SecureString")
    result = await call("ssm", "GetParameter", Name="/shop/x", WithDecryption=True)
    assert result["Parameter"]["Value"] == "v"
    await call("secretsmanager", "CreateSecret", Name="s", SecretString="hidden")
    assert (await call("secretsmanager", "GetSecretValue", SecretId="s"))["SecretString"] == "hidden"
    assert ("sts", "GetCallerIdentity") in aws.calls
    assert aws.call_counts["sqs:SendMessage"] == 1


async def test_s3_objects_with_odd_names_and_their_heads(call: Any, aws: EmbeddedAws) -> None:
    where = {"LocationConstraint": "eu-west-1"}
    await call("s3", "CreateBucket", Bucket="bucket", CreateBucketConfiguration=where)
    for key in ("a/b c+d é.json", "shop/x"):
        await call("s3", "PutObject", Bucket="bucket", Key=key, Body=b"12345", ContentType="application/json")
        head = await call("s3", "HeadObject", Bucket="bucket", Key=key)
        assert (head["ContentLength"], head["ContentType"]) == (5, "application/json")
        result = await call("s3", "GetObject", Bucket="bucket", Key=key)
        assert await call.read(result["Body"]) == b"12345"
    listed = await call("s3", "ListObjectsV2", Bucket="bucket", Prefix="a/")
    assert [item["Key"] for item in listed["Contents"]] == ["a/b c+d é.json"]
    with pytest.raises(ClientError) as caught:
        await call("s3", "GetObject", Bucket="bucket", Key="none")
    assert caught.value.response["Error"]["Code"] == "NoSuchKey"
    assert {operation for service, operation in aws.calls if service == "s3"} == {
        "CreateBucket", "PutObject", "HeadObject", "GetObject", "ListObjectsV2"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("service", "operation", "params", "code"),
    [
        ("logs", "ListLogGroups", {}, "UnknownOperationException"),
        ("xray", "GetInsightSummaries", {"StartTime": 1, "EndTime": 2}, "UnknownOperationException"),
        ("cloudwatch", "DescribeAnomalyDetectors", {}, "UnknownOperationException"),
        ("cloudformation", "DetectStackDrift", {"StackName": "x"}, "InvalidAction"),
        ("application-signals", "ListServices", {"StartTime": 1, "EndTime": 2}, "UnknownOperationException"),
        ("synthetics", "DescribeCanariesLastRun", {}, "UnknownOperationException"),
    ],
)
@over_boto3
async def test_an_operation_without_implementation_is_a_client_error(
    call: Any, service: str, operation: str, params: Any, code: str
) -> None:
    with pytest.raises(ClientError) as caught:
        await call(service, operation, **params)
    error, metadata = caught.value.response["Error"], caught.value.response["ResponseMetadata"]
    assert error["Code"] == code
    assert error["Message"] == f"The embedded AWS does not implement {service}:{operation}."
    assert metadata["HTTPStatusCode"] == 400


async def test_an_unreadable_body_is_a_serialization_error(aws: EmbeddedAws) -> None:
    headers = {"X-Amz-Target": "Logs_20140328.FilterLogEvents"}
    async with aiohttp.ClientSession() as session, session.post(aws.url, headers=headers, data=b"{broken") as response:
        assert response.status == 400
        assert (await response.json(content_type=None))["__type"] == "SerializationException"


async def test_a_failure_of_the_embedded_aws_is_an_aws_error(
    call: Any, aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(aws.logs, "groups", fail)
    with pytest.raises(ClientError) as caught:
        await call("logs", "DescribeLogGroups")
    assert caught.value.response["Error"]["Code"] == "InternalFailure"
    assert "the embedded AWS failed in logs:DescribeLogGroups" in caplog.text


async def test_the_date_header_has_the_servers_time_and_connections_are_kept(aws: EmbeddedAws, wall: Any) -> None:
    wall.now_s += 90
    async with aiohttp.ClientSession() as session:
        for _ in range(2):
            async with session.get(aws.url + "/_prodwatch/health") as response:
                assert parsedate_to_datetime(response.headers["Date"]).timestamp() == wall.now_s
                assert response.headers.get("Connection", "keep-alive") == "keep-alive"


async def test_mounted_handlers_next_to_buckets_of_the_same_name(call: Any, aws: EmbeddedAws) -> None:
    seen: list[WebRequest] = []

    async def shop(request: WebRequest) -> WebResponse:
        seen.append(request)
        await turn()
        return WebResponse(status=201, body=b"made", headers={"x-version": "v42", "Content-Type": "text/plain"})

    aws.mount("/shop/", shop)
    async with aiohttp.ClientSession() as session:
        address = aws.url + "/shop/orders/a%20b?id=1&empty="
        async with session.post(address, data=b"body", headers={"X-Trace": "t"}) as response:
            assert (response.status, response.headers["X-Version"], await response.read()) == (201, "v42", b"made")
        async with session.get(aws.url + "/shop") as response:
            assert response.status == 201
    assert (seen[0].method, seen[0].path, seen[0].query, seen[0].body) == (
        "POST",
        "/orders/a b",
        {"id": "1", "empty": ""},
        b"body",
    )
    assert seen[0].headers["x-trace"] == "t"
    assert seen[1].path == "/"
    await call("s3", "CreateBucket", Bucket="shop", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    await call("s3", "PutObject", Bucket="shop", Key="x", Body=b"1")
    assert len(seen) == 2


async def test_a_mounted_handler_continues_when_the_client_disconnects(aws: EmbeddedAws) -> None:
    entered, finish, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(_request: WebRequest) -> WebResponse:
        entered.set()
        await finish.wait()
        done.set()
        return WebResponse(status=200)

    aws.mount("/slow", slow)
    async with aiohttp.ClientSession() as session:
        request = asyncio.ensure_future(session.get(aws.url + "/slow"))
        await entered.wait()
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
    finish.set()
    await asyncio.wait_for(done.wait(), 60)


async def test_a_failing_handler_is_a_bad_gateway(aws: EmbeddedAws) -> None:
    async def broken(_request: WebRequest) -> WebResponse:
        await turn()
        raise RuntimeError("boom")

    aws.mount("/broken", broken)
    async with aiohttp.ClientSession() as session, session.get(aws.url + "/broken/x") as response:
        assert (response.status, await response.json()) == (502, {"message": "Internal server error"})


async def test_moto_is_reset_for_every_server(sdk_at: Any, wall: Any) -> None:
    for _ in range(2):
        async with embedded_aws(wall=wall) as (_, url):
            sdk = sdk_at(url)
            assert "QueueUrls" not in await sdk("sqs", "ListQueues")
            await sdk("sqs", "CreateQueue", QueueName="left")


async def test_moto_is_reset_next_to_a_running_server(sdk_at: Any, wall: Any) -> None:
    async with embedded_aws(wall=wall) as (_, first), embedded_aws(wall=wall, account="210987654321") as (_, other):
        for url in (first, other):
            await sdk_at(url)("sqs", "CreateQueue", QueueName="left")
        async with embedded_aws(wall=wall) as (_, second):
            assert "QueueUrls" not in await sdk_at(second)("sqs", "ListQueues")
        assert len((await sdk_at(other)("sqs", "ListQueues"))["QueueUrls"]) == 1


async def test_a_server_stopped_while_it_fills_moto_leaves_nothing(wall: Any) -> None:
    begun = threading.Event()

    def populate(send: Any) -> None:
        for _ in range(100_000):
            send(HttpRequest(method="GET", path="/", query="", headers={}, body=b""))
            begun.set()

    stopping = EmbeddedAws(wall=wall)
    await stopping.start()
    stopping.populate(populate)
    warming = asyncio.ensure_future(stopping.warm())
    assert await asyncio.to_thread(begun.wait, 20)
    await stopping.stop()
    with pytest.raises(MotoError, match="has been stopped"):
        await warming


async def test_moto_is_populated_before_it_handles_any_request(sdk_at: Any, wall: Any) -> None:
    def populate(send: Any) -> None:
        headers = {"X-Amz-Target": "AmazonSQS.CreateQueue", "Content-Type": "application/x-amz-json-1.0"}
        headers["Authorization"] = "AWS4-HMAC-SHA256 Credential=a/20260115/eu-west-1/sqs/aws4_request, Signature=x"
        request = HttpRequest(method="POST", path="/", query="", headers=headers, body=b'{"QueueName": "inbox"}')
        assert send(request).status == 200

    async with embedded_aws(wall=wall) as (aws, url):
        aws.populate(populate)
        queues = await asyncio.gather(*(sdk_at(url)("sqs", "ListQueues") for _ in range(3)))
        assert [len(item["QueueUrls"]) for item in queues] == [1, 1, 1]
        await aws.warm()


async def test_another_account(sdk_at: Any, wall: Any) -> None:
    async with embedded_aws(wall=wall, account="210987654321") as (aws, url):
        aws.logs.create_group("g")
        sdk = sdk_at(url)
        assert (await sdk("sts", "GetCallerIdentity"))["Account"] == "210987654321"
        (group,) = (await sdk("logs", "DescribeLogGroups"))["logGroups"]
        assert ":210987654321:" in group["arn"]


async def test_calls_are_recorded_up_to_a_limit(call: Any, aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prodwatch.demo.aws.server._MAX_CALLS", 4)
    for _ in range(6):
        await call("xray", "GetTraceSegmentDestination")
    assert len(aws.calls) <= 4
    assert aws.call_counts["xray:GetTraceSegmentDestination"] == 6


async def test_a_port_in_use_is_an_os_error(aws: EmbeddedAws) -> None:
    port = int(aws.url.rpartition(":")[2])
    other = EmbeddedAws()
    with pytest.raises(OSError, match="address already in use"):
        await other.start(port=port)
    await other.stop()


def test_moto_errors_name_the_exception() -> None:
    assert str(MotoError("ValueError: x")) == "ValueError: x"


START = """
    import asyncio, sys, time, urllib.request, json
    async def main():
        from prodwatch.demo.aws import EmbeddedAws
        aws = EmbeddedAws()
        url = await aws.start()
        def health():
            with urllib.request.urlopen(url + "/_prodwatch/health") as answer:
                return answer.status
        status = await asyncio.to_thread(health)
        loaded = [name for name in ("moto", "flask", "boto3", "textual", "rich") if name in sys.modules]
        await aws.stop()
        print(json.dumps({"status": status, "loaded": loaded}))
    asyncio.run(main())
"""


def test_the_port_accepts_calls_before_moto_is_imported() -> None:
    result = subprocess.run([sys.executable, "-c", textwrap.dedent(START)], capture_output=True, check=True, text=True)
    assert json.loads(result.stdout) == {"status": 200, "loaded": []}
    assert result.stderr == ""


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
async def test_the_time_zone_of_the_machine_does_not_matter(
    call: Any, aws: EmbeddedAws, wall: Any, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        aws.traces.put(
            {"trace_id": "1-a-b", "id": "1", "name": "n", "start_time": wall.now_s - 5, "end_time": wall.now_s - 4}
        )
        result = await call("xray", "GetTraceSummaries", StartTime=wall.now_s - 10, EndTime=wall.now_s)
        assert result["TraceSummaries"][0]["StartTime"].timestamp() == wall.now_s - 5
        assert result["ApproximateTime"].timestamp() == wall.now_s
        aws.metrics.put("N", "M", {}, wall.now_s - 60, [1.0])
        points = await call(
            "cloudwatch", "GetMetricStatistics", Namespace="N", MetricName="M", Period=60, Statistics=["Sum"],
            StartTime=wall.now_s - 300, EndTime=wall.now_s,
        )  # fmt: skip
        assert points["Datapoints"][0]["Timestamp"].timestamp() == wall.now_s - 60
    finally:
        monkeypatch.undo()
        os.environ["TZ"] = "UTC"
        time.tzset()


async def test_many_calls_at_once_while_moto_is_slow(call: Any, aws: EmbeddedAws) -> None:
    aws.faults.add(Fault(operation="sqs:*", kind="delay", delay_s=0.05))
    responses = await asyncio.gather(
        *(call("sqs", "ListQueues") for _ in range(5)),
        *(call("logs", "DescribeLogGroups") for _ in range(20)),
    )
    assert len(responses) == 25


async def test_operations_run_outside_of_the_event_loop(call: Any, aws: EmbeddedAws, monkeypatch: Any) -> None:
    threads: list[int] = []

    def groups() -> list[Any]:
        threads.append(threading.get_ident())
        return []

    monkeypatch.setattr(aws.logs, "groups", groups)
    await call("logs", "DescribeLogGroups")
    assert threads != [threading.get_ident()]
