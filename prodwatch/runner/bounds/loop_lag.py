"""Stalls of the event loop: times in which this process ran nothing, or had no CPU to run on."""

from __future__ import annotations

import asyncio
from collections import deque

import msgspec

from prodwatch.clock import Clock, SystemClock

BEAT_S = 0.02
"""Interval of the timer whose delay is measured."""
MIN_LAG_S = 0.01
"""Delays below this are the loop's ordinary work."""
WINDOW_S = 1.0
"""Shortest time that is looked at: a machine without CPU delays its targets' programs too, not only this loop."""
STALLED_SHARE = 0.05
"""Share of a time from which on nothing measured in it is evidence about a target."""
RECENT_S = 5.0
"""Length of the time that `slow_ms` is about."""
LOADING_S = 10.0
"""Time after the start in which this process loads what it runs: its stalls then are its own, not the machine's."""
_MAX_STALLS = 4096
"""Stalls kept, the newest: more than a minute of a machine that is busy all the time."""


class Stall(msgspec.Struct, frozen=True):
    """A time during which this machine was stalled for too long."""

    stalled_s: float
    of_s: float
    """Length of the time looked at, in seconds."""

    def __str__(self) -> str:
        """Return the end of a sentence about this machine."""
        return f"it did not run for {self.stalled_s:.2f} s of {self.of_s:.2f} s"


class LoopLag:
    """Records by how much a timer of the running event loop is late, as intervals on the run's monotonic clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stalls: deque[tuple[float, float]] = deque(maxlen=_MAX_STALLS)
        """(start, end) of each stall, oldest first, without overlap."""
        self._due_s: float | None = None
        """Time of the next beat; None while the timer is stopped."""
        self._timer: asyncio.TimerHandle | None = None
        self._loaded_s: float | None = None
        """End of the time in which this process loads what it runs; None before the start."""

    def start(self) -> None:
        """Start the timer on the running event loop; on another clock than the machine's, time has no stalls."""
        if self._timer is None and isinstance(self._clock, SystemClock):
            self._loaded_s = self._clock.monotonic_s() + LOADING_S
            self._ring(asyncio.get_running_loop())

    def stop(self) -> None:
        """Stop the timer; the stalls so far stay known."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._due_s = None

    def beat(self) -> None:
        """Record the delay of the beat that was due, and expect the next one."""
        now_s = self._clock.monotonic_s()
        if self._due_s is not None:
            self.record(self._due_s, now_s)
        self._due_s = now_s + BEAT_S

    def record(self, start_s: float, end_s: float) -> None:
        """Record a stall; delays of ordinary work are left out."""
        if end_s - start_s >= MIN_LAG_S:
            self._stalls.append((start_s, end_s))

    def stalled_s(self, start_s: float, end_s: float) -> float:
        """Return for how long the loop was stalled between two times, the stall that is still going on included."""
        total_s = 0.0
        now_s, due_s = self._clock.monotonic_s(), self._due_s
        if due_s is not None and now_s - due_s >= MIN_LAG_S:
            total_s = max(0.0, min(end_s, now_s) - max(start_s, due_s))
        for stall_start_s, stall_end_s in reversed(self._stalls):
            if stall_end_s <= start_s:
                break
            total_s += max(0.0, min(end_s, stall_end_s) - max(start_s, stall_start_s))
        return total_s

    def stall(self, start_s: float, end_s: float) -> Stall | None:
        """Return the stall that spoils whatever was measured between two times; None when it is evidence."""
        start_s = min(start_s, end_s - WINDOW_S)
        stalled_s = self.stalled_s(start_s, end_s)
        return Stall(stalled_s, end_s - start_s) if stalled_s >= STALLED_SHARE * (end_s - start_s) else None

    def slow_ms(self) -> int | None:
        """Return the longest stall of the last seconds, in milliseconds; None while this machine is fast enough."""
        now_s = self._clock.monotonic_s()
        since_s = now_s - RECENT_S
        if self._loaded_s is not None and now_s < self._loaded_s + RECENT_S:
            since_s = self._loaded_s
        if now_s - since_s < WINDOW_S or self.stall(since_s, now_s) is None:
            return None
        longest_s = max((end - start for start, end in self._stalls if end > since_s), default=0.0)
        return round(1000 * max(longest_s, 0.0 if self._due_s is None else now_s - self._due_s))

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        self.beat()
        self._timer = loop.call_later(BEAT_S, self._ring, loop)
