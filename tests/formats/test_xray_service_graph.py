"""The service graph's edges: references across pages, several entries, and empty parts."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from prodwatch.formats.xray_service_graph import OUTSIDE, parse_edges
from prodwatch.model.signal import ServiceNode

FN = "AWS::Lambda::Function"


def edge(to: int, *, ok: int = 0, faults: int = 0, **more: Any) -> dict[str, Any]:
    counts = {"OkCount": ok, "FaultStatistics": {"TotalCount": faults}, "TotalResponseTime": 1.5}
    return {"ReferenceId": to, "SummaryStatistics": counts, **more}


def service(number: int, name: str, kind: str = FN, *edges: dict[str, Any]) -> dict[str, Any]:
    return {"ReferenceId": number, "Name": name, "Type": kind, "Edges": list(edges)}


def test_references_hold_across_pages_and_every_entry_has_the_same_clients() -> None:
    first_page = [service(0, "api", "client", edge(2, ok=3)), service(1, "web", "client", edge(3, ok=4))]
    second_page = [service(2, "api", "API", edge(3, ok=2, faults=1)), service(3, "web")]
    edges = parse_edges([*first_page, *second_page])
    assert [(each.caller, each.callee.name, each.ok, each.faults) for each in edges] == [
        (OUTSIDE, "api", 3, 0),
        (OUTSIDE, "web", 4, 0),
        (ServiceNode("api", "API"), "web", 2, 1),
    ]


def test_an_edge_keeps_its_counts_apart_and_its_times_in_order() -> None:
    errors = {"ThrottleCount": 2, "OtherCount": 3, "TotalCount": 5}
    times = [
        {"Value": 0.2, "Count": 3},
        {"Value": 0.1, "Count": 6},
        {"Value": 0.2, "Count": 1},
        {"Value": 9, "Count": 0},
    ]
    reported = edge(1, ok=4, faults=1, ResponseTimeHistogram=times)
    reported["SummaryStatistics"]["ErrorStatistics"] = errors
    (parsed,) = parse_edges([service(0, "a", FN, reported), service(1, "b")])
    assert (parsed.ok, parsed.errors, parsed.throttles, parsed.faults, parsed.calls) == (4, 3, 2, 1, 10)
    assert parsed.times == ((0.1, 6), (0.2, 4))
    assert parsed.time_s == 1.5


def test_edges_without_names_or_calls_are_left_out() -> None:
    broken = [
        service(0, "a", FN, edge(9, ok=1), edge(1), edge(2, ok=1)),
        service(1, "b"),
        service(2, ""),
        {"ReferenceId": 3},
        service(4, "c", FN, {"ReferenceId": 1, "SummaryStatistics": {"OkCount": "many"}}),
    ]
    assert parse_edges(broken) == ()


def test_edges_between_the_same_two_services_are_added_up() -> None:
    twice = [service(0, "a", FN, edge(2, ok=1)), service(1, "a", FN, edge(2, ok=2)), service(2, "b")]
    (parsed,) = parse_edges(twice)
    assert (parsed.ok, parsed.time_s) == (3, 3.0)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 7), st.integers(0, 9), st.integers(0, 9)), max_size=20))
def test_no_call_is_lost_or_made_up(calls: list[tuple[int, int, int, int]]) -> None:
    services = [
        service(n, f"s{n}", FN, *(edge(to, ok=ok, faults=bad) for at, to, ok, bad in calls if at == n))
        for n in range(6)
    ]
    reported = sum(ok + bad for _, to, ok, bad in calls if to < 6)
    assert sum(each.calls for each in parse_edges(services)) == reported
