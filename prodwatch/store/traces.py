"""The latest trace summaries by id, each in its highest revision, and fetched traces."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from prodwatch.model.identity import Place
from prodwatch.model.signal import Trace, TraceSummary

MAX_DETAILS = 100
"""Most whole traces kept; a dropped one is fetched again when opened."""


class TraceStore:
    """Summaries in order of first arrival; beyond `capacity` those that began first are dropped."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._summaries: dict[str, TraceSummary] = {}
        self._parts: dict[str, dict[Place, TraceSummary]] = {}
        """Trace id → its summaries, for traces that several accounts or regions have a part of."""
        self._details: dict[str, Trace] = {}
        self._earliest: list[tuple[int, str]] = []
        """Start and id of the traces to drop next, the first of them last."""
        self.dropped = 0

    def add(self, summaries: Iterable[TraceSummary]) -> None:
        """Add summaries; an older revision never replaces a newer one."""
        for summary in summaries:
            self._summaries[summary.id] = self._with(summary)
            if len(self._summaries) > self.capacity:
                self._drop(summary)

    def _with(self, summary: TraceSummary) -> TraceSummary:
        """Return the summary of a trace after this one of an account and region has come."""
        stored, parts = self._summaries.get(summary.id), self._parts.get(summary.id)
        if stored is None:
            return summary
        if parts is None:
            if stored.place == summary.place:
                return summary if summary.revision >= stored.revision else stored
            parts = self._parts[summary.id] = {stored.place: stored}
        known = parts.get(summary.place)
        if known is None or summary.revision >= known.revision:
            parts[summary.place] = summary
        return joined(parts.values())

    def _drop(self, newest: TraceSummary) -> None:
        """Drop the trace that began first, however late it arrived."""
        if not self._earliest:
            # Finding the earliest looks at all, so several are found at once.
            count = max(1, self.capacity // 20)
            starts = ((summary.start_ms, summary.id) for summary in self._summaries.values())
            self._earliest = heapq.nsmallest(count, starts)[::-1]
        dropped = min(self._earliest[-1], (newest.start_ms, newest.id))
        if dropped == self._earliest[-1]:
            self._earliest.pop()
        del self._summaries[dropped[1]]
        self._parts.pop(dropped[1], None)
        self._details.pop(dropped[1], None)
        self.dropped += 1

    def add_detail(self, trace: Trace) -> None:
        """Add a fetched trace."""
        self._details.pop(trace.id, None)
        self._details[trace.id] = trace
        while len(self._details) > MAX_DETAILS:
            del self._details[next(iter(self._details))]

    @property
    def summaries(self) -> Mapping[str, TraceSummary]:
        """All kept summaries by trace id."""
        return self._summaries

    def detail(self, trace_id: str) -> Trace | None:
        """Return a fetched trace; None when it is not kept."""
        return self._details.get(trace_id)

    @property
    def details(self) -> Mapping[str, Trace]:
        """All kept traces, oldest fetch first."""
        return self._details


def joined(parts: Iterable[TraceSummary]) -> TraceSummary:
    """Return one summary of the parts of a trace that several accounts and regions have."""
    ordered = sorted(parts, key=lambda part: part.start_ms)
    end_ms = max(part.start_ms + part.duration_s * 1000 for part in ordered)
    return replace(
        ordered[0],
        duration_s=(end_ms - ordered[0].start_ms) / 1000,
        fault=any(part.fault for part in ordered),
        error=any(part.error for part in ordered),
        throttle=any(part.throttle for part in ordered),
        partial=any(part.partial for part in ordered),
        revision=sum(part.revision for part in ordered),
        root_cause=next((part.root_cause for part in ordered if part.root_cause), None),
        slowest=next((part.slowest for part in ordered if part.slowest), None),
        services=tuple(dict.fromkeys(node for part in ordered for node in part.services)),
        annotations={name: value for part in reversed(ordered) for name, value in part.annotations.items()},
    )
