"""What Lambda's raw series say about a function and each of its versions: rates and shares, minute by minute.

No data is not zero: an error share exists only where there were invocations, and there a missing Errors point is 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from prodwatch.model.environment import FunctionTarget
from prodwatch.model.signal import MetricKey, MetricPoint, MetricSeries
from prodwatch.sources.release.version_history import Shift, owner

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
"""Series → start of the period (epoch seconds) → value."""


class Behind(msgspec.Struct, frozen=True):
    """What is behind a function's name, as far as somebody knows."""

    versions: tuple[str, ...] = ()
    """Under its alias now or in the latest release, the alias's own first; empty when there is no alias."""
    shifts: tuple[Shift, ...] = ()
    """Which version had all the traffic when; empty: always the first of `versions`."""
    timeout_s: float | None = None
    """How long an invocation may run: a minute's figures change until then, as points are dated at its start."""


def dimensions_of(function: FunctionTarget, version: str | None = None) -> Dimensions:
    """Return the dimensions of a function, of its alias when it has one, or of one version behind the alias."""
    own: Dimensions = (("FunctionName", function.name),)
    if function.alias:
        own = (*own, ("Resource", f"{function.name}:{function.alias}"))
        if version is not None:
            own = (*own, ("ExecutedVersion", version))
    return own


def raw_keys(function: FunctionTarget, behind: Behind) -> Iterable[MetricKey]:
    """Yield every raw series of a function: the alias (or function) as a whole, then each version."""
    for version in (None, *(behind.versions if function.alias else ())):
        for metric, stat in RAW:
            yield MetricKey(NAMESPACE, metric, dimensions_of(function, version), stat, version)


def derived(
    function: FunctionTarget,
    behind: Behind,
    raw: Raw,
    *,
    settled_before_s: float,
    named: str | None,
    period_s: int = MINUTE_S,
) -> list[MetricSeries]:
    """Return the series people compare, one per figure and version; `named` goes behind each label.

    Per-version series exist only while the alias is weighted. A period in which one version had all the traffic is
    credited to it from the alias as a whole; one in which traffic began or ceased to be split is credited to nobody.
    """
    scopes: list[tuple[str | None, dict[str, Mapping[int, float]]]] = []
    whole = _scope(function, None, raw)
    if function.alias and behind.versions:
        each = {version: _scope(function, version, raw) for version in behind.versions}
        own = {version: set(figures["Invocations Sum"]) for version, figures in each.items()}
        shared = {at for version in behind.versions[1:] for at in own[version]}
        for behind_version, split in each.items():
            alone = {
                at
                for at in {at for values in whole.values() for at in values} - shared - own[behind_version]
                if behind_version == _owner(behind, at, period_s)
            }
            scopes.append((behind_version, {name: _credited(whole[name], alone) | dict(split[name]) for name in split}))
    else:
        scopes.append((None, whole))
    found = []
    for version, figures in scopes:
        for word, metric, stat, unit, points in _figures(figures, period_s):
            if points:
                label = f"{word} {named}" if named else word
                key = MetricKey(NAMESPACE, metric, dimensions_of(function, version), stat, version, label)
                settled = tuple(
                    MetricPoint(at, value, at + period_s <= settled_before_s) for at, value in sorted(points.items())
                )
                found.append(MetricSeries(key=key, unit=unit, period_s=period_s, points=settled))
    return found


def _owner(behind: Behind, at_s: int, period_s: int) -> str | None:
    if not behind.shifts:
        return behind.versions[0]
    return owner(behind.shifts, at_s, at_s + period_s)


def _credited(values: Mapping[int, float], periods: set[int]) -> dict[int, float]:
    return {at: value for at, value in values.items() if at in periods}


def _scope(function: FunctionTarget, version: str | None, raw: Raw) -> dict[str, Mapping[int, float]]:
    dimensions = dimensions_of(function, version)
    return {
        f"{metric} {stat}": raw.get(MetricKey(NAMESPACE, metric, dimensions, stat, version), {}) for metric, stat in RAW
    }


def _figures(
    values: Mapping[str, Mapping[int, float]], period_s: int
) -> Iterable[tuple[str, str, str, str, dict[int, float]]]:
    """Yield word, metric, statistic, unit and points of each figure."""
    calls = {minute: count for minute, count in values["Invocations Sum"].items() if count > 0}
    errors, throttles = values["Errors Sum"], values["Throttles Sum"]
    share = {minute: 100.0 * errors.get(minute, 0.0) / count for minute, count in calls.items()}
    yield "errors", "Errors", "share", "Percent", share
    yield "p95", "Duration", "p95", "Milliseconds", dict(values["Duration p95"])
    yield "p50", "Duration", "p50", "Milliseconds", dict(values["Duration p50"])
    yield "p99", "Duration", "p99", "Milliseconds", dict(values["Duration p99"])
    yield "requests/s", "Invocations", "rate", "Count/Second", {m: count / period_s for m, count in calls.items()}
    yield "throttles", "Throttles", "Sum", "Count", {m: throttles.get(m, 0.0) for m in {*calls, *throttles}}
