"""Tests of one window against an earlier one are those of scipy."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from scipy import stats

from prodwatch.judge.comparison.before_after import fisher_exact, hodges_lehmann, mann_whitney

SEEDS = [*range(4), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 60))]


def values(rng: random.Random, most: int) -> list[float]:
    return [rng.choice([rng.gauss(0, 1), float(rng.randint(0, 4))]) for _ in range(rng.randint(1, most))]


@pytest.mark.parametrize("seed", SEEDS)
def test_ranks_and_shifts_agree_with_scipy_and_with_all_pairs(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(40):
        canary, baseline = values(rng, 50), values(rng, 70)
        theirs = stats.mannwhitneyu(canary, baseline, alternative="greater", method="asymptotic").pvalue
        if not math.isnan(theirs):  # scipy has none where all values are equal
            assert mann_whitney(canary, baseline) == pytest.approx(theirs, abs=1e-12)
        pairs = [one - other for one in canary for other in baseline]
        assert hodges_lehmann(canary, baseline) == pytest.approx(statistics.median(pairs), abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_shares_agree_with_scipy(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(40):
        canary, baseline = rng.randint(1, 300), rng.randint(1, 2000)
        bad, usual = rng.randint(0, min(canary, 30)), rng.randint(0, min(baseline, 60))
        table = [[bad, canary - bad], [usual, baseline - usual]]
        theirs = stats.fisher_exact(table, alternative="greater")[1]
        assert fisher_exact(bad, canary, usual, baseline) == pytest.approx(theirs, abs=1e-9)


def test_equal_values_and_empty_sides_prove_nothing() -> None:
    assert mann_whitney([5.0] * 20, [5.0] * 20) == 1.0
    assert mann_whitney([], [5.0]) == 1.0
    with pytest.raises(ValueError, match="at least one"):
        hodges_lehmann([], [1.0])
