"""What goes wrong with logs, as regimes on a virtual clock; an oracle knows each line and when it became visible."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from prodwatch.demo.aws.faults import Fault, FaultPlan
from prodwatch.model.environment import LogTarget
from prodwatch.model.signal import Batch, LogRecord, SourceStatus
from prodwatch.sources.backoff import Backoff
from prodwatch.sources.logs.events import RawEvent
from prodwatch.sources.logs.source import LogSource
from prodwatch.testing.clock import START, FakeClock
from tests.support.fake_log_api import LogDoor, SkewedClock

GROUP = "/aws/lambda/shop-orders"
L_S = 180.0
TICK_S = 0.25


@dataclass(frozen=True)
class Regime:
    """What goes wrong."""

    faults: tuple[Fault, ...] = ()
    delays_s: tuple[float, ...] = (0.2, 0.5, 1.5)
    """How long after its writing a batch becomes visible."""
    identical: int = 1
    """How often each line is written with the same time and text."""
    burst: int = 0
    """Further lines in one millisecond, every five seconds."""
    future: float = 0.0
    """Share of lines dated ten minutes ahead."""
    live: bool = False
    ahead_s: float = 0.0
    """How far the machine's clock is ahead of AWS's."""
    step_s: float = 0.0
    """By how much the machine's clock is set, a minute into the run."""
    since_s: float = 300.0
    """How long before the start is read, by the machine's clock."""
    settle_s: float = 260.0
    """After the last line: what the promise covers has become visible and been read."""


def on_reads(kind: Any, probability: float = 1.0, **more: Any) -> Fault:
    """Return a fault of the polling."""
    return Fault(operation="logs:FilterLogEvents", kind=kind, probability=probability, **more)


def on_live(kind: Any, probability: float = 1.0) -> Fault:
    """Return a fault of Live Tail's updates."""
    return Fault(operation="logs:SessionUpdate", kind=kind, probability=probability)


T0_S = START.timestamp()
OUTAGE = {"from_s": T0_S + 30, "until_s": T0_S + 150}
LATE = (0.2, 0.2, 0.5, 1.5, 20.0, 90.0, 175.0)
REGIMES = {
    "in order": Regime(),
    "late batches": Regime(delays_s=LATE),
    "later than promised": Regime(delays_s=(0.2, 0.5, 175.0, 200.0, 500.0), settle_s=900.0),
    "throttled 50 %": Regime((on_reads("throttle", 0.5),), delays_s=LATE),
    "dated into the future": Regime(future=0.01),
    "empty and short pages": Regime((on_reads("empty_page", 0.4), on_reads("short_page", 0.4)), delays_s=LATE),
    "hardly a call a second": Regime((on_reads("delay", delay_s=1.2), on_reads("empty_page", 0.5)), delays_s=LATE),
    "equal milliseconds and identical lines": Regime(identical=3, burst=150, delays_s=LATE),
    "dropped connections and refused tokens": Regime(
        (on_reads("drop", 0.2), on_reads("invalid_token", 0.2), on_reads("short_page", 0.3), on_reads("error_5xx", 0.1))
    ),
    "two minutes without network": Regime((on_reads("drop", **OUTAGE),)),
    "credentials expired for two minutes": Regime((on_reads("expired_token", **OUTAGE),)),
    "a clock five minutes ahead": Regime(ahead_s=300.0, since_s=120.0, delays_s=LATE),
    "a clock five minutes behind": Regime(ahead_s=-300.0, delays_s=LATE),
    "a clock set five minutes back": Regime(ahead_s=300.0, step_s=-300.0, since_s=360.0, delays_s=LATE),
    "a clock set five minutes ahead": Regime(step_s=300.0, delays_s=LATE),
    "live tail samples, breaks, leaves out": Regime(
        (on_live("drop", 0.05), on_live("error_5xx", 0.03), on_live("empty_page", 0.1), on_reads("throttle", 0.2)),
        delays_s=LATE,
        identical=2,
        burst=550,
        live=True,
    ),
}


