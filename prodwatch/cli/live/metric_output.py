"""Metrics in the plain terminal: a table of latest values, or points as NDJSON; series without data are shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo

import msgspec

from prodwatch.cli.live.colour import BOLD, DIM, Style
from prodwatch.cli.live.line_writer import LineWriter
from prodwatch.cli.live.time_options import zone_name
from prodwatch.model.signal import MetricKey, MetricPoint, MetricSeries, Record
from prodwatch.text.parse_user_times import stamp
from prodwatch.text.units import format_bytes, format_ms, format_value
from prodwatch.views.release import version_label
from prodwatch.views.sparkline import heights, squeeze

SPARK_SLOTS = 20
"""Width of a sparkline, in cells."""
_BARS = "▁▂▃▄▅▆▇█"
_MS_PER = {"Seconds": 1000.0, "s": 1000.0, "Milliseconds": 1.0, "ms": 1.0, "Microseconds": 0.001, "us": 0.001}
_COUNTS = frozenset(("Count", "None", ""))


class MetricLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of NDJSON: one point of one series, or a series without points."""

    name: str
    namespace: str
    metric: str
    stat: str
    account: str | None = None
    """Account and region are left out where they are the environment's own."""
    region: str | None = None
    timestamp: str | None = None
    """Start of the period, RFC 3339; absent when the series has no data."""
    value: float | None = None
    unit: str | None = None
    period_s: int = 60
    settled: bool | None = None
    """False while CloudWatch may still change the value; a changed value is written as a new line."""
    version: str | None = None
    dimensions: dict[str, str] = {}


class PointLines:
    """NDJSON: every point once, and again when its value has changed or settled."""

    problem: str | None = None

    def __init__(self, sink: LineWriter, *, until: datetime | None = None) -> None:
        self._sink = sink
        self._until_s = None if until is None else until.timestamp()
        self._known: dict[MetricKey, dict[int, MetricPoint]] = {}
        self._shown = 0

    def take(self, records: Sequence[Record]) -> int:
        """Write new and changed points; return their number."""
        lines = []
        for series in records:
            if isinstance(series, MetricSeries):
                lines += self._new_lines(series)
        lines.sort(key=lambda line: line.timestamp or "")
        self._sink.write([msgspec.json.encode(line).decode() for line in lines])
        self._shown += len(lines)
        return len(lines)

    def tick(self, *, caught_up: bool) -> None:
        """Do nothing: every point is written as it is read."""

    def finish(self) -> None:
        """Do nothing: every point is written as it is read."""

    def summary(self) -> str:
        """Return the number of points and series written."""
        empty = sum(not points for points in self._known.values())
        return f"{self._shown - empty:,} points of {len(self._known):,} series"

    def shortcomings(self) -> dict[str, int]:
        """Return the number of series without data."""
        return {"series without data": sum(not points for points in self._known.values())}

    def _new_lines(self, series: MetricSeries) -> list[MetricLine]:
        first = series.key not in self._known
        known = self._known.setdefault(series.key, {})
        points = [
            point
            for point in series.points
            if known.get(point.timestamp_s) != point and (self._until_s is None or point.timestamp_s <= self._until_s)
        ]
        known.update((point.timestamp_s, point) for point in points)
        if first and not known:
            return [_line(series, None)]
        return [_line(series, point) for point in points]


def _line(series: MetricSeries, point: MetricPoint | None) -> MetricLine:
    key = series.key
    return MetricLine(
        name=key.label or key.metric,
        namespace=key.namespace,
        metric=key.metric,
        stat=key.stat,
        account=key.place.account or None,
        region=key.place.region or None,
        timestamp=None if point is None else stamp(point.timestamp_s * 1000),
        value=None if point is None else point.value,
        unit=series.unit,
        period_s=series.period_s,
        settled=None if point is None else point.settled,
        version=key.version,
        dimensions=dict(key.dimensions),
    )


