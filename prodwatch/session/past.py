"""Reads a time window in the past: every source once, up to the window's end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from msgspec.structs import replace

from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.clock import Clock
from prodwatch.model.environment import FunctionTarget
from prodwatch.model.identity import AlarmId
from prodwatch.model.signal import (
    AlarmState,
    Batch,
    EvaluatedSignals,
    LogRecord,
    MetricSeries,
    Record,
    ReleaseEvent,
    ReleaseState,
    SourcePhase,
    SourceStatus,
    TraceSummary,
)
from prodwatch.session.engine import Engine
from prodwatch.session.live_sources import BoundedLogReads
from prodwatch.session.stream_completion import Patience
from prodwatch.sources.base import Source
from prodwatch.sources.build_sources import build_sources, log_targets
from prodwatch.sources.lambda_metrics import FunctionVersions
from prodwatch.sources.metrics import MetricSource
from prodwatch.sources.release.source import ReleaseSource
from prodwatch.sources.supervisor import Supervisor
from prodwatch.store.store import Store
from prodwatch.views.time_window import Window

LOGS_GRACE_S = 10.0
"""Seconds to wait for further groups of a watched prefix, after every known group was read."""
DEPLOYMENTS_BEFORE = timedelta(hours=2)
"""Longest time between a deployment's creation and its traffic shift in the window."""
WEEK = timedelta(weeks=1)
_LOG = logging.getLogger(__name__)
_READ = "read to its end"


class FixedClock:
    """Clock that always shows one moment; sleeping and monotonic time are real."""

    def __init__(self, at: datetime, clock: Clock) -> None:
        self._at = at
        self._clock = clock

    def now(self) -> datetime:
        """Return the moment."""
        return self._at

    def monotonic_s(self) -> float:
        """Return monotonic seconds of the real clock."""
        return self._clock.monotonic_s()

    async def sleep(self, seconds: float) -> None:
        """Sleep on the real clock."""
        await self._clock.sleep(seconds)


class OffsetClock(FixedClock):
    """Clock that runs from another moment, so that the window has just ended for a source."""

    def __init__(self, at: datetime, clock: Clock) -> None:
        super().__init__(at, clock)
        self._began_s = clock.monotonic_s()

    def now(self) -> datetime:
        """Return the start moment plus the time since construction."""
        return self._at + timedelta(seconds=self._clock.monotonic_s() - self._began_s)


