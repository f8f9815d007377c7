"""Bounding an awaitable from outside, on whichever clock the run lives by."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from prodwatch.clock import Clock, SystemClock

T = TypeVar("T")


async def bounded(clock: Clock, seconds: float, work: Awaitable[T]) -> T:
    """Return what `work` returns; TimeoutError when it takes longer than `seconds`, after it was cancelled."""
    if isinstance(clock, SystemClock):
        # The event loop's own timer costs no task.
        async with asyncio.timeout(seconds):
            return await work
    return await _raced(clock, seconds, work)


async def _raced(clock: Clock, seconds: float, work: Awaitable[T]) -> T:
    worker = asyncio.ensure_future(work)
    timer = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait((worker, timer), return_when=asyncio.FIRST_COMPLETED)
        if worker.done():
            return worker.result()
        raise TimeoutError
    finally:
        for task in (worker, timer):
            if not task.done():
                task.cancel()
        await asyncio.gather(worker, timer, return_exceptions=True)