class MetricTable:
    """Text: a table of the latest values, written after each reading that changed one."""

    problem: str | None = None

    def __init__(
        self,
        sink: LineWriter,
        style: Style,
        *,
        until: datetime | None = None,
        zone: tzinfo | None = None,
    ) -> None:
        self._sink = sink
        self._style = style
        self._until_s = None if until is None else until.timestamp()
        self._zone = zone
        self._known: dict[MetricKey, tuple[MetricSeries, dict[int, MetricPoint]]] = {}
        self._changed = False

    def take(self, records: Sequence[Record]) -> int:
        """Store points; the table is written when the reading is complete."""
        news = 0
        for series in records:
            if not isinstance(series, MetricSeries):
                continue
            first = series.key not in self._known
            points = self._known[series.key][1] if not first else {}
            fresh = [each for each in series.points if self._is_wanted(each) and points.get(each.timestamp_s) != each]
            points.update((each.timestamp_s, each) for each in fresh)
            self._known[series.key] = (series, points)
            news += len(fresh) + first
        self._changed |= news > 0
        return news

    def tick(self, *, caught_up: bool) -> None:
        """Write the table when it has changed."""
        if caught_up and self._changed:
            self._changed = False
            self._sink.write(self._table())

    def finish(self) -> None:
        """Write the table with the series known so far."""
        self.tick(caught_up=True)

    def summary(self) -> str:
        """Return the number of series."""
        return f"{len(self._known):,} series"

    def shortcomings(self) -> dict[str, int]:
        """Return the number of series without data."""
        return {"without data": sum(not points for _, points in self._known.values())}

    def _is_wanted(self, point: MetricPoint) -> bool:
        return self._until_s is None or point.timestamp_s <= self._until_s

    def _table(self) -> list[str]:
        rows = [self._row(series, points) for series, points in self._known.values()]
        head = ("metric", "version", "latest", f"at {self._zone_name()}", "")
        widths = [max(len(row[column]) for row in (head, *rows)) for column in range(4)]
        lines = [] if not self._sink.lines else [""]
        lines.append(self._style.paint(_columns(head, widths), BOLD))
        for row in rows:
            line = _columns(row, widths)
            lines.append(line if row[3] else self._style.paint(line, DIM))
        return lines

    def _zone_name(self) -> str:
        newest_s = max((max(points) for _, points in self._known.values() if points), default=0)
        return zone_name(self._zone, datetime.fromtimestamp(newest_s, UTC))

    def _row(self, series: MetricSeries, points: dict[int, MetricPoint]) -> tuple[str, str, str, str, str]:
        key = series.key
        version = version_label(key.version) if key.version else ""
        name = key.label or f"{key.namespace} {key.metric} {key.stat}"
        if not points:
            return name, version, "no data", "", ""
        latest = points[max(points)]
        at = datetime.fromtimestamp(latest.timestamp_s, UTC).astimezone(self._zone)
        mark = f"{at:%H:%M}" + ("" if latest.settled else " unsettled")
        return name, version, value_text(latest.value, series.unit), mark, _spark(points, series.period_s)


def _columns(row: Sequence[str], widths: Sequence[int]) -> str:
    name, version, latest, at, spark = row
    return f"{name:<{widths[0]}}  {version:<{widths[1]}}  {latest:>{widths[2]}}  {at:<{widths[3]}}  {spark}".rstrip()


def _spark(points: dict[int, MetricPoint], period_s: int) -> str:
    """Return a sparkline of the last 60 periods; a period without a point is a gap."""
    last = max(points)
    first = max(min(points), last - 60 * period_s)
    values = [points[at].value if at in points else None for at in range(first, last + 1, period_s)]
    return "".join(" " if each is None else _BARS[each] for each in heights(squeeze(values, SPARK_SLOTS)))


def value_text(value: float, unit: str | None) -> str:
    """Return a value with its unit, rounded for display."""
    if unit in _MS_PER:
        milliseconds = value * _MS_PER[unit]
        return format_ms(milliseconds) if abs(milliseconds) >= 1 else format_value(milliseconds, "Milliseconds")
    if unit == "Bytes":
        return format_bytes(value)
    if unit in {"Percent", "%"}:
        return f"{value:.3g} %"
    number = f"{value:,.0f}" if value == int(value) else f"{value:,.4g}"
    if unit == "Count/Second":
        return f"{value:.3g}/s"
    return number if (unit or "") in _COUNTS else f"{number} {unit}"
