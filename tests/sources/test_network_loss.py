"""The network goes for two minutes and comes back: nothing is lost, nothing shown twice, and the screen says so.

And whatever befalls one source, the others deliver exactly what they would have delivered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from prodwatch.aws.interface import AwsError
from prodwatch.model.check import SourcePosition
from prodwatch.model.environment import AlarmTarget, Environment, FunctionTarget
from prodwatch.model.signal import (
    AlarmState,
    Batch,
    LogRecord,
    MetricSeries,
    Record,
    ReleaseEvent,
    ReleaseState,
    SourcePhase,
    SourceStatus,
    TraceSummary,
)
from prodwatch.model.status import Reason
from prodwatch.sources.backoff import Backoff
from prodwatch.sources.build_sources import build_sources
from prodwatch.sources.supervisor import Supervisor
from prodwatch.testing.aws import ScriptedAws
from prodwatch.testing.clock import START, FakeClock
from prodwatch.text.redact import Redactor

SINCE = START - timedelta(minutes=10)
START_MS = int(START.timestamp() * 1000)
GONE_S, BACK_S, END_S = 61, 181, 300
FUNCTIONS = ("shop-orders", "shop-prices")
LOGS = frozenset(f"logs:/aws/lambda/{name}" for name in FUNCTIONS)
OPERATIONS = {
    "logs": "logs:FilterLogEvents",
    "traces": "xray:GetTraceSummaries",
    "metrics": "cloudwatch:GetMetricData",
    "alarms": "cloudwatch:DescribeAlarms",
    "release": "lambda:GetAlias",
}
"""Source → the call it depends on."""


def lost(service: str, operation: str, reason: Reason) -> AwsError:
    return AwsError(
        f"{service} {operation} could not be reached; is the network up?",
        code="EndpointConnectionError",
        reason=reason,
        service=service,
        operation=operation,
        transient=True,
    )


class Account(ScriptedAws):
    """Two functions that write a line and a trace each second; while `down` is set, every call fails."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.clock = clock
        self.down: Reason | None = None
        self.bugs: set[str] = set()
        """Operations whose responses no source can parse."""
        self.slow: set[str] = set()
        """Operations that respond after every timeout."""
        self.answers = {
            "logs:FilterLogEvents": self.lines,
            "xray:GetTraceSummaries": self.traces,
            "cloudwatch:GetMetricData": self.metrics,
            "cloudwatch:DescribeAlarms": self.alarms,
            "lambda:GetAlias": self.alias,
        }

    async def call(
        self, service: str, operation: str, params: Mapping[str, Any] | None = None, **more: Any
    ) -> dict[str, Any]:
        if self.down is not None:
            self.calls.append((f"{service}:{operation}", dict(params or {})))
            raise lost(service, operation, self.down)
        if f"{service}:{operation}" in self.bugs:
            raise RuntimeError("boom")
        if f"{service}:{operation}" in self.slow:
            await self.clock.sleep(2 * END_S)
        return await super().call(service, operation, params, **more)

    def second(self) -> int:
        return int(self.clock.monotonic_s())

    def lines(self, params: Mapping[str, Any]) -> dict[str, Any]:
        events = [
            {
                "timestamp": START_MS + second * 1000,
                "message": f"line {second}",
                "eventId": f"{params['logGroupName']} {second}",
                "logStreamName": "s",
                "ingestionTime": START_MS + second * 1000,
            }
            for second in range(self.second() + 1)
        ]
        return {"events": [each for each in events if each["timestamp"] >= params["startTime"]]}

    def traces(self, params: Mapping[str, Any]) -> dict[str, Any]:
        moments = [START + timedelta(seconds=second) for second in range(self.second() + 1)]
        return {
            "TraceSummaries": [
                {"Id": f"1-00000000-{number:024x}", "StartTime": moment, "Duration": 0.5, "Revision": 1}
                for number, moment in enumerate(moments)
                if params["StartTime"] <= moment <= params["EndTime"]
            ]
        }

    def metrics(self, params: Mapping[str, Any]) -> dict[str, Any]:
        first, end = params["StartTime"], params["EndTime"]
        minutes = [first + timedelta(minutes=n) for n in range(int((end - first).total_seconds() // 60))]
        return {
            "MetricDataResults": [
                {"Id": query["Id"], "Timestamps": minutes, "Values": [60.0] * len(minutes)}
                for query in params["MetricDataQueries"]
            ]
        }

    def alarms(self, _: Mapping[str, Any]) -> dict[str, Any]:
        state = "ALARM" if self.second() > GONE_S + 60 else "OK"
        return {"MetricAlarms": [{"AlarmName": "shop-errors", "StateValue": state}]}

    def alias(self, _: Mapping[str, Any]) -> dict[str, Any]:
        weights = {"42": 0.1} if self.second() > GONE_S + 60 else {}
        return {"FunctionVersion": "41", "RoutingConfig": {"AdditionalVersionWeights": weights}}


@dataclass
class Screen:
    """Batches of the sources, in order, with their times."""

    clock: FakeClock
    told: list[tuple[float, Batch]] = field(default_factory=list)

    def apply(self, batch: Batch) -> None:
        self.told.append((self.clock.monotonic_s(), batch))

    def records(self, kind: type[Record]) -> list[Any]:
        return [each for _, batch in self.told for each in batch.records if isinstance(each, kind)]

    def lines(self) -> Counter[tuple[str, str]]:
        return Counter((each.group, each.message) for each in self.records(LogRecord))

    def now(self) -> dict[str, SourceStatus]:
        """Return the latest status of each source."""
        return {batch.status.source: batch.status for _, batch in self.told if batch.status}

    def delivered(self) -> dict[str, list[tuple[float, Record]]]:
        """Return the records of each source with their times."""
        results: dict[str, list[tuple[float, Record]]] = {}
        for moment_s, batch in self.told:
            results.setdefault(batch.source.partition(":")[0], []).extend((moment_s, each) for each in batch.records)
        return results


@asynccontextmanager
async def watching() -> AsyncIterator[tuple[Account, FakeClock, Screen]]:
    """Run every source of an environment under the supervisor."""
    clock = FakeClock()
    account, screen = Account(clock), Screen(clock)
    sources = build_sources(
        Environment(
            name="prod",
            title="Prod",
            source=SourcePosition("config/prod.toml"),
            functions=tuple(FunctionTarget(name=name, alias="live") for name in FUNCTIONS),
            alarms=(AlarmTarget(prefix="shop-"),),
        ),
        account,
        clock=clock,
        redactor=Redactor(),
        logs_since=SINCE,
        since=SINCE,
    )
    supervisor = Supervisor(sources, screen.apply, clock=clock, backoff=lambda: Backoff(uniform=lambda _, high: high))
    supervisor.start()
    try:
        yield account, clock, screen
    finally:
        await supervisor.stop()


def expected_lines(seconds: range) -> Counter[tuple[str, str]]:
    return Counter((f"/aws/lambda/{name}", f"line {second}") for name in FUNCTIONS for second in seconds)


@pytest.mark.parametrize(
    ("reason", "phase"),
    [
        (Reason.NETWORK, SourcePhase.FAILED),
        (Reason.SERVICE, SourcePhase.FAILED),
        (Reason.EXPIRED_CREDENTIALS, SourcePhase.EXPIRED),
        (Reason.THROTTLED, SourcePhase.THROTTLED),
    ],
    ids=["network", "service", "expired", "throttled"],
)
async def test_two_minutes_without_network_lose_nothing_and_are_reported(reason: Reason, phase: SourcePhase) -> None:
    async with watching() as (account, clock, screen):
        await clock.advance(GONE_S)
        assert {status.phase for status in screen.now().values()} == {SourcePhase.LIVE}

        account.down = reason
        await clock.advance(BACK_S - GONE_S)
        meanwhile = screen.now()
        assert set(meanwhile) == LOGS | (set(OPERATIONS) - {"logs"}) | {"service-map"}
        for status in meanwhile.values():
            assert status.phase is phase
            assert status.message is not None
            assert "could not be reached" in status.message
            assert status.retry_at is not None
            assert status.retry_at >= clock.now()
        handed = [moment_s for moment_s, batch in screen.told if batch.records]
        assert max(handed) <= GONE_S

        account.down = None
        await clock.advance(END_S - BACK_S)
        after = screen.now()
        assert {name for name, status in after.items() if status.phase is not SourcePhase.LIVE} == set()
        assert all(status.retry_at is None for status in after.values())

    lines = screen.lines()
    assert set(lines.values()) == {1}
    assert not expected_lines(range(END_S - 5)) - lines
    traces = Counter(each.id for each in screen.records(TraceSummary))
    assert set(traces.values()) == {1}
    assert set(range(END_S - 15)) <= {int(each.rpartition("-")[2], 16) for each in traces}
    assert [each.state for each in screen.records(AlarmState)][-1] == "ALARM"
    assert screen.records(ReleaseState)[-1].weights == {"41": 0.9, "42": 0.1}
    moved = [each.subject for each in screen.records(ReleaseEvent) if each.source == "lambda"]
    assert sorted(moved) == [f"{name}:live" for name in FUNCTIONS]


async def test_the_minutes_of_the_outage_are_drawn_afterwards() -> None:
    async with watching() as (account, clock, screen):
        await clock.advance(GONE_S)
        account.down = Reason.NETWORK
        await clock.advance(BACK_S - GONE_S)
        account.down = None
        await clock.advance(END_S - BACK_S)
    minutes = {point.timestamp_s for series in screen.records(MetricSeries)[-6:] for point in series.points}
    outage = {int(START.timestamp()) + minute * 60 for minute in (1, 2)}
    assert outage <= minutes


async def test_an_outage_is_not_answered_with_a_storm_of_calls() -> None:
    async with watching() as (account, clock, _):
        await clock.advance(GONE_S)
        account.down = Reason.NETWORK
        account.calls.clear()
        await clock.advance(BACK_S - GONE_S)
        # Without backoff there would be 240 retries for the two groups; retrying once an hour would give none.
        assert max(account.count(name) for name in OPERATIONS.values()) <= 60
        assert all(account.count(name) >= 3 for name in OPERATIONS.values())


TROUBLES = {
    "denied": (Reason.ACCESS_DENIED, "AccessDeniedException", SourcePhase.DENIED),
    "throttled": (Reason.THROTTLED, "ThrottlingException", SourcePhase.THROTTLED),
    "dead": (None, "", SourcePhase.FAILED),
}


_NORMAL: dict[str, list[tuple[float, Record]]] = {}


async def undisturbed() -> dict[str, list[tuple[float, Record]]]:
    """Return the records delivered without faults; virtual time makes them reproducible."""
    if not _NORMAL:
        async with watching() as (_, clock, screen):
            await clock.advance(END_S)
        _NORMAL.update(screen.delivered())
    return _NORMAL


_CASES = [
    pytest.param(
        source,
        trouble,
        id=f"{source}-{trouble}",
        # Each source in one trouble, and each trouble of one source.
        marks=() if number % len(TROUBLES) == 0 or source == "logs" else pytest.mark.slow,
    )
    for number, (source, trouble) in enumerate(product(OPERATIONS, TROUBLES))
]


@pytest.mark.parametrize(("source", "trouble"), _CASES)
async def test_one_source_in_trouble_changes_nothing_for_the_others(source: str, trouble: str) -> None:
    reason, code, phase = TROUBLES[trouble]
    normal = await undisturbed()
    async with watching() as (account, clock, screen):
        if reason is None:
            account.bugs.add(OPERATIONS[source])
        else:
            account.fail(OPERATIONS[source], reason, code)
        await clock.advance(END_S)
    now, delivered = screen.now(), screen.delivered()
    ill = {name for name, status in now.items() if status.phase is not SourcePhase.LIVE}
    assert {name.partition(":")[0] for name in ill} == {source}
    # Groups of a log source that fails at once are still to be read.
    ill -= {name for name in ill if now[name].phase is SourcePhase.STARTING and trouble == "dead"}
    assert {now[name].phase for name in ill} == {phase}
    assert all(now[name].retry_at is not None for name in ill)
    assert not delivered.get(source)
    others = set(OPERATIONS) - {source}
    if source == "release":
        # Without versions, the metrics of each alias as a whole are used.
        others.remove("metrics")
        assert [moment_s for moment_s, _ in delivered["metrics"]][-1] == [
            moment_s for moment_s, _ in normal["metrics"]
        ][-1]
        assert _aliases_told(delivered["metrics"]) == {(f"{name}:live", None) for name in FUNCTIONS}
    for other in others:
        assert len(normal[other]) > 3
        assert delivered[other] == normal[other]


@pytest.mark.parametrize("source", OPERATIONS)
async def test_one_source_that_hangs_changes_nothing_for_the_others(source: str) -> None:
    normal = await undisturbed()
    async with watching() as (account, clock, screen):
        account.slow.add(OPERATIONS[source])
        await clock.advance(END_S)
    delivered = screen.delivered()
    assert not delivered.get(source)
    # Without the release the versions are unknown; that metrics continue is shown above.
    unlike = {"metrics", "alarms"} if source == "release" else set()
    for other in set(OPERATIONS) - {source} - unlike:
        assert delivered[other] == normal[other]
    if source == "release":
        # Alarms that stop deployments are unknown, too: those of the file are read more often, and none is missed.
        states = {repr(record) for _, record in delivered["alarms"]}
        assert {repr(record) for _, record in normal["alarms"]} <= states


def _aliases_told(delivered: list[tuple[float, Record]]) -> set[tuple[str, str | None]]:
    """Return (function and alias, version) of each metric series."""
    series = [each for _, each in delivered if isinstance(each, MetricSeries)]
    return {(dict(each.key.dimensions)["Resource"], each.key.version) for each in series}
