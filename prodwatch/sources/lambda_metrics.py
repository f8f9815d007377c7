"""Derives rates and shares per function and version from Lambda's raw metrics, minute by minute.

Missing data is not zero: an error share exists only for minutes with invocations whose Errors were read; in those a
missing Errors point is 0.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from prodwatch.model.environment import FunctionTarget, place_of
from prodwatch.model.signal import MetricKey, MetricPoint, MetricSeries
from prodwatch.sources.release.version_history import Shift, sole_version

NAMESPACE = "AWS/Lambda"
MINUTE_S = 60
RAW_METRICS = (
    ("Invocations", "Sum"),
    ("Errors", "Sum"),
    ("Throttles", "Sum"),
    ("Duration", "p50"),
    ("Duration", "p95"),
    ("Duration", "p99"),
)
"""Metrics and statistics read per function and version."""

Dimensions = tuple[tuple[str, str], ...]


class RawSeries(msgspec.Struct):
    """One series of CloudWatch as far as it was read; each has its own reach, as each can fail alone."""

    points: dict[int, float] = {}
    """Start of the period (epoch seconds) → value."""
    from_s: float = math.inf
    """Start of what was read, epoch seconds; infinite before the first complete reading."""
    to_s: float = -math.inf
    """Epoch second of the last complete reading; minus infinity before the first."""
    touched_s: float = -math.inf
    """Epoch second of the last response with any of it, complete or not."""
    failure: str | None = None
    """Status of the last request for it when CloudWatch did not return all of it; None otherwise."""

    def was_read(self, at: int) -> bool:
        """Return whether a period is known, if only because it has no point."""
        return at in self.points or self.from_s <= at < self.to_s

    def or_zero(self, at: int, since: RawSeries, settled_after_s: float) -> float | None:
        """Return the point of a period, 0 without one; None when it may only not have been published in time.

        A period without a point is 0 if it was read after it had settled, or not before the series `since`, which has
        a point there: a point that is published later than another one is not missing.
        """
        value = self.points.get(at)
        if value is not None or not self.was_read(at):
            return value
        return 0.0 if self.to_s >= since.touched_s or at + settled_after_s <= self.to_s else None


RawPoints = Mapping[MetricKey, RawSeries]


class FunctionVersions(msgspec.Struct, frozen=True):
    """Versions of a function, as far as known."""

    versions: tuple[str, ...] = ()
    """Versions of the alias now or in the latest release, the alias's primary version first; empty without an alias."""
    shifts: tuple[Shift, ...] = ()
    """Times at which a version received all the traffic; empty means always the first of `versions`."""
    timeout_s: float | None = None
    """Longest run time of an invocation; a minute's values change until then, because points are dated at its start."""


def dimensions_of(function: FunctionTarget, version: str | None = None) -> Dimensions:
    """Return the dimensions of a function, of its alias if it has one, or of one version of the alias."""
    own_periods: Dimensions = (("FunctionName", function.name),)
    if function.alias:
        own_periods = (*own_periods, ("Resource", f"{function.name}:{function.alias}"))
        if version is not None:
            own_periods = (*own_periods, ("ExecutedVersion", version))
    return own_periods


def raw_keys(function: FunctionTarget, function_versions: FunctionVersions) -> Iterable[MetricKey]:
    """Yield the keys of a function's raw series: the alias (or function) as a whole, then each version."""
    for version in (None, *(function_versions.versions if function.alias else ())):
        for metric, stat in RAW_METRICS:
            yield series_key(function, metric, stat, version)


class _Figure(msgspec.Struct, frozen=True):
    """One derived series of one function and version."""

    label: str
    metric: str
    stat: str
    unit: str
    points: dict[int, MetricPoint]
    read: tuple[tuple[int, int], ...]


