"""Derives rates and shares per function and version from Lambda's raw metrics, minute by minute.

Missing data is not zero: an error share exists only for minutes with invocations; in those a missing Errors point is 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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
RawPoints = Mapping[MetricKey, Mapping[int, float]]
"""Series → start of the period (epoch seconds) → value."""


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


def derived_series(
    function: FunctionTarget,
    function_versions: FunctionVersions,
    raw: RawPoints,
    *,
    settled_before_s: float,
    label_suffix: str | None,
    period_s: int = MINUTE_S,
) -> list[MetricSeries]:
    """Return the derived series, one per metric and version; `label_suffix` is appended to each label.

    CloudWatch has per-version series only while an alias is weighted. A period in which one version had all the traffic
    takes that version's values from the alias as a whole; a period in which traffic began or ceased to be split is left
    out.
    """
    scopes: list[tuple[str | None, dict[str, Mapping[int, float]]]] = []
    undivided = _scope(function, None, raw)
    if function.alias and function_versions.versions:
        by_version = {version: _scope(function, version, raw) for version in function_versions.versions}
        own_periods = {version: set(figures["Invocations Sum"]) for version, figures in by_version.items()}
        shared = {at for version in function_versions.versions[1:] for at in own_periods[version]}
        for one_version, version_points in by_version.items():
            alone = {
                at
                for at in {at for values in undivided.values() for at in values} - shared - own_periods[one_version]
                if one_version == _sole_version(function_versions, at, period_s)
            }
            scopes.append(
                (
                    one_version,
                    {name: _only(undivided[name], alone) | dict(version_points[name]) for name in version_points},
                )
            )
    else:
        scopes.append((None, undivided))
    series = []
    for version, figures in scopes:
        for label, metric, stat, unit, points in _figures(figures, period_s):
            if points:
                key_label = f"{label} {label_suffix}" if label_suffix else label
                key = series_key(function, metric, stat, version, key_label)
                settled = tuple(
                    MetricPoint(at, value, at + period_s <= settled_before_s) for at, value in sorted(points.items())
                )
                series.append(MetricSeries(key=key, unit=unit, period_s=period_s, points=settled))
    return series


def _sole_version(function_versions: FunctionVersions, at_s: int, period_s: int) -> str | None:
    if not function_versions.shifts:
        return function_versions.versions[0]
    return sole_version(function_versions.shifts, at_s, at_s + period_s)


def _only(values: Mapping[int, float], periods: set[int]) -> dict[int, float]:
    return {at: value for at, value in values.items() if at in periods}


def _scope(function: FunctionTarget, version: str | None, raw: RawPoints) -> dict[str, Mapping[int, float]]:
    return {
        f"{metric} {stat}": raw.get(series_key(function, metric, stat, version), {}) for metric, stat in RAW_METRICS
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
    values: Mapping[str, Mapping[int, float]], period_s: int
) -> Iterable[tuple[str, str, str, str, dict[int, float]]]:
    """Yield label, metric, statistic, unit and points of each derived series."""
    calls = {minute: count for minute, count in values["Invocations Sum"].items() if count > 0}
    errors, throttles = values["Errors Sum"], values["Throttles Sum"]
    share = {minute: 100.0 * errors.get(minute, 0.0) / count for minute, count in calls.items()}
    yield "errors", "Errors", "share", "Percent", share
    yield "p95", "Duration", "p95", "Milliseconds", dict(values["Duration p95"])
    yield "p50", "Duration", "p50", "Milliseconds", dict(values["Duration p50"])
    yield "p99", "Duration", "p99", "Milliseconds", dict(values["Duration p99"])
    yield "requests/s", "Invocations", "rate", "Count/Second", {m: count / period_s for m, count in calls.items()}
    yield "throttles", "Throttles", "Sum", "Count", {m: throttles.get(m, 0.0) for m in {*calls, *throttles}}
