"""Shares one in-flight call between all awaiters; survives cancellation of any of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """A value computed on first demand. A failure reaches all current awaiters; the next `get` tries again."""

    def __init__(self, make: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._make = make
        self._task: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """Return the value. Cancelling a caller does not cancel the computation."""
        if self._task is None or (self._task.done() and _failed(self._task)):
            self._task = asyncio.create_task(self._make())
            # Mark a failure as retrieved even when all awaiters were cancelled.
            self._task.add_done_callback(_failed)
        return await asyncio.shield(self._task)

    def cancel(self) -> None:
        """Cancel the computation if it is running."""
        if self._task is not None and not self._task.done():
            self._task.cancel()


def _failed(task: asyncio.Task[Any]) -> bool:
    return task.cancelled() or task.exception() is not None
