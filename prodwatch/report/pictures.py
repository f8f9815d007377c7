"""Pictures of a report as numbers for SVG: intervals of comparisons, charts of metrics, and bars of traces."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from prodwatch.model.comparison import ComparisonResult
from prodwatch.model.result import ReleaseInfo, RunResult
from prodwatch.model.signal import MetricSeries
from prodwatch.text.units import format_value
from prodwatch.views.chart import scale_of
from prodwatch.views.metric_rows import by_version, points_of, rows_of
from prodwatch.views.release import version_label

INTERVAL_WIDTH, INTERVAL_HEIGHT = 240, 34
CHART_WIDTH, CHART_HEIGHT = 340, 120
_PAD = 12
"""Space at both ends of an interval's axis, in its units."""
BEFORE_S = 900.0
"""Seconds before the release, or else before the run, that charts show."""
_LINES = 6
"""Lines of one chart; further series are counted."""
_FIRST = (("Invocations", "rate"), ("Errors", "share"), ("Duration", "p95"))
"""Metrics and statistics of functions that come first."""


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """A difference with its interval on an axis of `INTERVAL_WIDTH`."""

    zero: float
    """Place of no difference."""
    dot: float
    low: float
    """Left end of the interval; the left edge where no bound is shown."""
    high: float
    has_low: bool
    has_high: bool


def interval(result: ComparisonResult) -> Interval | None:
    """Return the picture of a comparison; None without a difference."""
    if result.difference is None or not math.isfinite(result.difference):
        return None
    known = [each for each in (0.0, result.difference, result.at_least, result.at_most) if each is not None]
    lowest, highest = min(known), max(known)
    span = highest - lowest or 0.01

    def place(value: float) -> float:
        return round(_PAD * 2 + (value - lowest) / span * (INTERVAL_WIDTH - _PAD * 4), 1)

    low, high = result.at_least, result.at_most
    return Interval(
        zero=place(0.0),
        dot=place(result.difference),
        low=2.0 if low is None else place(low),
        high=INTERVAL_WIDTH - 2.0 if high is None else place(high),
        has_low=low is not None,
        has_high=high is not None,
    )


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One series of a chart."""

    label: str
    kind: str
    """`new`, `old`, or `other`: the version under release, the one before it, everything else."""
    paths: tuple[str, ...]
    """Points of each stretch without a gap, as SVG's `points`."""
    dots: tuple[tuple[float, float], ...]
    """Points without a neighbour."""
    last: str
    """Latest value."""


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """One metric over time."""

    title: str
    lines: tuple[Line, ...]
    high: str
    """Value at the top of the picture."""
    low: str
    start: str
    end: str
    mark: float | None
    """Place of the start of the release; None outside of the picture."""
    more: int
    """Series that are left out."""


def charts(result: RunResult, series: Iterable[MetricSeries]) -> list[Chart]:
    """Return a chart of each metric with a value around the run, those of the released functions first."""
    release = result.release
    begun = release.started_at if release is not None and release.started_at is not None else result.run.started_at
    end_s = result.run.ended_at.timestamp()
    start_s = min(begun, result.run.started_at).timestamp() - BEFORE_S
    mark_s = release.started_at.timestamp() if release is not None and release.started_at is not None else None
    found: list[tuple[tuple[int, int, str], Chart]] = []
    for row, group in rows_of(series).items():
        for function in dict.fromkeys(each.key.function for each in group):
            own = by_version([each for each in group if each.key.function == function])
            title = row.label if function in row.label else f"{function} {row.label}"
            chart = _chart(title, row.unit, own, release, start_s, end_s, mark_s)
            if chart is not None:
                place = _FIRST.index((row.metric, row.stat)) if (row.metric, row.stat) in _FIRST else len(_FIRST)
                released = any(each.kind != "other" for each in chart.lines)
                found.append(((0 if released else 1 if not function else 2, place, chart.title), chart))
    return [chart for _, chart in sorted(found, key=lambda each: each[0])]


def _chart(
    title: str,
    unit: str | None,
    group: Sequence[MetricSeries],
    release: ReleaseInfo | None,
    start_s: float,
    end_s: float,
    mark_s: float | None,
) -> Chart | None:
    plotted = [(each, sorted(points_of(each, start_s, end_s))) for each in group]
    plotted = [(each, points) for each, points in plotted if points]
    if not plotted:
        return None
    plotted.sort(key=lambda each: ("old", "new", "other").index(_kind(each[0], release)))
    first_s = max(start_s, min(points[0].timestamp_s for _, points in plotted))
    last_s = max(end_s, first_s + 60.0)
    shown = plotted[:_LINES]
    scale = scale_of(*([point.value for point in points] for _, points in shown))

    def place(at_s: float) -> float:
        return round(min(1.0, max(0.0, (at_s - first_s) / (last_s - first_s))) * CHART_WIDTH, 1)

    lines = []
    for each, points in shown:
        stretches: list[list[tuple[float, float]]] = []
        previous_s = -math.inf
        for point in points:
            height = (scale.high - point.value) / (scale.high - scale.low) * CHART_HEIGHT
            if point.timestamp_s - previous_s > 2 * each.period_s:
                stretches.append([])
            # A value is that of its whole period, so it is drawn at the middle of it.
            stretches[-1].append((place(point.timestamp_s + each.period_s / 2), round(height, 1)))
            previous_s = point.timestamp_s
        lines.append(
            Line(
                label=_label(each),
                kind=_kind(each, release),
                paths=tuple(" ".join(f"{x:g},{y:g}" for x, y in part) for part in stretches if len(part) > 1),
                dots=tuple(part[0] for part in stretches if len(part) == 1),
                last=format_value(points[-1].value, unit),
            )
        )
    return Chart(
        title=title,
        lines=tuple(lines),
        high=format_value(scale.high, unit),
        low=format_value(scale.low, unit),
        start=_clock(first_s),
        end=_clock(last_s),
        mark=place(mark_s) if mark_s is not None and first_s <= mark_s <= last_s else None,
        more=len(plotted) - len(shown),
    )


def _kind(series: MetricSeries, release: ReleaseInfo | None) -> str:
    version = series.key.version
    if release is None or version is None:
        return "other"
    return "new" if version == release.version else "old" if version == release.previous else "other"


def _label(series: MetricSeries) -> str:
    key = series.key
    if key.version is not None:
        return version_label(key.version)
    if key.function:
        alias = dict(key.dimensions).get("Resource", "")
        return alias.partition(":")[2] or "all versions"
    return ", ".join(value for _, value in key.dimensions) or key.stat


def _clock(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%H:%M}"