class BoundedReads(BoundedLogReads):
    """AWS client that reads log lines up to the window's end, and deployments around the window."""

    def __init__(self, aws: AwsApi, window: Window, end: datetime) -> None:
        super().__init__(aws, end)
        self._range = {"start": window.start - DEPLOYMENTS_BEFORE, "end": end}

    async def call(
        self, service: str, operation: str, params: Mapping[str, Any] | None = None, **options: Any
    ) -> dict[str, Any]:
        """Call an operation; see `AwsApi.call`."""
        return await super().call(service, operation, self._around(operation, params), **options)

    def pages(
        self, service: str, operation: str, params: Mapping[str, Any] | None = None, **options: Any
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield each page; see `AwsApi.pages`."""
        return super().pages(service, operation, self._around(operation, params), **options)

    def _around(self, operation: str, params: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        return {**(params or {}), "createTimeRange": self._range} if operation == "ListDeployments" else params


class PastReader:
    """Feeds the store with one past window of one environment."""

    def __init__(self, engine: Engine, window: Window, store: Store, clock: Clock) -> None:
        self._engine = engine
        self._window = window
        self._end = window.until(clock.now())
        self._store = store
        self._clock = clock
        self._groups: dict[str, SourceStatus] = {}
        self._patience = Patience(clock)
        self._alarms = PastAlarms(self._end)

    async def run(self) -> None:
        """Read every source; returns when all have been read to the window's end."""
        moved = OffsetClock(self._end, self._clock)
        sources = build_sources(
            self._engine.environment,
            BoundedReads(self._engine.aws, self._window, self._end),
            clock=moved,
            redactor=self._engine.redactor,
            logs_since=self._window.lines_from(self._end),
            since=self._window.compared_from(self._end),
        )
        for each in sources:
            self._store.apply(Batch(source=each.name, status=SourceStatus(source=each.name)))
        async with asyncio.TaskGroup() as group:
            for each in sources:
                if each.name == "release":
                    # The release source first: it finds the versions whose metrics are read.
                    responded = asyncio.Event()
                    group.create_task(self._read(each, responded))
                    await responded.wait()
            for each in sources:
                if each.name != "release":
                    group.create_task(self._read(each, asyncio.Event()))
            group.create_task(self._week_before(sources))

    async def _read(self, source: Source, responded: asyncio.Event) -> None:
        """Read one source to the window's end; a source that cannot be read is retried until the session stops."""
        done = asyncio.Event()
        supervisor = Supervisor(
            [source], partial(self._take, responded, done), clock=self._clock, clean=self._engine.clean
        )
        supervisor.start()
        try:
            await done.wait()
            if source.name == "logs":
                await self._rest_of_logs(done)
        finally:
            await supervisor.stop()

    async def _week_before(self, sources: Sequence[Source]) -> None:
        await read_week_before(self._engine, self._window, self._end, sources, self._store, self._clock)

    async def _rest_of_logs(self, done: asyncio.Event) -> None:
        """Wait until no further group appears."""
        while True:
            known = len(self._groups)
            await self._clock.sleep(LOGS_GRACE_S)
            if len(self._groups) == known:
                break
            done.clear()
            await done.wait()
        for status in self._groups.values():
            if status.phase is SourcePhase.LIVE:
                self._store.apply(Batch(source=status.source, status=_ended(status)))
        if not self._groups:
            self._store.apply(Batch(source="logs", status=_ended(SourceStatus(source="logs"))))

    def _take(self, responded: asyncio.Event, done: asyncio.Event, batch: Batch) -> None:
        """Apply the part of a batch that belongs to the window."""
        records = tuple(kept for each in batch.records for kept in self._clipped(each))
        status = batch.status
        if status is not None and status.phase is not SourcePhase.STARTING:
            responded.set()
        if status is None or not self._is_last(status):
            self._store.apply(replace(batch, records=records))
            return
        if status.source == "alarms":
            records = (*records, *self._alarms.states())
        if not status.source.startswith("logs:"):
            status = _ended(status)
        self._store.apply(replace(batch, records=records, status=status))
        if not status.source.startswith("logs:") or self._logs_read():
            done.set()

    def _is_last(self, status: SourceStatus) -> bool:
        if status.source.startswith("logs:"):
            if not self._groups:
                self._store.forget_source("logs")
            self._groups[status.source] = status
            self._patience.update(status)
            return True
        return status.phase is SourcePhase.LIVE

    def _logs_read(self) -> bool:
        named = len({each.id for each in log_targets(self._engine.environment) if not each.group.endswith("*")})
        return len(self._groups) >= named and all(
            self._patience.is_over(each.source) or (each.fresh_at is not None and each.fresh_at >= self._end)
            for each in self._groups.values()
        )

    def _clipped(self, record: Record) -> tuple[Record, ...]:
        """Return the part of a record that belongs to the window: all, some or none of it."""
        end_s = self._end.timestamp()
        match record:
            case LogRecord():
                inside = record.timestamp_ms <= end_s * 1000
            case TraceSummary():
                inside = record.start_ms <= end_s * 1000
            case MetricSeries():
                points = tuple(each for each in record.points if each.timestamp_s < end_s)
                read = tuple((start_s, min(to_s, int(end_s))) for start_s, to_s in record.read if start_s < end_s)
                return (replace(record, points=points, read=read),) if points or read else ()
            case AlarmState():
                self._alarms.add(record)
                return ()
            case ReleaseEvent():
                if record.source == "alarm":
                    self._alarms.add_change(record)
                inside = record.at <= self._end
            case ReleaseState():
                return ()  # describes the present
            case _:
                inside = True
        return (record,) if inside else ()


class PastAlarms:
    """States of the alarms at the window's end, reconstructed from their history."""

    def __init__(self, end: datetime) -> None:
        self._end = end
        self._now: dict[AlarmId, AlarmState] = {}
        self._changes: dict[AlarmId, list[ReleaseEvent]] = {}

    def add(self, alarm: AlarmState) -> None:
        """Add an alarm's present state; a mute rule in force now is not known of the window."""
        self._now[alarm.id] = replace(alarm, muted_by=None)

    def add_change(self, event: ReleaseEvent) -> None:
        """Add a change of state, before or after the window's end."""
        self._changes.setdefault(AlarmId(event.subject, event.place), []).append(event)

    def states(self) -> tuple[AlarmState, ...]:
        """Return every alarm's state at the window's end; INSUFFICIENT_DATA when its history does not reach there."""
        return tuple(self._then(each) for each in self._now.values())

    def _then(self, alarm: AlarmState) -> AlarmState:
        changes = sorted(self._changes.get(alarm.id, ()), key=lambda change: change.at)
        before = [change for change in changes if change.at <= self._end]
        after = [change for change in changes if change.at > self._end]
        if not after and alarm.since is not None and alarm.since <= self._end:
            return alarm
        if before:
            return _as(alarm, before[-1].to, before[-1].at, before[-1].detail)
        return _as(alarm, after[0].from_ if after else None, None, None)


def _as(alarm: AlarmState, state: str | None, since: datetime | None, reason: str | None) -> AlarmState:
    known = state if state in {"OK", "ALARM", "INSUFFICIENT_DATA"} else "INSUFFICIENT_DATA"
    return replace(alarm, state=known, since=since, reason=reason)


def _ended(status: SourceStatus) -> SourceStatus:
    """Return the status of a source that has been read to the window's end."""
    return SourceStatus(
        source=status.source,
        phase=SourcePhase.IDLE,
        message=status.message,
        notes=(*status.notes, _READ),
        read_from=status.read_from,
        unread=status.unread,
        late=status.late,
        dropped=status.dropped,
        sampled=status.sampled,
    )


async def read_week_before(
    engine: Engine, window: Window, now: datetime, sources: Sequence[Source], store: Store, clock: Clock
) -> None:
    """Read the metrics of the same hours a week earlier, once; when that fails, this comparison is left out."""
    environment = engine.environment
    release = next((each for each in sources if isinstance(each, ReleaseSource)), None)
    if not environment.functions and not environment.metrics:
        return
    source = MetricSource(
        engine.aws,
        environment.functions,
        environment.metrics,
        clock=OffsetClock(window.until(now) - WEEK, clock),
        since=window.start - WEEK,
        versions_of=release.versions_of if release else _no_versions,
    )
    try:
        records = await source.poll()
    except AwsError as caught:
        # The metric source reports errors of CloudWatch itself.
        _LOG.info("the week before could not be read: %s", caught.message)
        return
    # Assertions that held a week ago are not evidence of now.
    series = tuple(each for each in records if not isinstance(each, EvaluatedSignals))
    store.apply(Batch(source="metrics", records=series))


def _no_versions(_function: FunctionTarget) -> FunctionVersions:
    return FunctionVersions()
