"""Operations, the IAM actions they need, and the policy that grants exactly those."""

from __future__ import annotations

import pytest

from prodwatch.aws.iam_actions import Permission, actions, arn, permissions_for, policy_document


@pytest.mark.parametrize(
    ("service", "operation", "action"),
    [
        ("logs", "FilterLogEvents", "logs:FilterLogEvents"),
        ("lambda", "Invoke", "lambda:InvokeFunction"),
        ("s3", "HeadObject", "s3:GetObject"),
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
    assert permissions_for("logs", "FilterLogEvents", "arn:x") == (Permission("logs:FilterLogEvents", "arn:x"),)


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
