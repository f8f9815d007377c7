"""Traces and service graphs of several accounts and regions: each is read, and one trace of several is one."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from prodwatch.aws.interface import AwsError
from prodwatch.cli.live.line_writer import LineWriter
from prodwatch.cli.live.trace_output import TraceStream, ndjson
from prodwatch.model.check import SourcePosition
from prodwatch.model.environment import Environment, FunctionTarget
from prodwatch.model.identity import HOME, Place
from prodwatch.model.signal import Batch, ServiceGraph, TraceSummary
from prodwatch.sources.build_sources import build_sources, spans_target
from prodwatch.sources.redaction import SignalRedactor
from prodwatch.sources.traces import ServiceGraphSource, TraceSource, fetch_trace
from prodwatch.store import Store
from prodwatch.store.traces import joined
from prodwatch.testing.clock import START, FakeClock
from prodwatch.text.redact import Redactor
from prodwatch.views.service_map import service_map
from prodwatch.views.traces import goes_through
from tests.support.placed_aws import EAST, PLACES, PlacedAws

REDACTOR = SignalRedactor(Redactor())
SHARED = "1-6b0040ff-212f41d7b0270f9cdcd1ae0d"


def own_id(place: Place) -> str:
    return f"1-6b0040ff-{PLACES.index(place):024x}"


class XRay(PlacedAws):
    """Each place has a trace of its own and its part of a shared one, which is faulty in us-east-1 only."""

    def __init__(self) -> None:
        super().__init__()
        self.placed = {
            "xray:GetTraceSummaries": self.summaries,
            "xray:BatchGetTraces": self.traces,
            "xray:GetServiceGraph": self.graph,
        }

    def summaries(self, place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        del params
        own = {"Id": own_id(place), "Duration": 0.1}
        part = {"Id": SHARED, "Duration": 0.5, "HasFault": place == EAST}
        services = [{"Name": "pay", "Type": "AWS::Lambda::Function"}]
        return {"TraceSummaries": [each | {"StartTime": START, "ServiceIds": services} for each in (own, part)]}

    def traces(self, place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        number = PLACES.index(place)
        start_s = START.timestamp() + number
        segment = {
            "id": f"{number:016x}",
            "name": f"pay-{number}",
            "start_time": start_s,
            "end_time": start_s + 1,
            **({"parent_id": f"{number - 1:016x}"} if number else {}),
        }
        document = json.dumps(segment)
        segments = [{"Id": segment["id"], "Document": document}]
        return {"Traces": [{"Id": each, "Segments": segments, "Duration": 1.0} for each in params["TraceIds"]]}

    def graph(self, place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        del params
        calls = 100 + PLACES.index(place)
        statistics = {"OkCount": calls, "TotalCount": calls, "TotalResponseTime": 1.0}
        histogram = [{"Value": 0.01, "Count": calls}]
        edge = {"ReferenceId": 1, "SummaryStatistics": statistics, "ResponseTimeHistogram": histogram}
        return {
            "Services": [
                {"ReferenceId": 0, "Name": "pay", "Type": "AWS::Lambda::Function", "Edges": [edge]},
                {"ReferenceId": 1, "Name": f"table-{place}", "Type": "AWS::DynamoDB::Table", "Edges": []},
            ]
        }


def source(aws: XRay, place: Place) -> TraceSource:
    since = START - timedelta(minutes=1)
    return TraceSource(aws, clock=FakeClock(), since=since, signal_redactor=REDACTOR, place=place)


async def store_of(aws: XRay) -> Store:
    store = Store(FakeClock())
    for place in PLACES:
        reader = source(aws, place)
        store.apply(Batch(source=reader.name, records=tuple(await reader.poll())))
    return store


async def test_K13_every_place_has_its_own_traces_and_one_of_several_is_one() -> None:
    store = await store_of(XRay())
    assert set(store.traces.summaries) == {SHARED, *map(own_id, PLACES)}
    assert {store.traces.summaries[own_id(place)].place for place in PLACES} == set(PLACES)
    shared = store.traces.summaries[SHARED]
    assert shared.fault
    assert {node.place for node in shared.services} == set(PLACES)
    assert [store.traces.summaries[own_id(place)].fault for place in PLACES] == [False] * 3


@pytest.mark.parametrize("order", [(HOME, EAST), (EAST, HOME)])
async def test_K13_a_fault_in_one_part_is_not_hidden_by_another(order: tuple[Place, ...]) -> None:
    store = Store(FakeClock())
    for revision, place in enumerate(order):
        part = TraceSummary(
            id=SHARED, start_ms=revision, duration_s=1.0, fault=place == EAST, place=place, revision=revision
        )
        store.apply(Batch(source="traces", records=(part, part)))
    assert store.traces.summaries[SHARED].fault
    assert joined([store.traces.summaries[SHARED]]).fault


async def test_K13_a_trace_of_several_places_is_fetched_from_all() -> None:
    aws = XRay()
    whole = await fetch_trace(aws, SHARED, REDACTOR, PLACES)
    assert whole is not None
    assert [span.name for span in whole.spans] == ["pay-0", "pay-1", "pay-2"]
    assert (whole.complete, whole.duration_s) == (True, 3.0)
    aws.fail_in(EAST, "xray:BatchGetTraces")
    part = await fetch_trace(aws, SHARED, REDACTOR, PLACES)
    assert part is not None
    assert not part.complete
    for place in PLACES:
        aws.fail_in(place, "xray:BatchGetTraces")
    with pytest.raises(AwsError):
        await fetch_trace(aws, SHARED, REDACTOR, PLACES)


async def test_K13_lines_of_traces_say_where_they_are_from() -> None:
    out = io.BytesIO()
    stream = TraceStream(LineWriter(out), ndjson(1.0), clock=FakeClock())
    for place in (HOME, EAST):
        stream.take(await source(XRay(), place).poll())
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [(line["id"], line.get("region"), line["verdict"]) for line in lines] == [
        (own_id(HOME), None, "ok"),
        (SHARED, None, "ok"),
        (own_id(EAST), "us-east-1", "ok"),
        (SHARED, "us-east-1", "fault"),
    ]


async def test_K13_the_service_map_has_the_edges_of_every_place_and_names_namesakes() -> None:
    aws, store = XRay(), Store(FakeClock())
    for place in PLACES:
        reader = ServiceGraphSource(aws, clock=FakeClock(), signal_redactor=REDACTOR, place=place)
        store.apply(Batch(source=reader.name, records=tuple(await reader.poll())))
    assert all(isinstance(graph, ServiceGraph) for graph in store.graphs.values())
    found = service_map(store)
    assert found is not None
    assert {(row.caller.name, row.now.calls if row.now else 0) for row in found.rows} == {
        ("pay", 100),
        ("pay in us-east-1", 101),
        ("pay in pay", 102),
    }
    traces = await store_of(aws)
    east = next(row for row in found.rows if row.caller.place == EAST)
    through = [each.id for each in traces.traces.summaries.values() if goes_through(each, (east.caller, east.caller))]
    assert set(through) == {SHARED, own_id(EAST)}


def test_K13_every_place_of_a_function_has_its_sources_and_spans() -> None:
    functions = tuple(
        FunctionTarget(name=name, account=place.account or None, region=place.region or None)
        for name in ("pay", "mail")
        for place in PLACES
    )
    environment = Environment(name="t", title="T", source=SourcePosition("t.toml"), functions=functions)
    sources = build_sources(environment, XRay(), clock=FakeClock(), redactor=Redactor(), logs_since=START, since=START)
    names = [each.name for each in sources]
    assert [name for name in names if "traces" in name] == ["traces", "traces:us-east-1", "traces:pay"]
    assert [name for name in names if "map" in name] == ["service-map", "service-map:us-east-1", "service-map:pay"]
    spans = spans_target(environment, EAST)
    assert spans is not None
    assert (spans.id.place, spans.filter) == (EAST, '?"pay" ?"mail"')
