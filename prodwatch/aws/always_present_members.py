"""The members that AWS always sends with a successful response of an operation.

The models mark almost no member as required, yet a response without its list, its count or its state would be read as
one that proves absence. Conditional members depend on the request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

ALWAYS: Mapping[str, tuple[str, ...]] = {
    "cloudformation:DescribeStackEvents": ("StackEvents[].StackName", "StackEvents[].Timestamp"),
    "cloudformation:DescribeStackResources": ("StackResources[].LogicalResourceId",),
    "cloudformation:DescribeStacks": (
        "Stacks[].StackName",
        "Stacks[].StackStatus",
        "Stacks[].Outputs?[].OutputKey",
        "Stacks[].Outputs?[].OutputValue",
    ),
    "cloudformation:ListStackResources": ("StackResourceSummaries[].LogicalResourceId",),
    "cloudformation:ListStacks": ("StackSummaries[].StackName", "StackSummaries[].StackStatus"),
    "cloudwatch:DescribeAlarmHistory": ("AlarmHistoryItems[].Timestamp", "AlarmHistoryItems[].AlarmName"),
    "cloudwatch:DescribeAlarms": (
        "MetricAlarms[].AlarmName",
        "MetricAlarms[].StateValue",
        "CompositeAlarms[].AlarmName",
        "CompositeAlarms[].StateValue",
    ),
    "cloudwatch:GetMetricData": tuple(
        f"MetricDataResults[].{member}" for member in ("Id", "StatusCode", "Timestamps", "Values")
    ),
    "cloudwatch:GetMetricStatistics": ("Datapoints[].Timestamp",),
    "cloudwatch:ListMetrics": ("Metrics",),
    "codedeploy:BatchGetDeploymentGroups": ("deploymentGroupsInfo",),
    "codedeploy:BatchGetDeployments": tuple(
        f"deploymentsInfo[].{member}" for member in ("deploymentId", "status", "createTime", "creator")
    ),
    "codedeploy:GetDeployment": ("deploymentInfo.status",),
    "codedeploy:GetDeploymentGroup": ("deploymentGroupInfo.deploymentGroupName",),
    "codedeploy:GetDeploymentTarget": (
        "deploymentTarget.lambdaTarget?.lambdaFunctionInfo.functionName",
        "deploymentTarget.lambdaTarget?.lambdaFunctionInfo.functionAlias",
    ),
    "codedeploy:ListDeploymentGroups": ("deploymentGroups",),
    "codedeploy:ListDeploymentTargets": ("targetIds",),
    "codedeploy:ListDeployments": ("deployments",),
    "dynamodb:BatchGetItem": ("Responses", "UnprocessedKeys"),
    "dynamodb:BatchWriteItem": ("UnprocessedItems",),
    "dynamodb:DescribeTable": ("Table",),
    "dynamodb:ListTables": ("TableNames",),
    "dynamodb:Query": ("Count", "ScannedCount"),
    "dynamodb:Scan": ("Count", "ScannedCount"),
    "lambda:GetAlias": ("Name", "FunctionVersion"),
    "lambda:GetFunction": ("Configuration",),
    "lambda:GetFunctionConfiguration": ("FunctionName", "Version"),
    "lambda:ListAliases": ("Aliases[].Name", "Aliases[].FunctionVersion"),
    "lambda:ListFunctions": ("Functions[].FunctionName",),
    "lambda:ListVersionsByFunction": ("Versions[].Version",),
    "logs:DescribeLogGroups": ("logGroups[].logGroupName",),
    "logs:DescribeLogStreams": ("logStreams[].logStreamName",),
    "logs:FilterLogEvents": ("events[].timestamp", "events[].message"),
    "logs:GetLogEvents": ("events[].timestamp", "events[].message"),
    "logs:GetQueryResults": ("results", "status"),
    "logs:StartQuery": ("queryId",),
    "s3:GetObject": ("ETag", "ContentLength"),
    "s3:HeadObject": ("ETag", "ContentLength"),
    "s3:ListObjectsV2": ("IsTruncated", "KeyCount"),
    "s3:PutObject": ("ETag",),
    "secretsmanager:GetSecretValue": ("ARN", "Name"),
    "sqs:GetQueueUrl": ("QueueUrl",),
    "sqs:SendMessage": ("MessageId",),
    "ssm:GetParameter": ("Parameter.Value",),
    "ssm:GetParameters": ("Parameters", "InvalidParameters"),
    "ssm:GetParametersByPath": ("Parameters",),
    "sts:GetCallerIdentity": ("Account", "Arn"),
    "xray:BatchGetTraces": ("Traces[].Id",),
    "xray:GetIndexingRules": ("IndexingRules",),
    "xray:GetServiceGraph": ("Services",),
    "xray:GetTraceGraph": ("Services",),
    "xray:GetTraceSegmentDestination": ("Destination",),
    "xray:GetTraceSummaries": ("TraceSummaries[].Id",),
}
"""`service:Operation` → paths: `a.b` is member `b` of `a`, `a[].b` that of each element of `a`; `a?` may be absent."""

_ONE_OF = {
    "codedeploy:GetDeploymentTarget": tuple(
        f"deploymentTarget.{kind}Target" for kind in ("lambda", "ecs", "instance", "cloudFormation")
    ),
    "secretsmanager:GetSecretValue": ("SecretString", "SecretBinary"),
}
"""Operation → paths of which its response always has one."""
_COUNTED = {
    "dynamodb:Query": ("Count", ("Items",)),
    "dynamodb:Scan": ("Count", ("Items",)),
    "s3:ListObjectsV2": ("KeyCount", ("Contents", "CommonPrefixes")),
}
"""Operation → the member that counts the elements of the lists after it."""
_ALARM_LISTS = {"MetricAlarm": "MetricAlarms", "CompositeAlarm": "CompositeAlarms"}


def always_present(name: str) -> frozenset[str]:
    """Return the top-level members that `name` (`service:Operation`) has whatever was requested."""
    if name == "cloudwatch:DescribeAlarms":
        return frozenset()
    return frozenset(path.partition(".")[0].removesuffix("[]") for path in ALWAYS.get(name, ()))


def missing_member(name: str, shape: Any, params: Mapping[str, Any], document: Mapping[str, Any]) -> str | None:
    """Return which member a parsed response of `name` lacks, as a clause; None when it is whole."""
    for path in (*_paths(name, params, document), *_required(shape)):
        absent = _absent(path.split("."), document)
        if absent is not None:
            return f"it has no `{path}`, which this operation always sends"
    choices = _ONE_OF.get(name, ())
    if choices and all(_absent(path.split("."), document) is not None for path in choices):
        return f"it has none of {', '.join(f'`{path}`' for path in choices)}"
    return _miscounted(name, params, document)


def _paths(name: str, params: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the paths that this request's response always has."""
    if name == "cloudwatch:DescribeAlarms":
        kinds = params.get("AlarmTypes") or ("MetricAlarm",)
        lists = {_ALARM_LISTS[kind] for kind in kinds if kind in _ALARM_LISTS}
        yield from (path for path in ALWAYS[name] if path.partition("[")[0] in lists)
    else:
        yield from ALWAYS.get(name, ())
    if name.startswith("dynamodb:"):
        # An empty response is the document of an absent item only with the capacity that was asked for.
        asked = params.get("ReturnConsumedCapacity") in {"TOTAL", "INDEXES"} and name.endswith("Item")
        if asked and not document.keys() & {"Item", "Attributes"}:
            yield "ConsumedCapacity"
        if params.get("ReturnValues") == "ALL_NEW":
            yield "Attributes"
        if name in {"dynamodb:Query", "dynamodb:Scan"} and params.get("Select") != "COUNT":
            yield "Items"
    elif name == "sqs:GetQueueAttributes":
        # A queue without a redrive policy has no such attribute; what every queue has is always sent.
        yield from (
            f"Attributes.{attribute}"
            for attribute in params.get("AttributeNames") or ()
            if attribute.startswith("Approximate") or attribute == "QueueArn"
        )


