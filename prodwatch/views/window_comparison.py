"""Metrics of a window compared with the equally long window before it, over all versions of a function."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from prodwatch.model.environment import MetricTarget, metric_labels
from prodwatch.model.signal import MetricKey, MetricSeries
from prodwatch.store.store import Store
from prodwatch.views.metric_rows import (
    Periods,
    RowKey,
    as_whole,
    combined,
    is_count,
    mean,
    read_span,
    requests_of,
    rows_of,
)
from prodwatch.views.signals import SLOTS, SignalRow, Signals, on_axis, settled_until
from prodwatch.views.time_window import Window

MIN_POINTS = 3
"""Fewest minutes on either side for a comparison."""
NOTABLE = 0.2
"""Relative change from which a metric is reported."""
NOTABLE_SHARE = 0.5
"""Percentage points from which a metric in percent is reported."""
CEASED_AFTER_S = 600.0
"""Time without values from which a metric is reported as gone; the latest points arrive minutes late."""
CEASED_CHANCE = 0.001
"""Chance of as many periods without values, from how many had values before, below which a metric is gone."""
WEEK_S = 7 * 86400.0
WHOLE = 0.9
"""Share of the same hours a week ago that must have been read for a comparison with them."""
_LOWER_IS_BETTER = frozenset(("Errors", "Duration", "Throttles"))


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
    before_s: float = 0.0
    """Length of the part of the window before that was read, in seconds; it ends where the window starts."""
    ceased_s: float | None = None
    """Time from its last value to the end of what was read, in seconds, when that is too long to be chance."""
    usual: float | None = None
    """Mean while it had values, for one that has ceased."""

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
        if self.ceased_s is not None:
            return self.lower_is_better is False or self.traffic
        up = (self.within or 0.0) > (self.before or 0.0)
        return self.notable and self.lower_is_better is not None and up is self.lower_is_better


def compare_windows(
    store: Store, window: Window, now: datetime, *, better: Mapping[str, str] | None = None
) -> tuple[MetricComparison, ...]:
    """Return every metric with values; `better` maps labels to `lower` or `higher`, as the file says."""
    return tuple(comparison for _, comparison in _compared(store, window, now, better or {}).values())


class _Bounds(NamedTuple):
    """Start of the window before, start and end of the window, in epoch seconds."""

    from_s: float
    start_s: float
    end_s: float


def _compared(
    store: Store, window: Window, now: datetime, better: Mapping[str, str]
) -> dict[RowKey, tuple[list[MetricSeries], MetricComparison]]:
    """Return each row's series and comparison: an alias as a whole, since versions are only a cut through it."""
    all_series = store.metrics.series.values()
    requests = requests_of(all_series)
    bounds = _Bounds(window.compared_from(now).timestamp(), window.start.timestamp(), window.until(now).timestamp())
    logs_s = _logs_read_to(store, bounds.end_s)
    compared = {}
    for key, series in rows_of(all_series).items():
        group = as_whole(series)
        periods = combined(group, requests, bounds.from_s, bounds.end_s)
        week = combined(group, requests, bounds.start_s - WEEK_S, bounds.end_s - WEEK_S)
        before_span = read_span(group, bounds.from_s, bounds.start_s)
        within = _between(periods, bounds.start_s, bounds.end_s)
        before = _between(periods, before_span[0] if before_span else bounds.start_s, bounds.start_s)
        traffic = key.namespace == "AWS/Lambda" and key.metric == "Invocations"
        week_is_read = _week_is_read(group, bounds)
        ceased_s, usual = (
            (None, None)
            if key.namespace == "AWS/Lambda" and not traffic
            else _ceased(group, periods, week if week_is_read else {}, bounds, logs_s)
        )
        compared[key] = (
            group,
            MetricComparison(
                label=key.label,
                unit=key.unit,
                before=_mean(before),
                within=_mean(within),
                week_ago=_mean(week) if week_is_read else None,
                points=len(within),
                lower_is_better=_direction(group[0].key, better.get(key.label)),
                traffic=traffic,
                before_s=_length(before_span, bounds, group[0].period_s),
                ceased_s=ceased_s,
                usual=usual,
            ),
        )
    return compared


