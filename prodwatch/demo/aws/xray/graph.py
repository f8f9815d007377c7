"""The service graph of some traces: nodes with their statistics, edges with who called whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from prodwatch.demo.aws.xray.document import Segment, ServiceId, duration_s, end_s, flag, service_id, start_s
from prodwatch.demo.aws.xray.trace import Trace

CLIENT = ServiceId("clients", "client")


@dataclass(slots=True)
class _Tally:
    """Counts over the segments of a node or the calls of an edge."""

    ok: int = 0
    throttles: int = 0
    errors: int = 0
    faults: int = 0
    time_s: float = 0.0
    start_s: float = float("inf")
    end_s: float = 0.0
    histogram: Counter[float] = field(default_factory=Counter)

    def add(self, entity: Segment) -> None:
        taken_s = duration_s(entity)
        self.time_s += taken_s
        self.histogram[round(taken_s, 3)] += 1
        self.start_s = min(self.start_s, start_s(entity))
        self.end_s = max(self.end_s, end_s(entity) or start_s(entity))
        if flag(entity, "fault"):
            self.faults += 1
        elif flag(entity, "throttle"):
            self.throttles += 1
        elif flag(entity, "error"):
            self.errors += 1
        else:
            self.ok += 1

    def statistics(self) -> dict[str, Any]:
        return {
            "OkCount": self.ok,
            "ErrorStatistics": {
                "ThrottleCount": self.throttles,
                "OtherCount": self.errors,
                "TotalCount": self.throttles + self.errors,
            },
            "FaultStatistics": {"OtherCount": self.faults, "TotalCount": self.faults},
            "TotalCount": self.ok + self.throttles + self.errors + self.faults,
            "TotalResponseTime": round(self.time_s, 6),
        }

    def times(self) -> list[dict[str, Any]]:
        return [{"Value": value, "Count": count} for value, count in sorted(self.histogram.items())]


def service_graph(traces: Iterable[Trace], account: str) -> list[dict[str, Any]]:
    """Return the API's list of services; the clients that called from outside are a node of their own."""
    nodes: dict[ServiceId, _Tally] = {}
    edges: dict[ServiceId, dict[ServiceId, _Tally]] = {}
    roots: set[ServiceId] = set()
    for trace in traces:
        for service, segment in trace.services():
            nodes.setdefault(service, _Tally()).add(segment)
        for caller, _, called in trace.calls():
            if service_id(caller) != service_id(called):
                edges.setdefault(service_id(caller), {}).setdefault(service_id(called), _Tally()).add(called)
        if trace.root is not None:
            entry = service_id(trace.root)
            roots.add(entry)
            edges.setdefault(CLIENT, {}).setdefault(entry, _Tally()).add(trace.root)
    if roots:
        nodes[CLIENT] = _Tally(
            start_s=min(nodes[one].start_s for one in roots), end_s=max(nodes[one].end_s for one in roots)
        )
    numbers = {service: index for index, service in enumerate(sorted(nodes))}
    return [
        _node(service, nodes[service], edges.get(service, {}), numbers, roots, account) for service in sorted(nodes)
    ]


def _node(
    service: ServiceId,
    tally: _Tally,
    edges: dict[ServiceId, _Tally],
    numbers: dict[ServiceId, int],
    roots: set[ServiceId],
    account: str,
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "ReferenceId": numbers[service],
        "Name": service.name,
        "Names": [service.name],
        "Type": service.type,
        "State": "active",
        "StartTime": tally.start_s,
        "EndTime": tally.end_s,
        "Edges": [
            {
                "ReferenceId": numbers[target],
                "StartTime": edge.start_s,
                "EndTime": edge.end_s,
                "SummaryStatistics": edge.statistics(),
                "ResponseTimeHistogram": edge.times(),
                "Aliases": [],
            }
            for target, edge in sorted(edges.items())
        ],
    }
    if service == CLIENT:
        return document
    if service in roots:
        document["Root"] = True
    return document | {
        "AccountId": account,
        "SummaryStatistics": tally.statistics(),
        "DurationHistogram": tally.times(),
        "ResponseTimeHistogram": tally.times(),
    }
