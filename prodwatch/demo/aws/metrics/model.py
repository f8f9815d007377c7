"""Names of series and the samples of a minute."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

_MAX_MINUTES = 15 * 24 * 60
"""Minutes kept of a series, the newest."""


class SeriesKey(NamedTuple):
    """One series: namespace, metric, dimensions sorted by name."""

    namespace: str
    metric: str
    dimensions: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, namespace: str, metric: str, dimensions: Mapping[str, str]) -> SeriesKey:
        """Return the key of a series."""
        return cls(namespace, metric, tuple(sorted(dimensions.items())))


@dataclass(slots=True)
class Sample:
    """Values that became visible together."""

    timestamp_s: float
    visible_s: float
    values: array[float]
    counts: array[float]


@dataclass(slots=True)
class Series:
    """Samples put into one series, by minute."""

    unit: str = "None"
    minutes: dict[int, list[Sample]] = field(default_factory=dict)
    high_resolution: bool = False
    updated_s: float = 0.0

    def add(self, sample: Sample) -> None:
        """Add a sample; samples of a minute with the same visibility are merged."""
        bucket = self.minutes.setdefault(int(sample.timestamp_s // 60) * 60, [])
        if bucket and not self.high_resolution and bucket[-1].visible_s == sample.visible_s:
            bucket[-1].values.extend(sample.values)
            bucket[-1].counts.extend(sample.counts)
        else:
            bucket.append(sample)
        if len(self.minutes) > _MAX_MINUTES:
            del self.minutes[min(self.minutes)]

    def between(self, start_s: float, end_s: float, seen_s: float) -> Iterator[Sample]:
        """Yield samples with start ≤ timestamp < end that were visible at `seen_s`."""
        first, last = int(start_s // 60), int(-(-end_s // 60))
        for minute in range(first * 60, last * 60, 60) if last - first < len(self.minutes) else sorted(self.minutes):
            for sample in self.minutes.get(minute, ()):
                if start_s <= sample.timestamp_s < end_s and sample.visible_s <= seen_s:
                    yield sample


def sample(
    timestamp_s: float, visible_s: float, values: Iterable[float], counts: Iterable[float] | None = None
) -> Sample:
    """Return a sample; without counts each value counts once. Raises ValueError when the lengths differ."""
    numbers = array("d", values)
    weights = array("d", [1.0] * len(numbers) if counts is None else counts)
    if len(weights) != len(numbers):
        raise ValueError(f"{len(numbers)} values but {len(weights)} counts")
    return Sample(timestamp_s, visible_s, numbers, weights)
