"""Metrics and functions of one name in several accounts and regions have series, verdicts and output of their own."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from prodwatch.aws.interface import AwsError
from prodwatch.cli.live.line_writer import LineWriter
from prodwatch.cli.live.metric_output import PointLines
from prodwatch.model.environment import FunctionTarget, MetricTarget
from prodwatch.model.identity import HOME, Place
from prodwatch.model.signal import Batch, EvaluatedSignals, LogRecord, MetricSeries
from prodwatch.model.status import Reason, Status
from prodwatch.sources.lambda_metrics import FunctionVersions
from prodwatch.sources.metrics import MetricSource
from prodwatch.store import Store
from prodwatch.store.emf_metrics import EmbeddedMetrics
from prodwatch.testing.clock import START, FakeClock
from prodwatch.views.signals import signals
from tests.support.placed_aws import EAST, PAY, PLACES, PlacedAws

VALUES = {HOME: 1.0, EAST: 2.0, PAY: 3.0}


class CloudWatch(PlacedAws):
    """Every series has the value of its place in each of the last 60 minutes."""

    def __init__(self) -> None:
        super().__init__()
        self.empty: Place | None = None
        """A place whose series have no data."""
        self.placed["cloudwatch:GetMetricData"] = self.data

    def data(self, place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        end_s = int(START.timestamp()) // 60 * 60
        count = 0 if place == self.empty else 60
        stamps = [datetime.fromtimestamp(end_s - 60 * number, UTC) for number in range(count, 0, -1)]
        values = [VALUES[place]] * count
        return {
            "MetricDataResults": [
                {"Id": each["Id"], "StatusCode": "Complete", "Timestamps": stamps, "Values": values}
                for each in params["MetricDataQueries"]
            ]
        }


def own(place: Place) -> dict[str, Any]:
    return {"account": place.account or None, "region": place.region or None}


def metric(place: Place, **more: Any) -> MetricTarget:
    return MetricTarget(name="orders", namespace="Shop", metric="Orders", **own(place), **more)


def source(aws: CloudWatch, *places: Place, functions: bool = True, **more: Any) -> MetricSource:
    return MetricSource(
        aws,
        [FunctionTarget(name="pay", **own(place)) for place in places] if functions else [],
        [metric(place, **more) for place in places],
        clock=FakeClock(),
        since=START - timedelta(hours=1),
        versions_of=lambda _: FunctionVersions(),
    )


async def test_K13_namesakes_have_series_and_labels_of_their_own() -> None:
    records = await source(CloudWatch(), *PLACES).poll()
    series = [each for each in records if isinstance(each, MetricSeries)]
    for each in series:
        expected = VALUES[each.key.place]
        if each.key.metric not in {"Invocations", "Errors"}:
            assert {point.value for point in each.points} == {expected}
    labels = [each.key.label for each in series]
    assert len(labels) == len(set(labels))
    assert {"orders", "orders in us-east-1", "orders in pay"} <= set(labels)
    assert {each.key.function for each in series} == {"", "pay"}


async def test_K13_a_name_in_one_place_only_is_not_followed_by_it() -> None:
    records = await source(CloudWatch(), EAST, functions=False).poll()
    assert [each.key.label for each in records if isinstance(each, MetricSeries)] == ["orders"]


async def test_K13_rows_and_verdicts_of_namesakes_are_apart() -> None:
    store = Store(FakeClock())
    records = await source(CloudWatch(), *PLACES, expect=("value < 2.5",)).poll()
    store.apply(Batch(source="metrics", records=tuple(records)))
    rows = {each.label: each for each in signals(store, START).rows}
    assert [(rows[name].old, rows[name].status) for name in ("orders", "orders in us-east-1", "orders in pay")] == [
        (1.0, Status.PASS),
        (2.0, Status.PASS),
        (3.0, Status.FAIL),
    ]
    assert {each.keys[0].place for label, each in rows.items() if label.startswith("p95")} == set(PLACES)


@pytest.mark.parametrize("broken", PLACES)
async def test_K13_metrics_of_a_place_that_fails_are_unread_and_no_others(broken: Place) -> None:
    aws = CloudWatch()
    aws.fail_in(broken, "cloudwatch:GetMetricData")
    reader = source(aws, *PLACES, expect=("value < 9",))
    records = await reader.poll()
    places = {each.key.place for each in records if isinstance(each, MetricSeries)}
    assert places == set(PLACES) - {broken}
    (evaluated,) = [each for each in records if isinstance(each, EvaluatedSignals)]
    expected = [Status.INCONCLUSIVE if place == broken else Status.PASS for place in PLACES]
    assert [each.status for each in evaluated.results] == expected
    assert len(reader.unread()) == 1


async def test_K13_points_say_where_they_are_from_and_a_namesake_without_data_is_reported() -> None:
    out = io.BytesIO()
    aws = CloudWatch()
    aws.empty = PAY
    records = await source(aws, HOME, EAST, PAY, functions=False).poll()
    lines = PointLines(LineWriter(out))
    lines.take([each for each in records if isinstance(each, MetricSeries)])
    lines.finish()
    written = [json.loads(each) for each in out.getvalue().splitlines()]
    assert {(each.get("region"), each["value"]) for each in written if "value" in each} == {
        (None, 1.0),
        ("us-east-1", 2.0),
    }
    assert [(each["name"], each["account"]) for each in written if "value" not in each] == [("orders in pay", "pay")]


async def test_K1_a_series_that_was_not_read_is_not_reported_as_one_without_data() -> None:
    out = io.BytesIO()
    aws = CloudWatch()
    aws.fail_in(PAY, "cloudwatch:GetMetricData")
    records = await source(aws, HOME, PAY, functions=False).poll()
    lines = PointLines(LineWriter(out))
    lines.take([each for each in records if isinstance(each, MetricSeries)])
    lines.finish()
    assert {each.get("account") for each in map(json.loads, out.getvalue().splitlines())} == {None}


def emf(place: Place, value: float, group: str = "/aws/lambda/pay", version: str | None = "42") -> LogRecord:
    directive = {"Namespace": "Shop", "Dimensions": [[]], "Metrics": [{"Name": "Orders", "Unit": "Count"}]}
    fields = {"_aws": {"CloudWatchMetrics": [directive]}, "Orders": value}
    at_ms = int(START.timestamp() * 1000)
    return LogRecord(at_ms, "m", group, kind="emf", fields=fields, place=place, version=version)


def test_K19_embedded_metrics_of_namesakes_are_series_of_their_own() -> None:
    records = [emf(HOME, 1.0), emf(EAST, 5.0), emf(PAY, 7.0), emf(HOME, 2.0)]
    series = EmbeddedMetrics(50).read(records, START.timestamp())
    assert {each.key.place: each.points[0].value for each in series} == {HOME: 3.0, EAST: 5.0, PAY: 7.0}
    assert len({each.key.label for each in series}) == 3


def test_K19_one_version_number_of_two_functions_is_two_versions() -> None:
    records = [emf(HOME, 1.0), emf(HOME, 5.0, group="/aws/lambda/mail"), emf(HOME, 9.0, "/ecs/x", version=None)]
    series = EmbeddedMetrics(50).read(records, START.timestamp())
    assert {(each.key.function, each.key.version): each.points[0].value for each in series} == {
        ("pay", "42"): 1.0,
        ("mail", "42"): 5.0,
        ("", None): 9.0,
    }


@pytest.mark.parametrize("others", [0, 1, 6])
async def test_K17_a_metric_that_cloudwatch_does_not_accept_hides_no_other(others: int) -> None:
    aws = CloudWatch()

    def data(place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        if any(each["MetricStat"]["Stat"] == "p1000" for each in params["MetricDataQueries"]):
            raise AwsError(
                "the value p1000 is not supported",
                code="ValidationError",
                reason=Reason.API_ERROR,
                service="cloudwatch",
                operation="GetMetricData",
            )
        return aws.data(place, params)

    aws.placed["cloudwatch:GetMetricData"] = data
    targets = [
        MetricTarget(name=f"m{number}", namespace="Shop", metric="M", stat=f"p{number + 50}")
        for number in range(others)
    ]
    targets.insert(
        others // 2, MetricTarget(name="odd", namespace="Shop", metric="M", stat="p1000", expect=("value < 1",))
    )
    reader = MetricSource(
        aws, (), targets, clock=FakeClock(), since=START - timedelta(hours=1), versions_of=lambda _: FunctionVersions()
    )
    for _ in range(2):
        records = await reader.poll()
        labels = {each.key.label for each in records if isinstance(each, MetricSeries)}
        assert labels == {f"m{number}" for number in range(others)}
        (evaluated,) = [each for each in records if isinstance(each, EvaluatedSignals)]
        assert [each.status for each in evaluated.results] == [Status.INCONCLUSIVE]
        (sentence,) = reader.unread()
        assert "odd" in sentence
        assert "p1000 is not supported" in sentence
    aws.calls.clear()
    await reader.poll()
    assert aws.count("cloudwatch:GetMetricData") <= 2


async def test_K17_a_refusal_of_everything_is_searched_for_once() -> None:
    aws = CloudWatch()
    aws.fail_in(HOME, "cloudwatch:GetMetricData", Reason.API_ERROR, "ValidationError")
    targets = [MetricTarget(name=f"m{number}", namespace="Shop", metric="M", stat=f"p{number}") for number in range(90)]
    reader = MetricSource(
        aws, (), targets, clock=FakeClock(), since=START - timedelta(hours=1), versions_of=lambda _: FunctionVersions()
    )
    with pytest.raises(AwsError):
        await reader.poll()
    assert len(aws.asked) < 30
    aws.asked.clear()
    with pytest.raises(AwsError):
        await reader.poll()
    assert len(aws.asked) == 1
