"""State of a store as one value, without its log lines: a replay begins from it when it is moved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

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


PART_ITEMS = 50
"""Most items of one part of a state: a part is encoded and searched without a pause of any other thread."""


class StoreState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
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


def parts_of(state: StoreState) -> Iterator[StoreState]:
    """Yield states that hold a part each of a whole one, and of which `joined` makes it again."""
    for name in StoreState.__struct_fields__:
        value: Any = getattr(state, name)
        if isinstance(value, tuple):
            for start in range(0, len(value), PART_ITEMS):
                chunk: dict[str, Any] = {name: value[start : start + PART_ITEMS]}
                yield StoreState(**chunk)
        elif value != getattr(_EMPTY, name):
            yield StoreState(**{name: value})


def joined(parts: Iterable[StoreState]) -> StoreState:
    """Return the state that consists of these parts."""
    values: dict[str, Any] = {}
    for part in parts:
        for name in StoreState.__struct_fields__:
            value = getattr(part, name)
            if isinstance(value, tuple):
                values.setdefault(name, []).extend(value)
            elif value != getattr(_EMPTY, name):
                values[name] = value
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    return StoreState(**fields)


_EMPTY = StoreState()
