"""Root causes of a trace: the path from its entry to the entity with the fault, the error or most of the time."""

from __future__ import annotations

from typing import Any

from prodwatch.demo.aws.xray.segment_document import (
    Segment,
    children,
    duration_s,
    exceptions,
    flag,
    service_id,
)
from prodwatch.demo.aws.xray.trace import Trace

_Hop = tuple[Segment, list[Segment]]
"""A segment and the path of entities inside it, itself first."""


def flagged_causes(trace: Trace, name: str, account: str) -> list[dict[str, Any]]:
    """Return the fault (or error) root cause, as a list of at most one, from the root down to the deepest entity."""
    top = next((candidate for candidate in trace.segments if candidate is trace.root and flag(candidate, name)), None)
    start = top or next((candidate for candidate in trace.segments if flag(candidate, name)), None)
    if start is None:
        return []
    hops = _follow_flag(trace, start, name)
    services = [
        {
            **service_id(segment).document(account),
            "EntityPath": [
                {
                    "Name": str(entity.get("name", "")),
                    "Exceptions": [{"Name": kind, "Message": text} for kind, text in exceptions(entity)],
                    "Remote": entity.get("namespace") in {"aws", "remote"},
                }
                for entity in path
            ],
            "Inferred": bool(segment.get("inferred")),
        }
        for segment, path in hops
    ]
    return [{"Services": services, "ClientImpacting": top is not None}]


def _follow_flag(trace: Trace, segment: Segment, name: str) -> list[_Hop]:
    hops: list[_Hop] = []
    inferred = {str(candidate["parent_id"]): candidate for candidate in trace.inferred}
    current: Segment | None = segment
    visited: set[int] = set()
    while current is not None and id(current) not in visited:
        visited.add(id(current))
        path = [current]
        while deeper := next((child for child in children(path[-1]) if flag(child, name)), None):
            path.append(deeper)
        hops.append((current, path))
        key = str(path[-1].get("id"))
        current = next(
            (candidate for candidate in trace.downstream.get(key, ()) if flag(candidate, name)), inferred.get(key)
        )
    return hops


def time_causes(trace: Trace, account: str) -> list[dict[str, Any]]:
    """Return the path of the response time: always the longest child, with its share of the root's time."""
    root = trace.root
    if root is None or not (total := duration_s(root)):
        return []
    services = []
    current: Segment | None = root
    visited: set[int] = set()
    while current is not None and id(current) not in visited:
        visited.add(id(current))
        path = [current]
        while below := children(path[-1]):
            path.append(max(below, key=duration_s))
        services.append(
            {
                **service_id(current).document(account),
                "EntityPath": [
                    {
                        "Name": str(entity.get("name", "")),
                        "Coverage": round(min(1.0, duration_s(entity) / total), 4),
                        "Remote": entity.get("namespace") in {"aws", "remote"},
                    }
                    for entity in path
                ],
                "Inferred": bool(current.get("inferred")),
            }
        )
        called = [candidate for entity in path for candidate in trace.downstream.get(str(entity.get("id")), ())]
        current = max(called, key=duration_s, default=None)
    return [{"Services": services, "ClientImpacting": True}]
