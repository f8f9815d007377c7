"""Metrics have no gaps and no guesses: unread points are not settled, missing points are not zero."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from prodwatch.aws.interface import AwsError
from prodwatch.model.environment import FunctionTarget, MetricTarget
from prodwatch.model.signal import MetricSeries
from prodwatch.model.status import Reason
from prodwatch.sources.lambda_metrics import FunctionVersions
from prodwatch.sources.metrics import SERIES_PER_CALL, MetricSource, retained_period_s, retention_of
from prodwatch.testing.aws import ScriptedAws
from prodwatch.testing.clock import START, FakeClock

ORDERS = FunctionTarget(name="orders", alias="live")


class CloudWatch(ScriptedAws):
    """Returns a point for every past period; a place in `down` does not respond."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.clock = clock
        self.down: set[str | None] = set()
        self.status = "Complete"
        self.value = 1.0
        self.asked: list[dict[str, Any]] = []
        self.places: list[str | None] = []

    async def call(
        self, service: str, operation: str, params: Mapping[str, Any] | None = None, **more: Any
    ) -> dict[str, Any]:
        account = more.get("account")
        query = dict(params or {})
        if account in self.down:
            raise AwsError(
                f"GetMetricData in account {account} was denied",
                code="AccessDenied",
                reason=Reason.ACCESS_DENIED,
                service=service,
                operation=operation,
            )
        self.asked.append(query)
        self.places.append(account)
        return {"MetricDataResults": [self._result(each, query) for each in query["MetricDataQueries"]]}

    async def pages(
        self, service: str, operation: str, params: Mapping[str, Any] | None = None, **more: Any
    ) -> AsyncIterator[dict[str, Any]]:
        yield await self.call(service, operation, params, **more)

    def _result(self, asked: Mapping[str, Any], query: Mapping[str, Any]) -> dict[str, Any]:
        period = timedelta(seconds=asked["MetricStat"]["Period"])
        moments = []
        moment = query["StartTime"]
        while moment + period <= query["EndTime"]:
            moments.append(moment)
            moment += period
        if self.status != "Complete":
            moments = []
        return {
            "Id": asked["Id"],
            "Timestamps": moments,
            "Values": [self.value] * len(moments),
            "StatusCode": self.status,
        }

    def names(self, number: int = -1) -> list[str]:
        return [each["MetricStat"]["Metric"]["MetricName"] for each in self.asked[number]["MetricDataQueries"]]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START + timedelta(seconds=10))


@pytest.fixture
def aws(clock: FakeClock) -> CloudWatch:
    return CloudWatch(clock)


def source(
    aws: CloudWatch,
    *functions: FunctionTarget,
    targets: tuple[MetricTarget, ...] = (),
    since: datetime = START - timedelta(minutes=30),
    versions_of: FunctionVersions | None = None,
) -> MetricSource:
    return MetricSource(
        aws,
        functions,
        targets,
        clock=aws.clock,
        since=since,
        versions_of=lambda _: versions_of or FunctionVersions(("41",)),
    )


async def poll(source: MetricSource) -> dict[tuple[str, str | None], MetricSeries]:
    return {(each.key.label, each.key.version): each for each in await source.poll() if isinstance(each, MetricSeries)}


async def wait(source: MetricSource, seconds: float) -> None:
    await source._clock.sleep(0)
    await source._clock.advance(seconds)  # type: ignore[attr-defined]  # a FakeClock


async def test_an_outage_longer_than_the_overlap_leaves_no_gap(aws: CloudWatch) -> None:
    metrics = source(aws, ORDERS)
    await poll(metrics)
    aws.down = {None}
    for _ in range(45):
        await wait(metrics, 60)
        with pytest.raises(AwsError):
            await poll(metrics)
    aws.down = set()
    await wait(metrics, 60)
    minutes = [point.timestamp_s for point in (await poll(metrics))["p95", "41"].points]
    assert minutes == list(range(minutes[0], minutes[-1] + 60, 60))
    assert minutes[-1] >= aws.clock.now().timestamp() - 120


