"""Evaluates what is watched next to the checks: `[[metric]]` assertions and the states of `[[alarm]]` entries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from prodwatch.assertions import evaluate, parse
from prodwatch.model.environment import AlarmTarget, Environment, MetricTarget, UnfilledTarget, place_of
from prodwatch.model.identity import unique_name
from prodwatch.model.quantity import Duration
from prodwatch.model.result import AssertionResult, SignalResult
from prodwatch.model.signal import SETTLED_AFTER_S, AlarmState, MetricPoint, MetricSeries
from prodwatch.model.status import Reason, Status

METRIC_FIELDS = frozenset(("value", "values", "sum", "min", "max", "last", "points", "unit"))
"""Fields that the assertions of a `[[metric]]` may read."""

JUDGED_PERIODS = 5
"""Newest settled periods that are judged: the window of a `metric` check by default."""
JUDGED_AT_LEAST_S = 300.0

_NS_PER_UNIT = {
    **dict.fromkeys(("ns", "Nanoseconds"), 1),
    **dict.fromkeys(("us", "µs", "Microseconds"), 1_000),
    **dict.fromkeys(("ms", "Milliseconds"), 1_000_000),
    **dict.fromkeys(("s", "Seconds"), 1_000_000_000),
    **dict.fromkeys(("m", "min", "Minutes"), 60_000_000_000),
    **dict.fromkeys(("h", "Hours"), 3_600_000_000_000),
}
"""Units of time, as files and CloudWatch write them → nanoseconds."""


def is_judged(target: MetricTarget) -> bool:
    """Return whether the entry has assertions; without any it is only shown."""
    return bool(target.expect or target.warn)


def gating_signals(environment: Environment) -> tuple[tuple[MetricTarget, ...], tuple[AlarmTarget, ...]]:
    """Return the metrics and alarms that affect a verdict: those with `gate`, and only metrics with assertions."""
    return tuple(filter(_gates, environment.metrics)), tuple(filter(_gates, environment.alarms))


def has_gating_signals(environment: Environment) -> bool:
    """Return whether any metric or alarm affects a verdict, including those that cannot be read."""
    return any(gating_signals(environment)) or bool(gating_unfilled(environment))


def gating_unfilled(environment: Environment) -> tuple[UnfilledTarget, ...]:
    """Return the metrics and alarms that affect a verdict and cannot be read, because their names have no value."""
    return tuple(each for each in environment.unfilled if each.target is not None and _gates(each.target))


def unfilled_signals(environment: Environment) -> list[SignalResult]:
    """Return the gating metrics and alarms whose names have no value, with the status of that."""
    results: list[SignalResult] = []
    for each in gating_unfilled(environment):
        if isinstance(each.target, MetricTarget):
            unread = [unread_metric(each.target, each.message, each.reason)]
        elif each.target is not None:
            unread = list(unread_alarms(each.target, each.message, each.reason))
        else:
            continue
        results += (replace(result, status=each.status) for result in unread)
    return results


def _gates(target: MetricTarget | AlarmTarget) -> bool:
    return target.gate and (isinstance(target, AlarmTarget) or is_judged(target))


def metric_signal(target: MetricTarget, series: MetricSeries | None, now: datetime) -> SignalResult:
    """Judge a metric's assertions on its newest settled points; without such a point it is inconclusive.

    `series` is None when CloudWatch has no point at all.
    """
    period_s = series.period_s if series is not None else target.period_s
    points = _judged_points(series, period_s, now)
    if not points:
        return unread_metric(target, _no_point(target, series, period_s), Reason.NO_DATA)
    document = _document(points, target)
    assertions = (
        *(evaluate(parse(text), document, severity="expect", now=now) for text in target.expect),
        *(evaluate(parse(text), document, severity="warn", now=now) for text in target.warn),
    )
    status, reason, bad = _judged(assertions)
    return SignalResult(
        kind="metric",
        id=unique_name(target.name, place_of(target)),
        name=target.name,
        status=status,
        reason_code=reason,
        message=bad.message if bad is not None else None,
        gate=target.gate,
        value=points[-1].value,
        unit=target.unit,
        at=datetime.fromtimestamp(points[-1].timestamp_s + period_s, UTC),
        assertions=assertions,
    )


def unread_metric(target: MetricTarget, message: str, reason: Reason) -> SignalResult:
    """Return the inconclusive result of a metric of which nothing can be judged."""
    return SignalResult(
        kind="metric",
        id=unique_name(target.name, place_of(target)),
        name=target.name,
        status=Status.INCONCLUSIVE,
        reason_code=reason,
        message=message,
        gate=target.gate,
        unit=target.unit,
    )


def no_such_alarm(name: str | None = None) -> str:
    """Return the sentence about an alarm that does not exist; without `name` where the name is shown with it."""
    return "the alarm does not exist" if name is None else f"alarm {name} does not exist"


def no_alarm_with(prefix: str) -> str:
    """Return the sentence about a prefix without any alarm; an empty one means all alarms."""
    return f"no alarm name begins with {prefix}" if prefix else "there are no alarms"


def alarm_signals(target: AlarmTarget, states: Sequence[AlarmState]) -> list[SignalResult]:
    """Judge the alarms that one `[[alarm]]` entry names: firing fails, no state is never green.

    An alarm that only a prefix matches may have no data while another of the prefix has a state: it is `skipped`.
    """
    results: list[SignalResult] = []
    for name in target.names:
        state = next((each for each in states if each.name == name), None)
        results.append(
            _absent_alarm(target, name, no_such_alarm())
            if state is None
            else alarm_signal(state, gate=target.gate, without_data=Status.INCONCLUSIVE)
        )
    if target.prefix is not None:
        matching = [each for each in states if each.name.startswith(target.prefix)]
        known = any(each.state != "INSUFFICIENT_DATA" for each in matching)
        results += [
            alarm_signal(each, gate=target.gate, without_data=Status.SKIPPED if known else Status.INCONCLUSIVE)
            for each in matching
            if each.name not in target.names
        ]
        if not matching:
            results.append(_absent_alarm(target, f"{target.prefix}*", no_alarm_with(target.prefix)))
    return results


def unread_alarms(target: AlarmTarget, message: str, reason: Reason) -> list[SignalResult]:
    """Return the inconclusive results of an `[[alarm]]` entry that could not be read."""
    named = [*target.names, *([] if target.prefix is None else [f"{target.prefix}*"])]
    return [_absent_alarm(target, name, message, reason) for name in named]


def merged(results: Iterable[SignalResult]) -> tuple[SignalResult, ...]:
    """Return each signal once: of an alarm that two entries name, the one that gates, or else the heavier one."""
    found: dict[tuple[str, str], SignalResult] = {}
    for result in results:
        key = (result.kind, result.id)
        known = found.get(key)
        found[key] = result if known is None else _heavier(known, result)
    return tuple(found.values())


_WEIGHT = (Status.SKIPPED, Status.PASS, Status.DEGRADED, Status.INCONCLUSIVE, Status.ERROR, Status.FAIL)


def _heavier(one: SignalResult, other: SignalResult) -> SignalResult:
    if one.gate != other.gate:
        return one if one.gate else other
    return max(one, other, key=lambda each: _WEIGHT.index(each.status))


def _judged_points(series: MetricSeries | None, period_s: int, now: datetime) -> tuple[MetricPoint, ...]:
    """Return the settled points of the newest periods that can be settled by now, oldest first."""
    if series is None:
        return ()
    reach_s = max(JUDGED_AT_LEAST_S, JUDGED_PERIODS * period_s)
    # One period more: the newest one that has settled is read up to a period late.
    oldest_s = now.timestamp() - SETTLED_AFTER_S - period_s - reach_s
    return tuple(each for each in series.points if each.settled and each.timestamp_s >= oldest_s)[-JUDGED_PERIODS:]


def _no_point(target: MetricTarget, series: MetricSeries | None, period_s: int) -> str:
    reach_s = max(JUDGED_AT_LEAST_S, JUDGED_PERIODS * period_s)
    what = f"{target.namespace} {target.metric} has no settled data point in the last {_minutes(reach_s + period_s)}"
    points = series.points if series is not None else ()
    if any(not each.settled for each in points):
        return f"{what}: the newest points may still change"
    return what


def _minutes(seconds: float) -> str:
    minutes = round((seconds + SETTLED_AFTER_S) / 60)
    return f"{minutes} minutes"


def _document(points: Sequence[MetricPoint], target: MetricTarget) -> dict[str, Any]:
    values = [Decimal(repr(each.value)) for each in points]
    figures: dict[str, Any] = {
        "value": values[-1],
        "values": values,
        "sum": sum(values, Decimal(0)),
        "min": min(values),
        "max": max(values),
        "last": values[-1],
    }
    ns = ns_per_unit(target)
    if ns is not None:
        figures = {name: _durations(value, ns) for name, value in figures.items()}
    return {**figures, "points": len(points), "unit": target.unit or "None"}


def ns_per_unit(target: MetricTarget) -> int | None:
    """Return the nanoseconds of one unit of a metric's values; None when they are not times."""
    return None if target.stat == "SampleCount" else _NS_PER_UNIT.get(target.unit or "")


