"""The list of edges: what is worst stands first, before and now are told apart, and nothing is claimed of few calls."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.model.signal import Batch, ServiceEdge, ServiceGraph, ServiceNode
from prodwatch.store import Store
from prodwatch.testing.clock import FakeClock
from prodwatch.views.service_map import ServiceMap, kind_word, node_text, quantile_s, service_map

OUTSIDE = ServiceNode("clients", "client")
API = ServiceNode("api", "AWS::ApiGateway::Stage")
ORDERS = ServiceNode("orders", "AWS::Lambda::Function")
TABLE = ServiceNode("items", "AWS::DynamoDB::Table")
RELEASED_MS = 1_800_000


def edge(
    caller: ServiceNode, callee: ServiceNode, ok: int = 100, *, took_s: float = 0.1, faults: int = 0, **more: Any
) -> ServiceEdge:
    calls = ok + faults + more.get("errors", 0) + more.get("throttles", 0)
    times = more.pop("times", ((took_s, calls),) if calls else ())
    return ServiceEdge(caller=caller, callee=callee, ok=ok, faults=faults, time_s=calls * took_s, times=times, **more)


def graph(part: Literal["before", "now"], *edges: ServiceEdge, released_ms: int | None = RELEASED_MS) -> ServiceGraph:
    start, end = (0, RELEASED_MS) if part == "before" else (RELEASED_MS, RELEASED_MS + 600_000)
    return ServiceGraph(part=part, start_ms=start, end_ms=end, released_ms=released_ms, edges=edges)


def shown(*graphs: ServiceGraph, needle: str = "") -> ServiceMap:
    store = Store(FakeClock())
    store.apply(Batch(source="service-map", records=graphs))
    told = service_map(store, needle=needle)
    assert told is not None
    return told


def test_before_x_ray_has_answered_there_is_no_map() -> None:
    assert service_map(Store(FakeClock())) is None


def test_rates_shares_and_p95_before_and_now() -> None:
    was = edge(API, ORDERS, 1800, took_s=0.2)
    now = edge(API, ORDERS, 540, took_s=0.2, faults=60)
    (row,) = shown(graph("before", was), graph("now", now)).rows
    assert row.before is not None
    assert row.now is not None
    assert (row.before.rate_per_s, row.before.fault_share, row.before.p95_s) == (1.0, 0.0, 0.2)
    assert (row.now.rate_per_s, row.now.fault_share, row.now.p95_s) == (1.0, 0.1, 0.2)
    assert (row.state, row.kind) == ("fault", "function")


@pytest.mark.parametrize(
    ("was", "now", "state", "why"),
    [
        (edge(API, ORDERS), edge(API, ORDERS), "ok", ""),
        (edge(API, ORDERS), edge(API, ORDERS, 98, faults=2), "fault", "faults"),
        (edge(API, ORDERS, 95, faults=5), edge(API, ORDERS, 95, faults=5), "fault", "also faulty before"),
        (edge(API, ORDERS), edge(API, ORDERS, 1000, faults=1), "ok", ""),
        (edge(API, ORDERS, 999, faults=1), edge(API, ORDERS, 995, faults=5), "fault", "more faults"),
        (edge(API, ORDERS, 997, faults=3), edge(API, ORDERS, 995, faults=5), "ok", ""),
        (edge(API, ORDERS, 0), edge(API, ORDERS, 1, faults=1), "fault", "faults"),
        (edge(API, ORDERS), edge(API, ORDERS, 0, errors=2), "ok", ""),
        (edge(API, ORDERS), edge(API, ORDERS, 90, errors=10), "error", "errors"),
        (edge(API, ORDERS), edge(API, ORDERS, 90, throttles=10), "error", "throttled"),
        (edge(API, ORDERS, 90, errors=10), edge(API, ORDERS, 90, errors=10), "ok", ""),
        (edge(API, ORDERS), edge(API, ORDERS, took_s=0.16), "slow", "slower"),
        (edge(API, ORDERS, took_s=0.001), edge(API, ORDERS, took_s=0.004), "ok", ""),
        (edge(API, ORDERS), edge(API, ORDERS, 19, took_s=3), "ok", ""),
        (edge(API, ORDERS, 19), edge(API, ORDERS, took_s=0.9), "ok", ""),
        (edge(API, ORDERS, 19), edge(API, ORDERS, took_s=1.1), "slow", "slow"),
        (edge(API, TABLE), edge(API, ORDERS), "new", "not called before"),
        (edge(API, TABLE), edge(API, ORDERS, 19), "ok", "new, few calls"),
        (edge(API, ORDERS, 1000), edge(API, TABLE), "gone", "called before, not since"),
        (edge(API, ORDERS), edge(API, ORDERS, times=()), "ok", ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "edge",
)
def test_every_state_has_its_reason(was: ServiceEdge, now: ServiceEdge, state: str, why: str) -> None:
    rows = {row.callee: row for row in shown(graph("before", was), graph("now", now)).rows}
    row = rows[ORDERS]
    assert (row.state, row.why) == (state, why)


def test_a_silent_edge_is_gone_only_after_a_while_and_only_if_it_was_busy() -> None:
    calm = shown(graph("before", edge(API, TABLE, 30)), graph("now", edge(API, ORDERS)))
    assert [row.callee for row in calm.rows] == [ORDERS]


@pytest.mark.parametrize(
    "before",
    [(), (graph("before", edge(API, ORDERS), released_ms=7),)],
    ids=["not read yet", "of another release"],
)
def test_when_before_is_not_known_nothing_is_new_or_worse_than_before(before: tuple[ServiceGraph, ...]) -> None:
    told = shown(*before, graph("now", edge(API, ORDERS, 9_995, took_s=0.9, faults=5)))
    assert told.before_s is None
    assert [(row.state, row.before) for row in told.rows] == [("ok", None)]
    assert told.added is None


def test_an_empty_before_makes_nothing_new() -> None:
    told = shown(graph("before"), graph("now", edge(API, ORDERS)))
    assert (told.before_s, told.rows[0].state) == (1800.0, "ok")


def test_worst_first_and_then_by_how_much_worse() -> None:
    others = [ServiceNode(name, "remote") for name in "abcd"]
    was = [edge(API, node) for node in others[:3]]
    now = [edge(API, others[0]), edge(API, others[1], 95, faults=5), edge(API, others[2], took_s=0.5)]
    now += [edge(API, others[3]), edge(ORDERS, TABLE, 50, faults=50)]
    told = shown(graph("before", *was), graph("now", *now))
    assert [(row.callee.name, row.state) for row in told.rows] == [
        ("items", "fault"),
        ("b", "fault"),
        ("c", "slow"),
        ("d", "new"),
        ("a", "ok"),
    ]


def test_the_bottleneck_is_where_time_is_spent_and_not_passed_on() -> None:
    was = [edge(OUTSIDE, API, took_s=0.2), edge(API, ORDERS, took_s=0.19), edge(ORDERS, TABLE, took_s=0.01)]
    now = [edge(OUTSIDE, API, took_s=1.0), edge(API, ORDERS, took_s=0.95), edge(ORDERS, TABLE, took_s=0.75)]
    told = shown(graph("before", *was), graph("now", *now))
    assert told.bottleneck == "items (table): 75 % of the time, 5 % before"
    assert told.added == "items (table): 740 ms more per request than before"


def test_nobody_waits_for_an_asynchronous_call() -> None:
    told = shown(graph("now", edge(OUTSIDE, API, took_s=0.1), edge(API, ORDERS, took_s=9.0, times=())))
    assert told.bottleneck == "api (API): 100 % of the time"


def test_faults_begin_where_no_call_of_its_own_failed() -> None:
    now = [
        edge(OUTSIDE, API, 90, faults=10),
        edge(API, ORDERS, 90, faults=10),
        edge(ORDERS, TABLE, 99, faults=1),
    ]
    assert shown(graph("now", *now)).origin == "orders (function): 9 failed calls"
    assert shown(graph("now", edge(OUTSIDE, API))).origin is None


@pytest.mark.parametrize(
    ("needle", "callees"),
    [("", {"api", "orders"}), ("api !clients", {"orders"}), ("FUNCTION", {"orders"}), ("none", set())],
)
def test_words_filter_and_leave_out(needle: str, callees: set[str]) -> None:
    told = shown(graph("now", edge(OUTSIDE, API), edge(API, ORDERS)), needle=needle)
    assert {row.callee.name for row in told.rows} == callees


@pytest.mark.parametrize(
    ("kind", "word"),
    [("AWS::Lambda", "Lambda"), ("AWS::EC2::Instance", "instance"), ("remote", "remote"), ("", "service")],
)
def test_kinds_are_short_words(kind: str, word: str) -> None:
    assert kind_word(kind) == word
    assert node_text(OUTSIDE) == "clients"


@given(
    st.dictionaries(st.floats(0, 100), st.integers(1, 50), min_size=1, max_size=30).map(
        lambda each: sorted(each.items())
    ),
    st.floats(0.01, 1.0),
)
def test_a_quantile_leaves_at_least_its_share_below_and_less_without_it(
    times: list[tuple[float, int]], share: float
) -> None:
    value = quantile_s(times, share)
    assert value is not None
    total = sum(count for _, count in times)
    assert sum(count for each, count in times if each <= value) >= share * total
    assert sum(count for each, count in times if each < value) < share * total


def test_no_times_have_no_quantile() -> None:
    assert quantile_s((), 0.95) is None
