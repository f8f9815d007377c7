"""Comparison of durations at four quantiles: how often the new version exceeds what the old one took before."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence

from prodwatch.judge.comparison.e_process import RestartedProcess, log_sum
from prodwatch.judge.comparison.strata import ALTERNATIVES, Stratum, log_odds_factors

QUANTILES = (0.5, 0.9, 0.95, 0.99)
FEWEST_TO_CALIBRATE = 500
"""Durations of the old version from which its quantiles are used; batches before that only calibrate."""
_REMEMBERED = 5000
"""Latest durations of the old version that its quantiles are taken from."""
_GROWTH = math.log(1.01)
"""Width of a bucket: a quantile is right within one percent."""
_MARGIN_OF_SMALL = 0.5
"""Largest `shift`, as a part of the quantile: 20 ms are nothing on 200 ms, and ten times a duration of 2 ms."""


class LatencyProcess:
    """Evidence that the new version is slower than `ratio` times and `shift_ms` more, at any of the quantiles.

    The quantiles come from batches before the one that is judged, so that they are fixed when it comes; the tolerance
    is part of the null, so that no further floor is needed. The average of the four processes is one, too.
    """

    def __init__(self, ratio: float, shift_ms: float, quantiles: Sequence[float] = QUANTILES) -> None:
        self._ratio = ratio
        self._shift_ms = shift_ms
        self._earlier: deque[float] = deque(maxlen=_REMEMBERED)
        self._quantiles = tuple(quantiles)
        self._processes = tuple(RestartedProcess() for _ in self._quantiles)
        self.highest = 0.0
        """ln of the highest evidence after any batch."""

    def calibrate(self, baseline_ms: Sequence[float]) -> None:
        """Learn from durations of the old version that are not compared with anything, such as those before a shift."""
        self._earlier.extend(baseline_ms)

    def restart(self) -> None:
        """Begin further products with the next batch."""
        for each in self._processes:
            each.restart()

    def usual(self) -> tuple[float, ...] | None:
        """Return the old version's quantiles in ms, from the batches so far; None before there are enough."""
        if len(self._earlier) < FEWEST_TO_CALIBRATE:
            return None
        earlier = sorted(self._earlier)
        return tuple(quantile_of(earlier, each) for each in self._quantiles)

    def add(self, canary_ms: Sequence[float], baseline_ms: Sequence[float]) -> bool:
        """Judge one batch of warm durations, then learn from it; return whether it was judged."""
        usual = self.usual()
        self.calibrate(baseline_ms)
        if usual is None:
            return False
        self.judge(canary_ms, baseline_ms, usual)
        return True

    def judge(self, canary_ms: Sequence[float], baseline_ms: Sequence[float], usual: Sequence[float]) -> None:
        """Judge warm durations of one batch; `usual` are the quantiles of before that batch."""
        canary, baseline = sorted(canary_ms), sorted(baseline_ms)
        self.add_exceedances(
            [
                Stratum(
                    len(canary),
                    len(canary) - bisect_right(canary, self.limit(at)),
                    len(baseline),
                    len(baseline) - bisect_right(baseline, at),
                )
                for at in usual
            ]
        )

    def add_exceedances(self, strata: Sequence[Stratum]) -> None:
        """Judge one batch of counts above limits that were fixed before, one stratum per quantile."""
        for process, stratum in zip(self._processes, strata, strict=True):
            process.add(log_odds_factors(stratum, 1.0, ALTERNATIVES))
        self.highest = max(self.highest, self.log_evidence())

    def log_evidence(self) -> float:
        """Return ln of the evidence."""
        return log_sum([each.log_evidence() for each in self._processes]) - math.log(len(self._processes))

    def limit(self, at_ms: float) -> float:
        """Return the duration in ms above which a request of the new version counts, at a quantile of the old one."""
        return max(self._ratio * at_ms, at_ms + min(self._shift_ms, at_ms * _MARGIN_OF_SMALL))


def quantile_of(ordered: Sequence[float], quantile: float) -> float:
    """Return a quantile of sorted durations."""
    return ordered[min(len(ordered) - 1, math.ceil(quantile * len(ordered)) - 1)]


class DurationHistogram:
    """Counts of durations in buckets that grow by one percent."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self.count = 0

    def add(self, durations_ms: Iterable[float]) -> None:
        """Count durations; anything below a microsecond counts as one."""
        buckets = [round(math.log(max(each, 0.001)) / _GROWTH) for each in durations_ms]
        self._buckets.update(buckets)
        self.count += len(buckets)

    def quantiles(self, names: Mapping[str, float]) -> dict[str, float]:
        """Return the duration in ms below which each share lies; empty without durations."""
        found: dict[str, float] = {}
        if not self.count:
            return found
        wanted = sorted(names.items(), key=lambda item: item[1])
        passed = 0
        ordered = iter(sorted(self._buckets.items()))
        bucket = 0
        for name, share in wanted:
            while passed < math.ceil(share * self.count):
                bucket, count = next(ordered)
                passed += count
            found[name] = math.exp(bucket * _GROWTH)
        return found