async def test_versions_unknown_at_the_start_are_read_soon(aws: CloudWatch) -> None:
    known: list[FunctionVersions] = [FunctionVersions()]
    since = START - timedelta(minutes=30)
    metrics = MetricSource(aws, [ORDERS], [], clock=aws.clock, since=since, versions_of=lambda _: known[0])
    await poll(metrics)
    assert metrics.pause_s() == 5.0
    known[0] = FunctionVersions(("41", "42"))
    assert metrics.pause_s() == 30.0, "somebody knew in time"
    known[0] = FunctionVersions()
    await poll(metrics)
    assert metrics.pause_s() == 30.0, "a release that nobody may read costs no more than once"


async def test_the_second_look_of_a_minute_asks_for_what_decides_only(aws: CloudWatch) -> None:
    metrics = source(aws, ORDERS)
    await poll(metrics)
    await wait(metrics, 30)
    await poll(metrics)
    assert set(aws.names()) == {"Invocations", "Errors", "Duration"}
    await wait(metrics, 30)
    await poll(metrics)
    assert "Throttles" in aws.names()


async def test_what_was_not_read_again_never_settles(aws: CloudWatch) -> None:
    metrics = source(aws, ORDERS, targets=(MetricTarget(name="refunds", namespace="Pay", metric="R", account="pay"),))
    await poll(metrics)
    aws.down = {None}
    await wait(metrics, 1200)
    results = await poll(metrics)
    assert metrics.note() == "GetMetricData in account None was denied"
    newest = results["p95", "41"].points[-1]
    assert newest.timestamp_s < START.timestamp()
    assert not newest.settled
    assert results["refunds", None].points[-1].timestamp_s > START.timestamp()


async def test_one_account_that_is_denied_hides_no_other_and_all_of_them_are_trouble(aws: CloudWatch) -> None:
    pay = FunctionTarget(name="pay", account="pay")
    metrics = source(aws, ORDERS, pay)
    aws.down = {"pay"}
    results = await poll(metrics)
    assert {label for label, _ in results} >= {"p95"}
    assert metrics.note() == "GetMetricData in account pay was denied"
    assert metrics.status(0.0).unread == ("GetMetricData in account pay was denied",)
    aws.down = {"pay", None}
    with pytest.raises(AwsError):
        await poll(metrics)


@pytest.mark.parametrize(
    ("timeout_s", "settled_s"), [(None, 180), (3.0, 180), (60.0, 180), (300.0, 420), (900.0, 1020)]
)
async def test_a_minute_settles_when_its_longest_invocation_must_have_ended(
    aws: CloudWatch, timeout_s: float | None, settled_s: int
) -> None:
    metrics = source(aws, ORDERS, versions_of=FunctionVersions(("41",), timeout_s=timeout_s))
    points = (await poll(metrics))["p95", "41"].points
    limit_s = aws.clock.now().timestamp() - settled_s
    assert [point.settled for point in points] == [point.timestamp_s + 60 <= limit_s for point in points]
    await wait(metrics, 60)
    await poll(metrics)
    reach_s = aws.clock.now().timestamp() - aws.asked[-1]["StartTime"].timestamp()
    assert reach_s >= settled_s, "what may still change is asked for again"


async def test_partial_data_is_reported_and_stays_unsettled(aws: CloudWatch) -> None:
    metrics = source(aws, ORDERS)
    await poll(metrics)
    aws.status = "InternalError"
    await wait(metrics, 600)
    results = await poll(metrics)
    assert "did not return all of Invocations Sum of orders:live" in (metrics.note() or "")
    assert metrics.unread()
    assert not results["p95", "41"].points[-1].settled


