"""How often and how far back X-Ray is read: all of it while that is cheap, and never more than may be spent.

X-Ray bills every trace that a query looks at, so looking again costs as much as looking. What is looked at a second
stays below `SCANNED_PER_S` whatever the traffic: first windows overlap less, at the end only the newest part is read.
"""

from __future__ import annotations

from typing import NamedTuple

SCANNED_PER_S = 14.0
"""Traces looked at a second: 0.0126 US dollars in half an hour at 0.50 a million."""
BURST = 4_000.0
"""Traces that may be looked at beyond that at once: twice what a dashboard keeps."""


class Pace(NamedTuple):
    """One way to read: seconds between polls, seconds read again, and a wider look now and then."""

    every_s: float
    overlap_s: float
    deep_s: float = 0.0
    deep_every_s: float = 0.0

    @property
    def looks(self) -> float:
        """Return how often each trace is looked at."""
        deep = self.deep_s / self.deep_every_s if self.deep_every_s else 0.0
        return (self.every_s + self.overlap_s) / self.every_s + deep


PACES = (
    Pace(10.0, 60.0, 600.0, 120.0),
    Pace(10.0, 30.0, 300.0, 300.0),
    Pace(10.0, 15.0, 300.0, 600.0),
    Pace(10.0, 8.0, 120.0, 600.0),
    Pace(10.0, 3.0, 120.0, 1200.0),
)
"""From thorough to thrifty."""


def pace_for(traces_per_s: float) -> Pace:
    """Return the most thorough pace that stays within what may be looked at; the thriftiest when none does."""
    return next((each for each in PACES if each.looks * traces_per_s <= SCANNED_PER_S), PACES[-1])


class Purse:
    """What may still be looked at: it fills with time, up to a bound."""

    def __init__(self, now_s: float) -> None:
        self._held = BURST
        self._filled_s = now_s

    def held(self, now_s: float) -> float:
        """Return how many traces may be looked at now."""
        self._held = min(BURST, self._held + max(0.0, now_s - self._filled_s) * SCANNED_PER_S)
        self._filled_s = now_s
        return self._held

    def spend(self, traces: float) -> None:
        """Take note of what was looked at; a page is read to its end, so this may go below nothing."""
        self._held -= traces
