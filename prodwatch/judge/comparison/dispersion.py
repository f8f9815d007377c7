"""Checks of the assumptions that a comparison rests on: independent errors, a random split, many environments."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

from prodwatch.judge.comparison.strata import Stratum

NOT_RANDOM = 3.0
"""Dispersion of the split between versions above which it is not random: routing by header, tenant or shard."""
BATCHES_OF_A_SPLIT = 10
"""Latest batches over which the split is tested."""
_BATCHES_OF_CLUMPS = 30
_FEWEST_BAD_PER_BATCH = 0.3
_CLUMPED = 1.6
_CLUSTERED = 0.001
"""Probability below which one environment has too many of the bad requests."""


def clumping(bad_per_batch: Sequence[int]) -> float:
    """Return the dispersion of the bad requests of the old version per batch, at least 1; 1 where it cannot be known.

    Successive differences are used, so that a slow change of the level does not count.
    """
    counts = bad_per_batch[-_BATCHES_OF_CLUMPS:]
    if len(counts) < 2:
        return 1.0
    mean = sum(counts) / len(counts)
    if mean < _FEWEST_BAD_PER_BATCH:
        return 1.0
    squares = sum((after - before) ** 2 for before, after in itertools.pairwise(counts))
    index = squares / (2 * (len(counts) - 1)) / mean
    return index if index >= _CLUMPED else 1.0


def split_dispersion(strata: Sequence[Stratum]) -> float | None:
    """Return how much more the canary's share varies between batches than a random split does; None below ten.

    `strata` are of one weight; 1 is random.
    """
    latest = [each for each in strata if each.canary + each.baseline > 0][-BATCHES_OF_A_SPLIT:]
    if len(latest) < BATCHES_OF_A_SPLIT:
        return None
    requests = sum(each.canary + each.baseline for each in latest)
    share = sum(each.canary for each in latest) / requests
    if not 0.0 < share < 1.0:
        return None
    squares = [
        (each.canary - (each.canary + each.baseline) * share) ** 2
        / ((each.canary + each.baseline) * share * (1.0 - share))
        for each in latest
    ]
    return sum(squares) / (len(latest) - 1)


def clustered_in(environments: Mapping[str, tuple[int, int]]) -> str | None:
    """Return the environment that has more of the bad requests than chance explains, None when no one has.

    `environments`: name → (requests, bad requests) of the new version.
    """
    requests = sum(each for each, _ in environments.values())
    bad = sum(each for _, each in environments.values())
    if not bad:
        return None
    name, (own, own_bad) = max(environments.items(), key=lambda item: (item[1][1], item[0]))
    return name if hypergeometric_tail(own_bad, requests, bad, own) < _CLUSTERED else None


def hypergeometric_tail(at_least: int, population: int, marked: int, drawn: int) -> float:
    """Return the probability of `at_least` marked ones among `drawn` of a population."""
    low, high = max(0, drawn + marked - population), min(drawn, marked)
    if at_least <= low:
        return 1.0
    if at_least > high:
        return 0.0
    log_total = _log_choose(population, drawn)
    return min(
        1.0,
        math.fsum(
            math.exp(_log_choose(marked, k) + _log_choose(population - marked, drawn - k) - log_total)
            for k in range(at_least, high + 1)
        ),
    )


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
