"""Size of a difference between two versions, over strata, and the bounds of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from prodwatch.judge.comparison.strata import Stratum

Z_99 = 2.3263478740408408
"""Quantile of the normal distribution for a one-sided bound at 99 %."""


class EffectSums:
    """Running Mantel-Haenszel sums: strata of different traffic shares and levels are never pooled."""

    __slots__ = ("baseline", "baseline_bad", "baseline_part", "canary", "canary_bad", "canary_part", "weight")

    def __init__(self) -> None:
        self.canary_part = self.baseline_part = self.weight = 0.0
        self.canary = self.canary_bad = self.baseline = self.baseline_bad = 0

    def add(self, stratum: Stratum) -> None:
        """Add one stratum; without requests of both versions it adds nothing to the effect."""
        requests = stratum.canary + stratum.baseline
        self.canary += stratum.canary
        self.baseline += stratum.baseline
        self.canary_bad += stratum.canary_bad
        self.baseline_bad += stratum.baseline_bad
        if requests:
            self.canary_part += stratum.canary_bad * stratum.baseline / requests
            self.baseline_part += stratum.baseline_bad * stratum.canary / requests
            self.weight += stratum.canary * stratum.baseline / requests

    @property
    def ratio(self) -> float:
        """Return the ratio of the bad shares, infinite when the baseline has none; 1 when neither has any."""
        if self.baseline_part > 0:
            return self.canary_part / self.baseline_part
        return math.inf if self.canary_part > 0 else 1.0

    @property
    def difference(self) -> float:
        """Return the bad share of the canary minus that of the baseline, -1 to 1."""
        return (self.canary_part - self.baseline_part) / self.weight if self.weight else 0.0


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """Bad shares of both versions with the weights of Mantel and Haenszel, and one-sided bounds of the difference."""

    canary: float
    baseline: float
    difference: float
    lower: float
    upper: float


def rates(strata: Sequence[Stratum], widen: float = 1.0, z: float = Z_99) -> Rates | None:
    """Return the shares and the stratified Newcombe bounds (Yan and Su 2010); None where nothing overlaps.

    `widen` multiplies the standard error, for bad requests that come in clumps. The bounds hold for one look.
    """
    used = [each for each in strata if each.canary > 0 and each.baseline > 0]
    weights = [each.canary * each.baseline / (each.canary + each.baseline) for each in used]
    total = sum(weights)
    if not used or total <= 0:
        return None
    z *= widen
    shares = [each / total for each in weights]
    canary = _Arm(shares, [each.canary_bad for each in used], [each.canary for each in used], z)
    baseline = _Arm(shares, [each.baseline_bad for each in used], [each.baseline for each in used], z)
    difference = canary.rate - baseline.rate
    below = z * math.sqrt(canary.spread * _variance(canary.lower) + baseline.spread * _variance(baseline.upper))
    above = z * math.sqrt(canary.spread * _variance(canary.upper) + baseline.spread * _variance(baseline.lower))
    return Rates(
        canary=canary.rate,
        baseline=baseline.rate,
        difference=difference,
        lower=max(-1.0, difference - below),
        upper=min(1.0, difference + above),
    )


class _Arm:
    """Stratified Wilson limits of one version."""

    def __init__(self, shares: Sequence[float], bad: Sequence[int], requests: Sequence[int], z: float) -> None:
        self.rate = sum(share * x / n for share, x, n in zip(shares, bad, requests, strict=True))
        self.spread = sum(share * share / n for share, n in zip(shares, requests, strict=True))
        # Each stratum gets a smaller z, so that the weighted sum of its limits covers as one limit does.
        deviations = [
            share * math.sqrt(_variance((x + z * z / 2) / (n + z * z)) / n)
            for share, x, n in zip(shares, bad, requests, strict=True)
        ]
        z *= math.sqrt(sum(each * each for each in deviations)) / sum(deviations)
        limits = [_wilson(x, n, z) for x, n in zip(bad, requests, strict=True)]
        self.lower = sum(share * low for share, (low, _) in zip(shares, limits, strict=True))
        self.upper = sum(share * high for share, (_, high) in zip(shares, limits, strict=True))


def _wilson(bad: int, requests: int, z: float) -> tuple[float, float]:
    share = bad / requests
    centre = share + z * z / (2 * requests)
    half = z * math.sqrt(_variance(share) / requests + z * z / (4 * requests * requests))
    scale = 1 + z * z / requests
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def _variance(share: float) -> float:
    return share * (1.0 - share)
