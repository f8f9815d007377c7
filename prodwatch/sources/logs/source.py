"""All watched log groups as one source: fair, cancellable, and saying for each group how fresh and complete it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from prodwatch.aws.api import AwsApi, AwsError
from prodwatch.clock import Clock
from prodwatch.model.environment import LogTarget
from prodwatch.model.signal import Batch, SourcePhase, SourceStatus
from prodwatch.model.status import Reason
from prodwatch.sources.backoff import Backoff
from prodwatch.sources.error_status import error_status, retry_delay_s
from prodwatch.sources.logs.clock_step import SetBack
from prodwatch.sources.logs.deduplication import CAP
from prodwatch.sources.logs.discovery import discover
from prodwatch.sources.logs.events import RawEvent
from prodwatch.sources.logs.fetch import fetcher
from prodwatch.sources.logs.group_status import group_status, trouble_status
from prodwatch.sources.logs.lines import LineReader, ParseLine, ParseLines
from prodwatch.sources.logs.live_tail import LiveTail
from prodwatch.sources.logs.live_tail_merge import LiveMerge
from prodwatch.sources.logs.poll_schedule import BUSY_EVERY_S, Agenda
from prodwatch.sources.logs.tailer import GroupTailer, NewEvents
from prodwatch.sources.logs.tracebacks import may_have_tracebacks, whole_tracebacks

RECORDS_PER_BATCH = 500
"""Also the lines parsed at a stretch: between two batches everybody else has a turn."""
WORKERS = 4
"""Pages read at the same time; the account's call rate is shared through the limiter behind `AwsApi`."""
QUEUED_BATCHES = 64
DISCOVER_EVERY_S = 30.0
MISSING_EVERY_S = 15.0
LIVE_EVERY_S = 5.0
"""How often a busy group is polled while Live Tail brings its lines."""


