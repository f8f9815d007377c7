"""A plan states before the shift what a bake finds: from simulated releases, equal for equal arguments."""

from __future__ import annotations

import math
import statistics
from random import Random

import pytest

from prodwatch.judge.comparison.plan import Plan, Traffic, closed_batches, plan
from prodwatch.judge.comparison.random_counts import binomial, poisson
from prodwatch.model.environment import Compare, ErrorComparison

DURATIONS = tuple(math.exp(5.3 + 0.5 * statistics.NormalDist().inv_cdf((k + 0.5) / 500)) for k in range(500))


def of(requests_per_s: float, *, error_share: float = 0.001, limits: Compare | None = None, runs: int = 40) -> Plan:
    traffic = Traffic(requests_per_s=requests_per_s, error_share=error_share, durations_ms=DURATIONS)
    return plan(traffic, weight=0.1, bake_s=900, limits=limits or Compare(), runs=runs)


def test_with_much_traffic_every_harm_is_found_and_a_healthy_release_passes() -> None:
    planned = of(46)
    found = {each.harm: each for each in planned.harms}
    errors = found["errors 0.1 % → 1.0 %"]
    assert errors.found >= 0.95
    assert errors.after_s is not None
    assert 120 <= errors.after_s <= 300
    assert (found["latency × 1.5"].found, found["latency × 1.5"].after_s) == (1.0, 60.0)
    assert found["new error signature in 0.5 % of its requests"].found >= 0.9
    assert planned.passes >= 0.9
    assert (planned.requests_needed, planned.weight_needed, planned.bake_needed_s) == (None, None, None)


def test_with_little_traffic_the_plan_names_what_a_pass_needs() -> None:
    planned = of(9)
    assert planned.passes == 0
    assert planned.weight_needed in {0.2, 0.25, 0.5}
    assert planned.bake_needed_s is not None
    assert planned.requests_needed == math.ceil((planned.bake_needed_s - 900) * 0.9)
    longer = plan(
        Traffic(requests_per_s=9, error_share=0.001),
        weight=0.1,
        bake_s=planned.bake_needed_s,
        limits=Compare(),
        runs=40,
    )
    assert longer.passes >= 0.8


def test_without_traffic_nothing_is_found_and_nothing_passes() -> None:
    planned = of(0)
    assert {each.found for each in planned.harms} == {0.0}
    assert {each.after_s for each in planned.harms} == {None}
    assert planned.passes == 0
    assert (planned.requests_needed, planned.weight_needed, planned.bake_needed_s) == (None, None, None)


def test_a_bake_shorter_than_a_closed_batch_finds_nothing() -> None:
    assert [closed_batches(each) for each in (0, 59, 60, 900)] == [0, 0, 1, 29]
    planned = plan(Traffic(requests_per_s=46, error_share=0.0), weight=0.1, bake_s=30, limits=Compare(), runs=5)
    assert {each.found for each in planned.harms} == {0.0}
    assert planned.passes == 0


def test_harms_begin_at_the_harm_floor_of_the_present_share() -> None:
    harms = [each.harm for each in of(5, error_share=0.04, runs=1).harms if each.kind == "errors"]
    assert harms == ["errors 4.0 % → 10.0 %", "errors 4.0 % → 20.0 %"]


def test_a_comparison_that_is_off_or_does_not_gate_is_not_foreseen() -> None:
    limits = Compare(errors=ErrorComparison(gate=False), latency=None, signatures=None)
    planned = of(46, limits=limits)
    assert planned.harms == ()
    assert planned.passes >= 0.9


def test_equal_arguments_give_equal_plans() -> None:
    assert of(20, runs=5) == of(20, runs=5)


@pytest.mark.parametrize(("trials", "share"), [(20, 0.0), (20, 1.0), (40, 0.1), (40, 0.9), (2000, 0.01), (3000, 0.4)])
def test_binomial_counts_have_their_mean_and_variance(trials: int, share: float) -> None:
    random = Random(7)
    drawn = [binomial(random, trials, share) for _ in range(4000)]
    variance = trials * share * (1 - share)
    assert 0 <= min(drawn) <= max(drawn) <= trials
    assert statistics.fmean(drawn) == pytest.approx(trials * share, abs=5 * math.sqrt(variance / 4000))
    assert statistics.pvariance(drawn) == pytest.approx(variance, rel=0.12)


@pytest.mark.parametrize("mean", [0.0, 0.3, 12.0, 49.9, 800.0])
def test_poisson_counts_have_their_mean_and_variance(mean: float) -> None:
    random = Random(7)
    drawn = [poisson(random, mean) for _ in range(4000)]
    assert statistics.fmean(drawn) == pytest.approx(mean, abs=5 * math.sqrt(mean / 4000))
    assert statistics.pvariance(drawn) == pytest.approx(mean, rel=0.12)
