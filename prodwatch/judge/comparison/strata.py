"""Counts of two versions over the same stretch of time, and how likely a split of the bad requests is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

ALTERNATIVES = (1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0)
"""Odds ratios, and rate ratios, that the new version might have; the evidence is averaged over them."""


class Stratum(NamedTuple):
    """Requests of both versions in one batch, all at the same level of errors and of traffic."""

    canary: int
    canary_bad: int
    baseline: int
    baseline_bad: int

    @property
    def is_informative(self) -> bool:
        """Return whether the split of the bad requests can say anything: both versions served, and some were bad."""
        bad = self.canary_bad + self.baseline_bad
        return self.canary > 0 and self.baseline > 0 and 0 < bad < self.canary + self.baseline


def log_normalizer(canary: int, baseline: int, bad: int, odds: float) -> float:
    """Return ln Σₖ C(canary, k)·C(baseline, bad − k)·oddsᵏ, over every possible number k of bad canary requests.

    The terms are log-concave in k: they are summed outwards from the largest one until they no longer count.
    """
    low, high = max(0, bad - baseline), min(canary, bad)
    mode = _mode(canary, baseline, bad, odds, low, high)
    total = 1.0
    term = 1.0
    for k in range(mode, high):
        term *= odds * (canary - k) * (bad - k) / ((k + 1) * (baseline - bad + k + 1))
        total += term
        if term < 1e-17 * total:
            break
    term = 1.0
    for k in range(mode, low, -1):
        term *= k * (baseline - bad + k) / (odds * (canary - k + 1) * (bad - k + 1))
        total += term
        if term < 1e-17 * total:
            break
    return _log_choose(canary, mode) + _log_choose(baseline, bad - mode) + mode * math.log(odds) + math.log(total)


def log_odds_factors(stratum: Stratum, null: float, alternatives: Sequence[float]) -> tuple[float, ...]:
    """Return ln P(split | null · alternative) − ln P(split | null) for each alternative.

    The split is Fisher's noncentral hypergeometric distribution given the margins, so that the level of errors that
    both versions share cancels. Where the null holds, the expected factor is at most 1 for alternatives above 1.
    """
    if not stratum.is_informative:
        return (0.0,) * len(alternatives)
    bad = stratum.canary_bad + stratum.baseline_bad
    at_null = log_normalizer(stratum.canary, stratum.baseline, bad, null)
    return tuple(
        stratum.canary_bad * math.log(each)
        - log_normalizer(stratum.canary, stratum.baseline, bad, null * each)
        + at_null
        for each in alternatives
    )


def log_rate_factors(
    canary_events: int, baseline_events: int, canary_share: float, alternatives: Sequence[float]
) -> tuple[float, ...]:
    """Return the log factors of a split of events that have no requests to divide by.

    Each event falls on the canary with probability ρθ/(ρθ + 1 − ρ): ρ is the canary's share of the traffic of that
    batch, θ the ratio of the rates; the null is θ = 1.
    """
    if not 0.0 < canary_share < 1.0 or canary_events + baseline_events == 0:
        return (0.0,) * len(alternatives)
    events = canary_events + baseline_events
    return tuple(
        canary_events * math.log(each) - events * math.log(canary_share * each + 1.0 - canary_share)
        for each in alternatives
    )


def _mode(canary: int, baseline: int, bad: int, odds: float, low: int, high: int) -> int:
    a = odds - 1.0
    b = (canary + bad + 2) * odds + baseline - bad
    c = (canary + 1.0) * (bad + 1.0) * odds
    mode = int(2.0 * c / (b + math.sqrt(max(0.0, b * b - 4.0 * a * c))))
    return min(max(mode, low), high)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
