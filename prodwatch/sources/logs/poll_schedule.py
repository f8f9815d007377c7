"""Decides which log group is polled next: busy and pinned ones soon, quiet ones rarely, none starved.

When more groups are due than calls are allowed, groups that are busy, pinned or within a scan get three of four calls
and quiet ones the fourth: ten thousand quiet groups do not delay a busy one, or vice versa.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field

BUSY_EVERY_S = 1.0
"""Time between the starts of scans of a busy group."""
QUIET_EVERY_S = (1.0, 1.0, 1.0, 2.0, 5.0, 9.0)
"""Pause after the first scan without new events, after the second, and so on; the last one for all further scans.

CloudWatch shows lines in batches: a second without a line does not make a busy group quiet. With the last pause the
first new line of a quiet group is shown within ten seconds.
"""
QUIET_OF_MANY_EVERY_S = 15.0
"""Longest pause of a quiet group, however many groups share the call budget."""
QUIET_GROUP_COSTS_S = 0.4
"""Last pause per group that shares the call budget: quiet groups together take half of AWS's five calls a second."""
URGENT_TURNS = 3
"""Polls of urgent groups per poll of a quiet one while both are due."""

_Due = tuple[float, int, str]


@dataclass(slots=True)
class PollSchedule:
    """Two queues of groups by due time (monotonic seconds); a group being read is in neither."""

    _urgent: list[_Due] = field(default_factory=list)
    _normal: list[_Due] = field(default_factory=list)
    _turns: int = 0
    """Polls of urgent groups since the last poll of a quiet one."""
    _quiet_scans: dict[str, int] = field(default_factory=dict)
    _pinned: set[str] = field(default_factory=set)
    _serial: itertools.count[int] = field(default_factory=itertools.count)

    def add(self, group: str, now_s: float) -> None:
        """Add a new group, due now."""
        self._quiet_scans[group] = 0
        self.postpone(group, now_s)

    def pin(self, groups: set[str], now_s: float) -> None:
        """Make these groups due now, and poll them every second from now on, new events or not."""
        self._pinned = groups
        moved = [entry for entry in self._normal if entry[2] in groups]
        self._normal = [entry for entry in self._normal if entry[2] not in groups]
        heapq.heapify(self._normal)
        for entry in moved:
            self._push(self._urgent, entry[2], min(entry[0], now_s))

    def expedite(self, now_s: float, group: str | None = None) -> None:
        """Make a waiting group due now; all groups for None."""
        for queue in (self._urgent, self._normal):
            queue[:] = [
                (min(due_s, now_s) if group in {None, name} else due_s, serial, name) for due_s, serial, name in queue
            ]
            heapq.heapify(queue)

    def next_due_s(self) -> float | None:
        """Return when the next group is due; None when none is waiting."""
        return min((queue[0][0] for queue in (self._urgent, self._normal) if queue), default=None)

    def pop(self, now_s: float) -> str:
        """Remove and return the group to poll next; one must be due."""
        urgent = bool(self._urgent) and self._urgent[0][0] <= now_s
        normal = bool(self._normal) and self._normal[0][0] <= now_s
        if urgent and (not normal or self._turns < URGENT_TURNS):
            self._turns += 1
            return heapq.heappop(self._urgent)[2]
        self._turns = 0
        return heapq.heappop(self._normal)[2]

    def reschedule(
        self,
        group: str,
        now_s: float,
        *,
        busy: bool,
        scan_done: bool,
        began_s: float | None = None,
        busy_every_s: float = BUSY_EVERY_S,
        sharing: int = 1,
    ) -> None:
        """Put a group back after a page; a scan in progress continues at once, behind groups already due.

        A group is busy if any page of its scan, which began at `began_s`, had a new event. `sharing` groups have one
        call budget.
        """
        if not scan_done:
            self._push(self._urgent, group, now_s)
            return
        if busy or group in self._pinned:
            self._quiet_scans[group] = 0
            # From the start of the scan: its pages must not delay the next one.
            began_s = now_s if began_s is None else began_s
            self._push(self._urgent, group, max(now_s, began_s + busy_every_s))
            return
        quiet_scans = self._quiet_scans[group]
        self._quiet_scans[group] = quiet_scans + 1
        pauses_s = (*QUIET_EVERY_S[:-1], longest_pause_s(sharing))
        self._push(self._normal, group, now_s + pauses_s[min(quiet_scans, len(pauses_s) - 1)])

    def postpone(self, group: str, due_s: float) -> None:
        """Put a group back after an error, due at `due_s`."""
        self._push(self._urgent if group in self._pinned else self._normal, group, due_s)

    def _push(self, queue: list[_Due], group: str, due_s: float) -> None:
        heapq.heappush(queue, (due_s, next(self._serial), group))


def longest_pause_s(sharing: int) -> float:
    """Return the longest pause of a quiet group when `sharing` groups have one call budget, in seconds."""
    return min(QUIET_OF_MANY_EVERY_S, max(QUIET_EVERY_S[-1], sharing * QUIET_GROUP_COSTS_S))
