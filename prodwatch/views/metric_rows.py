"""Metric series grouped into rows, and the series of a row combined period by period."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from prodwatch.model.identity import Place
from prodwatch.model.signal import MetricKey, MetricPoint, MetricSeries

_COUNTS = frozenset(("Sum", "SampleCount", "rate"))
"""Statistics that add up over versions, and of which a period without data is 0."""


class RowKey(NamedTuple):
    """Identity of a row: series that differ only in version and dimensions share it."""

    label: str
    unit: str | None
    namespace: str
    metric: str
    stat: str
    place: Place


class Share(NamedTuple):
    """A value of one period as the quotient of two sums, so that several can be combined."""

    total: float
    weight: float


Periods = dict[int, Share]
"""Start of the period (epoch seconds) → value."""
Scope = tuple[Place, tuple[tuple[str, str], ...]]
"""Place and dimensions of a series: they name function and version."""
Requests = Mapping[Scope, Mapping[int, float]]
"""Function and version → start of the period → requests per second."""


def label_of(key: MetricKey) -> str:
    """Return the label of a series."""
    return key.label or f"{key.metric} {key.stat}"


def rows_of(all_series: Iterable[MetricSeries]) -> dict[RowKey, list[MetricSeries]]:
    """Group series into rows, in order of first arrival."""
    rows: dict[RowKey, list[MetricSeries]] = {}
    for series in all_series:
        key = series.key
        if key.is_exceedance:
            continue
        rows.setdefault(RowKey(label_of(key), series.unit, key.namespace, key.metric, key.stat, key.place), []).append(
            series
        )
    return rows


def is_count(key: MetricKey) -> bool:
    """Return whether a metric counts: it adds up over versions, and a period that was read without data is 0."""
    return key.stat in _COUNTS


def as_whole(group: Sequence[MetricSeries]) -> list[MetricSeries]:
    """Return the series without versions that an alias as a whole contains: calls would count twice."""
    return [series for series in group if not any(_contains(other, series) for other in group)]


def by_version(group: Sequence[MetricSeries]) -> list[MetricSeries]:
    """Return the series without an alias as a whole whose versions have series of their own."""
    return [series for series in group if not any(_contains(series, other) for other in group)]


def _contains(whole: MetricSeries, part: MetricSeries) -> bool:
    shared = len(whole.key.dimensions)
    return (
        whole.key.version is None
        and part.key.version is not None
        and whole.key.place == part.key.place
        and len(part.key.dimensions) > shared
        and part.key.dimensions[:shared] == whole.key.dimensions
    )


def requests_of(all_series: Iterable[MetricSeries]) -> Requests:
    """Return the requests per second of every function and version."""
    return {
        (series.key.place, series.key.dimensions): {point.timestamp_s: point.value for point in series.points}
        for series in all_series
        if series.key.metric == "Invocations" and series.key.stat == "rate"
    }


def combined(group: Iterable[MetricSeries], requests: Requests, start_s: float, end_s: float) -> Periods:
    """Return the value of each period over all series, for periods that start from `start_s` to before `end_s`.

    Counts are added, and are 0 in a period that was read without data; extremes remain extremes; other values are
    weighted by the samples or requests they are about.
    """
    periods: Periods = {}
    for series in group:
        own = requests.get((series.key.place, series.key.dimensions), {})
        for point in points_of(series, start_s, end_s):
            known = periods.get(point.timestamp_s)
            periods[point.timestamp_s] = _with(known, point, series.key, own.get(point.timestamp_s, 1.0))
    return periods


def points_of(series: MetricSeries, start_s: float, end_s: float) -> list[MetricPoint]:
    """Return the points of a part of the time, with a 0 for every period of a count that was read without data."""
    first = bisect_left(series.points, start_s, key=_start_s)
    points = list(series.points[first : bisect_left(series.points, end_s, key=_start_s)])
    if is_count(series.key) and series.read:
        known = {point.timestamp_s for point in points}
        for read_from_s, read_to_s in series.read:
            skipped = max(0, math.ceil((start_s - read_from_s) / series.period_s))
            periods = range(read_from_s + skipped * series.period_s, min(read_to_s, math.ceil(end_s)), series.period_s)
            points += [MetricPoint(at, 0.0) for at in periods if at not in known]
    return points


def _start_s(point: MetricPoint) -> int:
    return point.timestamp_s


def _with(known: Share | None, point: MetricPoint, key: MetricKey, requests: float) -> Share:
    if is_count(key):
        return Share((known.total if known else 0.0) + point.value, 1.0)
    if key.stat in {"Maximum", "Minimum"}:
        extreme = max if key.stat == "Maximum" else min
        return Share(extreme(known.total, point.value) if known else point.value, 1.0)
    weight = point.samples or requests
    total, weights = known or Share(0.0, 0.0)
    return Share(total + weight * point.value, weights + weight)


def mean(shares: Iterable[Share]) -> float | None:
    """Return the mean of periods, each with its weight; None without any."""
    shares = tuple(shares)
    weight = sum(share.weight for share in shares)
    return sum(share.total for share in shares) / weight if weight else None


def read_span(group: Iterable[MetricSeries], start_s: float, end_s: float) -> tuple[float, float] | None:
    """Return the part of a window that was read for every series, as far as known; None when nothing is known of it.

    The series of log lines do not say what was read: they are known from their first point on.
    """
    spans: list[tuple[float, float]] = []
    for series in group:
        if series.read:
            own = [(max(first, start_s), min(last, end_s)) for first, last in series.read if first < end_s]
            own = [(first, last) for first, last in own if first < last]
            spans.append(own[-1] if own else (end_s, end_s))
    if spans:
        first, last = max(each[0] for each in spans), min(each[1] for each in spans)
        return (first, last) if first < last else None
    starts = [point.timestamp_s for series in group for point in series.points if start_s <= point.timestamp_s < end_s]
    return (float(min(starts)), end_s) if starts else None
