"""Metrics of a window compared with the equally long window before it: means of the minutes, weighted by requests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from prodwatch.model.environment import MetricTarget
from prodwatch.model.identity import Place
from prodwatch.model.signal import MetricKey, MetricSeries
from prodwatch.store.store import Store
from prodwatch.views.signals import SLOTS, SignalRow, Signals, label_of, on_axis, settled_until
from prodwatch.views.time_window import Window

MIN_POINTS = 3
"""Fewest minutes on either side for a comparison."""
NOTABLE = 0.2
"""Relative change from which a metric is reported."""
NOTABLE_SHARE = 0.5
"""Percentage points from which a metric in percent is reported."""
CEASED_AFTER_S = 600.0
"""Time without values from which a metric is reported as gone; the latest points arrive minutes late."""
WEEK_S = 7 * 86400.0
_LOWER_IS_BETTER = frozenset(("Errors", "Duration", "Throttles"))
_UNWEIGHED = frozenset(("Invocations", "Throttles"))

Minutes = dict[int, float]
_Scope = tuple[Place, tuple[tuple[str, str], ...]]
"""Place and dimensions of a series: they name function and version."""


class MetricComparison(msgspec.Struct, frozen=True, kw_only=True):
    """One metric, before and in the window."""

    label: str
    unit: str | None
    before: float | None
    within: float | None
    week_ago: float | None
    """Mean of the same hours a week earlier, if they were read."""
    points: int
    """Minutes measured in the window."""
    lower_is_better: bool | None
    """None: not known whether lower or higher is better."""
    traffic: bool = False
    """Whether it counts requests: no requests at all are bad news, although fewer or more are not."""
    ceased: bool = False
    """Whether it had values in most minutes before and none in the window."""

    @property
    def change(self) -> float | None:
        """Return within / before - 1; None without both, or when `before` is 0."""
        return self.within / self.before - 1 if self.before and self.within is not None else None

    @property
    def notable(self) -> bool:
        """Whether it changed enough to be reported."""
        if self.before is None or self.within is None:
            return False
        moved = abs(self.within - self.before)
        if self.unit == "Percent" and moved < NOTABLE_SHARE:
            return False
        return moved > NOTABLE * abs(self.before)

    @property
    def worse(self) -> bool:
        """Whether it changed enough, and for the worse."""
        if self.ceased:
            return self.lower_is_better is False or self.traffic
        up = (self.within or 0.0) > (self.before or 0.0)
        return self.notable and self.lower_is_better is not None and up is self.lower_is_better


def compare_windows(
    store: Store, window: Window, now: datetime, *, better: Mapping[str, str] | None = None
) -> tuple[MetricComparison, ...]:
    """Return every metric with values; `better` maps labels to `lower` or `higher`, as the file says."""
    grouped: dict[tuple[str, str | None], list[MetricSeries]] = {}
    for series in store.metrics.series.values():
        grouped.setdefault((label_of(series.key), series.unit), []).append(series)
    rates = _rates(store.metrics.series.values())
    start_s, end_s = window.start.timestamp(), window.until(now).timestamp()
    from_s = window.compared_from(now).timestamp()
    comparisons = []
    for (label, unit), group in grouped.items():
        minutes = _merged(_once(group), rates)
        before = _mean(minutes, from_s, start_s)
        within = _mean(minutes, start_s, end_s)
        comparisons.append(
            MetricComparison(
                label=label,
                unit=unit,
                before=before,
                within=within,
                week_ago=_mean(minutes, start_s - WEEK_S, end_s - WEEK_S),
                points=sum(start_s <= at < end_s for at in minutes),
                lower_is_better=_direction(group[0].key, (better or {}).get(label)),
                traffic=group[0].key.namespace == "AWS/Lambda" and group[0].key.metric == "Invocations",
                ceased=_ceased(group[0], minutes, (from_s, start_s, end_s)),
            )
        )
    return tuple(comparisons)


def directions(metrics: Iterable[MetricTarget]) -> dict[str, str]:
    """Return a metric's label → `lower` or `higher`, where its file says which is better."""
    # "lower" is also the default, so it only counts for metrics with expectations.
    return {each.name: each.better for each in metrics if each.expect or each.better == "higher"}


