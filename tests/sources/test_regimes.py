"""The whole log source against the embedded AWS's log service on a virtual clock, with everything going wrong.

The oracle knows each line written and when it became visible: what was visible in time is shown once and only once.
"""

from __future__ import annotations

import asyncio
import random
import struct
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from prodwatch.aws.api import AwsError, RawAnswer
from prodwatch.demo.aws.call import ApiCall, AwsFault, Effects, Raw
from prodwatch.demo.aws.faults import Active, Fault, FaultPlan
from prodwatch.demo.aws.logs.livetail import DroppedError
from prodwatch.demo.aws.region import Region, Surroundings
from prodwatch.model.environment import LogTarget
from prodwatch.model.signal import Batch, LogRecord, SourcePhase, SourceStatus
from prodwatch.model.status import Reason
from prodwatch.sources.backoff import Backoff
from prodwatch.sources.logs.events import RawEvent
from prodwatch.sources.logs.source import LogSource
from prodwatch.testing.aws import ScriptedAws
from prodwatch.testing.clock import START, FakeClock

PROMISE = (
    "very event that CloudWatch makes visible within L of its timestamp is shown once and only once; "
    "what comes later is counted, never hidden"
)
GROUP = "/aws/lambda/shop-orders"
L_S = 180.0
TICK_S = 0.25
CALL_S = 0.05
"""Virtual time one call takes."""
SETTLE_S = 260
"""After the last line: what the promise covers has become visible and been scanned for."""


class Door(ScriptedAws):
    """The embedded AWS's log service without the wire; its fault plan strikes as the server lets it strike."""

    def __init__(self, clock: FakeClock, plan: FaultPlan, *, skew_s: float = 0.0) -> None:
        super().__init__()
        self.skew_s = skew_s
        self.plan = plan
        self.clock = clock
        around = Surroundings(account="123456789012", faults=plan, wall=self.wall, sleep=clock.sleep)
        self.region = Region("eu-west-1", around, None)

    def wall(self) -> float:
        return self.clock.now().timestamp()

    async def call(
        self, service: str, operation: str, params: Mapping[str, Any] | None = None, **_: Any
    ) -> dict[str, Any]:
        answer = await self.answer(service, operation, params or {})
        assert isinstance(answer, Mapping)
        return dict(answer)

    async def raw(self, service: str, operation: str, params: Mapping[str, Any] | None = None, **_: Any) -> RawAnswer:
        answer = await self.answer(service, operation, params or {})
        assert isinstance(answer, Raw)
        return RawAnswer(answer.body, self.skew_s)

    async def answer(self, service: str, operation: str, params: Mapping[str, Any]) -> Any:
        self.calls.append((f"{service}:{operation}", {}))
        active = self.plan.draw(service, operation, self.wall())
        await self.clock.sleep(CALL_S + active.delay_s)
        self.strike(active, service, operation)
        asked = dict(params)
        if active.has("invalid_token") and "nextToken" in asked:
            asked["nextToken"] = "refused"
        try:
            return self.region.sync[service, operation](self.api_call(service, operation, asked, active))
        except AwsFault as fault:
            raise error(fault.code, Reason.API_ERROR, service, operation) from fault

    async def events(
        self, service: str, operation: str, params: Mapping[str, Any] | None = None, **_: Any
    ) -> AsyncGenerator[dict[str, Any], None]:
        active = self.plan.draw(service, operation, self.wall())
        self.strike(active, service, operation)
        frames = self.region.live_tail.open(self.api_call(service, operation, dict(params or {}), active))
        assert isinstance(frames, AsyncGenerator)
        async with aclosing(frames):
            try:
                async for frame in frames:
                    _, headers = struct.unpack(">II", frame[:8])
                    head, payload = frame[12 : 12 + headers], msgspec.json.decode(frame[12 + headers : -4])
                    if b":exception-type" in head:
                        raise error("EventStreamError", Reason.SERVICE, service, operation)
                    if b"initial-response" not in head:
                        yield {"sessionUpdate" if b"sessionUpdate" in head else "sessionStart": payload}
            except DroppedError:
                raise error("ClientPayloadError", Reason.NETWORK, service, operation) from None

    def api_call(self, service: str, operation: str, params: dict[str, Any], active: Active) -> ApiCall:
        return ApiCall(
            service=service,
            operation=operation,
            params=params,
            region="eu-west-1",
            account="123456789012",
            now_s=self.wall(),
            effects=Effects(empty_page=active.has("empty_page"), short_page=active.has("short_page")),
        )

    @staticmethod
    def strike(active: Active, service: str, operation: str) -> None:
        for kind, code, reason in (
            ("drop", "ClientPayloadError", Reason.NETWORK),
            ("expired_token", "ExpiredTokenException", Reason.EXPIRED_CREDENTIALS),
            ("throttle", "ThrottlingException", Reason.THROTTLED),
            ("error_5xx", "ServiceUnavailable", Reason.SERVICE),
        ):
            if active.has(kind):  # type: ignore[arg-type]
                raise error(code, reason, service, operation)


def error(code: str, reason: Reason, service: str, operation: str) -> AwsError:
    return AwsError(code, code=code, reason=reason, service=service, operation=operation, transient=True)


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
    skew_s: float = 0.0
    """How far the machine's clock is ahead of AWS's."""


