"""The state of an alarm: pure functions of the metrics and of the other alarms' states."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from prodwatch.demo.aws.alarms.composite_rules import parse_rule
from prodwatch.demo.aws.alarms.model import AlarmState, CompositeAlarm, MetricAlarm
from prodwatch.demo.aws.expression_parser import ExpressionError
from prodwatch.demo.aws.metrics.model import SeriesKey
from prodwatch.demo.aws.metrics.query import Query, evaluate
from prodwatch.demo.aws.metrics.store import MetricStore
from prodwatch.demo.aws.protocols.encode import iso8601

COMPARISONS: Mapping[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanOrEqualToThreshold": (lambda value, limit: value >= limit, "greater than or equal to"),
    "GreaterThanThreshold": (lambda value, limit: value > limit, "greater than"),
    "LessThanThreshold": (lambda value, limit: value < limit, "less than"),
    "LessThanOrEqualToThreshold": (lambda value, limit: value <= limit, "less than or equal to"),
}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Result of an evaluation."""

    state: AlarmState
    reason: str
    data: Mapping[str, Any] | None = None


def queries_of(alarm: MetricAlarm) -> tuple[list[Query], str]:
    """Return the alarm's queries and the id of the one its threshold applies to."""
    if not alarm.queries:
        key = SeriesKey.of(alarm.namespace or "", alarm.metric or "", alarm.dimensions)
        return [Query(id="m1", key=key, stat=alarm.stat, period_s=alarm.period_s)], "m1"
    queries = [
        Query(
            id=entry.id,
            key=None if entry.expression else SeriesKey.of(entry.namespace or "", entry.metric or "", entry.dimensions),
            expression=entry.expression,
            stat=entry.stat,
            period_s=entry.period_s,
        )
        for entry in alarm.queries
    ]
    chosen = next((entry.id for entry in alarm.queries if entry.returns), alarm.queries[-1].id)
    return queries, chosen


def evaluate_metric(alarm: MetricAlarm, metrics: MetricStore, at_s: float, current: AlarmState) -> Evaluation | None:
    """Return the alarm's state at `at_s`, None when the data do not change it.

    The last `evaluation_periods` complete periods count; points that were not visible at `at_s` are missing.
    """
    queries, chosen = queries_of(alarm)
    period_s = max(query.period_s for query in queries)
    end_s = int(at_s // period_s) * period_s
    start_s = end_s - alarm.evaluation_periods * period_s
    points = evaluate(queries, metrics, start_s, end_s, seen_s=at_s)[chosen]
    window = [(stamp, points.get(stamp)) for stamp in range(start_s, end_s, period_s)]
    return _judge(alarm, window, current)


def _judge(alarm: MetricAlarm, window: list[tuple[int, float | None]], current: AlarmState) -> Evaluation | None:
    compare, words = COMPARISONS[alarm.comparison]
    present = [(stamp, value) for stamp, value in window if value is not None]
    if not present and alarm.missing == "missing":
        if current == "INSUFFICIENT_DATA":
            return None
        return Evaluation(
            "INSUFFICIENT_DATA", f"Insufficient Data: {len(window)} datapoint(s) were unknown.", _data(alarm, present)
        )
    if not present and alarm.missing == "ignore":
        return None
    needed = alarm.datapoints_to_alarm or alarm.evaluation_periods
    breaching = [(stamp, value) for stamp, value in present if compare(value, alarm.threshold)]
    absent = len(window) - len(present)
    count = len(breaching) + (absent if alarm.missing == "breaching" else 0)
    if alarm.missing in {"missing", "ignore"} and absent:
        # Missing points are left out: all existing points have to breach.
        needed = min(needed, len(present))
    if count >= needed:
        shown = ", ".join(f"{value} ({iso8601(stamp)})" for stamp, value in breaching) or "missing"
        reason = (
            f"Threshold Crossed: {count} out of the last {len(window)} datapoints [{shown}] was {words} "
            f"the threshold ({alarm.threshold})."
        )
        return Evaluation("ALARM", reason, _data(alarm, present))
    reason = (
        f"Threshold Crossed: {len(window) - count} out of the last {len(window)} datapoints was not {words} "
        f"the threshold ({alarm.threshold})."
    )
    return Evaluation("OK", reason, _data(alarm, present))


def _data(alarm: MetricAlarm, present: list[tuple[int, float]]) -> dict[str, Any]:
    return {
        "version": "1.0",
        "period": alarm.period_s,
        "recentDatapoints": [value for _, value in present],
        "threshold": alarm.threshold,
    }


def evaluate_composite(alarm: CompositeAlarm, states: Mapping[str, AlarmState]) -> Evaluation | None:
    """Return the state that the rule gives, None for a rule that cannot be parsed."""
    try:
        fires = parse_rule(alarm.rule)(states)
    except ExpressionError:
        return None
    state: AlarmState = "ALARM" if fires else "OK"
    return Evaluation(state, f"The alarm rule {alarm.rule} is {'true' if fires else 'false'}.")
