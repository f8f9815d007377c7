"""What a check is said to call is what it calls: policies and dry runs rest on it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import msgspec
import pytest

from prodwatch.clock import SystemClock
from prodwatch.demo.aws import Function, FunctionVersion
from prodwatch.model.environment import ReleaseTarget
from prodwatch.probes.registry import spec
from prodwatch.probes.required_calls import _CALLS, ProbeCall, calls_of

AWS_TYPES = sorted(_CALLS)
KEY = {"id": "x", "sk": 1}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("lambda", {"function": "NAME", "qualifier": "live"}),
    ("sqs", {"queue": "NAME"}),
    ("sqs", {"queue": "NAME", "operation": "depth"}),
    ("sqs", {"queue": "http://x/1/NAME", "operation": "send", "body": "b"}),
    ("sqs", {"queue": "NAME", "operation": "send", "body": "b"}),
    ("sqs", {"queue": "NAME", "operation": "receive"}),
    ("sqs", {"queue": "NAME", "operation": "peek"}),
    ("sqs", {"queue": "NAME", "operation": "delete"}),
    *(("dynamodb", {"table": "NAME", "operation": each, "key": KEY, "item": {"a": 1}})
      for each in ("get", "query", "count", "put", "update", "delete")),
    ("dynamodb", {"table": "NAME", "operation": "delete_all", "key": {"id": "uid123"}}),
    ("dynamodb", {"table": "NAME", "operation": "scan"}),
    ("dynamodb", {"table": "NAME", "operation": "scan", "key": KEY}),
    ("dynamodb", {"table": "NAME", "operation": "scan", "condition": {"a": 1}}),
    ("dynamodb", {"table": "NAME", "operation": "count"}),
    ("dynamodb", {"table": "NAME", "key": KEY}),
    *(("s3", {"bucket": "NAME", "key": "k", "operation": each, "body": "b"})
      for each in ("put", "get", "head", "list", "delete")),
    *(("s3", {"bucket": "NAME", "key": "absent", "operation": each}) for each in ("get", "head", "list", "delete")),
    ("s3", {"bucket": "NAME", "key": "k"}),
    ("s3", {"bucket": "absent-NAME", "key": "k", "operation": "head"}),
    ("aws", {"service": "sts", "operation": "get-caller-identity"}),
    ("logs", {"group": "/NAME"}),
    ("logs", {"group": "/NAME*"}),
    ("traces", {"id": "1-5f84c7a5-cd52b1d2e1c4a3b2c1d0e9f8"}),
    ("traces", {"filter": 'service("NAME")'}),
    ("metric", {"namespace": "AWS/Lambda", "metric": "Errors"}),
    ("metric", {"namespace": "Shop", "metric": "Orders"}),
    ("alarm", {"prefix": "NAME"}),
    ("alarm", {"names": ["NAME"]}),
    ("lambda", {"function": "NAME", "copies": 3}),
    ("lambda", {"function": "NAME", "invocation": "async"}),
    ("lambda", {"function": "NAME", "invocation": "dry-run"}),
    ("stack", {"name": "NAME"}),
    ("release", {"function": "NAME", "alias": "live"}),
]  # fmt: skip


async def furnish(bench: Any) -> None:
    """Make everything the cases look at, under this test's own name."""
    await bench.call("sqs", "CreateQueue", {"QueueName": bench.name})
    for body in ("uid123", "theirs"):
        url = (await bench.call("sqs", "GetQueueUrl", {"QueueName": bench.name}))["QueueUrl"]
        await bench.call("sqs", "SendMessage", {"QueueUrl": url, "MessageBody": body})
    where = {"LocationConstraint": "eu-west-1"}
    await bench.call("s3", "CreateBucket", {"Bucket": bench.name, "CreateBucketConfiguration": where})
    await bench.call("s3", "PutObject", {"Bucket": bench.name, "Key": "k", "Body": b"b"})
    keys = (("id", "HASH", "S"), ("sk", "RANGE", "N"))
    table = {
        "TableName": bench.name,
        "KeySchema": [{"AttributeName": name, "KeyType": kind} for name, kind, _ in keys],
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": type_} for name, _, type_ in keys],
        "BillingMode": "PAY_PER_REQUEST",
    }
    await bench.call("dynamodb", "CreateTable", table)
    own = {"id": {"S": "uid123"}, "sk": {"N": "1"}}
    await bench.call("dynamodb", "PutItem", {"TableName": bench.name, "Item": own})
    bench.world.logs.create_group(f"/{bench.name}")
    now_s = SystemClock().now().timestamp()
    segment = {"trace_id": f"1-{int(now_s):08x}-{bench.name.encode().hex():.>24.24}".replace(".", "0"), "id": "a" * 16}
    bench.world.traces.put(segment | {"name": bench.name, "start_time": now_s - 5, "end_time": now_s - 4})
    versions = [FunctionVersion(version="7", published_s=0)]
    bench.world.functions.put(Function(name=bench.name, versions=versions))
    bench.world.functions.put_alias(bench.name, "live", "7")


