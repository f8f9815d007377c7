"""Whether a page is the last, for every paginated operation of the services that checks read."""

from __future__ import annotations

from typing import Any

import pytest

from prodwatch.aws.credentials import shared_loader
from prodwatch.aws.page_rules import page_rules, unread_rest

SERVICES = (
    *("athena", "cloudformation", "cloudwatch", "codedeploy", "dynamodb", "ec2", "ecs", "events", "iam", "kinesis"),
    *("lambda", "logs", "rds", "route53", "s3", "secretsmanager", "sns", "sqs", "ssm", "stepfunctions", "xray"),
)


def whole(model: dict[str, Any]) -> dict[str, Any]:
    """Return the last page of an operation: its lists are empty, and there is no token."""
    page: dict[str, Any] = {}
    keys = model.get("result_key", ())
    for key in [keys] if isinstance(keys, str) else keys:
        put(page, key, [])
    return page


def put(page: dict[str, Any], path: str, value: Any) -> None:
    *outer, last = path.split(".")
    for name in outer:
        page = page.setdefault(name, {})
    page[last] = value


@pytest.mark.parametrize("service", SERVICES)
def test_N4_a_page_with_a_token_is_never_the_whole(service: str) -> None:
    tried = 0
    for operation, model in shared_loader().load_service_model(service, "paginators-1")["pagination"].items():
        page = whole(model)
        assert unread_rest(service, operation, page, {}, paginated=False) is None, operation
        tokens = model["output_token"]
        for token in [tokens] if isinstance(tokens, str) else tokens:
            # Some tokens are computed from the last element of a list, whichever name comes first of them is there.
            first = token.partition("||")[0].strip()
            if not first.replace(".", "").isalnum():
                continue
            put(page, first, "next")
            tried += 1
        if "more_results" in model:
            put(page, model["more_results"], True)
        rules = page_rules(shared_loader(), service, operation)
        assert rules is not None
        if rules.next_params(page, {}) is not None:
            assert "paginate" in str(unread_rest(service, operation, page, {}, paginated=False)), operation
            assert unread_rest(service, operation, page, {}, paginated=True) is None, operation
    assert tried


@pytest.mark.parametrize(
    ("operation", "page"),
    [
        ("dynamodb:BatchGetItem", {"Responses": {}, "UnprocessedKeys": {"orders": {}}}),
        ("dynamodb:ExecuteStatement", {"Items": [], "NextToken": "t"}),
        ("logs:GetLogEvents", {"events": [], "nextForwardToken": "f/1"}),
        ("s3:ListBucketMetricsConfigurations", {"IsTruncated": True}),
        ("xray:BatchGetTraces", {"Traces": [], "NextToken": "t"}),
    ],
)
def test_N4_a_response_that_names_a_rest_is_never_the_whole(operation: str, page: dict[str, Any]) -> None:
    service, name = operation.split(":")
    assert unread_rest(service, name, page, {}, paginated=False) is not None


@pytest.mark.parametrize(
    ("operation", "page"),
    [
        ("dynamodb:BatchGetItem", {"Responses": {}, "UnprocessedKeys": {}}),
        ("logs:PutLogEvents", {"nextSequenceToken": "t"}),
        ("secretsmanager:DescribeSecret", {"NextRotationDate": "2026-01-01"}),
        ("ssm:GetMaintenanceWindow", {"NextExecutionTime": "2026-01-01"}),
        ("s3:ListBucketMetricsConfigurations", {"IsTruncated": False, "ContinuationToken": "t"}),
        ("stepfunctions:TestState", {"nextState": "Pay"}),
    ],
)
def test_a_response_without_a_rest_is_whole(operation: str, page: dict[str, Any]) -> None:
    service, name = operation.split(":")
    assert unread_rest(service, name, page, {}, paginated=False) is None
