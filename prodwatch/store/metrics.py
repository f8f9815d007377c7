"""Metric series; a later value of a period replaces an earlier one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from prodwatch.model.signal import MetricKey, MetricPoint, MetricSeries


class MetricStore:
    """Series by key, bounded in number and in points per series."""

    def __init__(self, points_per_series: int, capacity: int) -> None:
        self.points_per_series = points_per_series
        self.capacity = capacity
        self._series: dict[MetricKey, MetricSeries] = {}
        self._embedded: dict[MetricKey, MetricSeries] = {}
        self.refused = 0
        """Series left out because `capacity` was reached."""

    def add(self, arrivals: Iterable[MetricSeries]) -> None:
        """Merge series into the stored ones."""
        for arrival in arrivals:
            if arrival.key not in self._series and len(self._series) >= self.capacity:
                self.refused += 1
                continue
            self._merge(self._series, arrival)

    def add_embedded(self, arrivals: Iterable[MetricSeries]) -> None:
        """Merge series accumulated from log lines, whose number is limited by their source."""
        for arrival in arrivals:
            self._merge(self._embedded, arrival)

    @property
    def series(self) -> Mapping[MetricKey, MetricSeries]:
        """All series by key, in order of first arrival; those from log lines come last."""
        return {**self._series, **self._embedded} if self._embedded else self._series

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


def _start_s(point: MetricPoint) -> int:
    return point.timestamp_s
