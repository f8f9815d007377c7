"""IAM actions that an operation needs, the resources they can be granted on, and a policy document with exactly those.

`iam_reference.json` is AWS's published Service Authorization Reference; `maintenance/iam_reference.py` writes it. The
tables here hold what the reference does not say: operations that share the action of another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

_INVOKE = ("lambda:InvokeFunction",)
_PARTIQL = {
    "SELECT": "dynamodb:PartiQLSelect",
    "INSERT": "dynamodb:PartiQLInsert",
    "UPDATE": "dynamodb:PartiQLUpdate",
    "DELETE": "dynamodb:PartiQLDelete",
}
_STATEMENTS = frozenset(("dynamodb:BatchExecuteStatement", "dynamodb:ExecuteStatement", "dynamodb:ExecuteTransaction"))
TRANSACTED = {
    "ConditionCheck": "dynamodb:ConditionCheckItem",
    "Delete": "dynamodb:DeleteItem",
    "Put": "dynamodb:PutItem",
    "Update": "dynamodb:UpdateItem",
}
"""Kind of write in a transaction → its action."""
_EXCEPTIONS: dict[str, tuple[str, ...]] = {
    "dynamodb:TransactGetItems": ("dynamodb:GetItem",),
    "lambda:GetLayerVersionByArn": ("lambda:GetLayerVersion",),
    "lambda:Invoke": _INVOKE,
    "lambda:InvokeAsync": _INVOKE,
    "lambda:InvokeWithResponseStream": _INVOKE,
    "s3:CompleteMultipartUpload": ("s3:PutObject",),
    "s3:CopyObject": ("s3:GetObject", "s3:PutObject"),
    "s3:CreateMultipartUpload": ("s3:PutObject",),
    "s3:DeleteBucketAnalyticsConfiguration": ("s3:PutAnalyticsConfiguration",),
    "s3:DeleteBucketCors": ("s3:PutBucketCORS",),
    "s3:DeleteBucketEncryption": ("s3:PutEncryptionConfiguration",),
    "s3:DeleteBucketIntelligentTieringConfiguration": ("s3:PutIntelligentTieringConfiguration",),
    "s3:DeleteBucketInventoryConfiguration": ("s3:PutInventoryConfiguration",),
    "s3:DeleteBucketLifecycle": ("s3:PutLifecycleConfiguration",),
    "s3:DeleteBucketMetricsConfiguration": ("s3:PutMetricsConfiguration",),
    "s3:DeleteBucketOwnershipControls": ("s3:PutBucketOwnershipControls",),
    "s3:DeleteBucketReplication": ("s3:PutReplicationConfiguration",),
    "s3:DeleteBucketTagging": ("s3:PutBucketTagging",),
    "s3:DeleteObjects": ("s3:DeleteObject",),
    "s3:DeletePublicAccessBlock": ("s3:PutBucketPublicAccessBlock",),
    "s3:GetBucketLifecycle": ("s3:GetLifecycleConfiguration",),
    "s3:GetBucketNotificationConfiguration": ("s3:GetBucketNotification",),
    # Without ListBucket, S3 answers the request for an absent object with 403.
    "s3:GetObject": ("s3:GetObject", "s3:ListBucket"),
    "s3:GetPublicAccessBlock": ("s3:GetBucketPublicAccessBlock",),
    "s3:HeadBucket": ("s3:ListBucket",),
    "s3:HeadObject": ("s3:GetObject", "s3:ListBucket"),
    "s3:ListBucketAnalyticsConfigurations": ("s3:GetAnalyticsConfiguration",),
    "s3:ListBucketIntelligentTieringConfigurations": ("s3:GetIntelligentTieringConfiguration",),
    "s3:ListBucketInventoryConfigurations": ("s3:GetInventoryConfiguration",),
    "s3:ListBucketMetricsConfigurations": ("s3:GetMetricsConfiguration",),
    "s3:ListObjects": ("s3:ListBucket",),
    "s3:PutBucketLifecycle": ("s3:PutLifecycleConfiguration",),
    "s3:PutBucketNotificationConfiguration": ("s3:PutBucketNotification",),
    "s3:PutPublicAccessBlock": ("s3:PutBucketPublicAccessBlock",),
    "s3:SelectObjectContent": ("s3:GetObject",),
    "s3:UploadPart": ("s3:PutObject",),
    "s3:UploadPartCopy": ("s3:GetObject", "s3:PutObject"),
    "secretsmanager:BatchGetSecretValue": ("secretsmanager:BatchGetSecretValue", "secretsmanager:GetSecretValue"),
    "sns:PublishBatch": ("sns:Publish",),
    "sqs:ChangeMessageVisibilityBatch": ("sqs:ChangeMessageVisibility",),
    "sqs:DeleteMessageBatch": ("sqs:DeleteMessage",),
    "sqs:SendMessageBatch": ("sqs:SendMessage",),
}


class _Service(msgspec.Struct, frozen=True):
    prefix: str
    renamed: dict[str, tuple[str, ...]] = {}
    """Operation → actions, where the names differ."""


class Reference(msgspec.Struct, frozen=True):
    """AWS's Service Authorization Reference."""

    source: str
    read: str
    """ISO date on which it was read."""
    services: dict[str, _Service]
    """botocore's service → its part of the reference."""
    actions: dict[str, msgspec.Raw]
    """Prefix → types of resource, separated by commas → actions that can be granted on those; "" means on `*` only."""


