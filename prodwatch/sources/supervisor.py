"""Runs every source on its own: one that dies is restarted after a pause and disturbs no other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import aclosing
from datetime import timedelta

from prodwatch.clock import Clock
from prodwatch.errors import ProdwatchError
from prodwatch.model.signal import Batch, SourcePhase, SourceStatus
from prodwatch.sources.backoff import Backoff
from prodwatch.sources.base import Source
from prodwatch.sources.error_status import DENIED_EVERY_S

_LOG = logging.getLogger("prodwatch.sources")


class Supervisor:
    """Feeds `apply` with the batches of all sources until it is stopped."""

    def __init__(
        self,
        sources: Iterable[Source],
        apply: Callable[[Batch], None],
        *,
        clock: Clock,
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        self._sources = tuple(sources)
        self._apply = apply
        self._clock = clock
        self._backoff = backoff
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin reading; returns at once."""
        self._tasks = [
            asyncio.get_running_loop().create_task(self._run(source), name=f"source {source.name}")
            for source in self._sources
        ]

    async def stop(self) -> None:
        """Cancel every source and wait until each has let go of its connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def _run(self, source: Source) -> None:
        backoff = self._backoff()
        while True:
            at_least_s = 1.0
            try:
                async with aclosing(source.batches()) as batches:  # type: ignore[type-var]
                    async for batch in batches:
                        self._apply(batch)
                        backoff.reset()
                message = "ended"
            except ProdwatchError as caught:
                # Nothing this source can do about it, and no bug: credentials of another account, for example.
                message, at_least_s = str(caught), DENIED_EVERY_S
            except Exception as caught:  # noqa: BLE001 -- see below
                # A bug in one source must cost one panel, not the dashboard; the log has the traceback.
                _LOG.exception("source %s failed", source.name)
                message = f"failed: {_innermost(caught)}"
            wait_s = max(at_least_s, backoff.next_s())
            retry_at = self._clock.now() + timedelta(seconds=wait_s)
            status = SourceStatus(source=source.name, phase=SourcePhase.FAILED, message=message, retry_at=retry_at)
            self._apply(Batch(source=source.name, status=status))
            await self._clock.sleep(wait_s)


def _innermost(caught: BaseException) -> str:
    while isinstance(caught, BaseExceptionGroup):
        caught = caught.exceptions[0]
    return f"{type(caught).__name__}: {caught}"
