"""Definitions of alarms, their state and its history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

AlarmState = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
Missing = Literal["missing", "breaching", "notBreaching", "ignore"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricQuery:
    """One entry of a metric maths alarm: a metric, or an expression over other ids."""

    id: str
    expression: str | None = None
    namespace: str | None = None
    metric: str | None = None
    dimensions: Mapping[str, str] = field(default_factory=dict)
    stat: str = "Sum"
    period_s: int = 60
    returns: bool = False
    """Whether this is the series the threshold applies to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricAlarm:
    """A threshold on a metric or on metric maths."""

    name: str
    comparison: str = "GreaterThanThreshold"
    threshold: float = 0.0
    evaluation_periods: int = 1
    datapoints_to_alarm: int | None = None
    period_s: int = 60
    namespace: str | None = None
    metric: str | None = None
    dimensions: Mapping[str, str] = field(default_factory=dict)
    stat: str = "Sum"
    """`Sum`, `Average`, `Minimum`, `Maximum`, `SampleCount`, `p99` …"""
    queries: Sequence[MetricQuery] = ()
    """Instead of namespace and metric."""
    missing: Missing = "missing"
    description: str = ""
    unit: str | None = None
    actions: Sequence[str] = ()
    ok_actions: Sequence[str] = ()
    insufficient_actions: Sequence[str] = ()
    actions_enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositeAlarm:
    """A rule over other alarms: `ALARM("a") AND NOT OK(b)`."""

    name: str
    rule: str
    description: str = ""
    actions: Sequence[str] = ()
    ok_actions: Sequence[str] = ()
    insufficient_actions: Sequence[str] = ()
    actions_enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryItem:
    """One item of an alarm's history."""

    name: str
    kind: Literal["MetricAlarm", "CompositeAlarm"]
    at_s: float
    item: Literal["ConfigurationUpdate", "StateUpdate", "Action"]
    summary: str
    data: Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class AlarmRecord:
    """An alarm with its state."""

    definition: MetricAlarm | CompositeAlarm
    created_s: float
    configured_s: float
    evaluated_s: float
    """Time up to which it has been evaluated."""
    state: AlarmState = "INSUFFICIENT_DATA"
    reason: str = "Unchecked: Initial alarm creation"
    reason_data: Mapping[str, Any] | None = None
    changed_s: float
    updated_s: float

    @property
    def kind(self) -> Literal["MetricAlarm", "CompositeAlarm"]:
        """AWS's name of the kind of alarm."""
        return "MetricAlarm" if isinstance(self.definition, MetricAlarm) else "CompositeAlarm"
