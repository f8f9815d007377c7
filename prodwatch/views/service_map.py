"""Service map as a list of edges, worst first: rate, faults, errors and p95 before the release and now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec
from msgspec.structs import replace

from prodwatch.formats.xray_service_graph import CLIENT
from prodwatch.model.identity import PlaceNames
from prodwatch.model.signal import ServiceEdge, ServiceGraph, ServiceNode
from prodwatch.store.store import Store

FAULTY_SHARE = 0.01
"""Share of faults from which an edge is called faulty."""
FAULTS_MORE = 3.0
"""Additional faults from which an edge is called faulty, if their share of the calls has also doubled."""
ERROR_SHARE = 0.05
"""Share of 4xx errors from which an edge is marked; a few client errors are normal."""
ERRORS_LEAST = 3
"""Fewest 4xx errors for an edge to be marked."""
TIMES_BEFORE = 1.5
"""Ratio to the previous p95 from which an edge is called slower."""
SLOWER_BY_S = 0.05
"""Least difference to the previous p95 for an edge to be called slower."""
SLOW_S = 1.0
"""p95 from which an edge without a previous p95 is called slow."""
ADDED_S = 0.01
"""Additional own time per request from which a node is named as slower."""
MIN_CALLS = 20
"""Calls below which a p95 is not judged: it is little more than the longest call."""
GONE_AFTER_S = 180.0
"""Time without calls after which an edge is called gone."""

NAME_CHARS = 80
"""Longest node name in a sentence."""

EdgeState = Literal["fault", "error", "slow", "gone", "new", "ok"]
_ORDER: tuple[EdgeState, ...] = ("fault", "error", "slow", "gone", "new", "ok")
_KINDS = {
    "AWS::Lambda::Function": "function",
    "AWS::Lambda": "Lambda",
    "AWS::ApiGateway::Stage": "API",
    "AWS::DynamoDB::Table": "table",
    "AWS::SQS::Queue": "queue",
    "AWS::S3::Bucket": "bucket",
    "AWS::SNS::Topic": "topic",
    "AWS::StepFunctions::StateMachine": "workflow",
    "Database::SQL": "SQL",
    "remote": "remote",
    CLIENT: "clients",
}


class EdgeFigures(msgspec.Struct, frozen=True, kw_only=True):
    """An edge in one window."""

    calls: int
    rate_per_s: float
    fault_share: float
    error_share: float
    """4xx, throttles included."""
    mean_s: float
    p50_s: float | None
    p95_s: float | None
    """Approximate: the upper bound of its X-Ray bucket. None for asynchronous calls."""
    p99_s: float | None
    edge: ServiceEdge


class EdgeRow(msgspec.Struct, frozen=True, kw_only=True):
    """One edge as the list shows it."""

    key: str
    caller: ServiceNode
    callee: ServiceNode
    kind: str
    """The callee's type in one short word."""
    now: EdgeFigures | None
    """None: no call was traced in the window."""
    before: EdgeFigures | None
    """None: not called before, or not known (then `ServiceMap.before_s` is None)."""
    state: EdgeState
    why: str
    """The reason for the state in a few words, or empty."""


class ServiceMap(msgspec.Struct, frozen=True, kw_only=True):
    """The list of edges, the length of both windows, the bottleneck and the origin of faults."""

    rows: tuple[EdgeRow, ...]
    now_s: float
    """Length of the window that ends now."""
    before_s: float | None
    """Length of the window that ends at the release; None when there is no earlier graph."""
    released_ms: int | None
    bottleneck: str | None
    """The edge that takes most of the time, in words."""
    added: str | None
    """The edge that added most time since the release, in words; None when unknown or too little."""
    origin: str | None
    """The service in which the faults begin, in words; None without faults."""
    own: int = 0
    """Traced requests of prodwatch's own that the edges of the window that ends now include."""
    own_taken_out: int = 0
    """Those that they leave out."""


def service_map(store: Store, *, needle: str = "") -> ServiceMap | None:
    """Return the edges that match `needle`; None before X-Ray's first response."""
    now = _joined(store, "now")
    if now is None:
        return None
    before = _joined(store, "before")
    if before is not None and before.released_ms != now.released_ms:
        before = None  # of another release
    old = {_key(edge): edge for edge in before.edges} if before else {}
    new = {_key(edge): edge for edge in now.edges}
    rows = [_row(key, new.get(key), old.get(key), now, before) for key in dict.fromkeys((*new, *old))]
    rows = [row for row in rows if row.now or row.state == "gone"]
    shown = [row for row in rows if _matches(row, needle)]
    return ServiceMap(
        rows=tuple(sorted(shown, key=_sort_key)),
        now_s=_length_s(now),
        before_s=None if before is None else _length_s(before),
        released_ms=now.released_ms,
        bottleneck=_bottleneck(now, before),
        added=_added(now, before),
        origin=_origin(now.edges),
        own=sum(
            max(now.start_ms, now.without_own_until_ms) <= summary.start_ms <= now.end_ms
            for summary in store.traces.summaries.values()
            if summary.id in store.own
        ),
        own_taken_out=now.own_taken_out,
    )


