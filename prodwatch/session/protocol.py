"""The interface between the dashboard and its session, and a proxy that loads the live session lazily."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from prodwatch.judge.signals import is_judged
from prodwatch.model.environment import Environment, metric_labels
from prodwatch.model.signal import LogRecord, Trace
from prodwatch.views.time_window import Window
from prodwatch.views.window_comparison import directions

if TYPE_CHECKING:
    from prodwatch.model.result import CheckResult
    from prodwatch.session.live import LiveSession


NOT_RECORDED = "not in the recording up to this moment; a replay does not ask AWS"
"""Takes the place of a trace or of lines that a live session would fetch."""


class SessionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Facts that do not change while the dashboard is open."""

    environment: str
    """Short name: `prod`."""
    title: str
    account: str | None = None
    region: str | None = None
    protected: bool = True
    allow_writes: bool = False
    mode: Literal["live", "replay", "demo"] = "live"
    every_s: float = 30.0
    """Default interval between rounds of a check, in seconds."""
    window: Window | None = None
    """Time window of a triage; None when a release is watched."""
    better: dict[str, str] = {}
    """Metric's label → `lower` or `higher`, for metrics whose file sets it."""
    expectations: dict[str, tuple[str, ...]] = {}
    """Metric's label → its expectations: `("value <= 800ms",)`."""
    recording: Callable[[], str] | None = None
    """Returns size and rate of the recording in a few words; None without one."""
    log_file: str | None = None
    """Path of the log with tracebacks, shown after a failure; None without a log."""


def facts_of(
    environment: Environment,
    *,
    mode: Literal["live", "replay", "demo"],
    region: str | None = None,
    allow_writes: bool = False,
    window: Window | None = None,
    recording: Callable[[], str] | None = None,
    log_file: str | None = None,
) -> SessionFacts:
    """Return the facts of a session on an environment; `region` takes the place of the environment's."""
    return SessionFacts(
        environment=environment.name,
        title=environment.title,
        account=environment.aws.account,
        region=region or environment.aws.region,
        protected=environment.protected,
        allow_writes=allow_writes or not environment.protected,
        mode=mode,
        every_s=environment.rounds.every_s,
        window=window,
        better=directions(environment.metrics),
        expectations={
            label: (*each.expect, *each.warn)
            for label, each in zip(metric_labels(environment.metrics), environment.metrics, strict=True)
            if is_judged(each)
        },
        recording=recording,
        log_file=log_file,
    )


class Session(Protocol):
    """Feeds the store from the event loop of the app. Errors become statuses in the store, never exceptions."""

    async def start(self) -> None:
        """Start feeding the store; called once, after the first paint. Returns when the sources run."""
        ...

    async def stop(self) -> object:
        """Stop feeding and clean up; called once, after the terminal is restored."""
        ...

    async def rerun(self, check_ids: Sequence[str]) -> None:
        """Run these checks now; their events go to the store as usual."""
        ...

    async def rerun_failed(self) -> None:
        """Run every check now that is not green."""
        ...

    async def fetch_trace(self, trace_id: str) -> Trace | None:
        """Return the whole trace; None when X-Ray does not have it yet."""
        ...

    def pin_logs(self, groups: Sequence[str]) -> None:
        """Read only these log groups every second from now on, even while they bring no lines."""
        ...

    async def fetch_logs_for(self, request_ids: Sequence[str], trace_id: str | None) -> Sequence[LogRecord]:
        """Return lines with any of the ids that are not in the store, in the order written."""
        ...


class LazySession:
    """Session that is created by `start`, after the first paint; empty until then.

    Loading the runner and the sources takes a tenth of the start-up time.
    """

    def __init__(self, make: Callable[[], LiveSession]) -> None:
        """`make` imports and creates the session; it runs in a thread."""
        self._make = make
        self._session: LiveSession | None = None
        self._starting: asyncio.Task[LiveSession] | None = None
        self._stopped = False
        self._pinned: tuple[str, ...] = ()

    async def start(self) -> None:
        """Create the session and start it, unless `stop` was called meanwhile."""
        self._starting = asyncio.create_task(asyncio.to_thread(self._make))
        session = await asyncio.shield(self._starting)
        if not self._stopped:
            self._session = session
            await session.start()
            if self._pinned:
                session.pin_logs(self._pinned)

    async def stop(self) -> tuple[CheckResult, ...]:
        """Stop the session; as LiveSession.stop."""
        self._stopped = True
        if self._session is not None:
            return await self._session.stop()
        if self._starting is not None:
            await self._starting
        return ()

    async def rerun(self, check_ids: Sequence[str]) -> None:
        """Run these checks now."""
        if self._session is not None:
            await self._session.rerun(check_ids)

    async def rerun_failed(self) -> None:
        """Run every check now that is not green."""
        if self._session is not None:
            await self._session.rerun_failed()

    async def fetch_trace(self, trace_id: str) -> Trace | None:
        """Return the whole trace; None when X-Ray does not have it yet."""
        return await self._session.fetch_trace(trace_id) if self._session is not None else None

    def pin_logs(self, groups: Sequence[str]) -> None:
        """Read only these log groups every second from now on."""
        self._pinned = tuple(groups)
        if self._session is not None:
            self._session.pin_logs(groups)

    async def fetch_logs_for(self, request_ids: Sequence[str], trace_id: str | None) -> Sequence[LogRecord]:
        """Return lines with any of the ids."""
        return await self._session.fetch_logs_for(request_ids, trace_id) if self._session is not None else ()
