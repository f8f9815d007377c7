"""All watched log groups as one source, with the freshness and completeness of each group."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.clock import Clock
from prodwatch.model.environment import LogTarget, place_of
from prodwatch.model.identity import GroupId, Place
from prodwatch.model.signal import Batch, SourcePhase, SourceStatus
from prodwatch.model.status import Reason
from prodwatch.sources.backoff import Backoff
from prodwatch.sources.error_status import error_status, retry_delay_s
from prodwatch.sources.logs.deduplication import MAX_IDS
from prodwatch.sources.logs.discovery import discover_groups, is_of_unreadable_class
from prodwatch.sources.logs.events import RawEvent, fetcher
from prodwatch.sources.logs.group_status import group_error_status, group_status
from prodwatch.sources.logs.live_tail import LiveTail
from prodwatch.sources.logs.merge_live_tail_and_polling import LiveTailMerge
from prodwatch.sources.logs.poll_schedule import BUSY_EVERY_S, PollSchedule
from prodwatch.sources.logs.record_parser import ParseLine, ParseLines, RecordParser
from prodwatch.sources.logs.tailer import GroupTailer, NewEvents
from prodwatch.sources.logs.tracebacks import join_tracebacks, may_have_tracebacks

RECORDS_PER_BATCH = 500
"""Most records in one batch, and most lines parsed before other tasks get a turn."""
WORKERS = 4
"""Pages read concurrently; the rate limiter behind `AwsApi` bounds their rate."""
QUEUED_BATCHES = 64
DISCOVER_EVERY_S = 30.0
MISSING_EVERY_S = 15.0
UNREADABLE_EVERY_S = 3600.0
"""Pause before a group of a class that cannot be read is tried again: another one may have its name by then."""
LIVE_EVERY_S = 5.0
"""Pause between polls of a busy group while Live Tail delivers its lines."""

CLOCK_STEP_S = 0.5
"""Smallest step that counts; less is a clock being slewed, which the margin of every window covers."""


@dataclass(slots=True)
class _Group:
    tailer: GroupTailer
    place: Place
    backoff: Backoff
    status: SourceStatus
    live: LiveTail | None = None
    reported_s: float = 0.0
    began_s: float | None = None
    """Monotonic time at which the scans in progress began; None while it is idle."""
    delivery_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a page is passed on, so that the next one, read meanwhile, comes after it."""
    unsent: list[tuple[list[RawEvent], int]] = field(default_factory=list)
    """(events, `late_before_ms`) marked as seen but not passed on; sent first after a restart."""

    def keep_unsent(self, result: NewEvents) -> list[RawEvent]:
        """Keep the events of a page until they are passed on: a restart may come while they wait for their turn."""
        rest = list(result.events)
        if rest:
            self.unsent.append((rest, result.late_before_ms))
        return rest


