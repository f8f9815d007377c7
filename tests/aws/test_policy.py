"""Operations, the IAM actions they need, and the policy that grants just those."""

from __future__ import annotations

import pytest

from prodwatch.aws.iam_actions import Need, actions, arn, document, needs


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
    assert needs("xray", "BatchGetTraces", "anything") == (Need("xray:BatchGetTraces", "*"),)
    assert needs("logs", "FilterLogEvents", "arn:x") == (Need("logs:FilterLogEvents", "arn:x"),)


def test_a_document_grants_each_action_once_in_stable_order() -> None:
    wanted = [Need("b:Y", "r2"), Need("a:X", "r1"), Need("a:X", "r2"), Need("b:Y", "r1"), Need("c:Z"), Need("c:Z")]
    found = document(wanted)
    assert found == document(reversed(wanted))
    assert found["Version"] == "2012-10-17"
    assert found["Statement"] == [
        {"Effect": "Allow", "Action": ["a:X", "b:Y"], "Resource": ["r1", "r2"]},
        {"Effect": "Allow", "Action": ["c:Z"], "Resource": ["*"]},
    ]