def _joined(store: Store, part: str) -> ServiceGraph | None:
    """Return the graph of all accounts and regions, None before the first.

    A node whose name exists in several has its account and region in its name.
    """
    graphs = [graph for (name, _), graph in store.graphs.items() if name == part]
    if len(graphs) < 2:
        return graphs[0] if graphs else None
    nodes = {node for graph in store.graphs.values() for edge in graph.edges for node in (edge.caller, edge.callee)}
    names = PlaceNames((f"{node.kind}\0{node.name}", node.place) for node in nodes)

    def named(node: ServiceNode) -> ServiceNode:
        suffix = names.suffix(f"{node.kind}\0{node.name}", node.place)
        return replace(node, name=node.name + suffix) if suffix else node

    edges = [
        replace(edge, caller=named(edge.caller), callee=named(edge.callee)) for graph in graphs for edge in graph.edges
    ]
    oldest = min(graphs, key=lambda graph: graph.start_ms)
    return replace(
        oldest,
        end_ms=max(graph.end_ms for graph in graphs),
        edges=tuple(edges),
        own_taken_out=sum(graph.own_taken_out for graph in graphs),
        without_own_until_ms=min(graph.without_own_until_ms for graph in graphs),
    )


def kind_word(kind: str) -> str:
    """Return X-Ray's type in one short word."""
    return _KINDS.get(kind) or kind.rpartition("::")[2].lower() or "service"


def node_text(node: ServiceNode) -> str:
    """Return a node's name and type: `shop-orders (function)`."""
    name = node.name if len(node.name) <= NAME_CHARS else f"{node.name[: NAME_CHARS - 1]}…"
    return name if node.kind == CLIENT else f"{name} ({kind_word(node.kind)})"


def quantile_s(times: Sequence[tuple[float, int]], share: float) -> float | None:
    """Return the value below or at which `share` of the calls lie: the nearest rank of X-Ray's buckets."""
    total = sum(count for _, count in times)
    if not total:
        return None
    reached = 0
    for value_s, count in times:
        reached += count
        if reached >= share * total:
            return value_s
    return times[-1][0]


def figures(edge: ServiceEdge, window_s: float) -> EdgeFigures:
    """Return an edge's counts as rates and shares."""
    calls = edge.calls
    return EdgeFigures(
        calls=calls,
        rate_per_s=calls / window_s if window_s > 0 else 0.0,
        fault_share=edge.faults / calls if calls else 0.0,
        error_share=(edge.errors + edge.throttles) / calls if calls else 0.0,
        mean_s=edge.time_s / calls if calls else 0.0,
        p50_s=quantile_s(edge.times, 0.50),
        p95_s=quantile_s(edge.times, 0.95),
        p99_s=quantile_s(edge.times, 0.99),
        edge=edge,
    )


def _key(edge: ServiceEdge) -> str:
    caller, callee = edge.caller, edge.callee
    return "\0".join((caller.name, caller.kind, str(caller.place), callee.name, callee.kind, str(callee.place)))


def _length_s(graph: ServiceGraph) -> float:
    return (graph.end_ms - graph.start_ms) / 1000


def _row(
    key: str, new: ServiceEdge | None, old: ServiceEdge | None, now: ServiceGraph, before: ServiceGraph | None
) -> EdgeRow:
    edge = new or old
    assert edge is not None
    after = figures(new, _length_s(now)) if new else None
    was = figures(old, _length_s(before)) if old and before else None
    state, why = _judge(after, was, known_before=before is not None and bool(before.edges), now_s=_length_s(now))
    return EdgeRow(
        key=key,
        caller=edge.caller,
        callee=edge.callee,
        kind=kind_word(edge.callee.kind),
        now=after,
        before=was,
        state=state,
        why=why,
    )


def _judge(
    now: EdgeFigures | None, before: EdgeFigures | None, *, known_before: bool, now_s: float
) -> tuple[EdgeState, str]:
    if now is None:
        gone = before is not None and before.rate_per_s * now_s >= MIN_CALLS and now_s >= GONE_AFTER_S
        return ("gone", "called before, not since") if gone else ("ok", "")
    if fault := _faulty(now, before, known_before=known_before):
        return "fault", fault
    errors = now.edge.errors + now.edge.throttles
    more = before is None or now.error_share >= 2 * before.error_share
    if errors >= ERRORS_LEAST and now.error_share >= ERROR_SHARE and more:
        return "error", "throttled" if now.edge.throttles > now.edge.errors else "errors"
    if slow := _slow(now, before):
        return "slow", slow
    if before is None and known_before:
        return ("new", "not called before") if now.calls >= MIN_CALLS else ("ok", "new, few calls")
    return "ok", ""


