"""The latest traces by id, each in its highest revision, and the details that were asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prodwatch.model.signal import Trace, TraceSummary

DETAILS = 100
"""Whole traces kept; they are fetched again when somebody opens one that was let go."""


class TraceBook:
    """Summaries in order of first sight; the oldest go when `capacity` is passed."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._summaries: dict[str, TraceSummary] = {}
        self._details: dict[str, Trace] = {}
        self.dropped = 0

    def add(self, summaries: Iterable[TraceSummary]) -> None:
        """File summaries; an older revision never replaces a newer one."""
        for summary in summaries:
            known = self._summaries.get(summary.id)
            if known is None or summary.revision >= known.revision:
                self._summaries[summary.id] = summary
        while len(self._summaries) > self.capacity:
            oldest = next(iter(self._summaries))
            del self._summaries[oldest]
            self._details.pop(oldest, None)
            self.dropped += 1

    def add_detail(self, trace: Trace) -> None:
        """Keep a whole trace that was fetched."""
        self._details.pop(trace.id, None)
        self._details[trace.id] = trace
        while len(self._details) > DETAILS:
            del self._details[next(iter(self._details))]

    @property
    def summaries(self) -> Mapping[str, TraceSummary]:
        """Every kept summary by trace id."""
        return self._summaries

    def detail(self, trace_id: str) -> Trace | None:
        """Return the whole trace when it was fetched before."""
        return self._details.get(trace_id)

    @property
    def details(self) -> Mapping[str, Trace]:
        """Every whole trace kept, oldest fetch first."""
        return self._details
