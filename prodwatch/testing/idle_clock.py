"""Virtual time for code that talks to servers in its own process: time moves on once nothing is left to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, TypeVar

from prodwatch.testing.clock import START, FakeClock

_T = TypeVar("_T")
_QUIET_TURNS = 4
"""Turns of the loop without work after which nothing is under way: bytes are readable as soon as they are sent."""


class _WatchedLoop(asyncio.SelectorEventLoop):
    """Event loop that knows whether anything is due or under way, in itself or in its threads."""

    def __init__(self) -> None:
        super().__init__()
        self.in_threads: set[asyncio.Future[Any]] = set()

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        future = super().run_in_executor(executor, func, *args)
        self.in_threads.add(future)
        future.add_done_callback(self.in_threads.discard)
        return future

    @property
    def is_idle(self) -> bool:
        return not self._ready and not self.in_threads  # type: ignore[attr-defined]


class IdleClock(FakeClock):
    """Virtual time of a loop that `run_idle` runs."""

    def __init__(self, start: datetime = START) -> None:
        super().__init__(start, auto=True)

    @staticmethod
    async def _settle() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, _WatchedLoop), "an IdleClock needs run_idle"
        quiet = 0
        while quiet < _QUIET_TURNS:
            if loop.in_threads:
                await asyncio.wait(tuple(loop.in_threads), return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(0)
            quiet = quiet + 1 if loop.is_idle else 0


def run_idle(work: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine on a loop whose `IdleClock`s wait for sockets and threads."""
    with asyncio.Runner(loop_factory=_WatchedLoop) as runner:
        return runner.run(work)
