"""A configured metric of two versions, or since a release and before it: worse, harmless, or not decided."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from prodwatch.judge.comparison.metric_comparison import FEWEST_PERIODS, MetricComparison, Period
from prodwatch.model.comparison import ComparisonResult
from prodwatch.model.environment import VERSION_MARK, Compare, MetricTarget
from prodwatch.model.status import Reason, Status

RUNS = 60


def target(*, by_version: bool = True, **changes: Any) -> MetricTarget:
    values = {"name": "checkout", "namespace": "Shop", "metric": "CheckoutMs", "stat": "p95", "unit": "ms", **changes}
    return MetricTarget(**values, by_version={"version": VERSION_MARK} if by_version else {})


def compare(metric: MetricTarget, comparisons: int = 1) -> MetricComparison:
    return MetricComparison(metric, "checkout", "pay:live", ("42", "41"), Compare(), comparisons)


def paired(
    new: Sequence[float],
    old: Sequence[float],
    metric: MetricTarget | None = None,
    *,
    requests: tuple[int, int] | None = None,
    comparisons: int = 1,
    before: Sequence[float] = (),
) -> ComparisonResult:
    comparison = compare(metric or target(), comparisons)
    for value in before:
        comparison.add_before(value)
    served, usual = requests or (None, None)
    for number, (canary, baseline) in enumerate(zip(new, old, strict=True)):
        comparison.add(number * 60_000, Period(canary, served), Period(baseline, usual))
    return comparison.result()


SLOW, FAST = [360.0 + step for step in range(7)], [240.0 + step for step in range(7)]


def test_half_as_slow_again_fails_after_seven_periods_and_passes_at_no_time() -> None:
    statuses = [paired(SLOW[:periods], FAST[:periods]).status for periods in range(8)]
    assert statuses == [*[Status.INCONCLUSIVE] * 7, Status.FAIL]
    found = paired(SLOW, FAST)
    assert (found.id, found.function, found.gate, found.kind) == ("checkout", "pay:live", True, "metric")
    assert found.message == "checkout 363 ms against 243 ms, +49 %, 7 periods"
    assert found.evidence >= found.needed == 100.0
    assert (found.canary.value, found.baseline.value, found.unit) == (363.0, 243.0, "ms")


def test_a_metric_that_is_better_higher_fails_when_it_falls() -> None:
    higher = target(better="higher")
    assert paired(FAST, SLOW, higher).status is Status.FAIL
    assert paired(SLOW, FAST, higher).status is Status.PASS


@pytest.mark.parametrize(("gate", "expected"), [(True, True), (False, False)])
def test_the_entry_says_whether_its_comparison_gates(*, gate: bool, expected: bool) -> None:
    found = paired(SLOW, FAST, target(gate=gate))
    assert (found.status, found.gate) == (Status.FAIL, expected)


def test_more_metrics_need_more_evidence_each() -> None:
    assert paired(SLOW, FAST, comparisons=10).status is Status.INCONCLUSIVE
    assert paired(SLOW, FAST, comparisons=10).needed == 1000.0


@pytest.mark.parametrize("periods", range(FEWEST_PERIODS))
def test_too_few_periods_never_pass(periods: int) -> None:
    found = paired(FAST[:periods], FAST[:periods])
    assert (found.status, found.reason_code) == (
        Status.INCONCLUSIVE,
        Reason.MIN_SAMPLES if periods else Reason.NO_DATA,
    )


def test_a_difference_below_the_floor_passes_and_one_that_was_worse_stays_so() -> None:
    assert paired([260.0 + step for step in range(15)], [240.0 + step for step in range(15)]).status is Status.PASS
    assert paired([*SLOW, *[240.0] * 20], [*FAST, *[240.0] * 20]).status is Status.FAIL


def test_a_short_duration_needs_a_larger_part() -> None:
    assert (
        paired([2.5 + step / 100 for step in range(9)], [2.0 + step / 100 for step in range(9)]).status is Status.PASS
    )
    assert (
        paired([3.1 + step / 100 for step in range(9)], [2.0 + step / 100 for step in range(9)]).status is Status.FAIL
    )


EVENTS: dict[str, Any] = {"stat": "Sum", "unit": "Count"}
SPLIT = (100, 900)
"""Requests of the new and the old version in each period."""


def test_counts_are_compared_by_their_split_with_ten_times_the_evidence() -> None:
    events = target(**EVENTS)
    worse = paired([20.0] * 4, [2.0] * 4, events, requests=SPLIT)
    assert (worse.status, worse.needed, worse.basis) == (Status.FAIL, 10_000.0, "counts")
    assert paired([1.0] * 4, [9.0] * 4, events, requests=SPLIT).status is Status.PASS
    more = paired([2.0] * 4, [9.0] * 4, events, requests=SPLIT)
    assert more.status is not Status.FAIL
    assert "a request" in worse.message


def test_fewer_events_of_a_kind_that_is_better_higher_fail() -> None:
    orders = target(**EVENTS, better="higher")
    assert paired([10.0] * 5, [900.0] * 5, orders, requests=SPLIT).status is Status.FAIL
    assert paired([100.0] * 5, [900.0] * 5, orders, requests=SPLIT).status is Status.PASS


def test_counts_that_vary_more_than_chance_weigh_less() -> None:
    events = target(**EVENTS)
    steady = paired([6.0], [2.0], events, requests=SPLIT, before=[10.0] * 30)
    clumped = paired([6.0], [2.0], events, requests=SPLIT, before=[0.0, 20.0] * 15)
    assert clumped.evidence < steady.evidence


def test_counts_without_the_requests_of_their_periods_are_not_decided() -> None:
    found = paired([1.0] * 5, [9.0] * 5, target(**EVENTS))
    assert (found.status, found.reason_code) == (Status.INCONCLUSIVE, Reason.NO_DATA)


def alone(new: Sequence[float], old: Sequence[float], *, by_version: bool) -> ComparisonResult:
    comparison = compare(target(by_version=by_version))
    for value in old:
        comparison.add_before(value)
    for value in new:
        comparison.add_alone(value)
    return comparison.result()


@pytest.mark.parametrize(
    ("by_version", "new", "status"),
    [
        (True, SLOW, Status.INCONCLUSIVE),
        (True, FAST, Status.PASS),
        (False, SLOW, Status.DEGRADED),
        (False, FAST, Status.PASS),
        (True, [], Status.INCONCLUSIVE),
        (False, [], Status.INCONCLUSIVE),
    ],
)
def test_a_comparison_with_the_time_before_never_fails(
    *, by_version: bool, new: Sequence[float], status: Status
) -> None:
    found = alone(new, FAST * 3, by_version=by_version)
    assert (found.status, found.basis, found.gate) == (status, "before/after", by_version)


def share_of(status: Status, factor: float, noise: float) -> float:
    found = 0
    for seed in range(RUNS):
        rng = random.Random(seed)
        new = [240.0 * factor * rng.lognormvariate(0.0, noise) for _ in range(15)]
        old = [240.0 * rng.lognormvariate(0.0, noise / 3) for _ in range(15)]
        found += paired(new, old).status is status
    return found / RUNS


@pytest.mark.parametrize("noise", [0.05, 0.2])
def test_equal_versions_hardly_ever_fail_and_half_as_slow_again_always_does(noise: float) -> None:
    assert share_of(Status.FAIL, 1.0, noise) <= 1 / RUNS
    assert share_of(Status.FAIL, 1.5, noise) >= 0.99