def _logs_read_to(store: Store, end_s: float) -> float:
    """Return up to when the log lines, which metrics may come from, are read; at most the window's end."""
    read = [
        status.fresh_at.timestamp()
        for name, status in store.sources.items()
        if name.partition(":")[0] == "logs" and status.fresh_at is not None
    ]
    return min([*read, end_s])


def _between(periods: Periods, start_s: float, end_s: float) -> Periods:
    return {at: share for at, share in periods.items() if start_s <= at < end_s}


def _mean(periods: Periods) -> float | None:
    return mean(periods.values()) if len(periods) >= MIN_POINTS else None


def _length(span: tuple[float, float] | None, bounds: _Bounds, period_s: int) -> float:
    """Return how much of the window before was read; all of it when it begins within the first two periods."""
    if span is None:
        return 0.0
    whole_s = bounds.start_s - bounds.from_s
    return whole_s if span[0] - bounds.from_s <= 2 * period_s else bounds.start_s - span[0]


def _week_is_read(group: Sequence[MetricSeries], bounds: _Bounds) -> bool:
    start_s, end_s = bounds.start_s - WEEK_S, bounds.end_s - WEEK_S
    span = read_span(group, start_s, end_s)
    return span is not None and span[1] - span[0] >= WHOLE * (end_s - start_s)


def directions(metrics: Iterable[MetricTarget]) -> dict[str, str]:
    """Return a metric's label → `lower` or `higher`, where its file says which is better."""
    # "lower" is also the default, so it only counts for metrics with expectations.
    targets = tuple(metrics)
    labelled = zip(metric_labels(targets), targets, strict=True)
    return {label: each.better for label, each in labelled if each.expect or each.better == "higher"}


def signals_with_previous_window(
    store: Store, window: Window, now: datetime, *, better: Mapping[str, str] | None = None, slots: int = SLOTS
) -> Signals:
    """Return the table of a window and the equally long one before it; the mark is the window's start."""
    end_s, span_s = int(window.until(now).timestamp()), window.span(now).total_seconds()
    slot_s = max(60, -(-int(2 * span_s) // (slots * 60)) * 60)
    start_s = (end_s // slot_s + 1) * slot_s - slots * slot_s
    mark = min(slots - 1, max(0, (int(window.start.timestamp()) - start_s) // slot_s))
    requests = requests_of(store.metrics.series.values())
    rows = []
    old_version, new_version = "before", "window" if window.is_past else "since"
    for key, (group, comparison) in _compared(store, window, now, better or {}).items():
        points = on_axis(group, start_s, slots, slot_s, requests)
        rows.append(
            SignalRow(
                label=key.label,
                unit=key.unit,
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


def _ceased(
    group: Sequence[MetricSeries], periods: Periods, week: Periods, bounds: _Bounds, logs_s: float
) -> tuple[float | None, float | None]:
    """Return the seconds since a metric's last value and its mean until then; None twice unless it has ceased.

    It has ceased when the end of the window has no values for longer than chance explains, from the share of the
    periods before that had values, or else from that of a week ago.
    """
    period_s = group[0].period_s
    counts = is_count(group[0].key)
    ends = [series.read[-1][1] for series in group if series.read]
    end_s = min([bounds.end_s, *ends] if ends else [bounds.end_s, logs_s])
    valued = {at: share for at, share in periods.items() if at < end_s and (share.total or not counts)}
    last_s = max(valued, default=None)
    if last_s is None:
        # It ended before everything that is compared, or was never there.
        valued = {at: share for at, share in week.items() if share.total or not counts}
        began_s, ended_s, quiet_from_s = bounds.start_s - WEEK_S, bounds.end_s - WEEK_S, bounds.from_s
    else:
        span = read_span(group, bounds.from_s, bounds.start_s)
        began_s = span[0] if span else min(valued)
        ended_s = quiet_from_s = last_s + period_s
    quiet_s = end_s - max(quiet_from_s, bounds.from_s)
    if not valued or min(quiet_s, bounds.end_s - bounds.start_s) < CEASED_AFTER_S:
        return None, None
    share = min(1.0, len(valued) * period_s / max(period_s, ended_s - began_s))
    if (1 - share) ** (quiet_s / period_s) >= CEASED_CHANCE:
        return None, None
    return quiet_s, mean(valued.values())
