"""Waiting in tests: the only place that sleeps or reads a real clock.

A test waits for a condition, never for a time. Each wait is bounded, so that a hang fails with a sentence.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

PATIENCE_S = 60.0
"""Bound of every wait: far above the duration of the awaited event on a busy machine."""
_STEP_S = 0.01


class Deadline:
    """A moment on the monotonic clock after which a wait fails."""

    def __init__(self, within_s: float = PATIENCE_S) -> None:
        self._end_s = time.monotonic() + within_s

    @property
    def left_s(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self._end_s - time.monotonic())

    @property
    def over(self) -> bool:
        """Whether the moment has passed."""
        return self.left_s == 0.0


async def turn(count: int = 1) -> None:
    """Let every task that is ready run, `count` times."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(
    holds: Callable[[], object],
    failure: str = "the condition never became true",
    *,
    meanwhile: Callable[[], None] = lambda: None,
    within_s: float = PATIENCE_S,
) -> None:
    """Wait for a condition that another thread, process or timer makes true; `meanwhile` runs before each look.

    Raises AssertionError with `failure` after `within_s`.
    """
    deadline = Deadline(within_s)
    while not holds():
        assert not deadline.over, failure
        meanwhile()
        await asyncio.sleep(_STEP_S)


async def scaled_sleep(seconds: float, *, pace: float) -> None:
    """Sleep `seconds` of a clock that runs `pace` times as fast as the real one."""
    await asyncio.sleep(seconds / pace)