class LogSource:
    """Polls every group with overlapping scans and yields each line once."""

    name = "logs"

    def __init__(
        self,
        aws: AwsApi,
        targets: Sequence[LogTarget],
        *,
        clock: Clock,
        parse: ParseLine,
        parse_all: ParseLines | None = None,
        since: datetime,
        backoff: Callable[[], Backoff] = Backoff,
        id_cap: int = MAX_IDS,
    ) -> None:
        """Read `targets` from `since` on; up to `id_cap` shown lines are remembered per group."""
        self._aws = aws
        self._targets = tuple(targets)
        self._clock = clock
        self._record_parser = RecordParser(parse, parse_all)
        self._since_ms = int(since.timestamp() * 1000)
        self._backoff = backoff
        self._id_cap = id_cap
        self._groups: dict[str, _Group] = {}
        self._groups_in: dict[Place, set[str]] = {}
        """Groups by account and region, which share one call budget."""
        self._tails: list[LiveTail] = []
        self._schedule = PollSchedule()
        self._clock_steps = ClockStepDetector(clock)
        self._sweep_s: float | None = None
        self._listed: set[str] = set()
        """Prefixes whose groups were last listed without an error, which report in their place."""
        self._pinned: set[str] = set()
        self._changed = asyncio.Event()
        self._schedule_lock = asyncio.Lock()
        # The one queue between AWS and the store. A full one makes the workers wait: nothing is dropped.
        self._queue: asyncio.Queue[Batch | Exception] = asyncio.Queue(maxsize=QUEUED_BATCHES)
        self._running: set[asyncio.Task[None]] = set()
        self._live_running: set[asyncio.Task[None]] = set()

    def pin(self, groups: set[str]) -> None:
        """Poll these groups (by `GroupId.key`) every second, new lines or not, and no others."""
        self._pinned = set(groups)
        self._schedule.pin(self._pinned, self._clock.monotonic_s())

    def sweep(self) -> None:
        """Request an immediate scan of the last L seconds of each group, to find lines that became visible late.

        A group's `swept_at` shows when it is done.
        """
        self._sweep_s = self._now_s()
        for group in self._groups.values():
            group.tailer.plan.sweep_s = self._sweep_s
        self._schedule.expedite(self._clock.monotonic_s())

    def follow(self, target: LogTarget) -> None:
        """Add a group to be read from now on; no effect if it is already read."""
        self._add(target.group, target)

    async def batches(self) -> AsyncIterator[Batch]:
        """Yield batches until cancelled. A slow consumer slows the reading; no line is dropped."""
        self._schedule = PollSchedule()
        self._schedule.pin(self._pinned, self._clock.monotonic_s())
        for key in self._groups:
            self._schedule.add(key, self._clock.monotonic_s())
        for tail in self._tails:
            self._start(tail.run(), self._live_running)
        self._start(self._discover_groups(), self._running)
        self._start(self._send_unsent(), self._running)
        for _ in range(WORKERS):
            self._start(self._work(), self._running)
        try:
            while True:
                result = await self._queue.get()
                if isinstance(result, Exception):
                    raise result
                yield result
        finally:
            await _cancel_all(self._running | self._live_running)
            self._discard_errors()

    def _discard_errors(self) -> None:
        """Remove errors from the queue: an error of another task must not end the next run."""
        waiting = [self._queue.get_nowait() for _ in range(self._queue.qsize())]
        for item in waiting:
            if isinstance(item, Batch):
                self._queue.put_nowait(item)

    def _start(self, work: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]]) -> None:
        """Run one task of the source; its failure ends the source."""

        async def guarded() -> None:
            try:
                await work
            except Exception as error:  # noqa: BLE001 -- raised again by `batches`
                await self._queue.put(error)

        task = asyncio.get_running_loop().create_task(guarded())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def _now_s(self) -> float:
        return self._clock.now().timestamp()

    async def _discover_groups(self) -> None:
        """Add named groups at once, and groups that match a prefix as they appear."""
        for target in self._targets:
            if not target.group.endswith("*"):
                await self._add_and_report(target.group, target)
        prefixes = [target for target in self._targets if target.group.endswith("*")]
        while prefixes:
            for target in prefixes:
                name = f"logs:{group_key(target.group, target)}"
                try:
                    for group in await discover_groups(self._aws, target):
                        await self._add_and_report(group, target)
                except AwsError as error:
                    self._listed.discard(name)
                    await self._report(error_status(name, error, self._now_s() + DISCOVER_EVERY_S))
                    continue
                if name not in self._listed:
                    self._listed.add(name)
                    await self._queue.put(Batch(source=name, is_answered=True))
            await self._clock.sleep(DISCOVER_EVERY_S)

    async def _add_and_report(self, group: str, target: LogTarget) -> None:
        """Add a group and report it as not read yet: with many groups its first poll may be minutes away."""
        if self._add(group, target):
            await self._report(self._groups[group_key(group, target)].status)

    def _add(self, group: str, target: LogTarget) -> bool:
        key = group_key(group, target)
        if key in self._groups:
            return False
        tailer = GroupTailer(group, fetcher(self._aws, target), since_ms=self._since_ms, cap=self._id_cap)
        tailer.plan.sweep_s = self._sweep_s
        sharing = self._groups_in.setdefault(place_of(target), set())
        sharing.add(key)
        tailer.plan.watched = sharing
        self._groups[key] = _Group(tailer, place_of(target), self._backoff(), SourceStatus(source=f"logs:{key}"))
        if target.live_tail:
            tailer.live = LiveTailMerge()
            tail = self._groups[key].live = self._tail_for(target)
            tail.add(group)
        self._schedule.add(key, self._clock.monotonic_s())
        self._changed.set()
        return True

    def _tail_for(self, target: LogTarget) -> LiveTail:
        """Return a Live Tail session with room for another group of `target`; creates one if necessary."""
        for tail in self._tails:
            if tail.accepts(target) and not tail.full:
                return tail

        async def offer(group: str, events: list[RawEvent]) -> None:
            key = group_key(group, target)
            await self._deliver(key, self._groups[key].tailer.take_live(events, self._now_s()))

        def began(group: str) -> None:
            self._merge(group, target).begin_session(self._now_s())
            expedite_group(group)

        def ended(group: str) -> None:
            self._merge(group, target).end_session()
            expedite_group(group)

        def expedite_group(group: str) -> None:
            # Its interval and its note change now, not when its pause ends.
            self._schedule.expedite(self._clock.monotonic_s(), group_key(group, target))

        tail = LiveTail(
            self._aws, target, clock=self._clock, backoff=self._backoff(), offer=offer, began=began, ended=ended
        )
        self._tails.append(tail)
        self._start(tail.run(), self._live_running)
        return tail

    def _merge(self, group: str, target: LogTarget) -> LiveTailMerge:
        merge = self._groups[group_key(group, target)].tailer.live
        assert merge is not None
        return merge

    async def _work(self) -> None:
        while True:
            # One worker at a time waits for the schedule.
            async with self._schedule_lock:
                key = await self._due()
            await self._read(key)

    async def _due(self) -> str:
        """Wait until a group is due, and take it."""
        while True:
            due_s = self._schedule.next_due_s()
            if due_s is None:
                self._changed.clear()
                await self._changed.wait()
                continue
            now_s = self._clock.monotonic_s()
            if due_s <= now_s:
                return self._schedule.pop(now_s)
            await self._clock.sleep(min(due_s - now_s, 0.5))

    async def _read(self, key: str) -> None:
        group = self._groups[key]
        if by_s := self._clock_steps.take_s():
            for other in self._groups.values():
                other.tailer.plan.shift_clock_back(by_s)
        if group.began_s is None:
            group.began_s = self._clock.monotonic_s()
        try:
            result = await group.tailer.read_page(self._now_s())
        except AwsError as error:
            await self._failed(key, group, error)
            return
        group.backoff.reset()
        rest = group.keep_unsent(result)
        async with group.delivery_lock:
            # From here on another worker may read the group's next page: AWS responds while these lines are parsed.
            self._schedule.reschedule(
                key,
                self._clock.monotonic_s(),
                busy=result.busy or result.paused,
                scan_done=result.scan_done or result.paused,
                began_s=group.began_s,
                busy_every_s=LIVE_EVERY_S if self._is_covered_live(group) else BUSY_EVERY_S,
                sharing=len(self._groups_in[group.place]),
            )
            if result.scan_done or result.paused:
                group.began_s = None
            self._changed.set()
            await self._emit(key, group, result, rest)

    def _is_covered_live(self, group: _Group) -> bool:
        """Return whether Live Tail delivers all lines of a group, so that polling may be slower."""
        live, fresh_s = group.live, group.tailer.plan.fresh_s()
        return (
            live is not None
            and fresh_s is not None
            and group.tailer.group in live.live
            and not live.sampled_since(fresh_s - LIVE_EVERY_S)
        )

    async def _deliver(self, key: str, result: NewEvents) -> None:
        group = self._groups[key]
        rest = group.keep_unsent(result)
        async with group.delivery_lock:
            await self._emit(key, group, result, rest)

    async def _emit(self, key: str, group: _Group, result: NewEvents, rest: list[RawEvent]) -> None:
        if rest:
            await self._send(key, group, rest, result.late_before_ms)
            group.unsent = [item for item in group.unsent if item[0]]
        now_s = self._clock.monotonic_s()
        if result.scan_done or now_s - group.reported_s >= 1.0 or group.status.phase is not SourcePhase.LIVE:
            group.reported_s = now_s
            group.status = group_status(f"logs:{key}", group.tailer, group.live, self._now_s())
            await self._report(group.status)

    async def _send(self, key: str, group: _Group, rest: list[RawEvent], late_before_ms: int) -> None:
        """Pass events on in batches; events that were passed on are removed from `rest`."""
        # Lateness is measured by AWS's clock, which dates the lines.
        now_ms = int((self._now_s() - group.tailer.plan.ahead_s) * 1000)
        name, first = group.tailer.group, True
        if may_have_tracebacks(rest):
            rest[:] = join_tracebacks(rest)
            first = False
        while rest:
            if not first:
                await self._clock.sleep(0)
            first = False
            chunk = rest[:RECORDS_PER_BATCH]
            records = self._record_parser.parse_events(chunk, name, late_before_ms=late_before_ms, now_ms=now_ms)
            if group.place:
                records = [replace(record, place=group.place) for record in records]
            await self._queue.put(Batch(source=f"logs:{key}", records=tuple(records)))
            del rest[: len(chunk)]

    async def _send_unsent(self) -> None:
        """Pass on events that a failed run had read but not passed on."""
        for key, group in list(self._groups.items()):
            async with group.delivery_lock:
                for rest, late_before_ms in group.unsent:
                    await self._send(key, group, rest, late_before_ms)
                group.unsent = []

    async def _failed(self, key: str, group: _Group, error: AwsError) -> None:
        if error.code in {"InvalidParameterException", "ExpiredNextTokenException"} and group.tailer.has_token:
            group.tailer.resume_without_token()
        if error.reason is Reason.LIMIT:
            # The user's limit is exhausted, and a session would keep spending.
            await _cancel_all(self._live_running)
        delay_s = _retry_delay_s(error, group.backoff)
        self._schedule.postpone(key, self._clock.monotonic_s() + delay_s)
        self._changed.set()
        group.status = group_error_status(f"logs:{key}", error, self._now_s() + delay_s, group.status)
        await self._report(group.status)

    async def _report(self, status: SourceStatus) -> None:
        await self._queue.put(Batch(source=status.source, status=status))


class ClockStepDetector:
    """Detects that the wall clock was stepped backwards, by comparison with the monotonic clock.

    Without it, lines just read would seem to be in the future. A suspended machine looks like a step forwards, which is
    ignored.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._base_s = self._difference_s()

    def take_s(self) -> float:
        """Return by how many seconds the clock was set back since the last call, 0.0 when it was not."""
        before_s, self._base_s = self._base_s, self._difference_s()
        by_s = before_s - self._base_s
        return by_s if by_s >= CLOCK_STEP_S else 0.0

    def _difference_s(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic_s()


def group_key(group: str, target: LogTarget) -> str:
    """Return a name that is unique among the groups of all accounts and regions."""
    return GroupId(group, place_of(target)).key


async def _cancel_all(tasks: set[asyncio.Task[None]]) -> None:
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)


def _retry_delay_s(error: AwsError, backoff: Backoff) -> float:
    if error.code == "ResourceNotFoundException":
        return MISSING_EVERY_S
    if is_of_unreadable_class(error):
        return UNREADABLE_EVERY_S
    return retry_delay_s(error, backoff)
