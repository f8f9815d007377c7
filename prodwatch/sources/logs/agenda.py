"""Which log group is read next: busy and pinned ones soon, quiet ones rarely, none starved."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field

BUSY_EVERY_S = 1.0
QUIET_EVERY_S = (2.0, 5.0, 15.0)
"""How long a group rests after its first, second, and every further scan that brought nothing."""


@dataclass(slots=True)
class Agenda:
    """A queue of groups by the moment they are due; a scan in progress goes on at once, behind those already due."""

    _heap: list[tuple[float, int, str]] = field(default_factory=list)
    _quiet: dict[str, int] = field(default_factory=dict)
    _pinned: set[str] = field(default_factory=set)
    _serial: itertools.count[int] = field(default_factory=itertools.count)

    def add(self, group: str, now_s: float) -> None:
        """Have a new group read at once."""
        self._quiet[group] = 0
        self._push(group, now_s)

    def pin(self, groups: set[str]) -> None:
        """Read these every second from their next turn on, whatever they bring."""
        self._pinned = groups

    def next_due_s(self) -> float | None:
        """Return when the next group is due; None when all are being read."""
        return self._heap[0][0] if self._heap else None

    def take(self) -> str:
        """Remove and return the group that is due first."""
        return heapq.heappop(self._heap)[2]

    def again(
        self, group: str, now_s: float, *, brought: int, scan_done: bool, busy_every_s: float = BUSY_EVERY_S
    ) -> None:
        """Put a group back after one of its pages."""
        if not scan_done:
            self._push(group, now_s)
            return
        if brought or group in self._pinned:
            self._quiet[group] = 0
            self._push(group, now_s + busy_every_s)
            return
        quiet = self._quiet[group]
        self._quiet[group] = quiet + 1
        self._push(group, now_s + QUIET_EVERY_S[min(quiet, len(QUIET_EVERY_S) - 1)])

    def later(self, group: str, due_s: float) -> None:
        """Put a group back after an error."""
        self._push(group, due_s)

    def _push(self, group: str, due_s: float) -> None:
        heapq.heappush(self._heap, (due_s, next(self._serial), group))