async def test_a_call_carries_500_series_and_no_maths(aws: CloudWatch) -> None:
    functions = tuple(FunctionTarget(name=f"f{number}", alias="live") for number in range(60))
    metrics = source(aws, *functions, versions_of=FunctionVersions(("41", "42")))
    await poll(metrics)
    sizes = [len(each["MetricDataQueries"]) for each in aws.asked]
    assert sizes == [SERIES_PER_CALL, SERIES_PER_CALL, 60 * 18 - 2 * SERIES_PER_CALL]
    for query in aws.asked:
        assert all(set(each) == {"Id", "MetricStat", "ReturnData"} for each in query["MetricDataQueries"])
        assert len({each["Id"] for each in query["MetricDataQueries"]}) == len(query["MetricDataQueries"])
        assert query["StartTime"].second == query["StartTime"].microsecond == 0


DAY = 86_400


@pytest.mark.parametrize(
    ("age_s", "asked_s", "used_s"),
    [
        (3600, 60, 60),
        (3600, 10, 10),
        (3 * 3600, 10, 60),
        (DAY, 10, 60),
        (DAY, 90, 120),
        (15 * DAY - 1, 60, 60),
        (15 * DAY, 60, 300),
        (20 * DAY, 600, 600),
        (20 * DAY, 720, 900),
        (63 * DAY, 60, 3600),
        (63 * DAY, 300, 3600),
        (100 * DAY, 7200, 7200),
    ],
)
def test_old_points_are_asked_for_in_periods_that_are_kept(age_s: int, asked_s: int, used_s: int) -> None:
    assert retained_period_s(asked_s, timedelta(seconds=age_s)) == used_s
    assert retention_of(used_s) > timedelta(seconds=age_s)


async def test_a_window_of_weeks_is_read_in_five_minutes_and_says_so(aws: CloudWatch) -> None:
    metrics = source(aws, ORDERS, since=START - timedelta(days=20))
    results = await poll(metrics)
    assert {each["MetricStat"]["Period"] for each in aws.asked[0]["MetricDataQueries"]} == {300}
    assert "points of 5 minutes" in (metrics.note() or "")
    rate = results["requests/s", "41"]
    assert rate.period_s == 300
    assert rate.points[0].value == pytest.approx(1 / 300)
    assert aws.asked[0]["StartTime"].timestamp() % 300 == 0
    assert rate.points[0].timestamp_s <= (START - timedelta(days=19, hours=23)).timestamp()


async def test_what_was_asked_for_is_kept_however_long_the_window(aws: CloudWatch) -> None:
    metrics = source(aws, ORDERS, since=START - timedelta(hours=6))
    first = (await poll(metrics))["p95", "41"].points
    assert len(first) >= 359
    await wait(metrics, 3600)
    assert len((await poll(metrics))["p95", "41"].points) >= 355


async def test_points_of_seconds_are_asked_for_only_where_they_still_are(aws: CloudWatch) -> None:
    fine = MetricTarget(name="fine", namespace="N", metric="M", period_s=10)
    metrics = source(aws, targets=(fine,), since=START - timedelta(hours=2, minutes=59))
    await poll(metrics)
    await wait(metrics, 3600)
    late = source(aws, targets=(fine,), since=START - timedelta(hours=2))
    await poll(late)
    for query in aws.asked:
        period_s = query["MetricDataQueries"][0]["MetricStat"]["Period"]
        assert query["EndTime"] - query["StartTime"] <= retention_of(period_s)


async def test_functions_of_the_same_name_have_different_labels(aws: CloudWatch) -> None:
    there = FunctionTarget(name="orders", alias="live", region="us-east-1")
    labels = {label for label, _ in await poll(source(aws, ORDERS, there))}
    assert {"p95 orders", "p95 orders in us-east-1"} <= labels


async def test_configured_series_without_points_are_not_reported(aws: CloudWatch) -> None:
    aws.status = "InternalError"
    assert not await poll(source(aws, targets=(MetricTarget(name="refunds", namespace="Pay", metric="R"),)))
