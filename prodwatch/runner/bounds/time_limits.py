"""Time limits enforced from outside the work, on the clock of the run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from types import TracebackType
from typing import Any, TypeVar

from prodwatch.clock import Clock, SystemClock

T = TypeVar("T")


async def bounded(clock: Clock, seconds: float, work: Awaitable[T]) -> T:
    """Await `work` and return its result; after `seconds`, cancel it and raise TimeoutError."""
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
    """Context in which the current task has a time limit."""

    __slots__ = ("_seconds", "_task", "_timeouts")

    def __init__(self, timeouts: TaskTimeouts, seconds: float) -> None:
        self._timeouts = timeouts
        self._seconds = seconds
        self._task: asyncio.Task[Any] | None = None

    def __enter__(self) -> None:
        task = self._task = asyncio.current_task()
        assert task is not None
        self._timeouts.begin(task, self._seconds)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task = self._task
        assert task is not None
        if not self._timeouts.end(task):
            return
        # A cancellation by the time limit alone is a timeout; any other cancellation stays one.
        others = task.uncancel()
        if kind is asyncio.CancelledError and others == 0:
            raise TimeoutError from None


class TaskTimeouts:
    """Cancels overdue tasks; one timer for all of them, since a request must cost next to nothing.

    For a SystemClock only: other clocks have no timer, and `bounded` races them.
    """

    __slots__ = ("_due", "_overdue", "_timer")

    def __init__(self) -> None:
        self._due: dict[asyncio.Task[Any], float] = {}
        self._overdue: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def limit(self, seconds: float) -> _TimeLimit:
        """Return a context that ends with TimeoutError when it lasts longer than `seconds`."""
        return _TimeLimit(self, seconds)

    def begin(self, task: asyncio.Task[Any], seconds: float) -> None:
        """Cancel `task` in `seconds`, unless `end` is called before."""
        loop = task.get_loop()
        due = self._due[task] = loop.time() + seconds
        if self._timer is None or self._timer.when() > due:
            self._set(loop, due)

    def end(self, task: asyncio.Task[Any]) -> bool:
        """Remove the limit of `task`; return whether the task was cancelled for being overdue."""
        self._due.pop(task, None)
        if task in self._overdue:
            self._overdue.discard(task)
            return True
        return False

    def _set(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(due, self._cancel_overdue, loop)

    def _cancel_overdue(self, loop: asyncio.AbstractEventLoop) -> None:
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
        """Cancel the timer; no limit is enforced from here on."""
        if self._timer is not None:
            self._timer.cancel()
