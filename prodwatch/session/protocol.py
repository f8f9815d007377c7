"""What the dashboard asks of whoever feeds its store; it calls nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from prodwatch.model.signal import LogRecord, Trace
from prodwatch.views.window import Window

if TYPE_CHECKING:
    from prodwatch.session.live import LiveSession


class SessionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What does not change while the dashboard is open."""

    environment: str
    """The short name: `prod`."""
    title: str
    account: str | None = None
    region: str | None = None
    protected: bool = True
    allow_writes: bool = False
    mode: Literal["live", "replay", "demo"] = "live"
    every_s: float = 30.0
    """How often a check runs that does not say so itself."""
    window: Window | None = None
    """Triage: the stretch of time that is asked about; None when a release is watched."""
    better: dict[str, str] = {}
    """Metric's label → `lower` or `higher`, where its file says so."""
    expectations: dict[str, tuple[str, ...]] = {}
    """Metric's label → what its file expects of it: `("value <= 800ms",)`."""
    log_file: str | None = None
    """Where the log with tracebacks is, told when something breaks."""


class Session(Protocol):
    """Feeds the store from the event loop of the app. Errors become statuses in the store, never exceptions."""

    async def start(self) -> None:
        """Begin to feed the store; called once, after the first paint. Returns when everything runs by itself."""
        ...

    async def stop(self) -> None:
        """Stop feeding and clean up; called once, after the terminal was given back."""
        ...

    async def rerun(self, check_ids: Sequence[str]) -> None:
        """Run these checks once more, now; their events reach the store as always."""
        ...

    async def rerun_failed(self) -> None:
        """Run every check once more whose latest round was not green."""
        ...

    async def fetch_trace(self, trace_id: str) -> Trace | None:
        """Return the whole trace, None when X-Ray does not have it (yet)."""
        ...

    def pin_logs(self, groups: Sequence[str]) -> None:
        """Read these log groups every second from now on, whatever they bring, and no others so."""
        ...

    async def fetch_logs_for(self, request_ids: Sequence[str], trace_id: str | None) -> Sequence[LogRecord]:
        """Return lines that carry any of the ids and are not in the store, in the order written."""
        ...


class LazySession:
    """A session that is made when it starts; asked before, it knows nothing yet."""

    def __init__(self, make: Callable[[], LiveSession]) -> None:
        """`make` loads what a session needs; it runs in a thread."""
        self._make = make
        self._session: LiveSession | None = None
        self._starting: asyncio.Task[LiveSession] | None = None
        self._stopped = False
        self._pinned: tuple[str, ...] = ()

    async def start(self) -> None:
        """Load the session and start it, unless it was stopped meanwhile."""
        self._starting = asyncio.create_task(asyncio.to_thread(self._make))
        session = await asyncio.shield(self._starting)
        if not self._stopped:
            self._session = session
            await session.start()
            if self._pinned:
                session.pin_logs(self._pinned)

    async def stop(self) -> None:
        """Stop the session."""
        self._stopped = True
        if self._session is not None:
            await self._session.stop()
        elif self._starting is not None:
            await self._starting

    async def rerun(self, check_ids: Sequence[str]) -> None:
        """Run these checks now."""
        if self._session is not None:
            await self._session.rerun(check_ids)

    async def rerun_failed(self) -> None:
        """Run every check now whose latest outcome was not green."""
        if self._session is not None:
            await self._session.rerun_failed()

    async def fetch_trace(self, trace_id: str) -> Trace | None:
        """Return the whole trace, None when X-Ray does not have it yet."""
        return await self._session.fetch_trace(trace_id) if self._session is not None else None

    def pin_logs(self, groups: Sequence[str]) -> None:
        """Read these groups first."""
        self._pinned = tuple(groups)
        if self._session is not None:
            self._session.pin_logs(groups)

    async def fetch_logs_for(self, request_ids: Sequence[str], trace_id: str | None) -> Sequence[LogRecord]:
        """Return lines that carry any of the ids."""
        return await self._session.fetch_logs_for(request_ids, trace_id) if self._session is not None else ()
