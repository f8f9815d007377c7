"""A clock whose time moves only by sleeping on it or advancing it."""

from __future__ import annotations

import asyncio
import heapq
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 15, 12, 0, 0, tzinfo=UTC)


class FakeClock:
    """Virtual time: `sleep` parks the task until `advance` (or `auto`) reaches its moment.

    With `auto=True` a sleep moves time forward by itself once the event loop has nothing else to do,
    so a test of a ninety-second poll takes microseconds.
    """

    def __init__(self, start: datetime = START, *, auto: bool = False) -> None:
        self._now = start
        self._elapsed_s = 0.0
        self._auto = auto
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._sequence = 0
        self._driver: asyncio.Future[None] | None = None
        self.slept: list[float] = []
        """Every sleep asked for, in order."""

    def now(self) -> datetime:
        """Return the virtual wall time."""
        return self._now + timedelta(seconds=self._elapsed_s)

    def monotonic_s(self) -> float:
        """Return virtual seconds since the start."""
        return self._elapsed_s

    async def sleep(self, seconds: float) -> None:
        """Wait for virtual time to pass."""
        self.slept.append(seconds)
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sequence += 1
        heapq.heappush(self._sleepers, (self._elapsed_s + seconds, self._sequence, future))
        if self._auto and (self._driver is None or self._driver.done()):
            self._driver = asyncio.ensure_future(self._drive())
        try:
            await future
        finally:
            # A sleeper that was cancelled must not move time when its moment comes.
            future.cancel()

    async def _drive(self) -> None:
        # One driver for all sleepers: each who wakes gets to do all it can before the next moment comes.
        while self._sleepers:
            await self._settle()
            self._wake_next()

    async def advance(self, seconds: float) -> None:
        """Move time forward, waking sleepers in order and letting each run before the next."""
        target = self._elapsed_s + seconds
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= target:
            self._wake_next()
            await self._settle()
        self._elapsed_s = target

    def _wake_next(self) -> None:
        while self._sleepers:
            due, _, future = heapq.heappop(self._sleepers)
            if future.done():
                continue
            self._elapsed_s = max(self._elapsed_s, due)
            future.set_result(None)
            return

    @staticmethod
    async def _settle() -> None:
        ready = getattr(asyncio.get_running_loop(), "_ready", ())
        for turn in range(200):
            # A few turns let sockets become ready; then continue until no callback is due.
            if turn >= 12 and not ready:
                break
            await asyncio.sleep(0)
