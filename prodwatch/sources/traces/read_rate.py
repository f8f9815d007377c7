"""Poll interval and overlap for reading trace summaries within a cost limit.

X-Ray bills every trace that a query scans, so reading a period again costs as much as reading it first. The scan rate
stays below `SCANNED_PER_S` at any traffic: first the overlap shrinks, then only the newest traces are read.
"""

from __future__ import annotations

from typing import NamedTuple

SCANNED_PER_S = 14.0
"""Average number of traces scanned per second: 0.0126 US dollars in half an hour at 0.50 per million."""
BURST = 4_000.0
"""Traces that may be scanned at once beyond that rate: twice the number a dashboard keeps."""


class Pace(NamedTuple):
    """One reading mode: seconds between polls, overlap with the previous poll, and an occasional deeper overlap."""

    every_s: float
    overlap_s: float
    deep_s: float = 0.0
    deep_every_s: float = 0.0

    @property
    def scans_per_trace(self) -> float:
        """Return how often each trace is scanned on average."""
        deep = self.deep_s / self.deep_every_s if self.deep_every_s else 0.0
        return (self.every_s + self.overlap_s) / self.every_s + deep


PACES = (
    Pace(10.0, 60.0, 600.0, 120.0),
    Pace(10.0, 30.0, 300.0, 300.0),
    Pace(10.0, 15.0, 300.0, 600.0),
    Pace(10.0, 8.0, 120.0, 600.0),
    Pace(10.0, 3.0, 120.0, 1200.0),
)
"""From the most thorough to the cheapest."""


def pace_for(traces_per_s: float) -> Pace:
    """Return the most thorough pace within `SCANNED_PER_S`; the cheapest when none is."""
    return next((pace for pace in PACES if pace.scans_per_trace * traces_per_s <= SCANNED_PER_S), PACES[-1])


class ScanBudget:
    """Number of traces that may still be scanned; refills with time up to `BURST`."""

    def __init__(self, now_s: float) -> None:
        self._available = BURST
        self._filled_s = now_s

    def available(self, now_s: float) -> float:
        """Return how many traces may be scanned now; negative after an overrun."""
        self._available = min(BURST, self._available + max(0.0, now_s - self._filled_s) * SCANNED_PER_S)
        self._filled_s = now_s
        return self._available

    def spend(self, traces: float) -> None:
        """Subtract scanned traces; may fall below 0, because a page is always read to its end."""
        self._available -= traces