def signals_with_previous_window(
    store: Store, window: Window, now: datetime, *, better: Mapping[str, str] | None = None, slots: int = SLOTS
) -> Signals:
    """Return the table of a window and the equally long one before it; the mark is the window's start."""
    end_s, span_s = int(window.until(now).timestamp()), window.span(now).total_seconds()
    slot_s = max(60, -(-int(2 * span_s) // (slots * 60)) * 60)
    start_s = (end_s // slot_s + 1) * slot_s - slots * slot_s
    mark = min(slots - 1, max(0, (int(window.start.timestamp()) - start_s) // slot_s))
    means = {
        (comparison.label, comparison.unit): comparison
        for comparison in compare_windows(store, window, now, better=better)
    }
    grouped: dict[tuple[str, str | None], list[MetricSeries]] = {}
    for series in store.metrics.series.values():
        grouped.setdefault((label_of(series.key), series.unit), []).append(series)
    rows = []
    old_version, new_version = "before", "window" if window.is_past else "since"
    for (label, unit), group in grouped.items():
        comparison = means[(label, unit)]
        points = on_axis(group, start_s, slots, slot_s)
        rows.append(
            SignalRow(
                label=label,
                unit=unit,
                old=comparison.before,
                new=comparison.within,
                change=comparison.change,
                old_points=points,
                new_points=points,
                keys=tuple(series.key for series in group),
                old_version=old_version,
                new_version=new_version,
                mark=mark,
            )
        )
    return Signals(
        rows=tuple(rows),
        start_s=start_s,
        slot_s=slot_s,
        slots=slots,
        mark=mark,
        old_version=old_version,
        new_version=new_version,
        settled_s=settled_until(store.metrics.series.values()),
    )


def _direction(key: MetricKey, better: str | None) -> bool | None:
    if better is not None:
        return better == "lower"
    return True if key.namespace == "AWS/Lambda" and key.metric in _LOWER_IS_BETTER else None


def _ceased(series: MetricSeries, minutes: Mapping[int, object], bounds: tuple[float, float, float]) -> bool:
    """Return whether a metric stopped; of Lambda's metrics only Invocations, since the others stop with it."""
    from_s, start_s, end_s = bounds
    derived = series.key.namespace == "AWS/Lambda" and series.key.metric != "Invocations"
    if derived or end_s - start_s < CEASED_AFTER_S or any(start_s <= at < end_s for at in minutes):
        return False
    return 2 * sum(from_s <= at < start_s for at in minutes) * series.period_s > start_s - from_s


def _rates(all_series: Iterable[MetricSeries]) -> dict[_Scope, Minutes]:
    """Return requests per second by function and version."""
    return {
        (series.key.place, series.key.dimensions): {point.timestamp_s: point.value for point in series.points}
        for series in all_series
        if series.key.metric == "Invocations" and series.key.stat == "rate"
    }


def _once(group: Sequence[MetricSeries]) -> list[MetricSeries]:
    """Return the series without those of an alias whose versions have their own: calls would count twice."""
    split = [series.key.dimensions for series in group if series.key.version is not None]
    return [
        series
        for series in group
        if series.key.version is not None
        or not any(dimensions[: len(series.key.dimensions)] == series.key.dimensions for dimensions in split)
    ]


def _merged(group: Iterable[MetricSeries], rates: Mapping[_Scope, Minutes]) -> dict[int, tuple[float, float]]:
    """Return minute → (value, weight) over all versions: rates are added, other metrics weighted by requests."""
    sums: dict[int, tuple[float, float]] = {}
    for series in group:
        own = rates.get((series.key.place, series.key.dimensions), {})
        adds = series.key.metric in _UNWEIGHED
        for point in series.points:
            weight = 1.0 if adds else own.get(point.timestamp_s, 1.0)
            value, total = sums.get(point.timestamp_s, (0.0, 0.0))
            sums[point.timestamp_s] = (value + weight * point.value, 1.0 if adds else total + weight)
    return sums


def _mean(minutes: Mapping[int, tuple[float, float]], start_s: float, end_s: float) -> float | None:
    within = [pair for at, pair in minutes.items() if start_s <= at < end_s]
    weight = sum(weight_ for _, weight_ in within)
    return sum(value for value, _ in within) / weight if len(within) >= MIN_POINTS and weight else None
