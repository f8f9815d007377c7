"""Service models by boto3 name, loaded once and shared by every server in the process."""

from __future__ import annotations

from functools import lru_cache
from threading import Lock
from typing import Any

_LOCK = Lock()

SIGNING_NAMES = {
    "monitoring": "cloudwatch",
    "states": "stepfunctions",
    "execute-api": "execute-api",
    "elasticloadbalancing": "elbv2",
    "email": "ses",
}
"""Signing name → boto3 name, where they differ."""

TARGETS = {
    "Logs_20140328": "logs",
    "GraniteServiceVersion20100801": "cloudwatch",
    "CodeDeploy_20141006": "codedeploy",
    "AmazonSSM": "ssm",
    "secretsmanager": "secretsmanager",
    "AmazonSQS": "sqs",
    "DynamoDB_20120810": "dynamodb",
    "DynamoDBStreams_20120810": "dynamodbstreams",
    "AWSStepFunctions": "stepfunctions",
    "AWSEvents": "events",
}
"""Prefix of `X-Amz-Target` → boto3 name."""

IAM_PREFIXES = {"stepfunctions": "states"}
"""boto3 name → prefix of its IAM actions, where they differ."""

IAM_ACTIONS = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "s3:HeadObject": "s3:GetObject",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListObjects": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:ListBuckets": "s3:ListAllMyBuckets",
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
}
"""API operation → the IAM action it needs, where they differ."""


@lru_cache(maxsize=1)
def _loader() -> Any:
    from botocore.loaders import Loader

    return Loader(include_default_search_paths=True)


@lru_cache(maxsize=64)
def _load(service: str) -> Any:
    from botocore.exceptions import UnknownServiceError
    from botocore.model import ServiceModel

    try:
        description = _loader().load_service_model(service, "service-2")
    except UnknownServiceError:
        return None
    return ServiceModel(description, service_name=service)


def service_model(service: str) -> Any:
    """Return botocore's ServiceModel, None when botocore does not know the service."""
    with _LOCK:
        return _load(service)


def operation_model(service: str, operation: str) -> Any:
    """Return botocore's OperationModel, None when the service has no such operation."""
    model = service_model(service)
    if model is None or operation not in model.operation_names:
        return None
    with _LOCK:
        return model.operation_model(operation)


def iam_action(service: str, operation: str) -> str:
    """Return the IAM action that allows the operation."""
    name = f"{IAM_PREFIXES.get(service, service)}:{operation}"
    return IAM_ACTIONS.get(name, name)
