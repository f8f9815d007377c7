"""Comparison of one version with an earlier window, where no other version serves at the same time.

Traffic differs between the windows, so that these tests bound no share of false alarms: they are weaker evidence.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence

from prodwatch.judge.comparison.dispersion import hypergeometric_tail


def fisher_exact(canary_bad: int, canary: int, baseline_bad: int, baseline: int) -> float:
    """Return the one-sided p value of Fisher's exact test that the canary has the higher bad share."""
    return hypergeometric_tail(canary_bad, canary + baseline, canary_bad + baseline_bad, canary)


def mann_whitney(canary: Sequence[float], baseline: Sequence[float]) -> float:
    """Return the one-sided p value that values of the canary are larger: normal approximation, corrected for ties."""
    n, m = len(canary), len(baseline)
    if not n or not m:
        return 1.0
    ordered = sorted(baseline)
    wins = sum(bisect_left(ordered, each) + bisect_right(ordered, each) for each in canary) / 2.0
    size = n + m
    ties = sum(each**3 - each for each in Counter([*canary, *baseline]).values())
    variance = n * m / 12.0 * (size + 1 - ties / (size * (size - 1)))
    if variance <= 0:
        return 1.0
    z = (wins - n * m / 2.0 - 0.5) / math.sqrt(variance)
    return 0.5 * math.erfc(z / math.sqrt(2.0))


def hodges_lehmann(canary: Sequence[float], baseline: Sequence[float]) -> float:
    """Return the median of all pairwise differences, canary minus baseline, without forming them all.

    Raises ValueError when one side is empty.
    """
    if not canary or not baseline:
        raise ValueError("both sides need at least one value")
    left, right = sorted(canary), sorted(baseline)
    pairs = len(left) * len(right)
    lower = _difference_of_rank(left, right, (pairs - 1) // 2)
    return lower if pairs % 2 else (lower + _difference_of_rank(left, right, pairs // 2)) / 2.0


def _difference_of_rank(left: Sequence[float], right: Sequence[float], rank: int) -> float:
    """Return the difference with `rank` smaller ones before it: bisection on its value, then the exact element."""
    low, high = left[0] - right[-1], left[-1] - right[0]
    while True:
        middle = low + (high - low) / 2.0
        if not low < middle < high:
            break
        if _count_up_to(left, right, middle) > rank:
            high = middle
        else:
            low = middle
    return low if _count_up_to(left, right, low) > rank else high


def _count_up_to(left: Sequence[float], right: Sequence[float], limit: float) -> int:
    return sum(len(right) - bisect_left(right, each - limit) for each in left)
