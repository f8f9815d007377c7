"""Metrics that programs write into log lines (EMF) as series by the minute, each version apart and without a call.

A minute says what the lines read so far say: a sum where the unit is a count, else the mean. It settles when no line
of it can come in time any more; a later line still corrects it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from prodwatch.formats.lambda_json import tables
from prodwatch.model.signal import LogRecord, MetricKey, MetricPoint, MetricSeries

PERIOD_S = 60
LARGEST = 2.0**360
"""CloudWatch's bound of a value."""
SETTLED_AFTER_S = 180
"""How late a line may be and still be shown in time."""
KEPT_PERIODS = 120
"""Minutes of a series that a late line can still correct."""
PAST_MS = 14 * 24 * 3600 * 1000
FUTURE_MS = 2 * 3600 * 1000
"""How far from its line's own time a metric may be dated; CloudWatch takes no others."""
MOST_DIRECTIVES = 100
DIMENSION_CHARS = 100
MOST_METRICS = 100
"""Of one directive; CloudWatch takes no more."""


class _Total(msgspec.Struct):
    """What one minute's lines say."""

    sum: float = 0.0
    count: int = 0


class _Kept(msgspec.Struct):
    """One series."""

    key: MetricKey
    unit: str | None
    minutes: dict[int, _Total]
    """Start of the minute, epoch seconds → its total."""
    open: set[int]
    """Minutes changed since they were last told, and those told before they were settled."""
    changed: bool = False


class _Said(msgspec.Struct, frozen=True):
    """One metric of one line."""

    namespace: str
    name: str
    unit: str | None
    dimensions: tuple[tuple[str, str], ...]
    values: tuple[float, ...]


class EmbeddedMetrics:
    """Adds up the metrics in log lines."""

    def __init__(self, capacity: int) -> None:
        """Keep up to `capacity` series: dimensions of many values must not push out what CloudWatch tells."""
        self._capacity = capacity
        self._kept: dict[tuple[str, str, tuple[tuple[str, str], ...], str | None, str | None], _Kept] = {}
        self._labels: dict[tuple[str, str | None], tuple[str, tuple[tuple[str, str], ...]]] = {}
        self.refused = 0
        """Values not charted: of series beyond the capacity, or of minutes long past."""

    @property
    def refusal(self) -> str:
        """Say what is not charted."""
        return (
            f"log lines carry more metrics than the {self._capacity} that are charted from lines, or some dated long "
            "before the others; name what matters in [[metric]] to have it read from CloudWatch"
        )

    def read(self, records: Iterable[LogRecord], now_s: float) -> list[MetricSeries]:
        """Return the series that these lines, or the time that has passed, have changed."""
        for record in records:
            if record.kind == "emf" and record.fields is not None:
                for said in _metrics(record.fields):
                    self._add(said, record)
        return [self._told(kept, now_s) for kept in self._kept.values() if _due(kept, now_s)]

    def _add(self, said: _Said, record: LogRecord) -> None:
        identity = (said.namespace, said.name, said.dimensions, said.unit, record.version)
        kept = self._kept.get(identity)
        if kept is None:
            if len(self._kept) >= self._capacity:
                self.refused += len(said.values)
                return
            stat = "Sum" if said.unit == "Count" else "Average"
            key = MetricKey(said.namespace, said.name, said.dimensions, stat, record.version, self._label(said))
            kept = self._kept[identity] = _Kept(key, said.unit, {}, set())
        minute = _time_s(record) // PERIOD_S * PERIOD_S
        total = kept.minutes.get(minute)
        if total is None:
            if len(kept.minutes) >= KEPT_PERIODS:
                oldest = min(kept.minutes)
                if minute < oldest:
                    self.refused += len(said.values)
                    return
                del kept.minutes[oldest]
                kept.open.discard(oldest)
            total = kept.minutes[minute] = _Total()
        total.sum += sum(said.values)
        total.count += len(said.values)
        kept.open.add(minute)
        kept.changed = True

    def _label(self, said: _Said) -> str:
        """Return a name no other metric has: `Orders · checkout`, with the namespace where that is taken."""
        label = f"{said.name} · {' '.join(value for _, value in said.dimensions) or said.namespace}"
        whose = (said.namespace, said.dimensions)
        if self._labels.setdefault((label, said.unit), whose) != whose:
            label = f"{label} · {said.namespace}"
        return label

    @staticmethod
    def _told(kept: _Kept, now_s: float) -> MetricSeries:
        points = []
        for minute in sorted(kept.open):
            total, settled = kept.minutes[minute], _is_settled(minute, now_s)
            value = total.sum if kept.key.stat == "Sum" else total.sum / total.count
            points.append(MetricPoint(minute, value, settled))
        kept.changed = False
        kept.open = {point.timestamp_s for point in points if not point.settled}
        return MetricSeries(key=kept.key, unit=kept.unit, points=tuple(points), period_s=PERIOD_S)


def _due(kept: _Kept, now_s: float) -> bool:
    return kept.changed or (bool(kept.open) and _is_settled(min(kept.open), now_s))


def _is_settled(minute_s: int, now_s: float) -> bool:
    return minute_s + PERIOD_S + SETTLED_AFTER_S <= now_s


def _time_s(record: LogRecord) -> int:
    """Return the moment a line gives its metrics, epoch seconds; the line's own where it gives none that counts."""
    said = record.fields["_aws"].get("Timestamp") if record.fields else None
    if isinstance(said, int) and -PAST_MS <= said - record.timestamp_ms <= FUTURE_MS:
        return said // 1000
    return record.timestamp_ms // 1000


def _metrics(fields: Mapping[str, Any]) -> Iterator[_Said]:
    """Yield the metrics one line defines and has values for; what is not as EMF should be is passed over."""
    directives = fields["_aws"].get("CloudWatchMetrics")
    for directive in tables(directives)[:MOST_DIRECTIVES]:
        namespace = directive.get("Namespace")
        if not isinstance(namespace, str) or not namespace:
            continue
        dimensions = _dimensions(directive.get("Dimensions"), fields)
        for metric in tables(directive.get("Metrics"))[:MOST_METRICS]:
            name, unit = metric.get("Name"), metric.get("Unit")
            if isinstance(name, str) and (values := _values(fields.get(name))):
                yield _Said(
                    namespace, name, unit if isinstance(unit, str) and unit != "None" else None, dimensions, values
                )


def _dimensions(sets: Any, fields: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the shortest set of dimensions: the others part the same values further."""
    known = [names for names in sets if isinstance(names, list)] if isinstance(sets, list) else []
    shortest = min(known, key=len, default=[])
    return tuple(
        (name, str(fields[name])[:DIMENSION_CHARS])
        for name in shortest
        if isinstance(name, str) and isinstance(fields.get(name), str | int | float)
    )


def _values(told: Any) -> tuple[float, ...]:
    several = told if isinstance(told, list) else (told,)
    return tuple(
        float(each)
        for each in several
        if isinstance(each, int | float) and not isinstance(each, bool) and -LARGEST <= each <= LARGEST
    )