def _faulty(now: EdgeFigures, before: EdgeFigures | None, *, known_before: bool) -> str:
    """Return the reason for calling an edge faulty; empty when it is not."""
    was = before.fault_share if before else 0.0
    as_before = now.fault_share < 2 * was
    if now.fault_share >= FAULTY_SHARE:
        return "also faulty before" if as_before else "faults"
    more = known_before and not as_before and faults_more(now, before) >= FAULTS_MORE
    return "more faults" if more else ""


def faults_more(now: EdgeFigures, before: EdgeFigures | None) -> float:
    """Return how many more calls failed than at the previous share of faults."""
    return now.edge.faults - (before.fault_share if before else 0.0) * now.calls


def _slow(now: EdgeFigures, before: EdgeFigures | None) -> str:
    """Return the reason for calling an edge slow; empty when it is not, or with too few calls."""
    if now.p95_s is None or now.calls < MIN_CALLS:
        return ""
    if before is None or before.p95_s is None or before.calls < MIN_CALLS:
        return "slow" if now.p95_s >= SLOW_S else ""
    grown = now.p95_s >= TIMES_BEFORE * before.p95_s and now.p95_s - before.p95_s >= SLOWER_BY_S
    return "slower" if grown else ""


def _sort_key(row: EdgeRow) -> tuple[int, float, float, str]:
    now = row.now
    worse = faults_more(now, row.before) if now else 0.0
    return _ORDER.index(row.state), -worse, -(now.edge.time_s if now else 0.0), row.key


def _matches(row: EdgeRow, needle: str) -> bool:
    text = f"{row.caller.name} {row.callee.name} {row.kind} {row.state} {row.why}".casefold()
    terms = needle.casefold().split()
    return all(term[1:] not in text if term[:1] == "!" and term[1:] else term in text for term in terms)


def _bottleneck(now: ServiceGraph, before: ServiceGraph | None) -> str | None:
    """Return the node with the most own time: time in calls to it minus time in its own calls."""
    own = _own_times_s(now.edges)
    total_s = sum(own.values())
    if total_s <= 0:
        return None
    node = max(own, key=lambda candidate: own[candidate])
    text = f"{node_text(node)}: {_percent(own[node] / total_s)} of the time"
    old = _own_times_s(before.edges) if before else {}
    if sum(old.values()) > 0:
        text += f", {_percent(old.get(node, 0.0) / sum(old.values()))} before"
    return text


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def _added(now: ServiceGraph, before: ServiceGraph | None) -> str | None:
    """Return the node whose own time per request from outside grew most."""
    asked, asked_before = _entries(now.edges), _entries(before.edges) if before else 0
    if before is None or asked < MIN_CALLS or asked_before < MIN_CALLS:
        return None
    old = {node: time_s / asked_before for node, time_s in _own_times_s(before.edges).items()}
    grown = {node: time_s / asked - old.get(node, 0.0) for node, time_s in _own_times_s(now.edges).items()}
    node = max(grown, key=lambda candidate: grown[candidate], default=None)
    if node is None or grown[node] < ADDED_S:
        return None
    return f"{node_text(node)}: {grown[node] * 1000:.0f} ms more per request than before"


def _entries(edges: Iterable[ServiceEdge]) -> int:
    return sum(edge.calls for edge in edges if edge.caller.kind == CLIENT)


def _own_times_s(edges: Iterable[ServiceEdge]) -> Mapping[ServiceNode, float]:
    own: dict[ServiceNode, float] = {}
    for edge in edges:
        if not edge.times:
            continue  # asynchronous: no caller waited
        own[edge.callee] = own.get(edge.callee, 0.0) + edge.time_s
        if edge.caller.kind != CLIENT:
            own[edge.caller] = own.get(edge.caller, 0.0) - edge.time_s
    return {node: max(0.0, time_s) for node, time_s in own.items()}


def _origin(edges: Iterable[ServiceEdge]) -> str | None:
    """Return the node where most faults begin: those not explained by faults of its own calls."""
    began: dict[ServiceNode, int] = {}
    for edge in edges:
        began[edge.callee] = began.get(edge.callee, 0) + edge.faults
        if edge.caller.kind != CLIENT:
            began[edge.caller] = began.get(edge.caller, 0) - edge.faults
    node = max(began, key=lambda candidate: began[candidate], default=None)
    if node is None or began[node] <= 0:
        return None
    return f"{node_text(node)}: {began[node]:,} failed {'call' if began[node] == 1 else 'calls'}"