@dataclass
class Written:
    """What the oracle knows."""

    promised: Counter[tuple[int, str]] = field(default_factory=Counter)
    all: Counter[tuple[int, str]] = field(default_factory=Counter)

    @property
    def later(self) -> Counter[tuple[int, str]]:
        """What became visible later than promised."""
        return self.all - self.promised


def write(door: LogDoor, regime: Regime, rng: random.Random, written: Written, numbers: range) -> None:
    """Put the lines of one tick, in one batch per stream."""
    now_ms = int(door.wall() * 1000)
    for stream in range(2):
        lines = []
        for number in numbers[stream::2]:
            # Every seventh shares the millisecond of the one before.
            stamp = now_ms - number % 7 // 6
            if regime.future and rng.random() < regime.future:
                stamp += 600_000
            lines += [(stamp, f"line {number}")] * regime.identical
        delay_s = rng.choice(regime.delays_s)
        door.region.logs.put(GROUP, f"s{stream}", lines, visible_ms=now_ms + int(delay_s * 1000))
        written.all.update(lines)
        if delay_s <= L_S:
            written.promised.update(lines)


@dataclass
class Screen:
    """What the source has shown."""

    lines: Counter[tuple[int, str]] = field(default_factory=Counter)
    late: Counter[tuple[int, str]] = field(default_factory=Counter)
    """Those of them that carry the mark."""
    states: list[SourceStatus] = field(default_factory=list)

    def show(self, batch: Batch) -> None:
        """Take in what the source hands over."""
        records = [each for each in batch.records if isinstance(each, LogRecord)]
        self.lines.update((each.timestamp_ms, each.message) for each in records)
        self.late.update((each.timestamp_ms, each.message) for each in records if each.late_ms)
        if batch.status:
            self.states.append(batch.status)


def plain_line(event: RawEvent, group: str, late_ms: int) -> LogRecord:
    """Parse nothing: the line as it came."""
    return LogRecord(event.timestamp, event.message, group, event_id=event.event_id, late_ms=late_ms)


@asynccontextmanager
async def shown(source: LogSource, screen: Screen) -> AsyncIterator[None]:
    """Follow a source while the block lasts."""

    async def run() -> None:
        async with aclosing(source.batches()) as batches:  # type: ignore[type-var]
            async for batch in batches:
                screen.show(batch)

    task = asyncio.create_task(run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@dataclass(frozen=True)
class Outcome:
    """What a run came to, by the oracle."""

    written: Written
    screen: Screen

    @property
    def lost(self) -> int:
        """Promised lines that were not shown."""
        return (self.written.promised - self.screen.lines).total()

    @property
    def twice(self) -> int:
        """Lines shown more often than written."""
        return (self.screen.lines - self.written.all).total()

    @property
    def hidden(self) -> int:
        """Lines later than promised that were neither shown with the mark nor counted as late."""
        counted = self.screen.states[-1].late
        return max((self.written.later - self.screen.late).total(), self.written.later.total() - counted, 0)


async def follow(name: str, seconds: float, per_s: int) -> Outcome:
    """Run one regime: so many seconds of writing at a rate, then until everything is settled."""
    regime, rng = REGIMES[name], random.Random(name)
    clock = FakeClock()
    machine = SkewedClock(clock, regime.ahead_s, step_s=regime.step_s, step_at_s=60.0)
    door = LogDoor(clock, FaultPlan(regime.faults, seed=7), machine=machine)
    door.region.logs.create_group(GROUP)
    source = LogSource(
        door,
        [LogTarget(group=GROUP, live_tail=regime.live)],
        clock=machine,
        parse=plain_line,
        since=machine.now() - timedelta(seconds=regime.since_s),
        backoff=lambda: Backoff(cap_s=5.0, uniform=rng.uniform),
    )
    written, screen = Written(), Screen()
    number = 0
    async with shown(source, screen):
        for tick in range(int(seconds / TICK_S)):
            count = int(per_s * TICK_S) + (regime.burst if tick % 20 == 19 else 0)
            write(door, regime, rng, written, range(number, number + count))
            number += count
            await clock.advance(TICK_S)
        await clock.advance(regime.settle_s)
    return Outcome(written, screen)
