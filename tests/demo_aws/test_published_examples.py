"""The embedded AWS against what AWS publishes: members of its documented responses, and botocore's paginators.

The embedded AWS and prodwatch's client are written by one hand; these responses are not. The values are the members
that the responses in AWS's CLI and SDK examples have, whatever else a response carries.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from botocore.loaders import Loader

from prodwatch.demo.aws import Deployment, DeploymentStep, EmbeddedAws, Function, FunctionVersion, MetricAlarm

over_boto3 = pytest.mark.parametrize("call", ["boto3"], indirect=True)

TRACE = "1-6968d640-000000000000000000000001"
PAGES = 3
"""Items of each kind, so that a page size of 1 needs several pages."""

# `a.b` is a member of a member, `[]` every element of a list that must not be empty.
PUBLISHED: dict[str, tuple[dict[str, Any], set[str]]] = {
    "lambda:GetAlias": (
        {"FunctionName": "orders-0", "Name": "live"},
        {"AliasArn", "Description", "FunctionVersion", "Name", "RevisionId", "RoutingConfig.AdditionalVersionWeights"},
    ),
    "lambda:ListAliases": (
        {"FunctionName": "orders-0"},
        {"Aliases[].AliasArn", "Aliases[].FunctionVersion", "Aliases[].Name", "Aliases[].RevisionId"},
    ),
    "lambda:GetFunctionConfiguration": (
        {"FunctionName": "orders-0", "Qualifier": "42"},
        {
            "CodeSha256", "CodeSize", "FunctionArn", "FunctionName", "Handler", "LastModified", "LastUpdateStatus",
            "MemorySize", "RevisionId", "Role", "Runtime", "State", "Timeout", "TracingConfig.Mode", "Version",
        },
    ),
    "lambda:ListVersionsByFunction": (
        {"FunctionName": "orders-0"},
        {"Versions[].CodeSha256", "Versions[].FunctionArn", "Versions[].LastModified", "Versions[].Version"},
    ),
    "cloudwatch:DescribeAlarms": (
        {"AlarmNames": ["errors-0"]},
        {
            f"MetricAlarms[].{name}"
            for name in (
                "EvaluationPeriods", "AlarmArn", "StateUpdatedTimestamp", "AlarmConfigurationUpdatedTimestamp",
                "ComparisonOperator", "AlarmActions", "Namespace", "StateReasonData", "Period", "StateValue",
                "Threshold", "AlarmName", "Dimensions", "Statistic", "StateReason", "InsufficientDataActions",
                "OKActions", "ActionsEnabled", "MetricName",
            )
        },
    ),
    "cloudwatch:DescribeAlarmHistory": (
        {"AlarmName": "errors-0", "HistoryItemType": "StateUpdate"},
        {
            f"AlarmHistoryItems[].{name}"
            for name in ("Timestamp", "HistoryItemType", "AlarmName", "HistoryData", "HistorySummary")
        },
    ),
    "codedeploy:GetDeployment": (
        {"deploymentId": "d-0"},
        {
            f"deploymentInfo.{name}"
            for name in (
                "applicationName", "status", "deploymentOverview", "deploymentConfigName", "creator", "revision",
                "revision.revisionType", "deploymentId", "deploymentGroupName", "createTime",
                "ignoreApplicationStopFailures",
            )
        },
    ),
    "logs:FilterLogEvents": (
        {"logGroupName": "/aws/lambda/orders"},
        {f"events[].{name}" for name in ("logStreamName", "timestamp", "message", "ingestionTime", "eventId")},
    ),
    "xray:BatchGetTraces": (
        {"TraceIds": [TRACE]},
        {"Traces[].Id", "Traces[].Duration", "Traces[].Segments[].Id", "Traces[].Segments[].Document",
         "UnprocessedTraceIds"},
    ),
}  # fmt: skip


@pytest.fixture
async def world(aws: EmbeddedAws, wall: Any, call: Any) -> EmbeddedAws:
    """Fill every service with `PAGES` items."""
    for number in range(PAGES):
        versions = [
            FunctionVersion(version=version, published_s=wall.now_s - 900, code_sha256=digit * 44, description="shop")
            for version, digit in (("41", "a"), ("42", "b"))
        ]
        aws.functions.put(Function(name=f"orders-{number}", versions=versions))
        aws.functions.put_alias(f"orders-{number}", "live", "41", {"42": 0.1}, "production")
        aws.functions.put_alias(f"orders-{number}", "test", "42")
        metric = MetricAlarm(
            name=f"errors-{number}",
            namespace="AWS/Lambda",
            metric="Errors",
            comparison="GreaterThanThreshold",
            threshold=1,
        )
        aws.alarms.put(metric, created_s=wall.now_s - 600, state="OK")
        alarm = {
            "AlarmName": f"errors-{number}",
            "StateValue": "ALARM",
            "StateReason": "tested",
            "StateReasonData": "{}",
        }
        await call("cloudwatch", "SetAlarmState", **alarm)
        aws.deployments.put(
            Deployment(
                id=f"d-{number}", application="shop", group="orders", function="orders-0", alias="live",
                current="41", target="42", created_s=wall.now_s - 60 + number,
                events=(DeploymentStep(after_s=5, status="InProgress"),),
            )
        )  # fmt: skip
    await call("logs", "CreateLogGroup", logGroupName="/aws/lambda/orders")
    await call("logs", "CreateLogStream", logGroupName="/aws/lambda/orders", logStreamName="stream")
    events = [{"timestamp": wall.now_ms - 1000 + number, "message": f"line {number}"} for number in range(PAGES)]
    await call("logs", "PutLogEvents", logGroupName="/aws/lambda/orders", logStreamName="stream", logEvents=events)
    segment = {
        "trace_id": TRACE, "id": "0" * 15 + "1", "name": "orders", "origin": "AWS::Lambda::Function",
        "start_time": wall.now_s - 30, "end_time": wall.now_s - 29,
    }  # fmt: skip
    await call("xray", "PutTraceSegments", TraceSegmentDocuments=[json.dumps(segment)])
    wall.now_s += 30
    return aws


def missing(path: str, value: Any) -> bool:
    """Return whether a documented member is absent, in any element of a list."""
    name, _, rest = path.partition(".")
    member = name.removesuffix("[]")
    if not isinstance(value, dict) or member not in value:
        return True
    inner = value[member]
    if name.endswith("[]"):
        return not inner or any(missing(rest, element) for element in inner if rest)
    return missing(rest, inner) if rest else False


@over_boto3
@pytest.mark.parametrize("operation", PUBLISHED)
async def test_a_response_has_the_members_that_aws_documents(call: Any, world: EmbeddedAws, operation: str) -> None:
    service, name = operation.split(":")
    params, members = PUBLISHED[operation]
    response = await call(service, name, **params)
    assert {path for path in members if missing(path, response)} == set()


PAGED: dict[str, dict[str, Any]] = {
    "lambda:ListAliases": {"FunctionName": "orders-0"},
    "lambda:ListVersionsByFunction": {"FunctionName": "orders-0"},
    "cloudwatch:DescribeAlarms": {},
    "cloudwatch:DescribeAlarmHistory": {"HistoryItemType": "StateUpdate"},
    "logs:FilterLogEvents": {"logGroupName": "/aws/lambda/orders"},
    "logs:DescribeLogStreams": {"logGroupName": "/aws/lambda/orders"},
}
"""Operations whose paginator has a page size."""


@over_boto3
@pytest.mark.parametrize("operation", PAGED)
async def test_botocores_paginator_reads_every_item_once(call: Any, world: EmbeddedAws, operation: str) -> None:
    service, name = operation.split(":")
    model = Loader().load_service_model(service, "paginators-1")["pagination"][name]
    key = model["result_key"] if isinstance(model["result_key"], str) else model["result_key"][0]
    client = await call.client(service)
    method = next(python for python, api in client.meta.method_to_api_mapping.items() if api == name)

    def read(**config: int) -> list[Any]:
        pages = client.get_paginator(method).paginate(**PAGED[operation], PaginationConfig=config)
        return [item for page in pages for item in page.get(key, [])]

    one_by_one, at_once = await asyncio.to_thread(read, PageSize=1), await asyncio.to_thread(read)
    assert one_by_one == at_once
    assert len(at_once) == len({json.dumps(item, sort_keys=True, default=str) for item in at_once}) > 0
