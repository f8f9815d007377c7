"""The reference page agrees with the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from prodwatch.aws.iam_actions import actions
from prodwatch.aws.rate_limiter import family
from prodwatch.aws.usage_meter import shipped_prices
from prodwatch.model.status import Reason
from prodwatch.probes.required_calls import calls_of

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "aws.md").read_text("utf-8")
PRICE_ROW = re.compile(r"^\| `(\w[\w-]*:\w+)` \| ([\d.]+) \| ([\w ]+) \|$", re.MULTILINE)


def test_the_price_table_is_the_shipped_one() -> None:
    reported = {call: (float(usd), per) for call, usd, per in PRICE_ROW.findall(PAGE)}
    assert reported == {call: (price.usd, price.per) for call, price in shipped_prices().items()}


@pytest.mark.parametrize(
    ("type_", "params"),
    [
        ("lambda", {}),
        *(("sqs", {"operation": each}) for each in ("depth", "send", "receive", "peek", "delete")),
        *(("dynamodb", {"operation": each}) for each in ("get", "query", "scan", "count", "put", "update", "delete")),
        *(("s3", {"operation": each}) for each in ("get", "head", "list", "put", "delete")),
        ("logs", {"group": "*"}),
        ("traces", {"filter": "x"}),
        ("metric", {"namespace": "Shop"}),
        ("alarm", {}),
        ("stack", {}),
        ("release", {}),
    ],
    ids=str,
)
def test_every_action_a_check_needs_is_in_its_row(type_: str, params: dict[str, str]) -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{type_}` |"))
    for expected in calls_of(type_, params, codedeploy=("shop",)):
        for action in actions(expected.service, expected.operation):
            assert f"`{action}`" in row


@pytest.mark.parametrize(
    "reason",
    [
        Reason.API_ERROR,
        Reason.ACCESS_DENIED,
        Reason.EXPIRED_CREDENTIALS,
        Reason.NO_CREDENTIALS,
        Reason.WRONG_ACCOUNT,
        Reason.THROTTLED,
        Reason.SERVICE,
        Reason.NETWORK,
        Reason.LIMIT,
        Reason.TIMEOUT,
    ],
)
def test_every_reason_is_on_the_page(reason: Reason) -> None:
    assert f"| `{reason}` |" in PAGE


@pytest.mark.parametrize(
    ("service", "operation", "reported"),
    [
        ("logs", "FilterLogEvents", "`logs:FilterLogEvents` 5 calls a second"),
        ("logs", "DescribeLogGroups", "other CloudWatch Logs calls 5"),
        ("cloudwatch", "DescribeAlarms", "alarms 3"),
        ("cloudwatch", "GetMetricData", "other CloudWatch calls 10"),
        ("xray", "BatchGetTraces", "X-Ray 5"),
        ("codedeploy", "GetDeployment", "CodeDeploy 5"),
        ("cloudformation", "DescribeStacks", "CloudFormation 5"),
        ("lambda", "Invoke", "Lambda invocations 200"),
        ("ssm", "GetParameter", "anything else 10"),
    ],
)
def test_call_rates_are_those_on_the_page(service: str, operation: str, reported: str) -> None:
    assert reported in " ".join(PAGE.split())
    assert str(int(family(service, operation).rate_per_s)) in reported
