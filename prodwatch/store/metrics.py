"""Metric series; a later value of a period replaces an earlier one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from prodwatch.model.signal import MetricKey, MetricPoint, MetricSeries
from prodwatch.store.under_release import NOTHING_RELEASED, UnderRelease

DECISIVE = frozenset((("Errors", "share"), ("Duration", "p95"), ("Invocations", "rate")))
"""Metrics and statistics of a function that are kept longest."""
STALE_AFTER_S = 3600
"""Time after which a series without anything new gives its place to any other."""


class MetricStore:
    """Series by key, bounded in number and in points per series.

    Beyond the capacity a series gives its place to one of more value: of a configured metric or a version under
    release, then of the metrics that decide, then of an alias as a whole.
    """

    def __init__(self, points_per_series: int, capacity: int) -> None:
        self.points_per_series = points_per_series
        self.capacity = capacity
        self._series: dict[MetricKey, MetricSeries] = {}
        self._embedded: dict[MetricKey, MetricSeries] = {}
        self._left_out: set[MetricKey] = set()
        self._under_release = NOTHING_RELEASED
        self._least: list[tuple[int, MetricKey]] | None = None
        """Value and key of stored series, of least value last; None while it has to be worked out again."""

    @property
    def left_out(self) -> int:
        """Number of series that are not kept because `capacity` was reached."""
        return len(self._left_out)

    def add(self, arrivals: Iterable[MetricSeries], under_release: UnderRelease = NOTHING_RELEASED) -> None:
        """Merge series into the stored ones."""
        if under_release is not self._under_release:
            self._under_release, self._least = under_release, None
        for arrival in arrivals:
            if arrival.key not in self._series and not self._has_place(arrival.key):
                self._left_out.add(arrival.key)
                continue
            self._left_out.discard(arrival.key)
            self._merge(self._series, arrival)

    def _has_place(self, key: MetricKey) -> bool:
        """Return whether there is a place for a new series, at the expense of one of less value if need be."""
        if len(self._series) < self.capacity:
            return True
        if not self._least:
            newest_s = max(map(_newest_s, self._series.values()), default=0)
            self._least = sorted(
                (
                    (-1 if _newest_s(series) < newest_s - STALE_AFTER_S else self._value(stored), stored)
                    for stored, series in self._series.items()
                ),
                reverse=True,
            )
        if not self._least or self._least[-1][0] >= self._value(key):
            return False
        _, least = self._least.pop()
        del self._series[least]
        self._left_out.add(least)
        return True

    def _value(self, key: MetricKey) -> int:
        """Return how valuable a series is, from 0."""
        if not key.function or self._under_release.has_series(key):
            return 4
        return 2 * ((key.metric, key.stat) in DECISIVE) + (key.version is None)

    def add_embedded(self, arrivals: Iterable[MetricSeries]) -> None:
        """Merge series accumulated from log lines, whose number is limited by their source."""
        for arrival in arrivals:
            self._merge(self._embedded, arrival)

    def drop_embedded(self, keys: Iterable[MetricKey]) -> None:
        """Drop series accumulated from log lines."""
        for key in keys:
            self._embedded.pop(key, None)

    @property
    def series(self) -> Mapping[MetricKey, MetricSeries]:
        """All series by key, in order of first arrival; those from log lines come last."""
        return {**self._series, **self._embedded} if self._embedded else self._series

    @property
    def from_sources(self) -> tuple[MetricSeries, ...]:
        """Series that sources have read."""
        return tuple(self._series.values())

    @property
    def from_lines(self) -> tuple[MetricSeries, ...]:
        """Series accumulated from log lines."""
        return tuple(self._embedded.values())

    def _merge(self, into: dict[MetricKey, MetricSeries], arrival: MetricSeries) -> None:
        stored = into.get(arrival.key)
        points = merge_points(stored.points if stored else (), arrival.points)
        read = merge_spans((*(stored.read if stored else ()), *arrival.read))
        if len(points) > self.points_per_series:
            points = points[-self.points_per_series :]
            # A period whose point was dropped must not read as one without data.
            kept_s = points[0].timestamp_s
            read = tuple((max(start_s, kept_s), end_s) for start_s, end_s in read if end_s > kept_s)
        into[arrival.key] = msgspec.structs.replace(arrival, points=points, read=read)


def merge_spans(spans: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """Return the union of spans, oldest first."""
    merged: list[tuple[int, int]] = []
    for start_s, end_s in sorted(spans):
        if merged and start_s <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end_s, merged[-1][1]))
        else:
            merged.append((start_s, end_s))
    return tuple(merged)


def merge_points(
    stored_points: tuple[MetricPoint, ...], new_points: tuple[MetricPoint, ...]
) -> tuple[MetricPoint, ...]:
    """Return all points of both, oldest first, one per period; `new` takes precedence."""
    if not new_points:
        return stored_points
    ordered = tuple({point.timestamp_s: point for point in sorted(new_points, key=_start_s)}.values())
    if not stored_points or ordered[0].timestamp_s > stored_points[-1].timestamp_s:
        return stored_points + ordered
    merged = {point.timestamp_s: point for point in stored_points}
    merged.update((point.timestamp_s, point) for point in ordered)
    return tuple(sorted(merged.values(), key=_start_s))


def _newest_s(series: MetricSeries) -> int:
    return max(series.points[-1].timestamp_s if series.points else 0, series.read[-1][1] if series.read else 0)


def _start_s(point: MetricPoint) -> int:
    return point.timestamp_s
