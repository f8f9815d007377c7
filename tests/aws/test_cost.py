"""Usage of a run: priced at list price, limited by the user, never blocking cleanup."""

from __future__ import annotations

from datetime import date

import pytest

from prodwatch.aws.api import AwsError
from prodwatch.aws.cost import Meter, request_units, response_units, shipped_prices, without_limits
from prodwatch.model.environment import Limits
from prodwatch.model.status import Reason

QUERY = {"Id": "a", "MetricStat": {}}


def test_every_price_says_where_and_when_it_comes_from() -> None:
    for call, price in shipped_prices().items():
        assert ":" in call
        assert price.usd > 0
        assert price.per
        assert "https://aws.amazon.com/" in price.source
        assert date.fromisoformat(price.checked) > date(2026, 1, 1)


@pytest.mark.parametrize(
    ("call", "params", "units"),
    [
        ("cloudwatch:GetMetricData", {"MetricDataQueries": [QUERY] * 3}, 3),
        ("cloudwatch:GetMetricData", {"MetricDataQueries": [QUERY, {"Id": "e", "Expression": "a"}]}, 1),
        ("cloudwatch:GetMetricData", {}, 0),
        ("xray:BatchGetTraces", {"TraceIds": ["1", "2"]}, 2),
        ("xray:GetTraceSummaries", {}, 0),
        ("xray:GetServiceGraph", {}, 1),
        ("events:PutEvents", {"Entries": [{}, {}]}, 2),
        ("logs:StartLiveTail", {}, 0),
        ("sqs:SendMessage", {}, 1),
    ],
)
def test_units_known_before_a_call(call: str, params: dict[str, object], units: float) -> None:
    assert request_units(call, params) == units


@pytest.mark.parametrize(
    ("call", "response", "units"),
    [
        ("xray:GetTraceSummaries", {"TracesProcessedCount": 250}, 250),
        ("xray:GetTraceSummaries", {}, 0),
        ("dynamodb:Query", {"ConsumedCapacity": {"CapacityUnits": 4.0}}, 3),
        ("dynamodb:GetItem", {"ConsumedCapacity": {"CapacityUnits": 0.5}}, 0),
        ("dynamodb:Scan", {"ScannedCount": 80}, 9),
        ("sqs:SendMessage", {}, 0),
    ],
)
def test_units_only_an_answer_tells(call: str, response: dict[str, object], units: float) -> None:
    assert response_units(call, response) == units


def test_usage_adds_up() -> None:
    meter = Meter(Limits())
    meter.admit("cloudwatch", "GetMetricData", 100)
    meter.admit("logs", "FilterLogEvents", 1)
    meter.admit("logs", "FilterLogEvents", 1)
    meter.add("logs:StartLiveTail", 30)
    meter.throttled()
    usage = meter.usage()
    assert usage.calls == {"cloudwatch:GetMetricData": 1, "logs:FilterLogEvents": 2}
    assert usage.cost_usd == pytest.approx(0.001 + 0.30)
    assert usage.throttles == 1


def test_a_half_hour_watch_of_ten_functions_stays_under_ten_cents() -> None:
    meter = Meter(Limits())
    for _ in range(60):
        meter.admit("cloudwatch", "GetMetricData", 100)
    meter.add("xray:GetTraceSummaries", 50_000)
    for _ in range(120):
        meter.admit("cloudwatch", "DescribeAlarms", 1)
    assert meter.usage().cost_usd < 0.10


def test_own_prices_replace_the_table() -> None:
    meter = Meter(Limits(prices={"cloudwatch:GetMetricData": 0.5, "acme:Ask": 2.0}))
    assert meter.price_usd("cloudwatch:GetMetricData") == 0.5
    assert meter.price_usd("acme:Ask") == 2.0
    assert meter.price_usd("sts:GetCallerIdentity") == 0.0


def test_the_call_cap_refuses_the_call_after_the_last() -> None:
    meter = Meter(Limits(api_calls=2))
    meter.admit("sts", "GetCallerIdentity", 1)
    meter.admit("sqs", "SendMessage", 1)
    with pytest.raises(AwsError, match="2 AWS calls that \\[limits\\] api_calls allows") as caught:
        meter.admit("sqs", "SendMessage", 1)
    assert caught.value.reason is Reason.LIMIT
    assert meter.usage().calls == {"sqs:SendMessage": 1, "sts:GetCallerIdentity": 1}


def test_the_cost_cap_refuses_a_call_before_it_is_sent() -> None:
    meter = Meter(Limits(api_cost_usd=0.001))
    meter.admit("cloudwatch", "GetMetricData", 99)
    with pytest.raises(AwsError, match=r"cloudwatch GetMetricData would bring .* over the \$0.001") as caught:
        meter.admit("cloudwatch", "GetMetricData", 2)
    assert caught.value.reason is Reason.LIMIT
    meter.admit("logs", "FilterLogEvents", 1)


def test_at_the_cost_cap_what_is_free_goes_on_and_what_is_billed_by_its_answer_ends() -> None:
    meter = Meter(Limits(api_cost_usd=0.001))
    meter.admit("xray", "GetTraceSummaries", 0)
    meter.add("xray:GetTraceSummaries", 5_000)
    assert meter.usage().cost_usd > 0.001
    meter.admit("logs", "FilterLogEvents", 1)
    meter.admit("lambda", "GetAlias", 1)
    with pytest.raises(AwsError, match=r"has reached the \$0.001 that \[limits\] api_cost_usd allows; raise the limit"):
        meter.admit("xray", "GetTraceSummaries", 0)


def test_cleanup_may_pass_the_limits() -> None:
    meter = Meter(Limits(api_calls=0, api_cost_usd=0.0))
    with without_limits():
        meter.admit("sqs", "DeleteMessage", 1)
    assert meter.usage().calls == {"sqs:DeleteMessage": 1}
    with pytest.raises(AwsError):
        meter.admit("sqs", "DeleteMessage", 1)
