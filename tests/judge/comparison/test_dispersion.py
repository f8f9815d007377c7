"""Whether bad requests are independent, requests split at random, and environments alike."""

from __future__ import annotations

import random

import pytest
from scipy import stats

from prodwatch.judge.comparison.dispersion import (
    NOT_RANDOM,
    clumping,
    clustered_in,
    hypergeometric_tail,
    split_dispersion,
)
from prodwatch.judge.comparison.strata import Stratum


def poisson(rng: random.Random, mean: float) -> int:
    return sum(rng.random() < mean / 1000 for _ in range(1000))


def test_independent_bad_requests_are_not_clumped_also_while_their_level_rises() -> None:
    rng = random.Random(4)
    assert clumping([poisson(rng, 4) for _ in range(30)]) == 1.0
    assert clumping([poisson(rng, 2 + number) for number in range(30)]) == 1.0


def test_clumps_of_five_have_about_five_times_the_dispersion() -> None:
    rng = random.Random(5)
    assert 2 < clumping([5 * poisson(rng, 2) for _ in range(30)]) < 8


def test_too_few_bad_requests_say_nothing_about_clumps() -> None:
    assert clumping([0] * 29 + [5]) == 1.0
    assert clumping([]) == clumping([7]) == 1.0


def test_a_random_split_has_a_dispersion_of_one_and_sticky_routing_a_large_one() -> None:
    rng = random.Random(6)
    split = [Stratum(canary := poisson(rng, 100), 0, 1000 - canary, 0) for _ in range(10)]
    dispersion = split_dispersion(split)
    assert dispersion is not None
    assert dispersion < NOT_RANDOM
    sticky = [Stratum(canary := rng.choice([0, 200]), 0, 1000 - canary, 0) for _ in range(10)]
    dispersion = split_dispersion(sticky)
    assert dispersion is not None
    assert dispersion > NOT_RANDOM


def test_a_split_is_not_judged_before_ten_batches_or_with_one_version_alone() -> None:
    assert split_dispersion([Stratum(10, 0, 90, 0)] * 9) is None
    assert split_dispersion([Stratum(100, 0, 0, 0)] * 10) is None


def test_one_environment_with_most_of_the_bad_requests_is_named() -> None:
    even = {f"stream-{number}": (100, 2) for number in range(10)}
    assert clustered_in(even) is None
    assert clustered_in({**even, "stream-3": (100, 30)}) == "stream-3"
    assert clustered_in({"stream-0": (100, 0)}) is None


@pytest.mark.parametrize("at_least", [0, 1, 4, 9, 11])
def test_the_tail_is_that_of_scipy(at_least: int) -> None:
    theirs = stats.hypergeom.sf(at_least - 1, 500, 40, 60)
    assert hypergeometric_tail(at_least, 500, 40, 60) == pytest.approx(theirs, abs=1e-12)


def test_the_dispersion_of_a_split_is_chi_square_for_each_degree_of_freedom() -> None:
    rng = random.Random(11)
    split = [Stratum(poisson(rng, 20), 0, poisson(rng, 180), 0) for _ in range(10)]
    table = [[each.canary for each in split], [each.baseline for each in split]]
    expected = stats.chi2_contingency(table, correction=False)
    assert split_dispersion(split) == pytest.approx(expected.statistic / expected.dof)
