"""What Lambda's raw series say about a function and each of its versions: rates and shares, minute by minute.

No data is not zero: an error share exists only where there were invocations, and there a missing Errors point is 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from prodwatch.model.environment import FunctionTarget
from prodwatch.model.signal import MetricKey, MetricPoint, MetricSeries

NAMESPACE = "AWS/Lambda"
MINUTE_S = 60
RAW = (
    ("Invocations", "Sum"),
    ("Errors", "Sum"),
    ("Throttles", "Sum"),
    ("Duration", "p50"),
    ("Duration", "p95"),
    ("Duration", "p99"),
)
"""Metric and statistic asked for, per function and version."""

Dimensions = tuple[tuple[str, str], ...]
Raw = Mapping[MetricKey, Mapping[int, float]]
"""Series → minute (epoch seconds) → value."""


def dimensions_of(function: FunctionTarget, version: str | None = None) -> Dimensions:
    """Return the dimensions of a function, of its alias when it has one, or of one version behind the alias."""
    own: Dimensions = (("FunctionName", function.name),)
    if function.alias:
        own = (*own, ("Resource", f"{function.name}:{function.alias}"))
        if version is not None:
            own = (*own, ("ExecutedVersion", version))
    return own


def raw_keys(function: FunctionTarget, versions: Sequence[str]) -> Iterable[MetricKey]:
    """Yield every raw series of a function: the alias (or function) as a whole, then each version."""
    for version in (None, *(versions if function.alias else ())):
        for metric, stat in RAW:
            yield MetricKey(NAMESPACE, metric, dimensions_of(function, version), stat, version)


def derived(
    function: FunctionTarget, versions: Sequence[str], raw: Raw, *, settled_before_s: float, named: bool
) -> list[MetricSeries]:
    """Return the series people compare, one per figure and version.

    Per-version series exist only while the alias is weighted. The minutes before belong to the first of `versions`,
    the one the alias names: there the alias as a whole stands in for it.
    """
    scopes: list[tuple[str | None, dict[str, Mapping[int, float]]]] = []
    whole = _scope(function, None, raw)
    if function.alias and versions:
        each = {version: _scope(function, version, raw) for version in versions}
        split = {minute for version in versions[1:] for minute in each[version]["Invocations Sum"]}
        first = versions[0]
        for name, values in each[first].items():
            each[first][name] = {m: v for m, v in whole[name].items() if m not in split} | dict(values)
        scopes += each.items()
    else:
        scopes.append((None, whole))
    found = []
    for version, figures in scopes:
        for word, metric, stat, unit, points in _figures(figures):
            if points:
                label = f"{word} {function.name}" if named else word
                key = MetricKey(NAMESPACE, metric, dimensions_of(function, version), stat, version, label)
                settled = tuple(
                    MetricPoint(minute, value, minute + MINUTE_S <= settled_before_s)
                    for minute, value in sorted(points.items())
                )
                found.append(MetricSeries(key=key, unit=unit, period_s=MINUTE_S, points=settled))
    return found


def _scope(function: FunctionTarget, version: str | None, raw: Raw) -> dict[str, Mapping[int, float]]:
    dimensions = dimensions_of(function, version)
    return {
        f"{metric} {stat}": raw.get(MetricKey(NAMESPACE, metric, dimensions, stat, version), {}) for metric, stat in RAW
    }


def _figures(values: Mapping[str, Mapping[int, float]]) -> Iterable[tuple[str, str, str, str, dict[int, float]]]:
    """Yield word, metric, statistic, unit and points of each figure."""
    calls = {minute: count for minute, count in values["Invocations Sum"].items() if count > 0}
    errors, throttles = values["Errors Sum"], values["Throttles Sum"]
    share = {minute: 100.0 * errors.get(minute, 0.0) / count for minute, count in calls.items()}
    yield "errors", "Errors", "share", "Percent", share
    yield "p95", "Duration", "p95", "Milliseconds", dict(values["Duration p95"])
    yield "p50", "Duration", "p50", "Milliseconds", dict(values["Duration p50"])
    yield "p99", "Duration", "p99", "Milliseconds", dict(values["Duration p99"])
    yield "requests/s", "Invocations", "rate", "Count/Second", {m: count / MINUTE_S for m, count in calls.items()}
    yield "throttles", "Throttles", "Sum", "Count", {m: throttles.get(m, 0.0) for m in {*calls, *throttles}}
