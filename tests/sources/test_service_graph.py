"""The service graph: cut at the release, earlier time read until it is settled, errors reported."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any

import pytest

from prodwatch.model.signal import Batch, ReleasePhase, ReleaseState, ServiceGraph, SourcePhase
from prodwatch.model.status import Reason
from prodwatch.sources.redaction import SignalRedactor
from prodwatch.sources.traces import ServiceGraphSource
from prodwatch.sources.traces.service_graph import MAX_PAGES, release_began
from prodwatch.testing.aws import ScriptedAws
from prodwatch.testing.clock import START, FakeClock
from prodwatch.text.redact import Redactor

GRAPH = "xray:GetServiceGraph"


def services(*_: Any, ok: int = 5, name: str = "api") -> dict[str, Any]:
    edge = {"ReferenceId": 1, "SummaryStatistics": {"OkCount": ok}}
    client = {"ReferenceId": 0, "Name": name, "Type": "client", "Edges": [edge]}
    return {"Services": [client, {"ReferenceId": 1, "Name": name, "Type": "AWS::ApiGateway::Stage"}]}


async def collect(
    aws: ScriptedAws,
    clock: FakeClock,
    seconds: float,
    released: datetime | None = None,
    redactor: Redactor | None = None,
) -> list[Batch]:
    source = ServiceGraphSource(
        aws, clock=clock, signal_redactor=SignalRedactor(redactor or Redactor()), released_at=lambda: released
    )
    results: list[Batch] = []

    async def run() -> None:
        async with aclosing(source.batches()) as batches:  # type: ignore[type-var]  # a generator underneath
            async for batch in batches:
                results.append(batch)  # noqa: PERF401 -- others read the list meanwhile

    task = asyncio.create_task(run())
    for _ in range(int(seconds * 2)):
        await clock.advance(0.5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return results


def graphs(batches: list[Batch]) -> list[ServiceGraph]:
    return [record for batch in batches for record in batch.records if isinstance(record, ServiceGraph)]


def windows(aws: ScriptedAws) -> list[tuple[float, float]]:
    requested = [params for name, params in aws.calls if name == GRAPH]
    return [tuple((params[key] - START).total_seconds() for key in ("StartTime", "EndTime")) for params in requested]


async def test_once_a_minute_after_some_patience_for_the_release(aws: ScriptedAws) -> None:
    aws.answers[GRAPH] = services
    results = graphs(await collect(aws, FakeClock(), 200))
    assert windows(aws) == [(at // 60 * 60 - 900, at) for at in (5, 15, 75, 135, 195)]
    assert {(each.part, each.released_ms) for each in results} == {("now", None)}
    assert results[0].edges[0].calls == 5


async def test_the_release_parts_before_from_now_until_before_is_settled(aws: ScriptedAws) -> None:
    aws.answers[GRAPH] = services
    released = START - timedelta(seconds=90)
    results = graphs(await collect(aws, FakeClock(), 140, released))
    assert windows(aws) == [
        (-90, 0),
        (-90, 10),
        (-990, -90),
        (-90, 70),
        (-990, -90),
        (-90, 130),
    ]
    assert {each.released_ms for each in results} == {round(released.timestamp() * 1000)}
    assert [each.part for each in results[:3]] == ["now", "now", "before"]


async def test_an_old_release_leaves_the_last_quarter_of_an_hour(aws: ScriptedAws) -> None:
    await collect(aws, FakeClock(), 15, START - timedelta(days=3))
    day_s = 86400.0
    assert windows(aws) == [(-900, 0), (-900, 10), (-3 * day_s - 900, -3 * day_s)]


async def test_a_release_with_a_future_start_separates_nothing(aws: ScriptedAws) -> None:
    results = graphs(await collect(aws, FakeClock(), 15, START + timedelta(hours=1)))
    assert {(each.part, each.released_ms) for each in results} == {("now", None)}


async def test_denied_and_failed_are_states_and_it_tries_again(aws: ScriptedAws) -> None:
    clock = FakeClock()
    aws.answers[GRAPH] = services
    aws.fail(GRAPH, Reason.ACCESS_DENIED)
    (denied,) = [batch.status for batch in await collect(aws, clock, 10) if batch.status]
    assert (denied.source, denied.phase, denied.action) == ("service-map", SourcePhase.DENIED, GRAPH)
    aws.failing.clear()
    assert graphs(await collect(aws, clock, 10))


async def test_all_pages_are_read_and_an_endless_graph_is_reported(aws: ScriptedAws) -> None:
    class Paged(ScriptedAws):
        async def pages(
            self, service: str, operation: str, params: Mapping[str, Any] | None = None, **more: Any
        ) -> AsyncIterator[dict[str, Any]]:
            del service, operation, params, more
            while True:
                yield {**services(ok=1), "NextToken": "more"}

    batches = await collect(Paged(), FakeClock(), 10)
    assert graphs(batches)[0].edges[0].calls == MAX_PAGES
    assert f"more than {MAX_PAGES} pages" in str(batches[-1].status and batches[-1].status.message)


async def test_names_are_cleaned_on_the_way_in(aws: ScriptedAws) -> None:
    aws.answers[GRAPH] = lambda _: services(name="a\x1b[2Jpi hunter2hunter2")
    redactor = Redactor()
    redactor.add("hunter2hunter2")
    (edge,) = graphs(await collect(aws, FakeClock(), 10, redactor=redactor))[0].edges
    assert "\x1b" not in edge.callee.name
    assert "hunter2hunter2" not in edge.callee.name


@pytest.mark.parametrize(
    ("states", "began"),
    [
        ([], None),
        ([ReleaseState(function="f")], None),
        ([ReleaseState(function="f", phase=ReleasePhase.SHIFTING, started_at=START)], START),
    ],
    ids=["none", "no release", "shifting"],
)
def test_the_release_that_matters_most_parts_the_two(states: list[ReleaseState], began: datetime | None) -> None:
    assert release_began(states, START) == began