def named(value: Any, name: str) -> Any:
    return value.replace("NAME", name) if isinstance(value, str) else value


@pytest.mark.parametrize(("type_", "params"), CASES, ids=str)
async def test_a_check_calls_what_it_is_said_to_call(bench: Any, type_: str, params: dict[str, Any]) -> None:
    await furnish(bench)
    params = {key: named(value, bench.name) for key, value in params.items()}
    if str(params.get("queue", "")).startswith("http"):
        params["queue"] = (await bench.call("sqs", "GetQueueUrl", {"QueueName": bench.name}))["QueueUrl"]
    bench.environment = msgspec.structs.replace(bench.environment, release=ReleaseTarget(codedeploy=(bench.name,)))
    bench.world.call_counts.clear()
    await bench.run(type_, params, timeout_s=1.5)
    called = set(bench.world.call_counts)
    told = calls_of(type_, params, codedeploy=(bench.name,))
    assert called <= {f"{each.service}:{each.operation}" for each in told}
    assert {f"{each.service}:{each.operation}" for each in told if not each.optional} <= called


def test_N16_every_operation_of_every_type_is_among_the_cases() -> None:
    tried = {(type_, params.get("operation")) for type_, params in CASES}
    for each in AWS_TYPES:
        known = spec(each)
        assert known is not None
        choices = next((key.choices for key in known.keys if key.name == "operation"), ())
        assert {(each, choice) for choice in choices} <= tried, each
        assert each in {type_ for type_, _ in CASES}


@pytest.mark.parametrize(
    ("type_", "params", "wanted"),
    [
        ("lambda", {"function": "f", "qualifier": "live"}, ProbeCall("lambda", "Invoke", "f:live")),
        ("dynamodb", {"table": "t", "operation": "query", "index": "i"}, ProbeCall("dynamodb", "Query", "t/index/i")),
        ("s3", {"bucket": "b", "key": "k"}, ProbeCall("s3", "GetObject", "b/k")),
        ("s3", {"bucket": "b", "key": "k", "operation": "delete"}, ProbeCall("s3", "DeleteObject", "b/k")),
        ("s3", {"bucket": "b", "operation": "list"}, ProbeCall("s3", "ListObjectsV2", "b")),
        ("logs", {"group": "/g"}, ProbeCall("logs", "FilterLogEvents", "/g")),
        ("stack", {"name": "n", "stack": "s"}, ProbeCall("cloudformation", "DescribeStacks", "s")),
    ],
)
def test_resources(type_: str, params: dict[str, Any], wanted: ProbeCall) -> None:
    assert calls_of(type_, params) == (wanted,)


def test_types_without_aws_call_nothing() -> None:
    assert calls_of("http", {"url": "https://x"}) == ()


def test_telling_needs_no_sdk() -> None:
    script = """
import sys
from prodwatch.probes.required_calls import calls_of
assert calls_of("lambda", {"function": "f"})
assert not {"botocore", "aiobotocore", "aiohttp", "asyncio"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True)
