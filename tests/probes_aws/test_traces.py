"""Traces: by id and by filter, late pieces waited for, unfinished ones never judged as whole."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from prodwatch.assertions import evaluate, parse
from prodwatch.clock import SystemClock
from prodwatch.demo.aws import Fault
from prodwatch.model.quantity import Duration
from prodwatch.model.status import Reason, Status
from prodwatch.probes.registry import spec
from prodwatch.probes.traces.trace_statistics import percentile
from prodwatch.runner.step.expectations import Expectation, compile_assertions, mentions
from prodwatch.runner.step.facts import with_facts


def put(bench: Any, number: int = 0, *, age_s: float = 20, visible_s: float | None = None, **more: Any) -> str:
    """Write one trace of two services and a subsegment; return its id."""
    start = SystemClock().now().timestamp() - age_s
    trace_id = f"1-{int(start):08x}-{bench.name[1:9].encode().hex()}{number:08x}"
    entry = {
        "trace_id": trace_id, "id": f"a{number:015x}", "name": bench.name, "origin": "AWS::ApiGateway::Stage",
        "start_time": start, "end_time": start + 0.5 + number / 100, "http": {"response": {"status": 200}},
    } | more.pop("entry", {})  # fmt: skip
    function = {
        "trace_id": trace_id, "id": f"b{number:015x}", "parent_id": entry["id"], "name": "shop-orders",
        "origin": "AWS::Lambda::Function", "start_time": start + 0.1, "end_time": start + 0.4,
        "subsegments": [
            {"id": f"c{number:015x}", "name": "## handler", "start_time": start + 0.1, "end_time": start + 0.35,
             "annotations": {"ColdStart": True, "n": 1.5}, "metadata": {"orders": {"response": {"ok": 1.5}}},
             "subsegments": [{"id": f"d{number:015x}", "name": "DynamoDB", "namespace": "aws",
                              "start_time": start + 0.15, "end_time": start + 0.3}]},
        ],
    } | more.pop("function", {})  # fmt: skip
    bench.world.traces.put(entry)
    bench.world.traces.put(function, visible_s=visible_s)
    return trace_id


def facts(claim: str, document: Any, type_: str) -> tuple[str, ...]:
    """Return the facts of a claim that does not hold."""
    judged = evaluate(parse(claim), document)
    assert judged.ok is False
    expectation = Expectation(parse(claim), "expect")
    at = SystemClock().now()
    (result,) = with_facts([(expectation, judged)], document, spec(type_), values={}, now=at, mask=str)
    return result.facts


@pytest.mark.parametrize("form", ["xray", "w3c", "header"])
async def test_one_trace_by_its_id(bench: Any, form: str) -> None:
    id_ = put(bench)
    text = {"xray": id_, "w3c": id_.replace("-", "")[1:], "header": f"Root={id_};Sampled=1"}[form]
    found = await bench.run("traces", {"id": text})
    assert found.failure is None
    assert found.complete
    document = found.document
    assert document["count"] == 1
    assert document["complete"] is True
    assert document["path"] == [bench.name, "shop-orders", "DynamoDB"]
    origins = [(each["name"], each.get("origin")) for each in document["segments"]]
    assert origins[:2] == [(bench.name, "AWS::ApiGateway::Stage"), ("shop-orders", "AWS::Lambda::Function")]
    assert [each["name"] for each in document["subsegments"]] == ["## handler", "DynamoDB"]
    assert document["annotations"] == {"ColdStart": [True], "n": [Decimal("1.5")]}
    assert document["metadata"] == {"orders": {"response": [{"ok": Decimal("1.5")}]}}
    assert document["slowest"]["name"] == "DynamoDB"
    assert round(document["slowest"]["own"].ms) == 150
    assert document["slowest"]["trace_id"] == id_
    (fact,) = facts("slowest.own < 100ms", document, "traces")
    assert fact.startswith(f"name DynamoDB, trace_id {id_}")
    assert document["traces"][0]["path"] == document["path"]
    assert round(document["traces"][0]["response_time"].ms) == 500
    assert (document["fault_ratio"], document["error_ratio"]) == (0, 0)
    assert found.exchange.aws_cli.startswith("aws xray batch-get-traces --trace-ids ")


async def test_late_segments_are_waited_for_within_the_time(bench: Any) -> None:
    asked = bench.world.call_counts
    documents: list[Any] = []
    # The trace is made up first, and comes only while the probe waits for the second time.
    later = SimpleNamespace(
        name=bench.name, world=SimpleNamespace(traces=SimpleNamespace(put=lambda each, **_: documents.append(each)))
    )
    id_ = put(later)

    def meanwhile() -> None:
        while asked["xray:BatchGetTraces"] >= 2 and documents:
            bench.world.traces.put(documents.pop(0))

    found = await bench.run("traces", {"id": id_}, timeout_s=30, clock=bench.clock(meanwhile))
    assert asked["xray:BatchGetTraces"] == 3
    assert found.document["count"] == 1
    assert found.failure is None


async def test_a_trace_that_is_not_there_is_not_yet(bench: Any) -> None:
    found = await bench.run("traces", {"id": "1-5f84c7a5-cd52b1d2e1c4a3b2c1d0e9f8"}, timeout_s=30)
    assert (found.failure.status, found.failure.reason) == (Status.INCONCLUSIVE, Reason.NO_DATA)
    assert "does not exist (yet)" in found.failure.message
    assert not found.complete
    assert found.document["count"] == 0
    assert bench.world.call_counts["xray:BatchGetTraces"] >= 1


async def test_asking_again_never_turns_not_yet_into_an_error(bench: Any) -> None:
    def meanwhile() -> None:
        bench.world.faults.add(Fault(operation="xray:*", kind="delay", delay_s=30))
        clock.skip(29.4 - (clock.monotonic_s() - began_s))

    clock = bench.clock(meanwhile)
    began_s = clock.monotonic_s()
    found = await bench.run("traces", {"id": "1-5f84c7a5-cd52b1d2e1c4a3b2c1d0e9f8"}, timeout_s=30, clock=clock)
    assert bench.world.call_counts["xray:BatchGetTraces"] == 2
    assert found.failure.status is Status.INCONCLUSIVE


async def test_an_unfinished_trace_is_not_complete(bench: Any) -> None:
    id_ = put(bench, function={"end_time": None, "in_progress": True})
    found = await bench.run("traces", {"id": id_})
    assert found.failure is None
    assert found.document["complete"] is False
    assert not found.complete


async def test_something_that_is_no_id_is_refused(bench: Any) -> None:
    found = await bench.run("traces", {"id": "req-1"})
    assert (found.failure.status, found.failure.reason) == (Status.ERROR, Reason.INVALID)
    assert not bench.world.call_counts


async def test_traces_by_filter(bench: Any) -> None:
    for number in range(4):
        put(bench, number, entry={"fault": number == 0, "error": number == 1})
    found = await bench.run("traces", {"filter": f'service("{bench.name}")', "min": 4})
    assert found.failure is None
    document = found.document
    assert document["count"] == 4
    assert (document["fault_ratio"], document["error_ratio"]) == (Decimal("0.25"), Decimal("0.25"))
    assert round(document["p50"].ms) == 510
    assert round(document["p99"].ms) == 530
    assert len(document["annotations"]["ColdStart"]) == 4
    assert len(document["subsegments"]) == 8
    assert sum(each["fault"] for each in document["traces"]) == 1
    assert document["complete"] is True


async def test_A4_what_differs_between_the_traces_is_undecided(bench: Any) -> None:
    put(bench, 0)
    put(bench, 1, function={"name": "shop-payments", "subsegments": []})
    found = await bench.run("traces", {"filter": f'service("{bench.name}")', "min": 2})

    def judged(claim: str) -> bool | None:
        return evaluate(parse(claim), found.document).ok

    assert judged("path[0] exists") is True
    assert judged(f"path[0] == '{bench.name}'") is True, "equal in all"
    for claim in ("path contains 'shop-orders'", "path == ['x']", "length(path) == 3", "path[1] == 'shop-orders'"):
        assert judged(claim) is None
    assert judged("any traces[].path contains 'shop-payments'") is True
    assert judged("all traces[].path contains 'shop-orders'") is False
    assert judged("all annotations.ColdStart == true") is True, "of those that have it"
    assert judged("all traces[].annotations.ColdStart[0] == true") is False, "one trace has none"


async def test_a_crowd_is_read_by_summaries_only(bench: Any) -> None:
    for number in range(25):
        put(bench, number)
    found = await bench.run("traces", {"filter": f'service("{bench.name}")'})
    assert found.document["count"] == 25
    assert found.document["complete"] is True
    assert "subsegments" not in found.document
    assert "path" not in found.document
    assert found.unreadable["path"].status is Status.INCONCLUSIVE, "its absence proves nothing"
    assert found.document["traces"][0]["annotations"]["ColdStart"] == [True]
    assert "only summaries are read" in found.notices[0]
    assert bench.world.call_counts["xray:BatchGetTraces"] == 0


async def test_no_more_than_five_ids_are_asked_at_once(bench: Any) -> None:
    for number in range(12):
        put(bench, number)
    found = await bench.run("traces", {"filter": f'service("{bench.name}")'})
    assert found.document["count"] == 12
    assert bench.world.call_counts["xray:BatchGetTraces"] == 3


@pytest.mark.parametrize(("least", "reason"), [(1, Reason.NO_DATA), (3, Reason.NO_DATA)])
async def test_too_few_traces_are_inconclusive(bench: Any, least: int, reason: Reason) -> None:
    found = await bench.run("traces", {"filter": f'service("{bench.name}")', "min": least})
    assert (found.failure.status, found.failure.reason) == (Status.INCONCLUSIVE, reason)
    assert found.failure.answered_by == ("count",)


async def test_fewer_than_wanted_says_how_many(bench: Any) -> None:
    put(bench)
    found = await bench.run("traces", {"filter": f'service("{bench.name}")', "min": 3})
    assert found.failure.reason is Reason.MIN_SAMPLES
    assert found.failure.message == "1 of at least 3 traces were found"


async def test_none_at_all_may_be_what_is_wanted(bench: Any) -> None:
    found = await bench.run("traces", {"filter": f'service("{bench.name}")', "min": 0})
    assert found.failure is None
    assert found.document["count"] == 0


async def test_a_long_window_is_asked_in_parts(bench: Any) -> None:
    put(bench)
    found = await bench.run("traces", {"filter": f'service("{bench.name}")', "since": "13h"})
    assert bench.world.call_counts["xray:GetTraceSummaries"] == 3
    assert found.document["count"] == 1


async def test_denied_traces_are_an_error(bench: Any) -> None:
    bench.world.faults.add(Fault(operation="xray:*", kind="access_denied"))
    found = await bench.run("traces", {"filter": "fault"})
    assert (found.failure.status, found.failure.reason) == (Status.ERROR, Reason.ACCESS_DENIED)


async def test_transaction_search_is_said(bench: Any) -> None:
    class Searching:
        async def pages(self, *_: Any, **__: Any) -> Any:
            yield {"Traces": [], "UnprocessedTraceIds": []}

        async def call(self, *_: Any, **__: Any) -> Any:
            return {"Destination": "CloudWatchLogs", "Status": "ACTIVE"}

        def region_name(self, _account: str | None = None) -> str:
            return "eu-west-1"

    found = await bench.run("traces", {"id": "1-5f84c7a5-cd52b1d2e1c4a3b2c1d0e9f8"}, aws=Searching(), timeout_s=0.5)
    assert "Transaction Search is on" in found.notices[0]


@pytest.mark.parametrize(("share", "value"), [(0.5, 5), (0.95, 10), (0.99, 10), (0.1, 1), (0.0, 1)])
def test_percentiles_are_values_that_occurred(share: float, value: int) -> None:
    assert percentile(list(range(1, 11)), share) == value


def test_a_duration_is_exact() -> None:
    assert Duration.from_s(0.15) == Duration(150_000_000)


async def test_D_a_claim_over_every_trace_and_its_links(bench: Any) -> None:
    producer = "1-5f84c7a6-aa52b1d2e1c4a3b2c1d0e9f8"
    put(bench, 0, entry={"links": [{"trace_id": producer, "id": "2974158e19d0f339"}]})
    put(bench, 1)
    found = await bench.run("traces", {"filter": f'service("{bench.name}")'})
    claims = {
        f"traces[*].links == [['{producer}'], []]": True,
        "all traces[*].path matches in order ['^shop-orders$']": True,
        "all traces[*].fault == false": True,
        "all traces[*].links includes ['x']": False,
    }
    assert {claim: evaluate(parse(claim), found.document).ok for claim in claims} == claims


@pytest.mark.parametrize("field", ["path", "links"])
async def test_D_what_summaries_lack_is_unknown_for_every_trace(
    bench: Any, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    monkeypatch.setattr("prodwatch.probes.traces.probe.DETAILED", 1)
    put(bench, 0)
    put(bench, 1)
    found = await bench.run("traces", {"filter": f'service("{bench.name}")'})
    assert field not in found.document["traces"][0]
    assert found.unreadable[f"traces.{field}"].status is Status.INCONCLUSIVE
    (claim,) = compile_assertions((f"all traces[*].{field} contains 'x'",), "expect")
    assert mentions(claim, f"traces.{field}")
