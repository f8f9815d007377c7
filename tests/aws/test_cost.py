"""Usage of a run: priced at list price, limited by the user, never blocking cleanup."""

from __future__ import annotations

from datetime import date
from fnmatch import fnmatchcase

import pytest

from prodwatch.aws.credentials import shared_loader
from prodwatch.aws.interface import AwsError
from prodwatch.aws.usage_meter import Meter, free_calls, request_units, response_units, shipped_prices, without_limits
from prodwatch.model.environment import Limits
from prodwatch.model.status import Reason
from prodwatch.probes.required_calls import _CALLS as CALLS


def query(metric: str = "Errors", stat: str = "Sum", **more: object) -> dict[str, object]:
    return {"Id": "a", "MetricStat": {"Metric": {"MetricName": metric}, "Period": 60, "Stat": stat}} | more


SIX = [query(stat=each) for each in ("Sum", "Average", "p50", "p90", "p95", "p99")]


def test_W9_every_call_is_named_as_botocore_names_it() -> None:
    names: set[str] = set()
    for call in (*shipped_prices(), *free_calls()):
        service = call.partition(":")[0]
        operations = {
            f"{service}:{each}" for each in shared_loader().load_service_model(service, "service-2")["operations"]
        }
        assert any(fnmatchcase(each, call) for each in operations), call
        names |= operations
    both = {each for each in names for free in free_calls() if fnmatchcase(each, free) and each in shipped_prices()}
    assert not both


def test_W9_every_call_of_a_source_has_a_known_price() -> None:
    meter = Meter(Limits())
    own = {f"{each.service}:{each.operation}" for type_ in CALLS for each in CALLS[type_]({"service": "sts"})}
    assert not {each for each in own if meter.price_usd(each) is None and each != "sts:"}


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
        ("cloudwatch:GetMetricData", {"MetricDataQueries": [query("a"), query("b"), query("c")]}, 3),
        ("cloudwatch:GetMetricData", {"MetricDataQueries": [query(), {"Id": "e", "Expression": "a"}]}, 1),
        ("cloudwatch:GetMetricData", {"MetricDataQueries": SIX[:5]}, 1),
        ("cloudwatch:GetMetricData", {"MetricDataQueries": [*SIX, query("Other")]}, 3),
        ("cloudwatch:GetMetricData", {"MetricDataQueries": [query(), query(AccountId="1")]}, 2),
        ("dynamodb:BatchGetItem", {"RequestItems": {"t": {"Keys": [1, 2]}, "u": {"Keys": [3]}}}, 3),
        ("dynamodb:BatchWriteItem", {"RequestItems": {"t": [1, 2]}}, 2),
        ("dynamodb:TransactWriteItems", {"TransactItems": [{}, {}]}, 4),
        ("logs:StartQuery", {}, 0),
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
        ("dynamodb:BatchGetItem", {"ConsumedCapacity": [{"CapacityUnits": 4.0}, {"CapacityUnits": 1.0}]}, 5),
        ("sqs:SendMessage", {}, 0),
    ],
)
def test_units_only_an_answer_tells(call: str, response: dict[str, object], units: float) -> None:
    assert response_units(call, {}, response) == units


def test_W9_a_query_is_charged_by_the_data_it_scanned_once() -> None:
    meter = Meter(Limits())
    meter.admit("logs", "StartQuery", request_units("logs:StartQuery", {}))
    for scanned in (1e12, 5e12, 5e12):
        meter.admit("logs", "GetQueryResults", 1)
        meter.answered("logs:GetQueryResults", {"queryId": "q"}, {"statistics": {"bytesScanned": scanned}})
    meter.answered("logs:GetQueryResults", {"queryId": "other"}, {"statistics": {"bytesScanned": 1e9}})
    meter.answered("logs:GetQueryResults", {"queryId": "new"}, {})
    assert meter.usage().cost_usd == pytest.approx(5001 * 0.005)
    assert meter.usage().unpriced == ()


@pytest.mark.parametrize("call", ["sns:Publish", "kms:Decrypt", "athena:StartQueryExecution", "ce:GetCostAndUsage"])
def test_W9_an_unknown_price_is_never_free(call: str) -> None:
    service, _, operation = call.partition(":")
    meter = Meter(Limits(api_cost_usd=0.001))
    assert meter.price_usd(call) is None
    meter.admit(service, operation, 1)
    meter.admit("sts", "GetCallerIdentity", 1)
    assert meter.usage().unpriced == (call,)
    meter.add("logs:StartQuery", 1)
    with pytest.raises(AwsError, match=r"has reached the \$0.001"):
        meter.admit(service, operation, 1)


@pytest.mark.parametrize("expression", ["SEARCH('{AWS/Lambda} Errors', 'Sum')", "select avg(x) from y"])
def test_W9_a_search_of_metrics_costs_an_unknown_amount(expression: str) -> None:
    meter = Meter(Limits())
    queries = [{"Id": "a", "Expression": expression}]
    meter.answered("cloudwatch:GetMetricData", {"MetricDataQueries": queries}, {})
    assert meter.usage().unpriced == ("cloudwatch:GetMetricData",)
    plain = Meter(Limits())
    plain.answered("cloudwatch:GetMetricData", {"MetricDataQueries": [{"Id": "a", "Expression": "m1 / m2"}]}, {})
    assert plain.usage().unpriced == ()


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
