"""All watched log groups as one source: fair, cancellable, and saying for each group how fresh and complete it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from prodwatch.aws.api import AwsApi, AwsError
from prodwatch.clock import Clock
from prodwatch.model.environment import LogTarget
from prodwatch.model.signal import Batch, LogRecord, SourcePhase, SourceStatus
from prodwatch.sources.backoff import Backoff
from prodwatch.sources.logs.agenda import Agenda
from prodwatch.sources.logs.discovery import discover
from prodwatch.sources.logs.fetch import fetcher
from prodwatch.sources.logs.tailer import GroupTailer, NewEvents, RawEvent
from prodwatch.sources.status import error_status, retry_delay_s

RECORDS_PER_BATCH = 500
WORKERS = 3
"""Pages read at the same time; the account's call rate is shared through the limiter behind `AwsApi`."""
DISCOVER_EVERY_S = 30.0
MISSING_EVERY_S = 15.0
BEHIND_S = 30.0
"""A group whose last complete scan began longer ago than this is behind."""

ParseLine = Callable[[RawEvent, str, int], LogRecord]
"""`parse(event, group, late_ms)`: sanitised and redacted."""


@dataclass(slots=True)
class _Group:
    tailer: GroupTailer
    target: LogTarget
    backoff: Backoff
    status: SourceStatus
    told_s: float = 0.0


class LogSource:
    """Polls every group of the environment with overlapping scans and yields each line once."""

    name = "logs"

    def __init__(
        self,
        aws: AwsApi,
        targets: Sequence[LogTarget],
        *,
        clock: Clock,
        parse: ParseLine,
        since: datetime,
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        self._aws = aws
        self._targets = tuple(targets)
        self._clock = clock
        self._parse = parse
        self._since_ms = int(since.timestamp() * 1000)
        self._backoff = backoff
        self._groups: dict[str, _Group] = {}
        self._agenda = Agenda()
        self._changed = asyncio.Event()
        self._out: asyncio.Queue[Batch] = asyncio.Queue(maxsize=64)

    def pin(self, groups: set[str]) -> None:
        """Read these groups every second, whatever they bring."""
        self._agenda.pin(groups)

    async def batches(self) -> AsyncIterator[Batch]:
        """Yield batches until cancelled. A slow consumer slows the reading; nothing is dropped for it."""
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(self._discover())]
            running += [tasks.create_task(self._work()) for _ in range(WORKERS)]
            try:
                while True:
                    yield await self._out.get()
            finally:
                for task in running:
                    task.cancel()

    def _now_s(self) -> float:
        return self._clock.now().timestamp()

    async def _discover(self) -> None:
        """Add named groups at once, and groups with a watched prefix as they appear."""
        for target in self._targets:
            if not target.group.endswith("*"):
                self._add(target.group, target)
        prefixes = [target for target in self._targets if target.group.endswith("*")]
        while prefixes:
            for target in prefixes:
                try:
                    for group in await discover(self._aws, target):
                        self._add(group, target)
                except AwsError as caught:
                    await self._tell(error_status(f"logs:{target.group}", caught, self._now_s() + DISCOVER_EVERY_S))
            await self._clock.sleep(DISCOVER_EVERY_S)

    def _add(self, group: str, target: LogTarget) -> None:
        key = f"{target.account}:{group}" if target.account else group
        if key in self._groups:
            return
        tailer = GroupTailer(group, fetcher(self._aws, target), since_ms=self._since_ms)
        self._groups[key] = _Group(tailer, target, self._backoff(), SourceStatus(source=f"logs:{key}"))
        self._agenda.add(key, self._now_s())
        self._changed.set()

    async def _work(self) -> None:
        while True:
            due_s = self._agenda.next_due_s()
            if due_s is None:
                self._changed.clear()
                await self._changed.wait()
                continue
            wait_s = due_s - self._now_s()
            if wait_s > 0:
                await self._clock.sleep(min(wait_s, 0.5))
                continue
            await self._read(self._agenda.take())

    async def _read(self, key: str) -> None:
        group = self._groups[key]
        try:
            found = await group.tailer.read_page(self._now_s())
        except AwsError as caught:
            await self._failed(key, group, caught)
            return
        group.backoff.reset()
        await self._hand_over(key, group, found)
        self._agenda.again(key, self._now_s(), brought=len(found.events), scan_done=found.scan_done)
        self._changed.set()

    async def _hand_over(self, key: str, group: _Group, found: NewEvents) -> None:
        now_ms = int(self._now_s() * 1000)
        for start in range(0, len(found.events), RECORDS_PER_BATCH):
            records = tuple(
                self._parse(
                    event, group.tailer.group, now_ms - event.timestamp if event.timestamp < found.late_before_ms else 0
                )
                for event in found.events[start : start + RECORDS_PER_BATCH]
            )
            await self._out.put(Batch(source=f"logs:{key}", records=records))
        if found.scan_done or self._now_s() - group.told_s >= 1.0 or group.status.phase is not SourcePhase.LIVE:
            await self._tell_group(key, group, found.window_reduced_s)

    async def _tell_group(self, key: str, group: _Group, window_reduced_s: float | None) -> None:
        plan = group.tailer.plan
        fresh_s = plan.fresh_s()
        behind_s = self._now_s() - (fresh_s if fresh_s is not None else plan.since_ms / 1000)
        phase, message = SourcePhase.LIVE, None
        if window_reduced_s is not None:
            message = f"late-arrival window reduced to {window_reduced_s:.0f} s: more lines than ids fit in memory"
        if behind_s > BEHIND_S:
            phase, message = SourcePhase.BEHIND, f"behind by {behind_s:.0f} s"
        group.told_s = self._now_s()
        group.status = SourceStatus(
            source=f"logs:{key}",
            phase=phase,
            message=message,
            fresh_at=datetime.fromtimestamp(fresh_s, UTC) if fresh_s is not None else None,
            late=group.tailer.late,
            dropped=group.tailer.unsure,
        )
        await self._tell(group.status)

    async def _failed(self, key: str, group: _Group, caught: AwsError) -> None:
        if caught.code in {"InvalidParameterException", "ExpiredNextTokenException"} and group.tailer.has_token:
            group.tailer.resume_without_token()
        retry_s = self._now_s() + _retry_delay_s(caught, group.backoff)
        self._agenda.later(key, retry_s)
        self._changed.set()
        status = error_status(f"logs:{key}", caught, retry_s)
        if caught.code == "ResourceNotFoundException":
            waiting = "does not exist yet; a function's group appears at its first invocation"
            status = SourceStatus(
                source=status.source, phase=SourcePhase.WAITING, message=waiting, retry_at=status.retry_at
            )
        group.status = status
        await self._tell(status)

    async def _tell(self, status: SourceStatus) -> None:
        await self._out.put(Batch(source=status.source, status=status))


def _retry_delay_s(caught: AwsError, backoff: Backoff) -> float:
    if caught.code == "ResourceNotFoundException":
        return MISSING_EVERY_S
    return retry_delay_s(caught, backoff)