class SkewedClock:
    """The clock of a machine that is wrong."""

    def __init__(self, clock: FakeClock, skew_s: float) -> None:
        self._clock = clock
        self._skew = timedelta(seconds=skew_s)
        self.sleep = clock.sleep
        self.monotonic_s = clock.monotonic_s

    def now(self) -> datetime:
        return self._clock.now() + self._skew


def on_reads(kind: Any, probability: float = 1.0, **more: Any) -> Fault:
    return Fault(operation="logs:FilterLogEvents", kind=kind, probability=probability, **more)


def on_live(kind: Any, probability: float = 1.0) -> Fault:
    return Fault(operation="logs:SessionUpdate", kind=kind, probability=probability)


T0_S = START.timestamp()
OUTAGE = {"from_s": T0_S + 30, "until_s": T0_S + 150}
LATE = (0.2, 0.2, 0.5, 1.5, 20.0, 90.0, 175.0)
REGIMES = {
    "in order": Regime(),
    "late batches": Regime(delays_s=LATE),
    "throttled 50 %": Regime((on_reads("throttle", 0.5),), delays_s=LATE),
    "dated into the future": Regime(future=0.01),
    "empty and short pages": Regime((on_reads("empty_page", 0.4), on_reads("short_page", 0.4)), delays_s=LATE),
    "equal milliseconds and identical lines": Regime(identical=3, burst=550, delays_s=LATE),
    "dropped connections and refused tokens": Regime((on_reads("drop", 0.2), on_reads("invalid_token", 0.2))),
    "two minutes without network": Regime((on_reads("drop", **OUTAGE),)),
    "credentials expired for two minutes": Regime((on_reads("expired_token", **OUTAGE),)),
    "a clock a minute ahead": Regime(skew_s=60.0),
    "a clock a minute behind": Regime(skew_s=-60.0),
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


def write(door: Door, regime: Regime, rng: random.Random, written: Written, numbers: range) -> None:
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
    states: list[SourceStatus] = field(default_factory=list)

    def show(self, batch: Batch) -> None:
        self.lines.update((each.timestamp_ms, each.message) for each in batch.records if isinstance(each, LogRecord))
        if batch.status:
            self.states.append(batch.status)


@asynccontextmanager
async def watching(door: Door, regime: Regime, rng: random.Random, screen: Screen) -> AsyncIterator[None]:
    def parse(event: RawEvent, group: str, late_ms: int) -> LogRecord:
        return LogRecord(event.timestamp, event.message, group, event_id=event.event_id, late_ms=late_ms)

    source = LogSource(
        door,
        [LogTarget(group=GROUP, live_tail=regime.live)],
        clock=SkewedClock(door.clock, regime.skew_s),
        parse=parse,
        since=START - timedelta(minutes=5),
        backoff=lambda: Backoff(cap_s=5.0, uniform=rng.uniform),
    )

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


async def follow(name: str, seconds: float, per_s: int) -> tuple[int, int, int, list[SourceStatus]]:
    """Run one regime; returns the numbers of promised lines lost, of lines shown too often, of lines written."""
    regime, rng = REGIMES[name], random.Random(name)
    clock = FakeClock()
    door = Door(clock, FaultPlan(regime.faults, seed=7), skew_s=regime.skew_s)
    door.region.logs.create_group(GROUP)
    written, screen = Written(), Screen()
    number = 0
    async with watching(door, regime, rng, screen):
        for tick in range(int(seconds / TICK_S)):
            count = int(per_s * TICK_S) + (regime.burst if tick % 20 == 19 else 0)
            write(door, regime, rng, written, range(number, number + count))
            number += count
            await clock.advance(TICK_S)
        for _ in range(int(SETTLE_S / TICK_S)):
            await clock.advance(TICK_S)
    lost, twice = written.promised - screen.lines, screen.lines - written.all
    return lost.total(), twice.total(), written.all.total(), screen.states


def test_the_docs_promise_what_is_tested_here() -> None:
    page = (Path(__file__).parents[2] / "docs/guide/live-signals.md").read_text("utf-8")
    assert PROMISE in " ".join(page.replace("> ", "").split())
    for phase in SourcePhase:
        assert phase in {SourcePhase.IDLE, SourcePhase.STOPPED} or f"| {phase.value} |" in page


@pytest.mark.parametrize("name", REGIMES)
async def test_nothing_is_lost_and_nothing_shown_twice(name: str) -> None:
    lost, twice, written, told = await follow(name, 160, 8)
    assert (lost, twice) == (0, 0)
    assert written > 1_200
    assert told[-1].phase.value == "live"
    if REGIMES[name].live:
        assert max(status.sampled for status in told) > 0
        assert any("Live Tail on" in (status.message or "") for status in told)


@pytest.mark.slow
async def test_a_million_events_lose_none_and_show_none_twice() -> None:
    total = Counter[str]()
    for name, regime in REGIMES.items():
        per_s = 400 // regime.identical
        lost, twice, written, _ = await follow(name, 260, per_s)
        total.update(lost=lost, twice=twice, written=written)
    assert (total["lost"], total["twice"]) == (0, 0)
    assert total["written"] >= 1_000_000
