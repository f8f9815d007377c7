"""Bounding work from outside, on whichever clock the run lives by."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from types import TracebackType
from typing import Any, TypeVar

from prodwatch.clock import Clock, SystemClock

T = TypeVar("T")


async def bounded(clock: Clock, seconds: float, work: Awaitable[T]) -> T:
    """Return what `work` returns; TimeoutError when it takes longer than `seconds`, after it was cancelled."""
    if isinstance(clock, SystemClock):
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


class _TimeLimit:
    """The time one task spends under watch."""

    __slots__ = ("_seconds", "_task", "_watch")

    def __init__(self, watch: TaskTimeouts, seconds: float) -> None:
        self._watch = watch
        self._seconds = seconds
        self._task: asyncio.Task[Any] | None = None

    def __enter__(self) -> None:
        task = self._task = asyncio.current_task()
        assert task is not None
        self._watch.begin(task, self._seconds)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task = self._task
        assert task is not None
        if not self._watch.end(task):
            return
        # Cancelled by the watch alone it is a timeout; by anybody else too, it stays a cancellation.
        others = task.uncancel()
        if kind is asyncio.CancelledError and others == 0:
            raise TimeoutError from None


class TaskTimeouts:
    """Cancels tasks that are overdue; one timer for all of them, since a request must cost next to nothing.

    For a SystemClock only: other clocks have no timer, and `bounded` races them.
    """

    __slots__ = ("_due", "_overdue", "_timer")

    def __init__(self) -> None:
        self._due: dict[asyncio.Task[Any], float] = {}
        self._overdue: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def over(self, seconds: float) -> _TimeLimit:
        """Return a context that ends with TimeoutError when it lasts longer than `seconds`."""
        return _TimeLimit(self, seconds)

    def begin(self, task: asyncio.Task[Any], seconds: float) -> None:
        """Cancel `task` when it is still at it in `seconds`."""
        loop = task.get_loop()
        due = self._due[task] = loop.time() + seconds
        if self._timer is None or self._timer.when() > due:
            self._set(loop, due)

    def end(self, task: asyncio.Task[Any]) -> bool:
        """Return whether `task` was cancelled for being overdue; it is watched no longer."""
        self._due.pop(task, None)
        if task in self._overdue:
            self._overdue.discard(task)
            return True
        return False

    def _set(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(due, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        for task, due in list(self._due.items()):
            if due <= now:
                del self._due[task]
                self._overdue.add(task)
                task.cancel()
        if self._due:
            self._set(loop, min(self._due.values()))

    def close(self) -> None:
        """Forget everything."""
        if self._timer is not None:
            self._timer.cancel()
