"""Ends a run early: by its deadline, or because its task is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from prodwatch.clock import Clock
from prodwatch.model.exit_code import ExitCode
from prodwatch.runner.step.stop_reason import StopCause, StopSignal

T = TypeVar("T")

TERMINATED = "SIGTERM"
"""`task.cancel(TERMINATED)` marks the run as terminated rather than interrupted."""


class EarlyEnd:
    """Runs the work of a run in a task of its own, so that no cancellation costs its results.

    The first cancellation and the deadline end what has not finished; cleanups end with the second cancellation.
    """

    def __init__(self, clock: Clock, deadline_s: float | None, *, since_s: float | None = None) -> None:
        """Prepare; the deadline counts from `since_s` (monotonic seconds), or from `guard` when that is None."""
        self.stop = StopSignal()
        self.exit_code: int | None = None
        """Exit code of an interrupted run; None without an interruption."""
        self._clock = clock
        self._deadline_s = deadline_s
        self._since_s = since_s
        self._cancels: list[Callable[[], object]] = []

    async def guard(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what `work` returns; never raises CancelledError of its own task."""
        timer = None
        if self._deadline_s is not None:
            passed_s = 0.0 if self._since_s is None else self._clock.monotonic_s() - self._since_s
            if passed_s < self._deadline_s:
                timer = asyncio.create_task(self._expire(self._deadline_s, self._deadline_s - passed_s))
            else:
                # Before the work begins, so that it sends nothing.
                self._stop_at_deadline(self._deadline_s)
        task = asyncio.create_task(work)
        current = asyncio.current_task()
        try:
            while not task.done():
                try:
                    await asyncio.wait((task,))
                except asyncio.CancelledError as error:
                    if current is not None:
                        current.uncancel()
                    self._interrupt(ExitCode.TERMINATED if TERMINATED in error.args else ExitCode.INTERRUPTED)
        finally:
            if timer is not None:
                timer.cancel()
        return task.result()

    def on_stop(self, cancel: Callable[[], object]) -> None:
        """Call `cancel` at every stop from now on, and at once when the run has been stopped already."""
        self._cancels.append(cancel)
        if self.stop.cause is not None:
            cancel()

    def _interrupt(self, exit_code: int) -> None:
        if self.exit_code is None:
            self.exit_code = exit_code
        else:
            self.stop.abandons_cleanup = True
        self._stop(StopCause.INTERRUPTED)

    async def _expire(self, deadline_s: float, left_s: float) -> None:
        await self._clock.sleep(left_s)
        self._stop_at_deadline(deadline_s)

    def _stop_at_deadline(self, deadline_s: float) -> None:
        self._stop(StopCause.DEADLINE, f"{deadline_s:g} s")

    def _stop(self, cause: StopCause, detail: str = "") -> None:
        self.stop.set(cause, detail)
        for cancel in self._cancels:
            cancel()
