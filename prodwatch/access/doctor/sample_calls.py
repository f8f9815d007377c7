"""Sample calls: one cheap read per operation that needs the same IAM permission as the real call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from prodwatch.access.required_calls import ANY, RequiredCall

ABSENT_NAME = "prodwatch-doctor"
"""A key, id or name that does not exist: the error "not found" shows that the call is allowed."""
_TRACE = "1-00000001-000000000000000000000000"
_DEPLOYMENT = "d-AAAAAAAAA"

Params = Mapping[str, Any]


def sample_call(use: RequiredCall, now: datetime) -> Params | str:
    """Return the parameters of a call that shows whether `use` is allowed, or the reason why there is none."""
    build = _SAMPLE_CALLS.get(f"{use.service}:{use.operation}")
    if f"{use.service}:{use.operation}" in _BILLED:
        return "a test would start something that AWS bills per minute"
    if build is None and use.params is not None:
        return use.params
    if build is None:
        return "a test would change something" if use.mutates else "only the check itself can make this call"
    resource = _known_resource(use)
    if resource is None and f"{use.service}:{use.operation}" not in _WITHOUT_RESOURCE:
        return "its resource is known only at run time"
    return build(resource or ANY, now)


def _known_resource(use: RequiredCall) -> str | None:
    """Return the resource when it is known, without a qualifier that is not; else None."""
    resource = use.resource
    if use.service == "lambda" and not resource.startswith("arn:"):
        name, _, qualifier = resource.partition(":")
        resource = name if ANY in qualifier else resource
    if use.service == "logs" and use.operation == "DescribeLogGroups":
        return resource
    return None if ANY in resource else resource


def _minute(now: datetime) -> dict[str, Any]:
    return {"StartTime": now - timedelta(minutes=1), "EndTime": now}


def _metric_data(_: str, now: datetime) -> Params:
    metric = {"Namespace": "AWS/Lambda", "MetricName": "Invocations", "Dimensions": []}
    query = {"Id": "m0", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}, "ReturnData": True}
    return {"MetricDataQueries": [query], **_minute(now)}


def _metric_statistics(_: str, now: datetime) -> Params:
    statistics = {"Namespace": "AWS/Lambda", "MetricName": "Invocations", "Period": 60, "Statistics": ["SampleCount"]}
    return {**statistics, **_minute(now)}


def _invoke(name: str, _now: datetime) -> Params:
    # A dry run tests the permission and runs no code.
    function, qualifier = (name, "") if name.startswith("arn:") else name.partition(":")[::2]
    params = {"FunctionName": function, "InvocationType": "DryRun"}
    return {**params, "Qualifier": qualifier} if qualifier else params


def _queue(name: str, _now: datetime) -> Params:
    return {"QueueUrl": name, "AttributeNames": ["QueueArn"]}


def _item(name: str, _now: datetime) -> Params:
    # A key that does not match the table's schema is refused after the permission check.
    return {"TableName": name, "Key": {"id": {"S": ABSENT_NAME}}}


def _query(name: str, _now: datetime) -> Params:
    table, _, index = name.partition("/index/")
    params = {
        "TableName": table,
        "Limit": 1,
        "KeyConditionExpression": "#k = :v",
        "ExpressionAttributeNames": {"#k": "id"},
        "ExpressionAttributeValues": {":v": {"S": ABSENT_NAME}},
    }
    return {**params, "IndexName": index} if index else params


def _object(name: str, _now: datetime) -> Params:
    bucket, _, key = name.partition("/")
    return {"Bucket": bucket, "Key": key or ABSENT_NAME}


_SAMPLE_CALLS: dict[str, Callable[[str, datetime], Params]] = {
    "cloudformation:DescribeStacks": lambda name, _: {"StackName": name},
    "cloudformation:ListStackResources": lambda name, _: {"StackName": name},
    "cloudformation:DescribeStackEvents": lambda name, _: {"StackName": name},
    "cloudwatch:DescribeAlarms": lambda _name, _: {"MaxRecords": 1},
    "cloudwatch:DescribeAlarmHistory": lambda _name, _: {"MaxRecords": 1},
    "cloudwatch:GetMetricData": _metric_data,
    "cloudwatch:GetMetricStatistics": _metric_statistics,
    "codedeploy:ListDeploymentGroups": lambda name, _: {"applicationName": name},
    "codedeploy:ListDeployments": lambda name, _: {"applicationName": name, "deploymentGroupName": ABSENT_NAME},
    "codedeploy:BatchGetDeployments": lambda _name, _: {"deploymentIds": [_DEPLOYMENT]},
    "codedeploy:GetDeploymentConfig": lambda _name, _: {"deploymentConfigName": "CodeDeployDefault.LambdaAllAtOnce"},
    "codedeploy:ListDeploymentTargets": lambda _name, _: {"deploymentId": _DEPLOYMENT},
    "codedeploy:GetDeploymentTarget": lambda _name, _: {"deploymentId": _DEPLOYMENT, "targetId": ABSENT_NAME},
    "dynamodb:GetItem": _item,
    "dynamodb:Query": _query,
    "dynamodb:Scan": lambda name, _: {"TableName": name, "Limit": 1},
    "lambda:GetAlias": lambda name, _: {"FunctionName": name, "Name": ABSENT_NAME},
    "lambda:GetFunctionConfiguration": lambda name, _: {"FunctionName": name},
    "lambda:Invoke": _invoke,
    "logs:DescribeLogGroups": lambda name, _: {"limit": 1, "logGroupNamePrefix": name.rstrip(ANY) or "/"},
    "logs:FilterLogEvents": lambda name, now: {
        "logGroupName": name,
        "startTime": int((now - timedelta(seconds=1)).timestamp() * 1000),
        "limit": 1,
    },
    "s3:GetObject": lambda name, now: {**_object(name, now), "Range": "bytes=0-0"},
    "s3:HeadBucket": lambda name, _: {"Bucket": name},
    "s3:HeadObject": _object,
    "s3:ListObjectsV2": lambda name, _: {"Bucket": name, "MaxKeys": 1},
    "secretsmanager:GetSecretValue": lambda name, _: {"SecretId": name},
    "sqs:GetQueueAttributes": _queue,
    "sqs:GetQueueUrl": lambda name, _: {"QueueName": name.rsplit(":", 1)[-1].rsplit("/", 1)[-1]},
    "ssm:GetParameter": lambda name, _: {"Name": name, "WithDecryption": True},
    "xray:BatchGetTraces": lambda _name, _: {"TraceIds": [_TRACE]},
    "xray:GetIndexingRules": lambda _name, _: {},
    "xray:GetServiceGraph": lambda _name, now: _minute(now),
    "xray:GetTraceGraph": lambda _name, _: {"TraceIds": [_TRACE]},
    "xray:GetTraceSegmentDestination": lambda _name, _: {},
    "xray:GetTraceSummaries": lambda _name, now: _minute(now),
}
_BILLED = frozenset(("logs:StartLiveTail",))
_WITHOUT_RESOURCE = frozenset(
    name for name in _SAMPLE_CALLS if name.startswith(("cloudwatch:", "xray:", "codedeploy:", "logs:Describe"))
)
