"""Sizes of effects over strata, and their bounds."""

from __future__ import annotations

import math
import random

import pytest

from prodwatch.judge.comparison.effect import EffectSums, rates
from prodwatch.judge.comparison.strata import Stratum


def effect_of(*strata: Stratum) -> EffectSums:
    sums = EffectSums()
    for each in strata:
        sums.add(each)
    return sums


def test_strata_of_other_weights_and_levels_are_not_pooled() -> None:
    # Both versions fail equally, 0.1 % while the canary gets 2 % and 10 % while it gets half: pooled, it looks worse.
    quiet, rough = Stratum(2_000, 2, 98_000, 98), Stratum(50_000, 5_000, 50_000, 5_000)
    effect = effect_of(quiet, rough)
    assert effect.ratio == pytest.approx(1.0)
    assert effect.difference == pytest.approx(0.0)
    assert effect.canary_bad / effect.canary > 1.5 * effect.baseline_bad / effect.baseline


def test_the_ratio_is_infinite_without_a_bad_request_of_the_old_version_and_one_without_any() -> None:
    assert effect_of(Stratum(100, 3, 900, 0)).ratio == math.inf
    assert effect_of(Stratum(100, 0, 900, 0)).ratio == 1.0
    assert effect_of(Stratum(100, 0, 0, 0)).difference == 0.0


def test_one_stratum_has_the_bounds_of_newcombe() -> None:
    # Newcombe 1998, table II (a): 56/70 against 48/80, 95 % two-sided by his method 10: 0.0524 to 0.3339.
    found = rates([Stratum(70, 56, 80, 48)], z=1.959964)
    assert found is not None
    assert [found.lower, found.upper] == pytest.approx([0.0524, 0.3339], abs=5e-5)


def test_no_bad_request_among_eleven_hundred_excludes_half_a_point() -> None:
    # The baseline is large: the bound is that of Wilson for the canary alone, z²/(n + z²).
    found = rates([Stratum(1_100, 0, 1_000_000, 0)])
    assert found is not None
    assert found.upper == pytest.approx(5.41 / 1105.41, rel=0.01)
    split = rates([Stratum(220, 0, 200_000, 0)] * 5)
    assert split is not None
    assert split.upper == pytest.approx(found.upper, rel=0.02)


def test_bounds_need_strata_in_which_both_versions_served() -> None:
    assert rates([]) is None
    assert rates([Stratum(50, 1, 0, 0), Stratum(0, 0, 50, 1)]) is None


def test_clumps_widen_the_bounds() -> None:
    strata = [Stratum(1_000, 10, 9_000, 90)]
    narrow, wide = rates(strata), rates(strata, widen=math.sqrt(3))
    assert narrow is not None
    assert wide is not None
    assert wide.upper - wide.difference > 1.6 * (narrow.upper - narrow.difference)


@pytest.mark.parametrize("base", [0.001, 0.01, 0.1])
def test_the_upper_bound_covers_the_true_difference(base: float) -> None:
    rng = random.Random(int(base * 1000))
    covered = 0
    for _ in range(300):
        strata = []
        for canary in (300, 100, 500):
            worse = base + 0.004
            strata.append(
                Stratum(
                    canary,
                    sum(rng.random() < worse for _ in range(canary)),
                    900,
                    sum(rng.random() < base for _ in range(900)),
                )
            )
        found = rates(strata)
        assert found is not None
        covered += found.upper >= 0.004
    assert covered >= 292  # 99 % of 300, less three standard deviations
