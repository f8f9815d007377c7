"""Metric series from log lines in CloudWatch's embedded metric format (EMF): per minute and version, without AWS calls.

A minute's value is the sum for counts, else the mean, of the lines read so far. It is settled once no line of that
minute can arrive in time; a later line still corrects it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from prodwatch.formats.lambda_json import objects_in
from prodwatch.model.identity import LAMBDA_GROUPS, Place
from prodwatch.model.signal import LogRecord, MetricKey, MetricPoint, MetricSeries
from prodwatch.store.under_release import NOTHING_RELEASED, UnderRelease

PERIOD_S = 60
"""Period of the series."""
LARGEST = 2.0**360
"""CloudWatch's limit of a value."""
SETTLED_AFTER_S = 180
"""Longest time after which a line counts as arriving in time."""
IDLE_S = 600
"""Time without values after which a series gives its place to another one."""
INCOMPLETE = 4
"""Series without a place that are remembered, as a multiple of the capacity."""
KEPT_PERIODS = 120
"""Minutes of a series that a late line can still correct."""
PAST_MS = 14 * 24 * 3600 * 1000
"""CloudWatch's limit for a metric dated before its line."""
FUTURE_MS = 2 * 3600 * 1000
"""CloudWatch's limit for a metric dated after its line."""
MAX_DIRECTIVES = 100
"""Directives read per line."""
DIMENSION_CHARS = 100
"""Characters kept of a dimension's value."""
OWN_REGION = "the environment's own region"
MAX_METRICS = 100
"""CloudWatch's limit of metrics per directive."""


class _Total(msgspec.Struct):
    """Sum and count of one minute's values."""

    sum: float = 0.0
    count: int = 0


class _Series(msgspec.Struct):
    """One series being accumulated."""

    key: MetricKey
    unit: str | None
    minutes: dict[int, _Total]
    """Start of the minute (epoch seconds) → total."""
    open: set[int]
    """Minutes to report: changed since the last report, or last reported before they were settled."""
    changed: bool = False


class _EmfMetric(msgspec.Struct, frozen=True):
    """One metric in one log line."""

    namespace: str
    name: str
    unit: str | None
    dimensions: tuple[tuple[str, str], ...]
    values: tuple[float, ...]


class _Owner(NamedTuple):
    """Subject of a label."""

    namespace: str
    place: Place
    dimensions: tuple[tuple[str, str], ...]
    unit: str | None


_Identity = tuple[MetricKey, str | None]
"""Key without a label, and unit, of a series."""


