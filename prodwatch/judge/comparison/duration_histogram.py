"""Quantiles of any number of durations in constant memory."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

_GROWTH = math.log(1.01)
"""Width of a bucket: a quantile is right within one percent."""


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
