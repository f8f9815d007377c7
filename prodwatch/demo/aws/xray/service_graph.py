"""The service graph of traces: nodes and edges with their statistics.

Tallies can be merged, so that a past minute is counted only once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from prodwatch.demo.aws.xray.segment_document import (
    Segment,
    ServiceId,
    called_service,
    end_s,
    flag,
    service_id,
    start_s,
    walk,
)
from prodwatch.demo.aws.xray.trace import Trace
from prodwatch.demo.workload import TracedCall

CLIENT = "client"
Edge = tuple[ServiceId, ServiceId]


@dataclass(slots=True)
class _Counts:
    """Counts over the segments of a node or the calls of an edge."""

    ok: int = 0
    throttles: int = 0
    errors: int = 0
    faults: int = 0
    time_s: float = 0.0
    start_s: float = float("inf")
    end_s: float = 0.0
    histogram: dict[float, int] = field(default_factory=dict)

    def add(self, entity: Segment) -> None:
        ended_s = end_s(entity)
        name = next((key for key in ("fault", "throttle") if entity.get(key)), "")
        self.count(start_s(entity), ended_s, name or ("error" if flag(entity, "error") else ""))

    def count(self, began_s: float, ended_s: float | None, name: str) -> None:
        taken_s = ended_s - began_s if ended_s is not None and ended_s > began_s else 0.0
        self.time_s += taken_s
        bucket = round(taken_s, 3)
        self.histogram[bucket] = self.histogram.get(bucket, 0) + 1
        self.start_s = min(self.start_s, began_s)
        self.end_s = max(self.end_s, ended_s or began_s)
        if name == "fault":
            self.faults += 1
        elif name == "throttle":
            self.throttles += 1
        elif name == "error":
            self.errors += 1
        else:
            self.ok += 1

    def merge(self, other: _Counts) -> None:
        self.ok += other.ok
        self.throttles += other.throttles
        self.errors += other.errors
        self.faults += other.faults
        self.time_s += other.time_s
        self.start_s = min(self.start_s, other.start_s)
        self.end_s = max(self.end_s, other.end_s)
        for bucket, count in other.histogram.items():
            self.histogram[bucket] = self.histogram.get(bucket, 0) + count

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


class Tally:
    """Counts of a service graph over any number of traces."""

    def __init__(self) -> None:
        self._nodes: dict[ServiceId, _Counts] = {}
        self._edges: dict[Edge, _Counts] = {}
        self._roots: set[ServiceId] = set()

    def add(self, trace: Trace) -> None:
        """Count one trace."""
        for segment in trace.segments:
            service = service_id(segment)
            self._node(service).add(segment)
            for entity in walk(segment):
                downstream = trace.downstream.get(str(entity.get("id")), ())
                for called in downstream:
                    self._edge(service, service_id(called)).add(called)
                if downstream or entity is segment:
                    continue
                target = called_service(entity)
                if target is not None:
                    self._node(target).add(entity)
                    self._edge(service, target).add(entity)
        root = trace.root
        if root is not None:
            entry = service_id(root)
            self._roots.add(entry)
            self._edge(ServiceId(entry.name, CLIENT), entry).add(root)

    def count(self, call: TracedCall) -> None:
        """Count one call that has no documents."""
        caller, called = ServiceId(*call.caller), ServiceId(*call.called)
        self._node(called).count(call.start_s, call.end_s, call.flag)
        self._edge(caller, called).count(call.start_s, call.end_s, call.flag)
        if caller.type == CLIENT:
            self._roots.add(called)

    def merge(self, other: Tally) -> None:
        """Add the counts of another tally."""
        for service, counts in other._nodes.items():
            self._node(service).merge(counts)
        for (caller, called), counts in other._edges.items():
            self._edge(caller, called).merge(counts)
        self._roots |= other._roots

    def services(self, account: str) -> list[dict[str, Any]]:
        """Return the API's list of services; the clients of each entry are a separate node with the entry's name."""
        edges: dict[ServiceId, dict[ServiceId, _Counts]] = {}
        for (caller, called), counts in self._edges.items():
            if caller != called:
                edges.setdefault(caller, {})[called] = counts
        services = sorted({*self._nodes, *edges})
        numbers = {service: index for index, service in enumerate(services)}
        return [self._service(service, edges.get(service, {}), numbers, account) for service in services]

    def _service(
        self, service: ServiceId, edges: dict[ServiceId, _Counts], numbers: dict[ServiceId, int], account: str
    ) -> dict[str, Any]:
        client = service.type == CLIENT
        counts = list(edges.values()) if client else [self._nodes[service]]
        document: dict[str, Any] = {
            "ReferenceId": numbers[service],
            "Name": service.name,
            "Names": [service.name],
            "Type": service.type,
            "State": "unknown" if client else "active",
            "StartTime": min(count.start_s for count in counts),
            "EndTime": max(count.end_s for count in counts),
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
        if client:
            return document
        own = self._nodes[service]
        if service in self._roots:
            document["Root"] = True
        return document | {
            "AccountId": account,
            "SummaryStatistics": own.statistics(),
            "DurationHistogram": own.times(),
            "ResponseTimeHistogram": own.times(),
        }

    def _node(self, service: ServiceId) -> _Counts:
        counts = self._nodes.get(service)
        if counts is None:
            counts = self._nodes[service] = _Counts()
        return counts

    def _edge(self, caller: ServiceId, called: ServiceId) -> _Counts:
        counts = self._edges.get((caller, called))
        if counts is None:
            counts = self._edges[caller, called] = _Counts()
        return counts


def tally_of(traces: Iterable[Trace]) -> Tally:
    """Return the counts of traces."""
    tally = Tally()
    for trace in traces:
        tally.add(trace)
    return tally


def tally_of_calls(calls: Iterable[TracedCall]) -> Tally:
    """Return the counts of traced calls."""
    tally = Tally()
    for call in calls:
        tally.count(call)
    return tally
