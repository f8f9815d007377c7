"""A metric is green only by a settled point that is fresh; an alarm only by a state."""

from __future__ import annotations

from datetime import timedelta

import pytest

from prodwatch.judge.signals import alarm_signals, merged, metric_signal
from prodwatch.model.environment import AlarmTarget, MetricTarget
from prodwatch.model.result import SignalResult
from prodwatch.model.signal import SETTLED_AFTER_S, AlarmState, MetricKey, MetricPoint, MetricSeries
from prodwatch.model.status import Reason, Status
from prodwatch.testing.clock import START

NOW_S = int(START.timestamp())
NEWEST_S = NOW_S - int(SETTLED_AFTER_S) - 60
"""Start of the newest minute that has settled."""


def target(**more: object) -> MetricTarget:
    given: dict[str, object] = {"expect": ("value <= 800ms",), "unit": "ms", **more}
    return MetricTarget(name="latency", namespace="Shop", metric="CheckoutMs", **given)  # type: ignore[arg-type]


def series(*points: MetricPoint, period_s: int = 60) -> MetricSeries:
    return MetricSeries(key=MetricKey("Shop", "CheckoutMs"), points=points, unit="ms", period_s=period_s)


def judged(*values: float, **more: object) -> SignalResult:
    first_s = NEWEST_S - 60 * (len(values) - 1)
    points = (MetricPoint(first_s + 60 * number, value) for number, value in enumerate(values))
    return metric_signal(target(**more), series(*points), START)


@pytest.mark.parametrize(
    ("value", "expect", "warn", "status", "reason"),
    [
        (700.0, ("value <= 800ms",), (), Status.PASS, None),
        (900.0, ("value <= 800ms",), (), Status.FAIL, Reason.ASSERTION),
        (700.0, ("value <= 800ms",), ("value <= 400ms",), Status.DEGRADED, Reason.WARNING),
        (900.0, ("value <= 800ms",), ("value <= 400ms",), Status.FAIL, Reason.ASSERTION),
        (900.0, (), ("value <= 800ms",), Status.DEGRADED, Reason.WARNING),
        (700.0, ("value <= ${vars.limit}",), (), Status.INCONCLUSIVE, Reason.NO_DATA),
        (900.0, ("value <= 800ms", "value <= ${vars.limit}"), (), Status.FAIL, Reason.ASSERTION),
        (700.0, ("value <= 800ms",), ("value <= ${vars.limit}",), Status.INCONCLUSIVE, Reason.NO_DATA),
    ],
)
def test_a10_what_the_assertions_of_a_metric_decide(
    value: float, expect: tuple[str, ...], warn: tuple[str, ...], status: Status, reason: Reason | None
) -> None:
    found = judged(value, expect=expect, warn=warn)
    assert (found.status, found.reason_code, found.value) == (status, reason, value)
    assert len(found.assertions) == len(expect) + len(warn)
    assert (found.message is None) is (status is Status.PASS)


def test_the_newest_settled_point_is_the_value() -> None:
    newer = MetricPoint(NEWEST_S + 60, 5000.0, settled=False)
    found = metric_signal(target(), series(MetricPoint(NEWEST_S, 700.0), newer), START)
    assert (found.status, found.value, found.at) == (Status.PASS, 700.0, START - timedelta(seconds=SETTLED_AFTER_S))


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (None, "Shop CheckoutMs has no settled data point in the last 9 minutes"),
        ((), "Shop CheckoutMs has no settled data point in the last 9 minutes"),
        (
            (MetricPoint(NEWEST_S, 700.0, settled=False),),
            "Shop CheckoutMs has no settled data point in the last 9 minutes: the newest points may still change",
        ),
        ((MetricPoint(NEWEST_S - 600, 700.0),), "Shop CheckoutMs has no settled data point in the last 9 minutes"),
    ],
    ids=["no series", "no point", "not settled", "too old"],
)
def test_a10_without_a_fresh_settled_point_a_metric_is_never_green(
    points: tuple[MetricPoint, ...] | None, message: str
) -> None:
    found = metric_signal(target(), None if points is None else series(*points), START)
    assert (found.status, found.reason_code, found.message) == (Status.INCONCLUSIVE, Reason.NO_DATA, message)


@pytest.mark.parametrize(("age_s", "status"), [(360, Status.PASS), (361, Status.INCONCLUSIVE)])
def test_a10_a_point_decides_for_five_minutes_and_its_own_period(age_s: int, status: Status) -> None:
    settled_s = NOW_S - int(SETTLED_AFTER_S)
    found = metric_signal(target(), series(MetricPoint(settled_s - age_s, 700.0)), START)
    assert found.status is status


@pytest.mark.parametrize(("age_s", "status"), [(330, Status.PASS), (331, Status.INCONCLUSIVE)])
def test_a10_five_short_periods_reach_back_five_minutes_too(age_s: int, status: Status) -> None:
    settled_s = NOW_S - int(SETTLED_AFTER_S)
    points = series(MetricPoint(settled_s - age_s, 700.0), period_s=30)
    assert metric_signal(target(period_s=30), points, START).status is status