@cache
def reference() -> Reference:
    """Return the reference."""
    return msgspec.json.decode(files("prodwatch.aws").joinpath("iam_reference.json").read_bytes(), type=Reference)


@dataclass(frozen=True, slots=True, order=True)
class Permission:
    """One IAM action on one resource."""

    action: str
    resource: str = "*"


@cache
def _actions_of(prefix: str) -> dict[str, frozenset[str]]:
    raw = reference().actions.get(prefix)
    return {} if raw is None else msgspec.json.decode(raw, type=dict[str, frozenset[str]])


def actions(service: str, operation: str, request: Mapping[str, Any] | None = None) -> tuple[str, ...]:
    """Return the IAM actions that `operation` of botocore's `service` needs, with these parameters where they matter.

    They are a guess where the reference does not know the operation; see `is_known`.
    """
    name = f"{service}:{operation}"
    if service in {"apigateway", "apigatewayv2"}:
        # API Gateway's actions are HTTP methods.
        return ("apigateway:GET",) if operation.startswith("Get") else ("apigateway:*",)
    if name in _STATEMENTS:
        verbs = {text.split(maxsplit=1)[0].upper() for text in _texts(request, "Statement") if text.strip()}
        return tuple(_PARTIQL[verb] for verb in _PARTIQL if verb in verbs or not verbs & set(_PARTIQL))
    if name == "dynamodb:TransactWriteItems":
        kinds = {kind for item in _items(request, "TransactItems") for kind in item}
        return tuple(TRANSACTED[kind] for kind in TRANSACTED if kind in kinds or not kinds)
    exception = _EXCEPTIONS.get(name)
    if exception is not None:
        return (*exception, "secretsmanager:ListSecrets") if request and "Filters" in request else exception
    known = reference().services.get(service, _Service(service))
    return tuple(f"{known.prefix}:{action}" for action in known.renamed.get(operation, (operation,)))


def _items(request: Mapping[str, Any] | None, name: str) -> list[Mapping[str, Any]]:
    items = (request or {}).get(name)
    return [item for item in items if isinstance(item, Mapping)] if isinstance(items, list | tuple) else []


def _texts(request: Mapping[str, Any] | None, name: str) -> list[str]:
    """Return the statements of a request: its own, those of a batch or those of a transaction."""
    parts = [request or {}, *_items(request, "Statements"), *_items(request, "TransactStatements")]
    return [part[name] for part in parts if isinstance(part.get(name), str)]


def types_of(action: str) -> frozenset[str] | None:
    """Return the types of resource that an action can be granted on, empty for `*` only; None when it is not known."""
    prefix, _, name = action.partition(":")
    if "*" in name:
        return frozenset()
    for types, names in _actions_of(prefix).items():
        if name in names:
            return frozenset(filter(None, types.split(",")))
    return None


def is_known(action: str) -> bool:
    """Return whether the reference has the action."""
    return types_of(action) is not None


def permissions_for(
    service: str, operation: str, resource: str = "*", request: Mapping[str, Any] | None = None
) -> tuple[Permission, ...]:
    """Return the permissions for `operation` on `resource`, each on `*` where AWS takes nothing narrower.

    Actions that the reference does not have are left out.
    """
    typed = ((action, types_of(action)) for action in actions(service, operation, request))
    return tuple(Permission(action, _scope(resource, types)) for action, types in typed if types is not None)


def _scope(resource: str, types: frozenset[str]) -> str:
    """Return the part of `resource` that IAM checks for an action with these types of resource."""
    parts = resource.split(":", 5)
    if len(parts) < 6:
        return "*"
    service, rest = parts[2], parts[5]
    if service == "s3":
        bucket = resource.partition("/")[0]
        if "object" in types:
            return resource if "/" in rest else f"{bucket}/*"
        return bucket if "bucket" in types else "*"
    return resource if types & _kinds(service, rest) else "*"


def _kinds(service: str, rest: str) -> frozenset[str]:
    """Return the types that the last part of an ARN can have."""
    if service == "sqs":
        return frozenset(("queue",))
    if service == "execute-api":
        return frozenset(("execute-api-general",))
    word = re.split(r"[:/]", rest, maxsplit=1)[0].lower()
    # A group's ARN with `:*` covers its streams.
    return frozenset({"log-group": ("log-group", "log-stream"), "table": ("table", "index")}.get(word, (word,)))


def arn(service: str, name: str, *, region: str = "*", account: str = "*", partition: str = "aws") -> str:
    """Return the ARN that IAM expects for `name`; an ARN is returned as it is.

    `service` determines the kind of name: a function (`name` or `name:alias`), table, queue name or URL, `bucket` or
    `bucket/key`, log group (may end in `*`), stack, parameter or secret.
    """
    if name.startswith("arn:"):
        return name
    prefix = f"arn:{partition}:{service}:{region}:{account}:"
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