def _durations(value: Any, ns: int) -> Any:
    if isinstance(value, list):
        return [_durations(each, ns) for each in value]
    return Duration(round(value * ns))


def _judged(assertions: Sequence[AssertionResult]) -> tuple[Status, Reason | None, AssertionResult | None]:
    """Return status and reason, and the assertion that decided them; None when all hold."""
    for severity, ok, status, reason in (
        ("expect", False, Status.FAIL, Reason.ASSERTION),
        ("expect", None, Status.INCONCLUSIVE, Reason.NO_DATA),
        ("warn", None, Status.INCONCLUSIVE, Reason.NO_DATA),
        ("warn", False, Status.DEGRADED, Reason.WARNING),
    ):
        for each in assertions:
            if each.severity == severity and each.ok is ok:
                return status, reason, each
    return Status.PASS, None, None


def alarm_signal(state: AlarmState, *, gate: bool, without_data: Status) -> SignalResult:
    """Judge one alarm; `without_data` is its status while CloudWatch has too little data for it."""
    firing = "the alarm is firing"
    if state.muted_by is not None:
        firing = f"{firing} although {muted(state.muted_by)}"
    status, reason, what = {
        "ALARM": (Status.FAIL, Reason.ASSERTION, firing),
        "OK": (Status.PASS, None, None),
    }.get(state.state, (without_data, Reason.NO_DATA, "the alarm has INSUFFICIENT_DATA"))
    return SignalResult(
        kind="alarm",
        id=unique_name(state.name, state.place),
        name=state.name,
        status=status,
        reason_code=reason,
        message=": ".join(filter(None, (what, state.reason))) if what else None,
        gate=gate,
        value=state.state,
        since=state.since,
    )


def muted(rule: str) -> str:
    """Return the sentence about an alarm that a mute rule is in force for: CloudWatch goes on evaluating it."""
    return f"mute rule {rule} suppresses its actions, not its state"


def _absent_alarm(target: AlarmTarget, name: str, message: str, reason: Reason = Reason.NO_DATA) -> SignalResult:
    return SignalResult(
        kind="alarm",
        id=unique_name(name, place_of(target)),
        name=name,
        status=Status.INCONCLUSIVE,
        reason_code=reason,
        message=message,
        gate=target.gate,
    )
