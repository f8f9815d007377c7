"""IAM actions that an operation needs, and a policy document with exactly those.

The action is usually `prefix:Operation`; the tables hold the other prefixes and the exceptions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_PREFIXES = {
    "apigatewayv2": "apigateway",
    "cloudcontrol": "cloudformation",
    "efs": "elasticfilesystem",
    "elb": "elasticloadbalancing",
    "elbv2": "elasticloadbalancing",
    "emr": "elasticmapreduce",
    "iot-data": "iot",
    "lexv2-runtime": "lex",
    "opensearch": "es",
    "opensearchserverless": "aoss",
    "s3control": "s3",
    "sesv2": "ses",
    "stepfunctions": "states",
}
"""botocore's service name → IAM's prefix, where they differ."""

_EXCEPTIONS: dict[str, tuple[str, ...]] = {
    "dynamodb:BatchExecuteStatement": ("dynamodb:PartiQLSelect",),
    "dynamodb:ExecuteStatement": ("dynamodb:PartiQLSelect",),
    "dynamodb:TransactGetItems": ("dynamodb:GetItem",),
    "lambda:Invoke": ("lambda:InvokeFunction",),
    "lambda:InvokeAsync": ("lambda:InvokeFunction",),
    "lambda:InvokeWithResponseStream": ("lambda:InvokeFunction",),
    "s3:CopyObject": ("s3:GetObject", "s3:PutObject"),
    "s3:DeleteObjects": ("s3:DeleteObject",),
    "s3:GetBucketEncryption": ("s3:GetEncryptionConfiguration",),
    "s3:GetBucketLifecycleConfiguration": ("s3:GetLifecycleConfiguration",),
    "s3:HeadBucket": ("s3:ListBucket",),
    "s3:HeadObject": ("s3:GetObject",),
    "s3:ListBuckets": ("s3:ListAllMyBuckets",),
    "s3:ListObjectVersions": ("s3:ListBucketVersions",),
    "s3:ListObjects": ("s3:ListBucket",),
    "s3:ListObjectsV2": ("s3:ListBucket",),
    "sqs:ChangeMessageVisibilityBatch": ("sqs:ChangeMessageVisibility",),
    "sqs:DeleteMessageBatch": ("sqs:DeleteMessage",),
    "sqs:SendMessageBatch": ("sqs:SendMessage",),
}
_WITHOUT_RESOURCES = frozenset(("cloudwatch", "xray", "sts", "application-signals"))
"""Services whose read actions can only be granted on `*`."""


@dataclass(frozen=True, slots=True, order=True)
class Permission:
    """One IAM action on one resource."""

    action: str
    resource: str = "*"


def actions(service: str, operation: str) -> tuple[str, ...]:
    """Return the IAM actions that `operation` of botocore's `service` needs."""
    if service in {"apigateway", "apigatewayv2"}:
        # API Gateway's actions are HTTP methods.
        return ("apigateway:GET",) if operation.startswith("Get") else ("apigateway:*",)
    prefix = _PREFIXES.get(service, service)
    return _EXCEPTIONS.get(f"{service}:{operation}") or (f"{prefix}:{operation}",)


def permissions_for(service: str, operation: str, resource: str = "*") -> tuple[Permission, ...]:
    """Return the permissions for `operation` on `resource`; on `*` where AWS supports nothing narrower."""
    scope = "*" if service in _WITHOUT_RESOURCES else resource
    return tuple(Permission(action, scope) for action in actions(service, operation))


def arn(service: str, name: str, *, region: str = "*", account: str = "*", partition: str = "aws") -> str:
    """Return the ARN that IAM expects for `name`; an ARN is returned as it is.

    `service` determines the kind of name: a function (`name` or `name:alias`), table, queue name or URL, `bucket` or
    `bucket/key`, log group (may end in `*`), stack, parameter or secret.
    """
    if name.startswith("arn:"):
        return name
    prefix = f"arn:{partition}:{_PREFIXES.get(service, service)}:{region}:{account}:"
    basename = name.rstrip("/").rsplit("/", 1)[-1]
    forms = {
        "lambda": f"{prefix}function:{name}",
        "dynamodb": f"{prefix}table/{name}",
        "sqs": f"{prefix}{basename}",
        "s3": f"arn:{partition}:s3:::{name}",
        "logs": f"{prefix}log-group:{name}:*",
        "cloudformation": f"{prefix}stack/{name}/*",
        "ssm": f"{prefix}parameter/{name.lstrip('/')}",
        "secretsmanager": f"{prefix}secret:{name}-*",
    }
    return forms.get(service, "*")


def policy_document(permissions: Iterable[Permission]) -> dict[str, Any]:
    """Return the policy that grants `permissions` and nothing else, grouped by resource, in stable order."""
    by_resource: dict[str, set[str]] = {}
    for permission in permissions:
        by_resource.setdefault(permission.resource, set()).add(permission.action)
    by_actions: dict[tuple[str, ...], list[str]] = {}
    for resource, granted in sorted(by_resource.items()):
        by_actions.setdefault(tuple(sorted(granted)), []).append(resource)
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": list(granted), "Resource": resources}
            for granted, resources in sorted(by_actions.items())
        ],
    }
