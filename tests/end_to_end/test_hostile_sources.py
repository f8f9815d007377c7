"""A seeded fuzz of AWS's responses to every live source: cut, wrong, huge, encoded, foreign, incomplete, unanswered.

The oracle: with a hostile response the verdict is neither green nor red in a healthy world, the source says that it
could not read, ends with no exception, and is live again after proper responses.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from random import Random
from typing import Any

import pytest
import pytest_asyncio

from prodwatch.aws.aws_calls import Aws
from prodwatch.clock import SystemClock
from prodwatch.demo.aws.protocols.encode import HttpResponse
from prodwatch.judge.decision import Decision
from prodwatch.judge.freshness import EVIDENCE
from prodwatch.model.check import CheckDefinition, SourcePosition
from prodwatch.model.event import CheckFinished
from prodwatch.model.result import CheckResult, VerdictStatus
from prodwatch.model.signal import Batch, LogRecord, SourcePhase, SourceStatus
from prodwatch.model.status import Status
from prodwatch.sources.base import Source
from prodwatch.store.store import Store
from prodwatch.views.verdict import judge_session
from tests.end_to_end.test_hostile_aws import Distortion, HostileAws, Hostility, hostility
from tests.probes_aws.conftest import HurriedClock
from tests.sources.test_distorted_responses import (
    NAMES,
    OPTIONAL,
    environment_of,
    in_trouble,
    lay_out,
    operations,
    source_of,
)

pytestmark = pytest.mark.slow

ROUNDS = 60
WAIT_S = 60.0
"""Longest wait for a source's next word."""
MAX_BATCHES = 400
"""Batches after which a source has had its chance to notice, or to come back."""
DETAILS = frozenset({"cloudwatch:DescribeAlarmHistory", "lambda:ListEventSourceMappings"})
"""Operations that add a detail which the verdict on checks does not rest on: its source says that it is missing."""
TOLERATED = OPTIONAL | {"xray:GetTraceSegmentDestination"}
"""Operations that an endpoint may refuse to know without a word of the source."""
EVENTS = 20
PLACE = SourcePosition("checks/a.toml")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world() -> AsyncIterator[HostileAws]:
    server = HostileAws()
    await server.start()
    lay_out(server, healthy=True)
    yield server
    await server.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def aws(world: HostileAws) -> AsyncIterator[Aws]:
    async with Aws(environment_of(world), {}, HurriedClock(), jitter=lambda: 0.0) as session:
        yield session


class Watching:
    """A running source, and a store with one green check that its batches go to."""

    def __init__(self, batches: AsyncIterator[Batch]) -> None:
        self._batches = batches
        self.store = Store(SystemClock())
        check = CheckDefinition(id="a", name="a", title="a", kind="smoke", type="pass", source=PLACE)
        now = SystemClock().now()
        result = CheckResult(
            id="a", name="a", title="a", kind="smoke", type="pass", status=Status.PASS, started_at=now, duration_ms=1,
            source=PLACE,
        )  # fmt: skip
        self.store.define([check])
        self.store.apply_event(CheckFinished(result=result))

    def verdict(self) -> VerdictStatus:
        return self.decision().verdict.status

    def decision(self) -> Decision:
        return judge_session(self.store, SystemClock().now()).decision

    async def until(self, *, trouble: bool | None) -> SourceStatus | None:
        """Return the first status with trouble, without, or (None) with or without; None when none came."""
        async with asyncio.timeout(WAIT_S):
            for _ in range(MAX_BATCHES):
                batch = await anext(self._batches)
                self.store.apply(batch)
                status = batch.status
                if status is None or status.phase is SourcePhase.STARTING:
                    continue
                if trouble is None or in_trouble(status) is trouble:
                    return status
        return None


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.asyncio(loop_scope="module")
async def test_a_hostile_response_never_makes_a_source_green_or_red(
    name: str, seed: int, world: HostileAws, aws: Aws
) -> None:
    random = Random(f"{name} {seed}")
    world.hostility = None
    called = await operations(world, aws, name)
    for number in range(ROUNDS):
        each = hostility(random, *random.choice(called))
        told = f"seed {seed}, round {number}: {name} {each}"
        if each.distort is None and not each.member:
            continue  # unanswered requests end by the time limit of a call, which `test_session` waits for
        world.calls_of_it, world.changed, world.hostility = 0, False, each._replace(from_call=0)
        aws.limiter.reset()
        source: Source = source_of(world, aws, name)
        async with aclosing(source.batches()) as batches:  # type: ignore[type-var]
            watching = Watching(batches)
            status = await watching.until(trouble=None)
            if world.changed and not each.member and each.operation not in TOLERATED:
                assert status is not None, told
                assert in_trouble(status), f"{told}: it stayed live"
                if name in EVIDENCE and each.operation not in DETAILS:
                    assert watching.verdict() == "inconclusive", f"{told}: {status}"
            assert watching.verdict() != "fail", f"{told}: {status}"
            world.hostility = None
            aws.limiter.reset()
            assert await watching.until(trouble=False) is not None, f"{told}: it did not come back"
            assert watching.verdict() == "pass", f"{told}: {watching.decision()}"


