"""Comparison of the share of bad requests of two versions that serve at the same time."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from prodwatch.judge.comparison.dispersion import clumping, clustered_in
from prodwatch.judge.comparison.e_process import OddsInterval, RestartedProcess, odds_evidence
from prodwatch.judge.comparison.effect import EffectSums, Rates, rates
from prodwatch.judge.comparison.strata import ALTERNATIVES, Stratum, log_odds_factors
from prodwatch.model.environment import ErrorComparison

_Value = TypeVar("_Value")

_CONFIDENCE = 0.99
_ENVIRONMENTS_OF_A_SMALL_VERSION = 2
"""With no more environments than this, bad requests in one of them are not an exception."""
_LARGEST_GROWTH = 1000.0

Environments = Mapping[str, tuple[int, int]]
"""Log stream of the new version → (requests, bad requests)."""


class _Kept(NamedTuple, Generic[_Value]):
    """Outcome of a computation, None being one, until a further batch."""

    value: _Value | None


class BadShareProcess:
    """Evidence on one kind of bad requests of one function, fed with closed batches in their order."""

    def __init__(self, limits: ErrorComparison, threshold: float, *, with_interval: bool = True) -> None:
        self.limits = limits
        self.log_threshold = math.log(threshold)
        self._process = RestartedProcess(self._is_large)
        self._interval = OddsInterval(_CONFIDENCE) if with_interval else None
        self._strata: list[Stratum] = []
        self._on_time: list[Stratum] = []
        """Batches of the present weight without late records, whose split is that of the records, not of the requests.
        """
        self._pooled: list[Stratum] = []
        """One sum for each weight and five minutes, so that a look costs nothing for the batches before it."""
        self._pools_next = False
        """Whether the next batch adds to the latest sum."""
        self._before: list[int] = []
        # Both are read several times a second, and batches come twice a minute.
        self._rates: _Kept[Rates] | None = None
        self._needed: _Kept[int] | None = None
        self._environments: list[Environments] = []
        self.total = EffectSums()
        self.is_worse = False
        """Whether the evidence sufficed after any batch, wherever the bad requests happened."""

    def learn_before(self, bad: int) -> None:
        """Take the bad requests of the old version in one batch before the shift."""
        self._before.append(bad)
        self._rates = self._needed = None

    def restart(self) -> None:
        """Begin a further product: the weights were changed, or five minutes have passed."""
        self._process.restart()
        self._pools_next = False

    def add(
        self,
        stratum: Stratum,
        environments: Environments,
        *,
        unspent: tuple[int, int] = (0, 0),
    ) -> None:
        """Judge one closed batch, or the `late` records of one.

        `unspent` are requests of the old version in an earlier stratum of the same batch, and the bad ones of them:
        late records are compared with them, and their sums count once.
        """
        requests, bad = unspent
        judged = stratum._replace(baseline=stratum.baseline + requests, baseline_bad=stratum.baseline_bad + bad)
        self._process.add(log_odds_factors(judged, 1.0, ALTERNATIVES), judged)
        if self._interval is not None:
            self._interval.add(judged)
        self._strata.append(judged)
        self._rates = self._needed = None
        if self._pools_next:
            self._pooled[-1] = pooled((self._pooled[-1], stratum))
        else:
            self._pooled.append(stratum)
            self._pools_next = True
        self._environments.append(environments)
        self.total.add(stratum)
        self.is_worse = self.is_worse or self.log_evidence() >= self.log_threshold

    @property
    def clumping(self) -> float:
        """Dispersion index of the old version's bad requests before the shift, at least 1."""
        return clumping(self._before)

    def log_evidence(self) -> float:
        """Return ln of the evidence that the new version is worse by more than the floors."""
        return self._process.log_evidence() / self.clumping

    def clustered(self) -> str | None:
        """Return the environment without which the evidence does not suffice, None without such an environment."""
        total: Counter[str] = Counter()
        bad: Counter[str] = Counter()
        for each in self._environments:
            for name, (requests, failed) in each.items():
                total[name] += requests
                bad[name] += failed
        if len(total) <= _ENVIRONMENTS_OF_A_SMALL_VERSION:
            return None
        suspect = clustered_in({each: (total[each], bad[each]) for each in total})
        if suspect is None:
            return None
        pairs = zip(self._strata, self._environments, strict=True)
        without = [_without(each, *own.get(suspect, (0, 0))) for each, own in pairs]
        return suspect if odds_evidence(without) / self.clumping < self.log_threshold else None

    def rates(self) -> Rates | None:
        """Return both shares and the bounds of their difference on all batches; None without overlap."""
        if self._rates is None:
            self._rates = _Kept(rates(self._pooled, math.sqrt(self.clumping)))
        return self._rates.value

    def harm_floor(self, baseline_rate: float) -> float:
        """Return the difference that counts as harm at this rate of the old version, as a share."""
        grown = max(self.limits.difference, (self.limits.ratio - 1.0) * baseline_rate)
        return min(grown, self.limits.always)

    def shows_no_harm(self) -> bool:
        """Return whether a difference of the harm floor or more is excluded; valid for one look, at the end."""
        found = self.rates()
        return found is not None and found.upper < self.harm_floor(found.baseline)

    def requests_needed(self) -> int | None:
        """Return how many more requests of the new version would exclude harm at the present shares.

        None where no number would.
        """
        if self._needed is None:
            self._needed = _Kept(self._count_needed())
        return self._needed.value

    def _count_needed(self) -> int | None:
        served = self.total.canary
        if self.shows_no_harm():
            return 0
        if not served or not self._excludes_harm(_LARGEST_GROWTH):
            return None
        low, high = 1.0, _LARGEST_GROWTH
        while high - low > 0.01 * low:
            middle = math.sqrt(low * high)
            low, high = (low, middle) if self._excludes_harm(middle) else (middle, high)
        return math.ceil(served * (high - 1.0))

    def least_difference(self) -> float | None:
        """Return the difference of the shares that is shown at 99 % whenever it is read; None when none is."""
        bounds = self._interval.bounds() if self._interval is not None else None
        if bounds is None or bounds[0] is None or bounds[0] <= 1.0:
            return None
        return _difference_at(bounds[0], self.total)

    def _excludes_harm(self, growth: float) -> bool:
        grown = [Stratum(*(round(count * growth) for count in each)) for each in self._pooled]
        found = rates(grown, math.sqrt(self.clumping))
        return found is not None and found.upper < self.harm_floor(found.baseline)

    def _is_large(self, effect: EffectSums) -> bool:
        if effect.canary_bad < self.limits.min_bad:
            return False
        difference = effect.difference
        if difference >= self.limits.always:
            return True
        return effect.ratio >= self.limits.ratio and difference >= self.limits.difference


def pooled(strata: Sequence[Stratum]) -> Stratum:
    """Return the sum of strata of one weight and a few minutes."""
    return Stratum(*(sum(column) for column in zip(*strata, strict=True)))


def _without(stratum: Stratum, requests: int, bad: int) -> Stratum:
    return stratum._replace(canary=stratum.canary - requests, canary_bad=stratum.canary_bad - bad)


def _difference_at(odds: float, total: EffectSums) -> float:
    """Return the difference of the shares that explains the bad requests best when the odds ratio is `odds`."""
    bad = total.canary_bad + total.baseline_bad
    low, high = 0.0, 1.0
    for _ in range(60):
        base = (low + high) / 2
        grown = odds * base / (1.0 - base + odds * base)
        if total.baseline * base + total.canary * grown > bad:
            high = base
        else:
            low = base
    return odds * low / (1.0 - low + odds * low) - low
