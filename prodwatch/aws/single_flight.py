"""Does something once for everybody who asks, whoever asks first and whoever gives up waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """A value that is made on first demand; a failure is told to all who wait and tried again by the next."""

    def __init__(self, make: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._make = make
        self._task: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """Return the value; a caller that is cancelled does not cancel the making of it."""
        if self._task is None or (self._task.done() and _failed(self._task)):
            self._task = asyncio.create_task(self._make())
            # When everybody has given up waiting, a failure must not surface as one nobody retrieved.
            self._task.add_done_callback(_failed)
        return await asyncio.shield(self._task)

    def cancel(self) -> None:
        """Give up the making, when it is still under way."""
        if self._task is not None and not self._task.done():
            self._task.cancel()


def _failed(task: asyncio.Task[Any]) -> bool:
    return task.cancelled() or task.exception() is not None
