"""Evidence that may be looked at after every batch, without raising the share of false alarms."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from prodwatch.judge.comparison.effect import EffectSums
from prodwatch.judge.comparison.strata import ALTERNATIVES, Stratum, log_normalizer, log_odds_factors

Floor = Callable[[EffectSums], bool]
"""Whether an effect is large enough to count."""


class RestartedProcess:
    """Product of the factors of all batches, averaged over alternatives and over the moments at which harm may begin.

    Under the null it is a nonnegative supermartingale that starts at 1, so that it reaches 1/α with a probability of
    at most α, however often it is read (Ville's inequality). The k-th restart has the weight 1/(k(k + 1)): those that
    have not begun keep their weight at 1.
    """

    def __init__(self, floor: Floor | None = None, alternatives: Sequence[float] = ALTERNATIVES) -> None:
        self._floor = floor
        self._alternatives = len(alternatives)
        self._restarts: list[_Restart] = []

    def restart(self) -> None:
        """Begin a further product of its own with the next batch: at a shift of traffic, and at intervals."""
        if not self._restarts or self._restarts[-1].batches:
            self._restarts.append(_Restart(self._alternatives))

    def add(self, log_factors: Sequence[float], stratum: Stratum | None = None) -> None:
        """Multiply the factors of one batch into every restart; `stratum` feeds the floor."""
        if not self._restarts:
            self.restart()
        for each in self._restarts:
            each.add(log_factors, stratum)

    def log_evidence(self) -> float:
        """Return ln of the average; a restart whose effect is below the floor contributes nothing to it."""
        weighted = [
            each.log_average() - math.log(number * (number + 1))
            for number, each in enumerate(self._restarts, 1)
            if self._floor is None or self._floor(each.effect)
        ]
        unstarted = -math.log(len(self._restarts) + 1)
        return log_sum([*weighted, unstarted])


class _Restart:
    """One product, from the batch at which it began."""

    __slots__ = ("batches", "effect", "logs")

    def __init__(self, alternatives: int) -> None:
        self.logs = [0.0] * alternatives
        self.effect = EffectSums()
        self.batches = 0

    def add(self, log_factors: Sequence[float], stratum: Stratum | None) -> None:
        self.batches += 1
        self.logs = [total + new for total, new in zip(self.logs, log_factors, strict=True)]
        if stratum is not None:
            self.effect.add(stratum)

    def log_average(self) -> float:
        return log_sum(self.logs) - math.log(len(self.logs))


class OddsInterval:
    """Odds ratios that the evidence has not excluded in either direction, at every look so far.

    The running intersection is empty when the level of the effect changed on the way.
    """

    _STEP = 2.0 ** (1 / 3)
    _GRID = tuple(2.0 ** (index / 3) for index in range(-24, 31))
    """Null values: 1/256 to 1024."""
    _DISTANCES = (1, 2, 4, 6, 9, 14)
    """Alternatives, in steps of the grid above and below each null value."""

    def __init__(self, confidence: float) -> None:
        self._limit = math.log(2.0 / (1.0 - confidence))
        size = len(self._GRID)
        self._up = [[0.0] * len(self._DISTANCES) for _ in range(size)]
        self._down = [[0.0] * len(self._DISTANCES) for _ in range(size)]
        self._kept = [True] * size

    def add(self, stratum: Stratum) -> None:
        """Take one batch into account."""
        if not stratum.is_informative:
            return
        bad = stratum.canary_bad + stratum.baseline_bad
        reach = max(self._DISTANCES)
        size = len(self._GRID)
        normalizers = [
            log_normalizer(stratum.canary, stratum.baseline, bad, self._STEP ** (index - 24))
            for index in range(-reach, size + reach)
        ]
        log_step = math.log(self._STEP)
        for index in range(size):
            if not self._kept[index]:
                continue
            here = normalizers[index + reach]
            up, down = self._up[index], self._down[index]
            for slot, distance in enumerate(self._DISTANCES):
                moved = stratum.canary_bad * distance * log_step
                up[slot] += moved - normalizers[index + reach + distance] + here
                down[slot] += -moved - normalizers[index + reach - distance] + here
            spread = math.log(len(self._DISTANCES))
            if log_sum(up) - spread >= self._limit or log_sum(down) - spread >= self._limit:
                self._kept[index] = False

    def bounds(self) -> tuple[float | None, float | None] | None:
        """Return the lowest and the highest odds ratio left; None for an end without a bound; None when empty."""
        kept = [index for index, left in enumerate(self._kept) if left]
        if not kept:
            return None
        low = None if kept[0] == 0 else self._GRID[kept[0] - 1]
        high = None if kept[-1] == len(self._GRID) - 1 else self._GRID[kept[-1] + 1]
        return low, high


def odds_evidence(strata: Sequence[Stratum], null: float = 1.0) -> float:
    """Return ln of the evidence of all strata from their beginning, without restarts and floors."""
    process = RestartedProcess()
    for each in strata:
        process.add(log_odds_factors(each, null, ALTERNATIVES))
    return process.log_evidence()


def log_sum(logs: Sequence[float]) -> float:
    """Return ln Σ eˣ without overflow."""
    highest = max(logs)
    return highest + math.log(sum(math.exp(each - highest) for each in logs))
