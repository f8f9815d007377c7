"""Own requests are taken out of the service graph: what is left is the graph without them, or they are counted."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from prodwatch.demo.aws.faults import FaultPlan
from prodwatch.demo.aws.xray.store import TraceStore
from prodwatch.formats.xray_service_graph import parse_edges, without
from prodwatch.model.signal import ServiceEdge, ServiceGraph, ServiceNode
from prodwatch.model.status import Reason
from prodwatch.sources.redaction import SignalRedactor
from prodwatch.sources.traces.own_requests import FEW_IDS_PER_CALL, GROWS_S, SETTLES_S
from prodwatch.sources.traces.service_graph import ServiceGraphSource
from prodwatch.testing.clock import START, FakeClock
from prodwatch.text.redact import Redactor
from tests.support.placed_aws import PlacedAws

NOW_S = int(START.timestamp())
ONE, TWO = ServiceNode("one"), ServiceNode("two")


def edge(**keys: Any) -> ServiceEdge:
    return ServiceEdge(caller=ONE, callee=TWO, **keys)


@pytest.mark.parametrize(
    ("part", "left"),
    [
        (edge(ok=2, time_s=0.2, times=((0.1, 2),)), edge(ok=1, faults=1, time_s=1.1, times=((0.1, 1), (1.0, 1)))),
        # A bucket of one trace need not be one of the whole graph.
        (edge(ok=1, time_s=0.1, times=((0.12, 1),)), edge(ok=2, faults=1, time_s=1.2, times=((0.1, 2), (1.0, 1)))),
        (edge(ok=3, faults=1, time_s=9.0, times=((0.1, 4),)), None),
    ],
)
def test_B12_calls_are_subtracted_edge_by_edge(part: ServiceEdge, left: ServiceEdge | None) -> None:
    whole = edge(ok=3, faults=1, time_s=1.3, times=((0.1, 3), (1.0, 1)))
    found = without((whole,), (part,))
    assert found is not None
    assert [each.times for each in found] == ([left.times] if left else [])
    assert [(each.ok, each.faults) for each in found] == ([(left.ok, left.faults)] if left else [])
    assert [each.time_s for each in found] == pytest.approx([left.time_s] if left else [])


@pytest.mark.parametrize(
    "part", [edge(ok=4), edge(errors=1), edge(ok=1, times=((0.1, 5),)), ServiceEdge(caller=TWO, callee=ONE, ok=1)]
)
def test_B12_calls_that_the_graph_does_not_have_are_not_subtracted(part: ServiceEdge) -> None:
    assert without((edge(ok=3, faults=1, times=((0.1, 3), (1.0, 1))),), (part,)) is None


class XRay(PlacedAws):
    """An X-Ray with random traces, some of which are prodwatch's own."""

    def __init__(self, dice: random.Random, clock: FakeClock) -> None:
        super().__init__()
        self.clock = clock
        self.all = TraceStore(wall=lambda: clock.now().timestamp(), faults=FaultPlan())
        self.users = TraceStore(wall=lambda: clock.now().timestamp(), faults=FaultPlan())
        """Without the own ones that are old enough to be taken out."""
        self.own: dict[str, float] = {}
        self.asked_ids: list[list[str]] = []
        for number in range(dice.randrange(50, 200)):
            self._put(dice, number)
        self.placed = {"xray:GetServiceGraph": self.graph, "xray:GetTraceGraph": self.trace_graph}

    def _put(self, dice: random.Random, number: int) -> None:
        start_s = NOW_S - dice.randrange(1, 900)
        id_ = f"1-{start_s:08x}-{number:024x}"
        is_own = dice.random() < 0.3
        if is_own:
            self.own[id_] = start_s
        took_s = dice.choice((0.1, 0.2, 1.5))
        document = {
            "trace_id": id_,
            "id": f"{number:016x}",
            "name": "api",
            "origin": "AWS::ApiGateway::Stage",
            "start_time": start_s,
            "end_time": start_s + took_s,
            "fault": dice.random() < 0.2,
            "http": {"request": {"url": "https://api/orders", "method": "GET"}, "response": {"status": 200}},
            "subsegments": [
                {
                    "id": f"{number + 10_000:016x}",
                    "name": "DynamoDB",
                    "namespace": "aws",
                    "start_time": start_s,
                    "end_time": start_s + took_s / 2,
                    "throttle": dice.random() < 0.1,
                }
            ],
        }
        self.all.put(document)
        if not is_own or start_s >= NOW_S - SETTLES_S:
            self.users.put(document)

    def graph(self, _place: Any, params: Any) -> dict[str, Any]:
        start_s, end_s = params["StartTime"].timestamp(), params["EndTime"].timestamp()
        return {"Services": self.all.tally(start_s, end_s).services("1")}

    def trace_graph(self, _place: Any, params: Any) -> dict[str, Any]:
        from prodwatch.demo.aws.xray.service_graph import tally_of

        self.asked_ids.append(params["TraceIds"])
        traces = [found for id_ in params["TraceIds"] if (found := self.all.get(id_)) is not None]
        return {"Services": tally_of(traces).services("1")}

    def own_traces(self, start_s: float, end_s: float) -> Sequence[str]:
        return [id_ for id_, at_s in self.own.items() if start_s <= at_s < end_s]


