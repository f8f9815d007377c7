"""Metrics: whole windows, honest units, and no zero that nobody measured."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from prodwatch.clock import SystemClock
from prodwatch.demo.aws import Fault
from prodwatch.model.quantity import Duration
from prodwatch.model.status import Reason, Status
from prodwatch.probes.metric.known_metrics import known_unit, traffic_of


def points(bench: Any, metric: str, *values: float, namespace: str = "Shop", unit: str | None = None) -> dict[str, Any]:
    """Write one value a minute, the last one two minutes ago; return the keys of a check on them."""
    dimensions = {"service": bench.name} if namespace == "Shop" else {"FunctionName": bench.name}
    now_s = SystemClock().now().timestamp()
    for number, value in enumerate(reversed(values)):
        bench.world.metrics.put(namespace, metric, dimensions, now_s - 120 - 60 * number, [value], unit=unit)
    return {"namespace": namespace, "metric": metric, "dimensions": dimensions, "window": "10m"}


@pytest.mark.parametrize(
    ("stat", "value"),
    [("Sum", 6), ("Average", 3), ("Minimum", 1), ("Maximum", 3), ("SampleCount", 3)],
)
async def test_the_window_in_one_number(bench: Any, stat: str, value: int) -> None:
    keys = points(bench, "Orders", 1, 2, 3)
    found = await bench.run("metric", keys | {"stat": stat})
    assert found.failure is None
    assert found.document["value"] == value
    if stat != "SampleCount":
        assert found.document["values"] == [1, 2, 3]
        assert [found.document[name] for name in ("sum", "min", "max", "last")] == [6, 1, 3, 3]
    assert found.document["points"] == 3
    assert all(isinstance(each, Decimal) for each in found.document["values"])
    assert found.exchange.aws_cli.startswith("aws cloudwatch get-metric-data --metric-data-queries ")


async def test_times_are_durations(bench: Any) -> None:
    found = await bench.run("metric", points(bench, "Duration", 80, 120.5, namespace="AWS/Lambda") | {"stat": "p95"})
    assert found.document["unit"] == "Milliseconds"
    assert found.document["value"] == Duration.from_ms(120.5)
    assert found.document["values"] == [Duration.from_ms(80), Duration.from_ms(120.5)]


async def test_no_data_is_inconclusive(bench: Any) -> None:
    found = await bench.run("metric", {"namespace": "Shop", "metric": "Nothing", "stat": "Sum"})
    assert (found.failure.status, found.failure.reason) == (Status.INCONCLUSIVE, Reason.NO_DATA)
    assert "Shop Nothing has no data point in the last 300 s" in found.failure.message
    assert "value" not in found.document
    assert found.document["points"] == 0


@pytest.mark.parametrize(("missing", "status"), [("fail", Status.FAIL), ("inconclusive", Status.INCONCLUSIVE)])
async def test_what_missing_means_is_the_checks_choice(bench: Any, missing: str, status: Status) -> None:
    found = await bench.run("metric", {"namespace": "Shop", "metric": "Nothing", "missing": missing})
    assert found.failure.status is status


async def test_missing_may_mean_zero(bench: Any) -> None:
    found = await bench.run("metric", {"namespace": "Shop", "metric": "Nothing", "missing": "zero"})
    assert found.failure is None
    assert (found.document["value"], found.document["points"], found.document["values"]) == (0, 0, [])


async def test_no_errors_beside_traffic_are_a_measured_zero(bench: Any) -> None:
    keys = points(bench, "Invocations", 10, 12, namespace="AWS/Lambda")
    found = await bench.run("metric", keys | {"metric": "Errors", "stat": "Sum"})
    assert found.failure is None
    assert found.document["value"] == 0
    assert "its value is zero" in found.notices[0]


async def test_no_errors_without_traffic_are_no_evidence(bench: Any) -> None:
    keys = {"namespace": "AWS/Lambda", "metric": "Errors", "stat": "Sum", "dimensions": {"FunctionName": bench.name}}
    assert (await bench.run("metric", keys)).failure.status is Status.INCONCLUSIVE


async def test_a_ratio_sums_both_over_the_window(bench: Any) -> None:
    points(bench, "Invocations", 100, 100, namespace="AWS/Lambda")
    keys = points(bench, "Errors", 1, 0, namespace="AWS/Lambda")
    found = await bench.run("metric", keys | {"of": "Invocations"})
    assert found.document["value"] == Decimal("0.005")
    none = {"namespace": "AWS/Lambda", "metric": "Throttles", "of": "Invocations", "dimensions": keys["dimensions"]}
    assert (await bench.run("metric", none | {"window": "10m"})).document["value"] == 0


async def test_a_ratio_of_nothing_is_inconclusive(bench: Any) -> None:
    keys = points(bench, "Errors", 1, namespace="AWS/Lambda")
    found = await bench.run("metric", keys | {"of": "Invocations"})
    assert found.failure.status is Status.INCONCLUSIVE
    assert "Invocations counted nothing" in found.failure.message


@pytest.mark.parametrize("period", ["90s", "0s", "7s"])
async def test_periods_cloudwatch_does_not_know_are_refused(bench: Any, period: str) -> None:
    found = await bench.run("metric", {"namespace": "Shop", "metric": "M", "period": period})
    assert (found.failure.status, found.failure.reason) == (Status.ERROR, Reason.INVALID)
    assert not bench.world.call_counts


async def test_an_unreadable_metric_is_an_error(bench: Any) -> None:
    keys = points(bench, "Orders", 1)
    bench.world.faults.add(Fault(operation="cloudwatch:GetMetricData", kind="access_denied"))
    found = await bench.run("metric", keys)
    assert (found.failure.status, found.failure.reason) == (Status.ERROR, Reason.ACCESS_DENIED)


async def test_a_number_without_its_unit_decides_nothing(bench: Any) -> None:
    keys = points(bench, "Ms", 5, unit="Milliseconds")
    bench.world.faults.add(Fault(operation="cloudwatch:GetMetricStatistics", kind="access_denied"))
    found = await bench.run("metric", keys)
    assert found.failure is None
    assert found.document["unit"] == "None"
    assert "unit of Ms is unknown" in found.notices[0]
    assert not found.complete
    assert found.unread is not None
    assert (found.unread.status, found.unread.message) == ("inconclusive", found.notices[0])


class Scripted:
    """CloudWatch with answers no well-behaved one gives."""

    def __init__(self, *pages: dict[str, Any]) -> None:
        self._pages = pages

    async def pages(self, *_: Any, **__: Any) -> Any:
        for page in self._pages:
            yield page

    async def call(self, *_: Any, **__: Any) -> Any:
        return {"Datapoints": [{"Unit": "Seconds"}, {"Unit": "None"}]}

    def region_name(self, _account: str | None = None) -> str:
        return "eu-west-1"


def result(status: str, *values: float) -> dict[str, Any]:
    now = SystemClock().now()
    return {
        "MetricDataResults": [{"Id": "m0", "StatusCode": status, "Timestamps": [now] * len(values), "Values": values}]
    }


async def test_partial_data_proves_nothing(bench: Any) -> None:
    found = await bench.run("metric", {"namespace": "S", "metric": "M"}, aws=Scripted(result("PartialData", 1.5)))
    assert not found.complete
    assert found.document["value"] == Duration.from_s(1.5)
    assert "only part" in found.notices[0]


@pytest.mark.parametrize(("status", "reason"), [("Forbidden", Reason.ACCESS_DENIED), ("InternalError", Reason.SERVICE)])
async def test_broken_results_are_errors(bench: Any, status: str, reason: Reason) -> None:
    found = await bench.run("metric", {"namespace": "S", "metric": "M"}, aws=Scripted(result(status)))
    assert (found.failure.status, found.failure.reason) == (Status.ERROR, reason)


def test_facts() -> None:
    assert traffic_of("AWS/Lambda", "Errors") == "Invocations"
    assert traffic_of("AWS/Lambda", "Duration") is None
    assert traffic_of("Shop", "Errors") is None
    assert known_unit("AWS/Lambda", "Duration", "p95") == "Milliseconds"
    assert known_unit("AWS/Lambda", "Duration", "SampleCount") == "Count"
    assert known_unit("AWS/Lambda", "Errors", "Sum") == "Count"
    assert known_unit("Shop", "Ms", "p95") is None


async def test_a_share_of_nothing_is_never_zero(bench: Any) -> None:
    keys = {"namespace": "AWS/Lambda", "metric": "Errors", "stat": "Sum", "of": "Invocations", "missing": "zero"}
    found = await bench.run("metric", keys | {"dimensions": {"FunctionName": "typo"}})
    assert (found.failure.status, found.failure.reason) == (Status.INCONCLUSIVE, Reason.NO_DATA)
    assert "value" not in found.document
