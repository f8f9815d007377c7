"""AWS calls of a check, derived from its keys for policies and dry runs, without an SDK."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prodwatch.probes.mutation_rules import pascal


@dataclass(frozen=True, slots=True, order=True)
class ProbeCall:
    """One operation on one resource."""

    service: str
    operation: str
    resource: str = "*"
    """Name in the check: a function, table, queue, `bucket/key`, log group or stack; `*` for all."""
    optional: bool = False
    """Whether the check also works without this call, with less detail."""


def calls_of(type_: str, params: Mapping[str, Any], *, codedeploy: Sequence[str] = ()) -> tuple[ProbeCall, ...]:
    """Return the calls of one check or step; empty for a type that does not use AWS.

    `codedeploy` are the environment's applications, which a `release` check reads too.
    """
    of = _CALLS.get(type_)
    calls = of(params) if of else ()
    return calls + _deployments(codedeploy) if type_ == "release" else calls


def _lambda(params: Mapping[str, Any]) -> tuple[ProbeCall, ...]:
    function, qualifier = str(params.get("function", "*")), params.get("qualifier")
    return (ProbeCall("lambda", "Invoke", f"{function}:{qualifier}" if qualifier else function),)


def _sqs(params: Mapping[str, Any]) -> tuple[ProbeCall, ...]:
    queue, operation = str(params.get("queue", "*")), params.get("operation") or "depth"
    names = {
        "depth": ("GetQueueAttributes",),
        "send": ("SendMessage",),
        "receive": ("GetQueueAttributes", "ReceiveMessage", "ChangeMessageVisibilityBatch"),
        "peek": ("GetQueueAttributes", "ReceiveMessage", "ChangeMessageVisibilityBatch"),
        "delete": ("GetQueueAttributes", "ReceiveMessage", "ChangeMessageVisibilityBatch", "DeleteMessage"),
    }[operation]
    if not queue.startswith(("http://", "https://")):
        names = ("GetQueueUrl", *names)
    age = (ProbeCall("cloudwatch", "GetMetricData", optional=True),) if operation == "depth" else ()
    return tuple(ProbeCall("sqs", name, queue) for name in names) + age


def _dynamodb(params: Mapping[str, Any]) -> tuple[ProbeCall, ...]:
    operation = params.get("operation") or "get"
    table = str(params.get("table", "*"))
    if operation == "delete_all":
        return tuple(ProbeCall("dynamodb", name, table) for name in ("DescribeTable", "Query", "DeleteItem"))
    name = {
        "get": "GetItem",
        "query": "Query",
        "scan": "Query" if params.get("key") else "Scan",
        "count": "Query" if params.get("key") else "Scan",
        "put": "PutItem",
        "update": "UpdateItem",
        "delete": "DeleteItem",
    }[operation]
    return (ProbeCall("dynamodb", name, f"{table}/index/{params['index']}" if params.get("index") else table),)


def _s3(params: Mapping[str, Any]) -> tuple[ProbeCall, ...]:
    bucket, operation = str(params.get("bucket", "*")), params.get("operation") or "get"
    if operation == "list":
        return (ProbeCall("s3", "ListObjectsV2", bucket),)
    name = {"get": "GetObject", "head": "HeadObject", "put": "PutObject", "delete": "DeleteObject"}[operation]
    # Tells an absent object from an absent bucket.
    absent = (ProbeCall("s3", "HeadBucket", bucket, optional=True),) if operation == "head" else ()
    return (ProbeCall("s3", name, f"{bucket}/{params.get('key', '*')}"), *absent)


def _aws(params: Mapping[str, Any]) -> tuple[ProbeCall, ...]:
    service, operation = str(params.get("service", "")), pascal(str(params.get("operation", "")))
    guarded = (service, operation) == ("sqs", "ReceiveMessage") and not params.get("accept_redrive")
    guard = (ProbeCall("sqs", "GetQueueAttributes"),) if guarded else ()
    return (*guard, ProbeCall(service, operation))


def _logs(params: Mapping[str, Any]) -> tuple[ProbeCall, ...]:
    group = str(params.get("group", "*"))
    calls = (ProbeCall("logs", "DescribeLogGroups"),) if group.endswith("*") else ()
    return (*calls, ProbeCall("logs", "FilterLogEvents", group))


def _traces(params: Mapping[str, Any]) -> tuple[ProbeCall, ...]:
    listed = () if params.get("id") else (ProbeCall("xray", "GetTraceSummaries"),)
    return (
        *listed,
        ProbeCall("xray", "BatchGetTraces"),
        ProbeCall("xray", "GetTraceSegmentDestination", optional=True),
    )


def _metric(params: Mapping[str, Any]) -> tuple[ProbeCall, ...]:
    # The unit of AWS's own metrics is known; that of others only GetMetricStatistics tells.
    own = not str(params.get("namespace", "")).startswith("AWS/") and not params.get("of")
    unit = (ProbeCall("cloudwatch", "GetMetricStatistics", optional=True),) if own else ()
    return (ProbeCall("cloudwatch", "GetMetricData"), *unit)


def _deployments(applications: Sequence[str]) -> tuple[ProbeCall, ...]:
    return tuple(
        ProbeCall("codedeploy", name, application, optional=True)
        for application in applications
        for name in _CODEDEPLOY
    )


def _stack(params: Mapping[str, Any]) -> tuple[ProbeCall, ...]:
    return (ProbeCall("cloudformation", "DescribeStacks", str(params.get("stack") or params.get("name", "*"))),)


_CODEDEPLOY = (
    "ListDeploymentGroups",
    "ListDeployments",
    "BatchGetDeployments",
    "GetDeploymentConfig",
    "ListDeploymentTargets",
    "GetDeploymentTarget",
)
_CALLS: dict[str, Callable[[Mapping[str, Any]], tuple[ProbeCall, ...]]] = {
    "lambda": _lambda,
    "sqs": _sqs,
    "dynamodb": _dynamodb,
    "s3": _s3,
    "aws": _aws,
    "logs": _logs,
    "traces": _traces,
    "metric": _metric,
    "alarm": lambda _params: (ProbeCall("cloudwatch", "DescribeAlarms"),),
    "stack": _stack,
    "release": lambda params: (ProbeCall("lambda", "GetAlias", str(params.get("function", "*"))),),
}
