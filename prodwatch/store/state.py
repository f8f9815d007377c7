"""State of a store as one value, without its log lines: a replay begins from it when it is moved."""

from __future__ import annotations

from datetime import datetime

import msgspec

from prodwatch.model.comparison import ComparisonResult, Coverage, SignatureResult
from prodwatch.model.identity import FunctionId
from prodwatch.model.release import ReleaseId
from prodwatch.model.result import Notice, SignalResult, Usage, Verdict
from prodwatch.model.signal import (
    AlarmState,
    MetricSeries,
    ReleaseEvent,
    ReleaseState,
    ServiceGraph,
    SourceStatus,
    Trace,
    TraceSummary,
)
from prodwatch.store.check_history import CheckState
from prodwatch.store.error_signatures import SignatureState
from prodwatch.store.logs import LogState

OWN_IDS = 5_000
"""Ids of own requests that a state has, the latest ones: they mark lines that are still to come."""


class GivenVerdict(msgspec.Struct, frozen=True):
    """The judge's verdict as the session last filed it."""

    verdict: Verdict
    since: datetime
    """Start of the current sequence of equal statuses."""


class StoreState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a store holds at one moment, but the log lines and the requests that are being joined."""

    checks: CheckState = CheckState()
    own: tuple[str, ...] = ()
    """Ids of own requests, the oldest first."""
    logs: LogState = LogState()
    signatures: SignatureState = SignatureState()
    comparisons: tuple[ComparisonResult, ...] = ()
    compared_signatures: tuple[SignatureResult, ...] = ()
    coverage: Coverage | None = None
    compared_functions: tuple[FunctionId, ...] = ()
    compared_releases: tuple[ReleaseId, ...] = ()
    traces: tuple[TraceSummary, ...] = ()
    trace_details: tuple[Trace, ...] = ()
    graphs: tuple[ServiceGraph, ...] = ()
    series: tuple[MetricSeries, ...] = ()
    embedded_series: tuple[MetricSeries, ...] = ()
    releases: tuple[ReleaseState, ...] = ()
    alarms: tuple[AlarmState, ...] = ()
    events: tuple[ReleaseEvent, ...] = ()
    """The time line, in order of arrival."""
    signals: dict[str, tuple[SignalResult, ...]] = {}
    sources: tuple[SourceStatus, ...] = ()
    usage: Usage = Usage()
    slow_ms: int | None = None
    verdict: GivenVerdict | None = None
    notices: tuple[Notice, ...] = ()
    notice_count: int = 0
