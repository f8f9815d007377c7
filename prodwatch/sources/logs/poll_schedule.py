"""Which log group is read next: busy and pinned ones soon, quiet ones rarely, none starved.

When more groups are due than calls are allowed, those that are busy, pinned or in the middle of a scan get three calls
of four, and quiet ones the fourth: ten thousand quiet groups do not keep a busy one waiting, nor it them.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field

BUSY_EVERY_S = 1.0
QUIET_EVERY_S = (2.0, 5.0, 15.0)
"""How long a group rests after its first, second, and every further scan that brought nothing."""
URGENT_TURNS = 3
"""Turns of urgent groups for each turn of a quiet one, while both are due."""

_Due = tuple[float, int, str]


@dataclass(slots=True)
class Agenda:
    """Two queues of groups by the moment they are due, in monotonic seconds; a group being read is in neither."""

    _urgent: list[_Due] = field(default_factory=list)
    _calm: list[_Due] = field(default_factory=list)
    _turns: int = 0
    """Turns of urgent groups since the last of a quiet one."""
    _quiet: dict[str, int] = field(default_factory=dict)
    _pinned: set[str] = field(default_factory=set)
    _serial: itertools.count[int] = field(default_factory=itertools.count)

    def add(self, group: str, now_s: float) -> None:
        """Have a new group read at once."""
        self._quiet[group] = 0
        self.later(group, now_s)

    def pin(self, groups: set[str], now_s: float) -> None:
        """Read these at once, and then every second whatever they bring."""
        self._pinned = groups
        moved = [each for each in self._calm if each[2] in groups]
        self._calm = [each for each in self._calm if each[2] not in groups]
        heapq.heapify(self._calm)
        for each in moved:
            self._push(self._urgent, each[2], min(each[0], now_s))

    def hurry(self, now_s: float, group: str | None = None) -> None:
        """Have a group that rests, or each, read once more at once."""
        for queue in (self._urgent, self._calm):
            queue[:] = [
                (min(due_s, now_s) if group in {None, name} else due_s, serial, name) for due_s, serial, name in queue
            ]
            heapq.heapify(queue)

    def next_due_s(self) -> float | None:
        """Return when the next group is due; None when all are being read."""
        return min((queue[0][0] for queue in (self._urgent, self._calm) if queue), default=None)

    def take(self, now_s: float) -> str:
        """Remove and return the group whose turn it is; one must be due."""
        urgent = bool(self._urgent) and self._urgent[0][0] <= now_s
        calm = bool(self._calm) and self._calm[0][0] <= now_s
        if urgent and (not calm or self._turns < URGENT_TURNS):
            self._turns += 1
            return heapq.heappop(self._urgent)[2]
        self._turns = 0
        return heapq.heappop(self._calm)[2]

    def again(
        self, group: str, now_s: float, *, brought: int, scan_done: bool, busy_every_s: float = BUSY_EVERY_S
    ) -> None:
        """Put a group back after one of its pages; a scan in progress goes on at once, behind those already due."""
        if not scan_done:
            self._push(self._urgent, group, now_s)
            return
        if brought or group in self._pinned:
            self._quiet[group] = 0
            self._push(self._urgent, group, now_s + busy_every_s)
            return
        quiet = self._quiet[group]
        self._quiet[group] = quiet + 1
        self._push(self._calm, group, now_s + QUIET_EVERY_S[min(quiet, len(QUIET_EVERY_S) - 1)])

    def later(self, group: str, due_s: float) -> None:
        """Put a group back after an error."""
        self._push(self._urgent if group in self._pinned else self._calm, group, due_s)

    def _push(self, queue: list[_Due], group: str, due_s: float) -> None:
        heapq.heappush(queue, (due_s, next(self._serial), group))
