"""Placebo releases: the share of false alarms is the one that was made, and the thresholds found are the first ones."""

from __future__ import annotations

from collections import Counter
from functools import partial
from itertools import pairwise
from random import Random

import pytest
from msgspec.structs import replace
from scipy.stats import hypergeom

from prodwatch.judge.comparison.placebo import (
    LOOSER_RATIOS,
    Minute,
    Placebo,
    before_after_fails,
    errors_fail,
    hypergeometric,
    latency_fails,
    looser_errors,
    ratios_of,
    without_failure,
)
from prodwatch.judge.comparison.random_counts import poisson
from prodwatch.model.environment import Compare, ErrorComparison, LatencyComparison

RATE = 600.0
LIMITS = Compare()


def minutes(random: Random, count: int, share: float, start: int = 0) -> tuple[Minute, ...]:
    return tuple(
        Minute(start + 60 * each, requests := poisson(random, RATE), min(requests, poisson(random, RATE * share)))
        for each in range(count)
    )


def noise(seed: int, after: float = 0.002, before: float = 0.002) -> Placebo:
    random = Random(seed)
    return Placebo(
        before=minutes(random, 60, before),
        after=minutes(random, 15, after, 3600),
        last_week=minutes(random, 60, before),
        seed=seed,
    )


@pytest.mark.parametrize(("population", "bad", "drawn"), [(20, 3, 8), (20, 17, 8), (12, 6, 11)])
def test_a_split_is_hypergeometric(population: int, bad: int, drawn: int) -> None:
    random = Random(5)
    runs = 4_000
    seen = Counter(hypergeometric(random, population, bad, drawn) for _ in range(runs))
    for count, times in seen.items():
        share = hypergeom.pmf(count, population, bad, drawn)
        assert abs(times / runs - share) < 0.035
    assert all(max(0, bad + drawn - population) <= each <= min(bad, drawn) for each in seen)


def test_a_large_split_has_mean_and_spread_of_the_distribution() -> None:
    random = Random(6)
    drawn = [hypergeometric(random, 3_000, 900, 600) for _ in range(2_000)]
    mean = sum(drawn) / len(drawn)
    spread = sum((each - mean) ** 2 for each in drawn) / len(drawn)
    assert mean == pytest.approx(hypergeom.mean(3_000, 900, 600), abs=1)
    assert spread == pytest.approx(hypergeom.var(3_000, 900, 600), rel=0.15)


def test_noise_fails_no_more_often_than_is_allowed() -> None:
    placebos = [noise(seed) for seed in range(40)]
    assert not any(before_after_fails(each, LIMITS) for each in placebos)
    assert not any(errors_fail(each, LIMITS, weight=0.1) for each in placebos)


def test_the_share_of_jumps_is_the_share_of_failures() -> None:
    placebos = [noise(seed, after=0.06 if seed % 4 == 0 else 0.002) for seed in range(24)]
    failed = [each.seed for each in placebos if before_after_fails(each, LIMITS)]
    assert failed == [0, 4, 8, 12, 16, 20]
    # A random split halves the jump among both versions.
    assert not any(errors_fail(each, LIMITS, weight=0.1) for each in placebos)


def test_without_the_week_before_no_cut_fails_alone() -> None:
    placebo = noise(0, after=0.06)
    assert before_after_fails(placebo, LIMITS)
    assert not before_after_fails(replace(placebo, last_week=()), LIMITS)


def test_the_thresholds_found_are_the_first_that_never_failed() -> None:
    placebos = [noise(seed, after=0.04 if seed == 3 else 0.002) for seed in range(6)]
    fails = (before_after_fails, partial(errors_fail, weight=0.1))
    found = without_failure(placebos, LIMITS, fails)
    assert found is not None
    assert LIMITS.errors is not None
    ladder = list(looser_errors(LIMITS.errors))
    place = ladder.index(found)
    assert place > 0
    for errors, failed in ((ladder[place], False), (ladder[place - 1], True)):
        assert any(before_after_fails(each, replace(LIMITS, errors=errors)) for each in placebos) is failed
    assert without_failure([noise(1)], LIMITS, fails) == LIMITS.errors
    assert without_failure([noise(1, after=0.9)], LIMITS, fails) is None
    assert without_failure([noise(1)], replace(LIMITS, errors=None), fails) is None


def test_thresholds_only_loosen() -> None:
    ladder = list(looser_errors(ErrorComparison()))
    assert ladder[0] == ErrorComparison()
    for one, other in pairwise(ladder):
        assert (other.ratio > one.ratio, other.difference > one.difference, other.always > one.always) == (True,) * 3
    assert ratios_of(LatencyComparison()) == (1.1, *LOOSER_RATIOS)
    assert ratios_of(LatencyComparison(ratio=1.4)) == (1.4, 1.5, 2.0)


def durations(slow: int) -> Placebo:
    each = Minute(0, 1_000, 0, usual=(500, 50, 10), slow=((slow, 20, 5),))
    after = tuple(replace(each, at_s=60 * number) for number in range(15))
    return Placebo(before=(), after=after, seed=3)


def test_a_random_split_of_durations_never_fails_and_a_limit_below_the_usual_would() -> None:
    assert not latency_fails(durations(100), LIMITS, weight=0.5, ratio=0)
    assert not latency_fails(durations(500), LIMITS, weight=0.5, ratio=0)
    assert not latency_fails(durations(100), replace(LIMITS, latency=None), weight=0.5, ratio=0)


def test_what_is_turned_off_fails_nothing() -> None:
    assert not errors_fail(noise(0), replace(LIMITS, errors=None), weight=0.1)