class EmbeddedMetrics:
    """Accumulates the EMF metrics in log lines."""

    def __init__(self, capacity: int) -> None:
        """Keep up to `capacity` series: dimensions with many values must not displace CloudWatch's own series."""
        self._capacity = capacity
        self._series: dict[_Identity, _Series] = {}
        self._labels: dict[str, _Owner] = {}
        self._dropped: list[MetricKey] = []
        self._incomplete: dict[_Identity, int] = {}
        """Series that were dropped → the last minute of which values are lost."""
        self._full_in: tuple[int, UnderRelease] | None = None
        """Minute and releases in which no place was found for a series that is not under release."""
        self.dropped = 0
        """Series dropped to make room for others."""
        self.refused = 0
        """Values left out: of series beyond the capacity, or of minutes too long ago."""

    @property
    def refusal_message(self) -> str:
        """Return the message that says which metrics are left out."""
        return (
            f"log lines contain more than {self._capacity} metric series at a time, each version counted, or values "
            "dated long before the others; some are not shown: add the important ones as [[metric]] to read them from "
            "CloudWatch"
        )

    def read(
        self, records: Iterable[LogRecord], now_s: float, under_release: UnderRelease = NOTHING_RELEASED
    ) -> list[MetricSeries]:
        """Return the series changed by these lines or by the time that has passed."""
        for record in records:
            if record.kind == "emf" and record.fields is not None:
                for metric in _metrics(record.fields):
                    self._add(metric, record, under_release)
        return [self._report(series, now_s) for series in self._series.values() if _due(series, now_s)]

    def restore(self, reported: Iterable[MetricSeries]) -> None:
        """Fill an empty accumulator with series that another one has reported."""
        for each in reported:
            minutes = {}
            for point in each.points[-KEPT_PERIODS:]:
                count = max(1, round(point.samples))
                minutes[point.timestamp_s] = _Total(point.value * (count if each.key.stat != "Sum" else 1), count)
            unsettled = {point.timestamp_s for point in each.points if not point.settled}
            self._series[replace(each.key, label=""), each.unit] = _Series(each.key, each.unit, minutes, unsettled)
            owner = _Owner(each.key.namespace, each.key.place, each.key.dimensions, each.unit)
            self._labels[each.key.label] = owner

    def take_dropped(self) -> list[MetricKey]:
        """Return the series dropped since the last call."""
        dropped, self._dropped = self._dropped, []
        return dropped

    def _add(self, metric: _EmfMetric, record: LogRecord, under_release: UnderRelease) -> None:
        stat = "Sum" if metric.unit == "Count" else "Average"
        key = MetricKey(
            metric.namespace,
            metric.name,
            metric.dimensions,
            stat,
            record.version,
            place=record.place,
            # A version number means something for its own function only.
            function=(record.function or record.group.removeprefix(LAMBDA_GROUPS)) if record.version else "",
        )
        identity = (key, metric.unit)
        minute = _time_s(record) // PERIOD_S * PERIOD_S
        series = self._series.get(identity)
        if series is None:
            # Values of a minute in which the series was dropped would be a part of that minute.
            if minute <= self._incomplete.get(identity, -1) or not self._has_place(key, minute, under_release):
                self._lose(identity, minute, len(metric.values))
                return
            key = replace(key, label=self._label(metric, record.place))
            series = self._series[identity] = _Series(key, metric.unit, {}, set())
        total = series.minutes.get(minute)
        if total is None:
            if len(series.minutes) >= KEPT_PERIODS:
                oldest = min(series.minutes)
                if minute < oldest:
                    self.refused += len(metric.values)
                    return
                del series.minutes[oldest]
                series.open.discard(oldest)
            total = series.minutes[minute] = _Total()
        total.sum += sum(metric.values)
        total.count += len(metric.values)
        series.open.add(minute)
        series.changed = True

    def _has_place(self, key: MetricKey, minute: int, under_release: UnderRelease) -> bool:
        """Return whether there is a place for a new series.

        It takes that of a series without values for `IDLE_S`, or one under release takes that of any other.
        """
        if len(self._series) < self._capacity:
            return True
        released = under_release.has_series(key)
        if not released and self._full_in == (minute, under_release):
            return False

        def value(identity: _Identity) -> tuple[bool, int]:
            series = self._series[identity]
            return (under_release.has_series(series.key), max(series.minutes, default=0))

        least = min(self._series, key=value, default=None)
        if least is None:
            return False
        least_released, last_minute = value(least)
        if last_minute >= minute - IDLE_S and (least_released or not released):
            if not released:
                self._full_in = (minute, under_release)
            return False
        key_of_least = self._series.pop(least).key
        self._lose(least, last_minute, 0)
        self._dropped.append(key_of_least)
        self.dropped += 1
        if not any(each.key.label == key_of_least.label for each in self._series.values()):
            self._labels.pop(key_of_least.label, None)
        return True

    def _lose(self, identity: _Identity, minute: int, values: int) -> None:
        self.refused += values
        self._incomplete[identity] = max(minute, self._incomplete.pop(identity, minute))
        while len(self._incomplete) > INCOMPLETE * max(1, self._capacity):
            del self._incomplete[next(iter(self._incomplete))]

    def _label(self, metric: _EmfMetric, place: Place) -> str:
        """Return a unique label: `Orders · checkout`, followed by what distinguishes it if that is taken."""
        label = f"{metric.name} · {' '.join(value for _, value in metric.dimensions) or metric.namespace}"
        owner = _Owner(metric.namespace, place, metric.dimensions, metric.unit)
        while (other := self._labels.setdefault(label, owner)) != owner:
            if other.place != place:
                label = f"{label} in {place or OWN_REGION}"
            elif other.namespace != metric.namespace:
                label = f"{label} · {metric.namespace}"
            elif other.unit != metric.unit:
                label = f"{label} · {metric.unit or 'no unit'}"
            else:
                label = f"{label} · {' '.join(name for name, _ in metric.dimensions)}"
        return label

    @staticmethod
    def _report(series: _Series, now_s: float) -> MetricSeries:
        points = []
        for minute in sorted(series.open):
            total, settled = series.minutes[minute], _is_settled(minute, now_s)
            if series.key.stat == "Sum":
                points.append(MetricPoint(minute, total.sum, settled))
            else:
                points.append(MetricPoint(minute, total.sum / total.count, settled, float(total.count)))
        series.changed = False
        series.open = {point.timestamp_s for point in points if not point.settled}
        return MetricSeries(key=series.key, unit=series.unit, points=tuple(points), period_s=PERIOD_S)


def _due(series: _Series, now_s: float) -> bool:
    return series.changed or (bool(series.open) and _is_settled(min(series.open), now_s))


def _is_settled(minute_s: int, now_s: float) -> bool:
    return minute_s + PERIOD_S + SETTLED_AFTER_S <= now_s


def _time_s(record: LogRecord) -> int:
    """Return the time of a line's metrics in epoch seconds: the line's own if EMF gives none or an invalid one."""
    stamp_ms = record.fields["_aws"].get("Timestamp") if record.fields else None
    if isinstance(stamp_ms, int) and -PAST_MS <= stamp_ms - record.timestamp_ms <= FUTURE_MS:
        return stamp_ms // 1000
    return record.timestamp_ms // 1000


def _metrics(fields: Mapping[str, Any]) -> Iterator[_EmfMetric]:
    """Yield the metrics that a line defines and has values for; parts that are not valid EMF are skipped."""
    directives = fields["_aws"].get("CloudWatchMetrics")
    for directive in objects_in(directives)[:MAX_DIRECTIVES]:
        namespace = directive.get("Namespace")
        if not isinstance(namespace, str) or not namespace:
            continue
        dimensions = _dimensions(directive.get("Dimensions"), fields)
        for metric in objects_in(directive.get("Metrics"))[:MAX_METRICS]:
            name, unit = metric.get("Name"), metric.get("Unit")
            if isinstance(name, str) and (values := _values(fields.get(name))):
                yield _EmfMetric(
                    namespace, name, unit if isinstance(unit, str) and unit != "None" else None, dimensions, values
                )


def _dimensions(sets: Any, fields: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the shortest dimension set; the others divide the same values further."""
    lists = [names for names in sets if isinstance(names, list)] if isinstance(sets, list) else []
    shortest = min(lists, key=len, default=[])
    return tuple(
        (name, str(fields[name])[:DIMENSION_CHARS])
        for name in shortest
        if isinstance(name, str) and isinstance(fields.get(name), str | int | float)
    )


def _values(values: Any) -> tuple[float, ...]:
    numbers = values if isinstance(values, list) else (values,)
    return tuple(
        float(number)
        for number in numbers
        if isinstance(number, int | float) and not isinstance(number, bool) and -LARGEST <= number <= LARGEST
    )