def derived_series(
    function: FunctionTarget,
    function_versions: FunctionVersions,
    raw: RawPoints,
    *,
    settles_after_s: float,
    label_suffix: str | None,
    period_s: int = MINUTE_S,
) -> list[MetricSeries]:
    """Return the derived series, one per metric and version; `label_suffix` is appended to each label.

    The alias (or function) as a whole comes first, then each version as a cut through it. CloudWatch has per-version
    series only while an alias is weighted. A period in which one version had all the traffic takes that version's
    values from the alias as a whole; a period in which traffic began or ceased to be split is left out.

    A point settles when all series it is made of were read `settles_after_s` after its period.
    """
    whole = _scope(function, None, raw)
    scopes: list[tuple[str | None, tuple[_Figure, ...]]] = [(None, _figures(whole, period_s, settles_after_s))]
    if function.alias and function_versions.versions:
        versions = function_versions.versions
        by_version = {version: _scope(function, version, raw) for version in versions}
        calls = {version: scope["Invocations Sum"] for version, scope in by_version.items()}
        shared = {at for version in versions[1:] for at in calls[version].points}
        undivided = {
            at
            for at in {at for series in whole.values() for at in series.points} - shared
            if all(series.was_read(at) for series in calls.values())
        }
        for version, scope in by_version.items():
            alone = {
                at
                for at in undivided - set(calls[version].points)
                if version == _sole_version(function_versions, at, period_s)
            }
            own = _figures(scope, period_s, settles_after_s)
            from_whole = _figures(whole, period_s, settles_after_s, only=alone)
            scopes.append((version, tuple(map(_joined, from_whole, own))))
    return [
        MetricSeries(
            key=series_key(
                function,
                figure.metric,
                figure.stat,
                version,
                f"{figure.label} {label_suffix}" if label_suffix else figure.label,
            ),
            unit=figure.unit,
            period_s=period_s,
            points=tuple(point for _, point in sorted(figure.points.items())),
            read=figure.read if version is None else (),
        )
        for version, figures in scopes
        for figure in figures
        if figure.points or (version is None and figure.read and figure.metric == "Invocations")
    ]


def _joined(one: _Figure, other: _Figure) -> _Figure:
    return msgspec.structs.replace(other, points=one.points | other.points)


def _sole_version(function_versions: FunctionVersions, at_s: int, period_s: int) -> str | None:
    if not function_versions.shifts:
        return function_versions.versions[0]
    return sole_version(function_versions.shifts, at_s, at_s + period_s)


def _scope(function: FunctionTarget, version: str | None, raw: RawPoints) -> dict[str, RawSeries]:
    return {
        f"{metric} {stat}": raw.get(series_key(function, metric, stat, version)) or RawSeries()
        for metric, stat in RAW_METRICS
    }


def series_key(function: FunctionTarget, metric: str, stat: str, version: str | None, label: str = "") -> MetricKey:
    """Return the key of one series of Lambda."""
    return MetricKey(
        NAMESPACE,
        metric,
        dimensions_of(function, version),
        stat,
        version,
        label,
        place=place_of(function),
        function=function.name,
    )


def _figures(
    scope: Mapping[str, RawSeries], period_s: int, settles_after_s: float, *, only: Collection[int] | None = None
) -> tuple[_Figure, ...]:
    """Return the derived series of one scope, of the periods in `only` (None: all); a figure may have no points."""
    invocations, errors, throttles = scope["Invocations Sum"], scope["Errors Sum"], scope["Throttles Sum"]

    def figure(
        label: str, metric: str, stat: str, unit: str, values: Mapping[int, float], sources: Sequence[RawSeries]
    ) -> _Figure:
        settled_s = min(source.to_s for source in sources) - settles_after_s
        points = {
            at: MetricPoint(at, value, at + period_s <= settled_s)
            for at, value in values.items()
            if only is None or at in only
        }
        return _Figure(label, metric, stat, unit, points, settled_span(sources, settled_s, period_s))

    calls = {at: count for at, count in invocations.points.items() if count > 0}
    failed = _counted(errors, calls, invocations, period_s + settles_after_s)
    share = {at: 100.0 * count / calls[at] for at, count in failed.items()}
    throttled = _counted(throttles, {*calls, *throttles.points}, invocations, period_s + settles_after_s)
    durations = (
        figure(stat, "Duration", stat, "Milliseconds", scope[f"Duration {stat}"].points, (scope[f"Duration {stat}"],))
        for stat in ("p95", "p50", "p99")
    )
    rate = {at: count / period_s for at, count in calls.items()}
    return (
        figure("errors", "Errors", "share", "Percent", share, (invocations, errors)),
        *durations,
        figure("requests/s", "Invocations", "rate", "Count/Second", rate, (invocations,)),
        figure("throttles", "Throttles", "Sum", "Count", throttled, (throttles,)),
    )


def _counted(series: RawSeries, periods: Iterable[int], since: RawSeries, settled_after_s: float) -> dict[int, float]:
    counted = ((at, series.or_zero(at, since, settled_after_s)) for at in periods)
    return {at: count for at, count in counted if count is not None}


def settled_span(sources: Sequence[RawSeries], settled_s: float, period_s: int) -> tuple[tuple[int, int], ...]:
    """Return the span of whole periods that all series were read for, up to `settled_s`; empty before the first."""
    from_s = max(source.from_s for source in sources)
    if not math.isfinite(from_s) or not math.isfinite(settled_s):
        return ()
    start_s, end_s = math.ceil(from_s / period_s) * period_s, math.floor(settled_s / period_s) * period_s
    return ((start_s, end_s),) if start_s < end_s else ()
