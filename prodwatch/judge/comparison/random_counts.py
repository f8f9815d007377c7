"""Random counts of requests, for simulated releases."""

from __future__ import annotations

import math
from random import Random

_LARGE = 50.0
"""Mean from which counts are drawn from the normal distribution, rounded."""


def poisson(random: Random, mean: float) -> int:
    """Return the number of independent events of which `mean` are expected."""
    if mean >= _LARGE:
        return max(0, round(random.gauss(mean, math.sqrt(mean))))
    left, count = math.exp(-mean), 0
    product = random.random()
    while product > left:
        product *= random.random()
        count += 1
    return count


def binomial(random: Random, trials: int, share: float) -> int:
    """Return how many of `trials` happen, each with the probability `share`."""
    if share > 0.5:
        return trials - binomial(random, trials, 1.0 - share)
    if share <= 0.0 or trials <= 0:
        return 0
    mean = trials * share
    if mean >= _LARGE:
        drawn = round(random.gauss(mean, math.sqrt(mean * (1.0 - share))))
        return min(trials, max(0, drawn))
    # The gaps between trials that happen are geometric: the cost is the number of those, not of all trials.
    scale = 1.0 / math.log1p(-share)
    position, count = 0, 0
    while True:
        position += int(math.log(1.0 - random.random()) * scale) + 1
        if position > trials:
            return count
        count += 1