def _absent(path: list[str], value: Any) -> str | None:
    """Return the part of `path` that `value` lacks; None when it has all of it."""
    if not path:
        return None
    name = path[0].removesuffix("[]").removesuffix("?")
    if not isinstance(value, Mapping) or value.get(name) is None:
        return None if "?" in path[0] else path[0]
    inner = value[name]
    if path[0].endswith("[]"):
        return next((absent for each in inner if (absent := _absent(path[1:], each)) is not None), None)
    return _absent(path[1:], inner)


@lru_cache(maxsize=1024)
def _required(shape: Any) -> tuple[str, ...]:
    """Return the paths of members that AWS's model requires, three levels deep."""
    return tuple(_required_below(shape, depth=3)) if shape is not None else ()


def _required_below(shape: Any, *, depth: int) -> Iterator[str]:
    if depth == 0 or shape.type_name != "structure":
        return
    for name, member in shape.members.items():
        if "location" in member.serialization:
            continue
        required = name in shape.required_members
        if required:
            yield name
        if required and member.type_name == "structure":
            yield from (f"{name}.{path}" for path in _required_below(member, depth=depth - 1))


def _miscounted(name: str, params: Mapping[str, Any], document: Mapping[str, Any]) -> str | None:
    if name == "cloudwatch:GetMetricData":
        for result in document["MetricDataResults"]:
            if len(result["Timestamps"]) != len(result["Values"]):
                return f"{result['Id']} has {len(result['Values'])} values at {len(result['Timestamps'])} times"
    count, lists = _COUNTED.get(name, ("", ()))
    if not count or params.get("Select") == "COUNT" or not isinstance(document.get(count), int):
        return None
    held = sum(len(document.get(each) or ()) for each in lists)
    if held == document[count]:
        return None
    return f"it says {count} {document[count]} and holds {held} elements"