def test_a_period_longer_than_a_minute_reaches_further_back() -> None:
    points = series(MetricPoint(NOW_S - 1200, 700.0), period_s=300)
    assert metric_signal(target(period_s=300), points, START).status is Status.PASS


@pytest.mark.parametrize(
    "expression",
    [
        "value == 30ms",
        "last == 30ms",
        "length(values) == `3`",
        "values[0] == 10ms",
        "sum == 60ms",
        "min == 10ms",
        "max == 30ms",
        "points == 3",
        "unit == 'ms'",
    ],
)
def test_every_field_of_the_document(expression: str) -> None:
    assert judged(10.0, 20.0, 30.0, expect=(expression,)).status is Status.PASS


def test_without_a_unit_of_time_values_are_plain_numbers() -> None:
    assert judged(3.0, unit="Count", expect=("value == 3",)).status is Status.PASS
    assert judged(3.0, unit="ms", stat="SampleCount", expect=("value == 3",)).status is Status.PASS
    assert judged(3.0, unit=None, expect=("unit == 'None'", "value == 3")).status is Status.PASS


def test_the_same_name_in_two_places_is_two_signals() -> None:
    found = judged(1.0, account="pay", region="us-east-1")
    assert (found.id, found.name) == ("latency in pay/us-east-1", "latency")


def alarm(name: str, state: str = "OK", reason: str | None = None) -> AlarmState:
    return AlarmState(name=name, state=state, since=START, reason=reason)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("watched", "states", "expected"),
    [
        (AlarmTarget(names=("a",)), (alarm("a"),), {"a": Status.PASS}),
        (AlarmTarget(names=("a",)), (alarm("a", "ALARM"),), {"a": Status.FAIL}),
        (AlarmTarget(names=("a",)), (alarm("a", "INSUFFICIENT_DATA"),), {"a": Status.INCONCLUSIVE}),
        (AlarmTarget(names=("a",)), (), {"a": Status.INCONCLUSIVE}),
        (AlarmTarget(names=("a",)), (alarm("a", "SOMETHING_NEW"),), {"a": Status.INCONCLUSIVE}),
        (AlarmTarget(prefix="a"), (alarm("a1"), alarm("a2", "ALARM")), {"a1": Status.PASS, "a2": Status.FAIL}),
        (AlarmTarget(prefix="a"), (), {"a*": Status.INCONCLUSIVE}),
        (AlarmTarget(prefix=""), (), {"*": Status.INCONCLUSIVE}),
        (
            AlarmTarget(prefix="a"),
            (alarm("a1"), alarm("a2", "INSUFFICIENT_DATA")),
            {"a1": Status.PASS, "a2": Status.SKIPPED},
        ),
        (AlarmTarget(prefix="a"), (alarm("a2", "INSUFFICIENT_DATA"),), {"a2": Status.INCONCLUSIVE}),
        (
            AlarmTarget(prefix="a", names=("a2",)),
            (alarm("a1"), alarm("a2", "INSUFFICIENT_DATA")),
            {"a1": Status.PASS, "a2": Status.INCONCLUSIVE},
        ),
    ],
)
def test_a10_what_the_states_of_alarms_decide(
    watched: AlarmTarget, states: tuple[AlarmState, ...], expected: dict[str, Status]
) -> None:
    found = alarm_signals(watched, states)
    assert {each.name: each.status for each in found} == expected
    assert all(each.message for each in found if each.status is not Status.PASS)


def test_the_reason_of_an_alarm_is_in_its_message() -> None:
    (found,) = alarm_signals(AlarmTarget(names=("a",)), (alarm("a", "ALARM", "5 errors"),))
    assert (found.message, found.value, found.since) == ("the alarm is firing: 5 errors", "ALARM", START)


def test_an_alarm_of_two_entries_is_one_signal_by_the_entry_that_gates() -> None:
    shown = alarm_signals(AlarmTarget(prefix="a", gate=False), (alarm("a1", "ALARM"),))
    named = alarm_signals(AlarmTarget(names=("a1",)), (alarm("a1", "INSUFFICIENT_DATA"),))
    for results in ((*shown, *named), (*named, *shown)):
        (only,) = merged(results)
        assert (only.gate, only.status) == (True, Status.INCONCLUSIVE)


def test_of_two_entries_that_gate_the_heavier_result_counts() -> None:
    by_prefix = alarm_signals(AlarmTarget(prefix="a"), (alarm("a0"), alarm("a1", "INSUFFICIENT_DATA")))
    by_name = alarm_signals(AlarmTarget(names=("a1",)), (alarm("a1", "INSUFFICIENT_DATA"),))
    assert {each.name: each.status for each in merged((*by_name, *by_prefix))} == {
        "a0": Status.PASS,
        "a1": Status.INCONCLUSIVE,
    }
