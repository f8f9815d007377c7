"""Each state of the log source, from the fault that causes it to the words on the screen and on stderr."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from prodwatch.cli.live.source_status import SourceStatusReporter
from prodwatch.demo.aws.faults import Fault, FaultPlan
from prodwatch.formats.lambda_record import LineParser
from prodwatch.model.environment import LogTarget
from prodwatch.model.result import Usage
from prodwatch.model.signal import Batch, LogRecord
from prodwatch.sources.backoff import Backoff
from prodwatch.sources.logs.events import RawEvent
from prodwatch.sources.logs.source import LogSource
from prodwatch.testing.clock import START, FakeClock
from tests.support.examples import slow_but
from tests.support.fake_log_api import LogDoor, SkewedClock
from tests.support.log_fault_regimes import Screen, shown

GROUP = "/aws/lambda/orders"
START_MS = int(START.timestamp() * 1000)
READS = "logs:FilterLogEvents"
Door = Callable[[LogDoor], None]


def nothing(_: LogDoor) -> None:
    """Write no line."""


def put(*lines: tuple[float, float, str]) -> Door:
    """Write (second, second of visibility, text)."""

    def write(door: LogDoor) -> None:
        for at_s, visible_s, text in lines:
            stamp, visible = (START_MS + int(second * 1000) for second in (at_s, visible_s))
            door.region.logs.put(GROUP, "s", [(stamp, text)], visible_ms=visible)

    return write


def crowd(door: LogDoor) -> None:
    """Write more lines than the ids that fit in memory."""
    for second in range(-200, 0):
        lines = [(START_MS + second * 1000 + n, f"line {n}") for n in range(20)]
        door.region.logs.put(GROUP, "s", lines, visible_ms=START_MS + second * 1000)


@dataclass(frozen=True)
class Case:
    """What goes wrong, and what people are told."""

    painted: str
    said: str
    faults: tuple[Fault, ...] = ()
    write: Door = nothing
    ahead_s: float = 0.0
    live: bool = False
    exists: bool = True
    seconds: float = 45.0
    help: str = ""
    """What the help adds, where each source is listed."""
    id_cap: int = 100_000


def fault(kind: Any, **more: Any) -> Fault:
    return Fault(operation=READS, kind=kind, **more)


LOST = json.dumps({"time": "t", "type": "platform.logsDropped", "record": {"droppedRecords": 12, "reason": "slow"}})
CASES = {
    "behind": Case("behind by 4", "behind by 40 s", (fault("delay", delay_s=40),)),
    "throttled": Case("throttled, next try in", "throttled: ThrottlingException", (fault("throttle"),)),
    "denied": Case(
        "not allowed: needs logs:FilterLogEvents",
        "denied: AccessDeniedException; allow logs:FilterLogEvents",
        (fault("access_denied"),),
        help="`prodwatch iam-policy` prints the policy",
    ),
    "expired": Case(
        "expired, next try in", "ExpiredTokenException; waiting for new credentials", (fault("expired_token"),)
    ),
    "failed": Case("failed, next try in", "failed: ClientPayloadError", (fault("drop"),)),
    "waiting": Case("waiting, next try in", "waiting: does not exist yet", exists=False),
    "late": Case("1 late", "1 line · 1 late", write=put((1, 32, "slow")), seconds=90),
    "window reduced": Case(
        "late window",
        "late-arrival window reduced to",
        write=crowd,
        id_cap=2_000,
        help="below the promised 180 s: more lines than ids fit in memory",
    ),
    "clock": Case(
        "clock 60 s ahead",
        "this machine's clock is 60 s ahead of AWS's",
        ahead_s=60,
        help="this machine's clock is 60 s ahead of AWS's",
    ),
    "logs dropped": Case("12 lost by Lambda", "12 lost by Lambda", write=put((1, 2, LOST))),
    "Live Tail on": Case("Live Tail on", "Live Tail on", live=True),
    "Live Tail off": Case(
        "Live Tail off",
        "Live Tail off, polling continues: AccessDeniedException",
        (Fault(operation="logs:StartLiveTail", kind="access_denied"),),
        live=True,
    ),
}


def source_of(door: LogDoor, case: Case, machine: SkewedClock) -> LogSource:
    parser = LineParser()

    def parse(event: RawEvent, group: str, late_ms: int) -> LogRecord:
        return parser.parse(event.message, group=group, timestamp_ms=event.timestamp, late_ms=late_ms)

    return LogSource(
        door,
        [LogTarget(group=GROUP, live_tail=case.live)],
        clock=machine,
        parse=parse,
        since=START - timedelta(minutes=5),
        backoff=lambda: Backoff(uniform=lambda _, high: high),
        id_cap=case.id_cap,
    )


def door_of(case: Case, clock: FakeClock) -> LogDoor:
    door = LogDoor(clock, FaultPlan(case.faults), machine=SkewedClock(clock, case.ahead_s))
    if case.exists:
        door.region.logs.create_group(GROUP)
    case.write(door)
    return door


@pytest.mark.parametrize("name", slow_but(list(CASES)[::4], CASES))
async def test_a_state_is_painted_on_the_panel_and_explained_by_the_help(run: Any, name: str) -> None:
    case = CASES[name]
    async with run(keys=["2"], quiet=True, size=(160, 40)) as bench:
        clock = bench.app.context.clock
        door = door_of(case, clock)
        screen = Screen()
        screen.show = bench.store.apply  # type: ignore[method-assign]
        async with shown(source_of(door, case, door.machine), screen):
            await clock.advance(case.seconds)
            await bench.frames()
            edge = next(line for line in reversed(bench.painted()) if "╯" in line)
            assert case.painted in edge
            if case.help:
                await bench.press("question_mark")
                await bench.sees("Keys that work here")
                for _ in range(3):  # its end moves while it is laid out
                    await bench.frames(2)
                    await bench.press("G")
                await bench.sees(case.help)


@pytest.mark.parametrize("name", CASES)
async def test_a_state_is_said_on_stderr(name: str) -> None:
    case, clock = CASES[name], FakeClock()
    door = door_of(case, clock)
    said: list[str] = []
    teller, screen = SourceStatusReporter(said.append, clock), Screen()
    show = screen.show

    def hear(batch: Batch) -> None:
        show(batch)
        if batch.status:
            teller.update(batch.status)

    screen.show = hear  # type: ignore[method-assign]
    async with shown(source_of(door, case, door.machine), screen):
        await clock.advance(case.seconds)
    count = screen.lines.total()
    lost = {"lost by Lambda": 12} if name == "logs dropped" else {}
    said.append(teller.summary(f"{count} {'line' if count == 1 else 'lines'}", Usage(), lost))
    assert any(case.said in each for each in said), said
