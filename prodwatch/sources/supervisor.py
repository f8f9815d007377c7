"""Runs each source in its own task and restarts a failed one after a pause, without affecting the others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import aclosing
from datetime import timedelta

from msgspec.structs import replace

from prodwatch.clock import Clock
from prodwatch.errors import ProdwatchError
from prodwatch.model.signal import UNREADABLE, Batch, SourcePhase, SourceStatus
from prodwatch.sources.backoff import Backoff
from prodwatch.sources.base import Source
from prodwatch.sources.error_status import DENIED_EVERY_S
from prodwatch.text.sanitize import sanitize_line

_LOG = logging.getLogger("prodwatch.sources")


class Supervisor:
    """Passes the batches of all sources to `apply` until stopped."""

    def __init__(
        self,
        sources: Iterable[Source],
        apply: Callable[[Batch], None],
        *,
        clock: Clock,
        clean: Callable[[str], str] = sanitize_line,
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        """Prepare; `clean` sanitises and masks every text of a status, which quotes AWS."""
        self._sources = tuple(sources)
        self._pass_on = apply
        self._clock = clock
        self._clean = clean
        self._backoff = backoff
        self._tasks: list[asyncio.Task[None]] = []

    def _apply(self, batch: Batch) -> None:
        self._pass_on(batch if batch.status is None else replace(batch, status=self._cleaned(batch.status)))

    def _cleaned(self, status: SourceStatus) -> SourceStatus:
        return replace(
            status,
            message=None if status.message is None else self._clean(status.message),
            notes=tuple(map(self._clean, status.notes)),
            unread=tuple(map(self._clean, status.unread)),
        )

    def start(self) -> None:
        """Start all sources; returns immediately."""
        self._tasks = [
            asyncio.get_running_loop().create_task(self._run(source), name=f"source {source.name}")
            for source in self._sources
        ]

    async def stop(self) -> None:
        """Cancel all sources and wait until their connections are closed."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def _run(self, source: Source) -> None:
        backoff = self._backoff()
        has_failed = False
        while True:
            min_wait_s = 1.0
            try:
                async with aclosing(source.batches()) as batches:  # type: ignore[type-var]
                    async for batch in batches:
                        self._apply(batch)
                        backoff.reset()
                        if has_failed and batch.status is not None and batch.status.phase not in UNREADABLE:
                            has_failed = False
                            if batch.status.source != source.name:
                                # Parts of the source report in its place; only they would replace its failure.
                                self._apply(Batch(source=source.name, is_answered=True))
                message = "ended"
            except ProdwatchError as error:
                # Not a bug, and not fixable by the source: credentials of another account, for example.
                message, min_wait_s = str(error), DENIED_EVERY_S
            except Exception as error:  # noqa: BLE001 -- see below
                # A bug in one source must affect one panel, not the dashboard; the log file has the traceback.
                _LOG.exception("source %s failed", source.name)
                message = f"failed: {_describe_innermost(error)}"
            wait_s = max(min_wait_s, backoff.next_s())
            retry_at = self._clock.now() + timedelta(seconds=wait_s)
            status = SourceStatus(source=source.name, phase=SourcePhase.FAILED, message=message, retry_at=retry_at)
            has_failed = True
            self._apply(Batch(source=source.name, status=status))
            await self._clock.sleep(wait_s)


def _describe_innermost(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