@dataclass(slots=True)
class _Group:
    tailer: GroupTailer
    backoff: Backoff
    status: SourceStatus
    live: LiveTail | None = None
    told_s: float = 0.0
    handing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a page is handed over, so that the next one, read meanwhile, comes after it."""
    unsent: list[tuple[list[RawEvent], int]] = field(default_factory=list)
    """Events noted as seen but not handed over yet, with the moment before which they are late: a source that breaks
    and starts again hands these over first."""


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
        parse_all: ParseLines | None = None,
        since: datetime,
        backoff: Callable[[], Backoff] = Backoff,
        id_cap: int = CAP,
    ) -> None:
        """Read `targets` from `since` on; of each group up to `id_cap` lines are remembered as shown."""
        self._aws = aws
        self._targets = tuple(targets)
        self._clock = clock
        self._lines = LineReader(parse, parse_all)
        self._since_ms = int(since.timestamp() * 1000)
        self._backoff = backoff
        self._id_cap = id_cap
        self._groups: dict[str, _Group] = {}
        self._tails: list[LiveTail] = []
        self._agenda = Agenda()
        self._set_back = SetBack(clock)
        self._sweep_s: float | None = None
        self._pinned: set[str] = set()
        self._changed = asyncio.Event()
        self._turn = asyncio.Lock()
        # The one queue between AWS and the store. A full one makes the workers wait: nothing is dropped.
        self._out: asyncio.Queue[Batch | Exception] = asyncio.Queue(maxsize=QUEUED_BATCHES)
        self._running: set[asyncio.Task[None]] = set()
        self._live_running: set[asyncio.Task[None]] = set()

    def pin(self, groups: set[str]) -> None:
        """Read these groups (by name, or by account and name) every second, whatever they bring, and no others so."""
        self._pinned = groups | {key for key, each in self._groups.items() if each.tailer.group in groups}
        self._agenda.pin(self._pinned, self._clock.monotonic_s())

    def sweep(self) -> None:
        """Have each group looked back over L once more at once: what was visible late by now is then shown.

        A group's `swept_at` says when it has been.
        """
        self._sweep_s = self._now_s()
        for group in self._groups.values():
            group.tailer.plan.sweep_s = self._sweep_s
        self._agenda.hurry(self._clock.monotonic_s())

    def follow(self, target: LogTarget) -> None:
        """Read one more group from now on; one that is read already stays as it is."""
        self._add(target.group, target)

    async def batches(self) -> AsyncIterator[Batch]:
        """Yield batches until cancelled. A slow consumer slows the reading; nothing is dropped for it."""
        self._agenda = Agenda()
        self._agenda.pin(self._pinned, self._clock.monotonic_s())
        for key in self._groups:
            self._agenda.add(key, self._clock.monotonic_s())
        for tail in self._tails:
            self._start(tail.run(), self._live_running)
        self._start(self._discover(), self._running)
        self._start(self._catch_up(), self._running)
        for _ in range(WORKERS):
            self._start(self._work(), self._running)
        try:
            while True:
                found = await self._out.get()
                if isinstance(found, Exception):
                    raise found
                yield found
        finally:
            await _end(self._running | self._live_running)
            self._forget_breaks()

    def _forget_breaks(self) -> None:
        """Leave in the queue only what was read: another part's break must not end the next run."""
        waiting = [self._out.get_nowait() for _ in range(self._out.qsize())]
        for each in waiting:
            if isinstance(each, Batch):
                self._out.put_nowait(each)

    def _start(self, work: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]]) -> None:
        """Run a part of the source; what breaks it ends the source."""

        async def guarded() -> None:
            try:
                await work
            except Exception as broken:  # noqa: BLE001 -- raised again by `batches`
                await self._out.put(broken)

        task = asyncio.get_running_loop().create_task(guarded())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def _now_s(self) -> float:
        return self._clock.now().timestamp()

    async def _discover(self) -> None:
        """Add named groups at once, and groups with a watched prefix as they appear."""
        for target in self._targets:
            if not target.group.endswith("*"):
                await self._meet(target.group, target)
        prefixes = [target for target in self._targets if target.group.endswith("*")]
        while prefixes:
            for target in prefixes:
                try:
                    for group in await discover(self._aws, target):
                        await self._meet(group, target)
                except AwsError as caught:
                    await self._tell(error_status(f"logs:{target.group}", caught, self._now_s() + DISCOVER_EVERY_S))
            await self._clock.sleep(DISCOVER_EVERY_S)

    async def _meet(self, group: str, target: LogTarget) -> None:
        """Add a group, and say that it is yet to be read: with many of them its turn may be minutes away."""
        if self._add(group, target):
            await self._tell(self._groups[group_key(group, target)].status)

    def _add(self, group: str, target: LogTarget) -> bool:
        key = group_key(group, target)
        if key in self._groups:
            return False
        tailer = GroupTailer(group, fetcher(self._aws, target), since_ms=self._since_ms, cap=self._id_cap)
        tailer.plan.sweep_s = self._sweep_s
        self._groups[key] = _Group(tailer, self._backoff(), SourceStatus(source=f"logs:{key}"))
        if target.live_tail:
            tailer.live = LiveMerge()
            tail = self._groups[key].live = self._tail_for(target)
            tail.add(group)
        self._agenda.add(key, self._clock.monotonic_s())
        self._changed.set()
        return True

    def _tail_for(self, target: LogTarget) -> LiveTail:
        """Return the Live Tail session with room for one more group of `target`, a new one when there is none."""
        for tail in self._tails:
            if tail.serves(target) and not tail.full:
                return tail

        async def offer(group: str, events: list[RawEvent]) -> None:
            key = group_key(group, target)
            await self._hand_over(key, self._groups[key].tailer.take_live(events, self._now_s()))

        def began(group: str) -> None:
            self._merge(group, target).begin_session(self._now_s())
            look_at(group)

        def ended(group: str) -> None:
            self._merge(group, target).end_session()
            look_at(group)

        def look_at(group: str) -> None:
            # Its pace and its note change now, not when its rest is over.
            self._agenda.hurry(self._clock.monotonic_s(), group_key(group, target))

        tail = LiveTail(
            self._aws, target, clock=self._clock, backoff=self._backoff(), offer=offer, began=began, ended=ended
        )
        self._tails.append(tail)
        self._start(tail.run(), self._live_running)
        return tail

    def _merge(self, group: str, target: LogTarget) -> LiveMerge:
        merge = self._groups[group_key(group, target)].tailer.live
        assert merge is not None
        return merge

    async def _work(self) -> None:
        while True:
            # One worker watches the clock for all.
            async with self._turn:
                key = await self._due()
            await self._read(key)

    async def _due(self) -> str:
        """Wait until a group is to be read, and take it."""
        while True:
            due_s = self._agenda.next_due_s()
            if due_s is None:
                self._changed.clear()
                await self._changed.wait()
                continue
            now_s = self._clock.monotonic_s()
            if due_s <= now_s:
                return self._agenda.take(now_s)
            await self._clock.sleep(min(due_s - now_s, 0.5))

    async def _read(self, key: str) -> None:
        group = self._groups[key]
        if by_s := self._set_back.take_s():
            for each in self._groups.values():
                each.tailer.plan.set_back(by_s)
        try:
            found = await group.tailer.read_page(self._now_s())
        except AwsError as caught:
            await self._failed(key, group, caught)
            return
        group.backoff.reset()
        async with group.handing:
            # From here on another worker may read the group's next page: AWS works while these lines are parsed.
            self._agenda.again(
                key,
                self._clock.monotonic_s(),
                brought=len(found.events),
                scan_done=found.scan_done,
                busy_every_s=LIVE_EVERY_S if self._rests(group) else BUSY_EVERY_S,
            )
            self._changed.set()
            await self._put(key, group, found)

    def _rests(self, group: _Group) -> bool:
        """Tell whether Live Tail brings all lines of a group, so that polling may be slower."""
        live, fresh_s = group.live, group.tailer.plan.fresh_s()
        return (
            live is not None
            and fresh_s is not None
            and group.tailer.group in live.live
            and not live.sampled_since(fresh_s - LIVE_EVERY_S)
        )

    async def _hand_over(self, key: str, found: NewEvents) -> None:
        group = self._groups[key]
        async with group.handing:
            await self._put(key, group, found)

    async def _put(self, key: str, group: _Group, found: NewEvents) -> None:
        if found.events:
            rest = list(found.events)
            group.unsent.append((rest, found.late_before_ms))
            await self._send(key, group, rest, found.late_before_ms)
            group.unsent = [each for each in group.unsent if each[0]]
        now_s = self._clock.monotonic_s()
        if found.scan_done or now_s - group.told_s >= 1.0 or group.status.phase is not SourcePhase.LIVE:
            group.told_s = now_s
            group.status = group_status(f"logs:{key}", group.tailer, group.live, self._now_s())
            await self._tell(group.status)

    async def _send(self, key: str, group: _Group, rest: list[RawEvent], late_before_ms: int) -> None:
        """Hand events over in batches; what was handed over leaves `rest`."""
        # Lateness is told by AWS's clock, as the lines are dated.
        now_ms = int((self._now_s() - group.tailer.plan.ahead_s) * 1000)
        name, first = group.tailer.group, True
        if may_have_tracebacks(rest):
            rest[:] = whole_tracebacks(rest)
            first = False
        while rest:
            if not first:
                await self._clock.sleep(0)
            first = False
            chunk = rest[:RECORDS_PER_BATCH]
            records = self._lines.read(chunk, name, late_before_ms=late_before_ms, now_ms=now_ms)
            await self._out.put(Batch(source=f"logs:{key}", records=tuple(records)))
            del rest[: len(chunk)]

    async def _catch_up(self) -> None:
        """Hand over what a run that broke had read and not handed over."""
        for key, group in list(self._groups.items()):
            async with group.handing:
                for rest, late_before_ms in group.unsent:
                    await self._send(key, group, rest, late_before_ms)
                group.unsent = []

    async def _failed(self, key: str, group: _Group, caught: AwsError) -> None:
        if caught.code in {"InvalidParameterException", "ExpiredNextTokenException"} and group.tailer.has_token:
            group.tailer.resume_without_token()
        if caught.reason is Reason.LIMIT:
            # What the user set as a bound is spent, and a session would go on spending.
            await _end(self._live_running)
        delay_s = _retry_delay_s(caught, group.backoff)
        self._agenda.later(key, self._clock.monotonic_s() + delay_s)
        self._changed.set()
        group.status = trouble_status(f"logs:{key}", caught, self._now_s() + delay_s, group.status)
        await self._tell(group.status)

    async def _tell(self, status: SourceStatus) -> None:
        await self._out.put(Batch(source=status.source, status=status))


def group_key(group: str, target: LogTarget) -> str:
    """Return what names a group of a target among those of all accounts and regions."""
    return ":".join(part for part in (target.account, target.region, group) if part)


async def _end(tasks: set[asyncio.Task[None]]) -> None:
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)


def _retry_delay_s(caught: AwsError, backoff: Backoff) -> float:
    if caught.code == "ResourceNotFoundException":
        return MISSING_EVERY_S
    return retry_delay_s(caught, backoff)
