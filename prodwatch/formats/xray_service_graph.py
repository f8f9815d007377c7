"""Converts X-Ray's service graph into edges; incomplete edges are left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from prodwatch.model.identity import Place
from prodwatch.model.signal import ServiceEdge, ServiceNode

CLIENT = "client"
OUTSIDE = ServiceNode("clients", CLIENT)
"""The callers from outside: X-Ray has one such node per entry, named after the entry."""


def in_place_of(node: ServiceNode, place: Place) -> ServiceNode:
    """Return a node as one of an account and region; clients are outside of all."""
    return node if node.kind == CLIENT else replace(node, place=place)


def node_of(service: Mapping[str, Any]) -> ServiceNode:
    """Convert an element of `Services` or `ServiceIds` into a node."""
    kind = str(service.get("Type") or "")
    return OUTSIDE if kind == CLIENT else ServiceNode(str(service.get("Name") or ""), kind)


def parse_edges(services: Iterable[Mapping[str, Any]]) -> tuple[ServiceEdge, ...]:
    """Return the edges of all pages of GetServiceGraph, in X-Ray's order.

    References are valid across pages. Edges between the same two nodes are added up; edges to a node that no page
    contains, and edges without a finished call, are left out.
    """
    services = list(services)
    nodes = {service.get("ReferenceId"): node_of(service) for service in services}
    edges: dict[tuple[ServiceNode, ServiceNode], ServiceEdge] = {}
    for service in services:
        caller = node_of(service)
        for edge in service.get("Edges") or ():
            callee = nodes.get(edge.get("ReferenceId"))
            if callee is None or not caller.name or not callee.name:
                continue
            parsed = _edge(caller, callee, edge)
            previous = edges.get((caller, callee))
            if parsed.calls:
                edges[caller, callee] = parsed if previous is None else _sum(previous, parsed)
    return tuple(edges.values())


def sum_of(edges: Iterable[ServiceEdge]) -> tuple[ServiceEdge, ...]:
    """Return one edge per caller and callee."""
    added: dict[tuple[ServiceNode, ServiceNode], ServiceEdge] = {}
    for edge in edges:
        previous = added.get((edge.caller, edge.callee))
        added[edge.caller, edge.callee] = edge if previous is None else _sum(previous, edge)
    return tuple(added.values())


def without(edges: Iterable[ServiceEdge], part: Iterable[ServiceEdge]) -> tuple[ServiceEdge, ...] | None:
    """Return the edges without the calls of `part`; None when `part` has a call that they do not have."""
    left = {(edge.caller, edge.callee): edge for edge in edges}
    for own in part:
        whole = left.get((own.caller, own.callee))
        rest = None if whole is None else _difference(whole, own)
        if rest is None:
            return None
        left[own.caller, own.callee] = rest
    return tuple(edge for edge in left.values() if edge.calls)


def _difference(whole: ServiceEdge, part: ServiceEdge) -> ServiceEdge | None:
    counts = {name: getattr(whole, name) - getattr(part, name) for name in ("ok", "errors", "throttles", "faults")}
    times = dict(whole.times)
    for value_s, count in part.times:
        # X-Ray's buckets need not be those of a few traces: each call leaves the nearest one that has calls.
        for _ in range(count):
            nearest_s = min(
                (each for each, calls in times.items() if calls), key=lambda each: abs(each - value_s), default=None
            )
            if nearest_s is None:
                return None
            times[nearest_s] -= 1
    if min(counts.values()) < 0:
        return None
    return ServiceEdge(
        caller=whole.caller,
        callee=whole.callee,
        **counts,
        time_s=max(0.0, whole.time_s - part.time_s),
        times=_times(times.items()),
    )


def _edge(caller: ServiceNode, callee: ServiceNode, edge: Mapping[str, Any]) -> ServiceEdge:
    counts = edge.get("SummaryStatistics") or {}
    errors, faults = counts.get("ErrorStatistics") or {}, counts.get("FaultStatistics") or {}
    return ServiceEdge(
        caller=caller,
        callee=callee,
        ok=_count(counts.get("OkCount")),
        errors=_count(errors.get("OtherCount")),
        throttles=_count(errors.get("ThrottleCount")),
        faults=_count(faults.get("TotalCount")),
        time_s=float(counts.get("TotalResponseTime") or 0.0),
        times=_times(
            (float(entry.get("Value") or 0.0), _count(entry.get("Count")))
            for entry in edge.get("ResponseTimeHistogram") or ()
        ),
    )


def _times(entries: Iterable[tuple[float, int]]) -> tuple[tuple[float, int], ...]:
    """Return one entry per value, shortest first."""
    counts: dict[float, int] = {}
    for value_s, count in entries:
        if count > 0 and value_s >= 0:
            counts[value_s] = counts.get(value_s, 0) + count
    return tuple(sorted(counts.items()))


def _sum(one: ServiceEdge, other: ServiceEdge) -> ServiceEdge:
    return ServiceEdge(
        caller=one.caller,
        callee=one.callee,
        ok=one.ok + other.ok,
        errors=one.errors + other.errors,
        throttles=one.throttles + other.throttles,
        faults=one.faults + other.faults,
        time_s=one.time_s + other.time_s,
        times=_times((*one.times, *other.times)),
    )


def _count(value: Any) -> int:
    return max(0, int(value)) if isinstance(value, int | float) else 0
