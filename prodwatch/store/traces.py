"""The latest trace summaries by id, each in its highest revision, and fetched traces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prodwatch.model.signal import Trace, TraceSummary

MAX_DETAILS = 100
"""Most whole traces kept; a dropped one is fetched again when opened."""


class TraceStore:
    """Summaries in order of first arrival; beyond `capacity` the oldest are dropped."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._summaries: dict[str, TraceSummary] = {}
        self._details: dict[str, Trace] = {}
        self.dropped = 0

    def add(self, summaries: Iterable[TraceSummary]) -> None:
        """Add summaries; an older revision never replaces a newer one."""
        for summary in summaries:
            stored = self._summaries.get(summary.id)
            if stored is None or summary.revision >= stored.revision:
                self._summaries[summary.id] = summary
        while len(self._summaries) > self.capacity:
            oldest = next(iter(self._summaries))
            del self._summaries[oldest]
            self._details.pop(oldest, None)
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
