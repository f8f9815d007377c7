"""The split of bad requests is Fisher's noncentral hypergeometric distribution, and its factors are evidence."""

from __future__ import annotations

import math
import random

import pytest
from scipy.stats import nchypergeom_fisher

from prodwatch.judge.comparison.strata import ALTERNATIVES, Stratum, log_odds_factors, log_rate_factors

SEEDS = [*range(4), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 60))]


def random_stratum(rng: random.Random) -> Stratum:
    canary, baseline = rng.randint(1, 200), rng.randint(1, 1500)
    bad = rng.randint(1, min(canary + baseline - 1, rng.choice([3, 30, 900])))
    canary_bad = rng.randint(max(0, bad - baseline), min(canary, bad))
    return Stratum(canary, canary_bad, baseline, bad - canary_bad)


@pytest.mark.parametrize("seed", SEEDS)
def test_factors_are_the_likelihood_ratios_of_scipy(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(50):
        canary, canary_bad, baseline, baseline_bad = stratum = random_stratum(rng)
        null, bad = math.exp(rng.uniform(-2, 2)), canary_bad + baseline_bad
        alternative = rng.choice(ALTERNATIVES)
        there = nchypergeom_fisher.logpmf(canary_bad, canary + baseline, canary, bad, null * alternative)
        here = nchypergeom_fisher.logpmf(canary_bad, canary + baseline, canary, bad, null)
        if math.isfinite(there) and math.isfinite(here):  # scipy underflows far out in the tails
            assert log_odds_factors(stratum, null, (alternative,))[0] == pytest.approx(there - here, rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("odds", [1.0, 0.7, 0.2])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_expected_factor_is_at_most_one_where_the_new_version_is_no_worse(seed: int, odds: float) -> None:
    rng = random.Random(seed)
    canary, canary_bad, baseline, baseline_bad = random_stratum(rng)
    bad = canary_bad + baseline_bad
    possible = range(max(0, bad - baseline), min(canary, bad) + 1)
    splits = [Stratum(canary, each, baseline, bad - each) for each in possible]
    for slot in range(len(ALTERNATIVES)):
        expected = math.fsum(
            nchypergeom_fisher.pmf(split.canary_bad, canary + baseline, canary, bad, odds)
            * math.exp(log_odds_factors(split, 1.0, ALTERNATIVES)[slot])
            for split in splits
        )
        assert expected <= 1.0 + 1e-9
        if odds == 1.0:
            assert expected == pytest.approx(1.0)


@pytest.mark.parametrize(
    "stratum",
    [
        Stratum(0, 0, 100, 3),
        Stratum(10, 1, 0, 0),
        Stratum(10, 0, 100, 0),
        Stratum(10, 10, 100, 100),
        Stratum(0, 0, 0, 0),
    ],
)
def test_a_stratum_with_one_version_or_without_a_choice_is_no_evidence(stratum: Stratum) -> None:
    assert log_odds_factors(stratum, 1.0, ALTERNATIVES) == (0.0,) * len(ALTERNATIVES)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
@pytest.mark.parametrize("rate_ratio", [1.0, 0.5])
def test_the_expected_factor_of_a_split_of_events_is_at_most_one(share: float, rate_ratio: float) -> None:
    on_canary = share * rate_ratio / (share * rate_ratio + 1 - share)
    for slot in range(len(ALTERNATIVES)):
        expected = math.fsum(
            math.comb(12, each)
            * on_canary**each
            * (1 - on_canary) ** (12 - each)
            * math.exp(log_rate_factors(each, 12 - each, share, ALTERNATIVES)[slot])
            for each in range(13)
        )
        assert expected <= 1.0 + 1e-9


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_events_are_no_evidence_where_only_one_version_serves(share: float) -> None:
    assert set(log_rate_factors(5, 0, share, ALTERNATIVES)) == {0.0}