def source_of(aws: XRay) -> ServiceGraphSource:
    return ServiceGraphSource(
        aws, clock=aws.clock, signal_redactor=SignalRedactor(Redactor()), own_traces=aws.own_traces
    )


def figures(edges: Sequence[ServiceEdge]) -> dict[tuple[str, str], Any]:
    return {
        (each.caller.name, each.callee.name): (
            each.ok, each.errors, each.throttles, each.faults, pytest.approx(each.time_s), each.times,
        )
        for each in edges
    }  # fmt: skip


async def graph_of(source: ServiceGraphSource) -> ServiceGraph:
    (found,) = await source.poll()
    assert isinstance(found, ServiceGraph)
    return found


@pytest.mark.parametrize("seed", range(8))
async def test_B12_the_graph_without_own_requests_is_that_of_the_users(seed: int) -> None:
    aws = XRay(random.Random(seed), FakeClock())
    source = source_of(aws)
    found = await graph_of(source)
    users = aws.users.tally(found.start_ms / 1000, NOW_S)
    expected = parse_edges(users.services("1"))
    assert figures(found.edges) == figures(expected)
    old = [id_ for id_, at_s in aws.own.items() if at_s < NOW_S - SETTLES_S]
    assert found.own_taken_out == len(old)
    assert found.without_own_until_ms == int((NOW_S - SETTLES_S) * 1000)
    assert source.note() is None


async def test_B12_a_minute_of_own_requests_is_read_until_it_can_no_longer_grow() -> None:
    aws = XRay(random.Random(1), FakeClock())
    source = source_of(aws)
    await source.poll()
    assert {id_ for ids in aws.asked_ids for id_ in ids} == {
        id_ for id_, at_s in aws.own.items() if at_s < NOW_S - SETTLES_S
    }
    aws.asked_ids.clear()
    await aws.clock.advance(60)
    await source.poll()
    again = {aws.own[id_] for ids in aws.asked_ids for id_ in ids}
    assert again
    assert min(again) >= NOW_S - GROWS_S - 60


@pytest.mark.parametrize("reason", [Reason.ACCESS_DENIED, Reason.THROTTLED])
async def test_B12_without_the_graph_of_own_traces_they_are_included_and_said(reason: Reason) -> None:
    aws = XRay(random.Random(2), FakeClock())
    source = source_of(aws)
    aws.fail_in(place := source._place, "xray:GetTraceGraph", reason, "SomeException")
    found = await graph_of(source)
    whole = aws.all.tally(found.start_ms / 1000, NOW_S)
    assert figures(found.edges) == figures(parse_edges(whole.services("1")))
    assert (found.own_taken_out, found.without_own_until_ms) == (0, 0)
    assert "requests of prodwatch's own are included: xray:GetTraceGraph failed" in (source.note() or "")
    del aws.failing_in["xray:GetTraceGraph", place]
    assert (await graph_of(source)).own_taken_out > 0
    assert source.note() is None


async def test_B12_without_own_requests_their_graph_is_not_asked_for() -> None:
    aws = XRay(random.Random(3), FakeClock())
    aws.own.clear()
    await graph_of(source_of(aws))
    assert aws.asked_ids == []


async def test_B12_a_graph_that_lacks_an_own_call_is_shown_as_it_is() -> None:
    aws = XRay(random.Random(4), FakeClock())
    aws.placed["xray:GetServiceGraph"] = lambda *_: {"Services": []}
    source = source_of(aws)
    found = await graph_of(source)
    assert (found.edges, found.own_taken_out, found.without_own_until_ms) == ((), 0, 0)
    assert "does not have all their calls yet" in (source.note() or "")


async def test_B12_fewer_ids_are_asked_for_where_xray_refuses_many() -> None:
    aws = XRay(random.Random(5), FakeClock())
    first_s = NOW_S - 600
    aws.own.update({f"1-{first_s:08x}-{number:024x}": first_s for number in range(5000, 5020)})
    answer = aws.trace_graph

    def few(place: Any, params: Any) -> dict[str, Any]:
        if len(params["TraceIds"]) > FEW_IDS_PER_CALL:
            aws.fail_in(place, "xray:refused", Reason.API_ERROR, "InvalidRequestException")
            raise aws.failing_in["xray:refused", place]
        return answer(place, params)

    aws.placed["xray:GetTraceGraph"] = few
    found = await graph_of(source_of(aws))
    assert found.own_taken_out > 0
    assert all(len(ids) <= FEW_IDS_PER_CALL for ids in aws.asked_ids)


async def test_B12_the_graph_before_a_release_leaves_own_requests_out_too() -> None:
    aws = XRay(random.Random(6), FakeClock())
    released = START - timedelta(minutes=5)
    source = ServiceGraphSource(
        aws,
        clock=aws.clock,
        signal_redactor=SignalRedactor(Redactor()),
        released_at=lambda: released,
        own_traces=aws.own_traces,
    )
    await source.poll()
    now, before = (each for each in await source.poll() if isinstance(each, ServiceGraph))
    released_s = released.timestamp()
    counted = [
        sum(first_s <= at_s < end_s for at_s in aws.own.values())
        for first_s, end_s in ((released_s, NOW_S - SETTLES_S), (released_s - 900, released_s - SETTLES_S))
    ]
    assert [now.own_taken_out, before.own_taken_out] == counted