VALUES: tuple[Any, ...] = (
    None,
    "",
    0,
    -1,
    2**63,
    2**70,
    1.5,
    True,
    [],
    {},
    "x" * 300_000,
    "\ud83d cut",
    "\x1b[2J",
    "NaN",
)


def mutated(response: HttpResponse, _protocol: str, random: Random) -> HttpResponse:
    """Return a page of log events of which some lack a member or have another value in it."""
    document = json.loads(response.body)
    for event in document.get("events", ()):
        if random.random() < 0.2:
            member = random.choice(("message", "timestamp", "eventId", "logStreamName", "ingestionTime"))
            if random.random() < 0.3:
                event.pop(member, None)
            else:
                event[member] = random.choice(VALUES)
    return HttpResponse(status=response.status, headers=response.headers, body=json.dumps(document).encode())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.asyncio(loop_scope="module")
async def test_every_log_event_is_shown_or_counted(seed: int, world: HostileAws, aws: Aws) -> None:
    now_ms = int(SystemClock().now().timestamp() * 1000)
    group = "/aws/lambda/shop"
    events = [(now_ms - 60_000 + 100 * number, f"line {seed}-{number}.") for number in range(EVENTS)]
    world.logs.put(group, f"2026/11/20/[8]s{seed}", events)
    wanted, _ = await first_lines(source_of(world, aws, "logs"))
    assert wanted > EVENTS
    for number in range(ROUNDS):
        world.calls_of_it, world.changed = 0, False
        world.hostility = Hostility("logs:FilterLogEvents", mutated, "", 0, 1000 * seed + number)
        aws.limiter.reset()
        shown, status = await first_lines(source_of(world, aws, "logs"))
        world.hostility = None
        counted = in_trouble(status) or status.dropped or status.late
        assert shown == wanted or counted, f"seed {seed}, round {number}: {shown} of {wanted}, {status}"


async def first_lines(source: Source) -> tuple[int, SourceStatus]:
    """Return the number of records up to the first status, and that status."""
    shown = 0
    async with aclosing(source.batches()) as batches, asyncio.timeout(WAIT_S):  # type: ignore[type-var]
        async for batch in batches:
            shown += sum(isinstance(record, LogRecord) for record in batch.records)
            if batch.status is not None and batch.status.phase is not SourcePhase.STARTING:
                return shown, batch.status
    raise AssertionError("a source ended")


def test_every_distortion_reaches_a_source() -> None:
    kinds: set[Distortion | None] = set()
    for name in NAMES:
        random = Random(f"{name} 0")
        kinds |= {hostility(random, "logs", "FilterLogEvents").distort for _ in range(ROUNDS)}
    assert len(kinds) > 8
