"""Formats X-Ray's root causes as one line each: the failure and its place, or the node that took most time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

WHOLE_COVERAGE = 0.99
"""Coverage of a path's first node from which all its nodes count as including those below."""


def failure_line(causes: Iterable[Mapping[str, Any]]) -> str | None:
    """Return `service → node: exception` for the first of FaultRootCauses or ErrorRootCauses with an exception.

    Without an exception it is the end of the first path: `service → node`. None without a path.
    """
    fallback: str | None = None
    for cause in causes:
        path = list(_path(cause))
        for service, entity in reversed(path):
            for thrown in entity.get("Exceptions") or ():
                exception = ": ".join(str(part) for part in (thrown.get("Name"), thrown.get("Message")) if part)
                name = _path_name(service, entity)
                return f"{name}: {exception}" if exception else name
        if path and fallback is None:
            fallback = _path_name(*path[-1])
    return fallback


def slowest_node(causes: Iterable[Mapping[str, Any]], taken_s: float) -> str | None:
    """Return `DynamoDB 1.7 s`: the node of ResponseTimeRootCauses with most time of its own; None without one.

    `taken_s` is the response time in seconds.
    """
    best: tuple[float, str] | None = None
    for cause in causes:
        path = list(_path(cause))
        for (service, entity), share in zip(path, _own_shares(path), strict=True):
            if share > 0 and (best is None or share > best[0]):
                best = (share, _display_name(service, entity))
    return None if best is None else f"{best[1]} {_seconds(best[0] * taken_s)}"


def _path(cause: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Yield (service, entity) from the entry to the cause."""
    for service in cause.get("Services") or ():
        for entity in service.get("EntityPath") or ():
            yield service, entity


def _own_shares(path: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> list[float]:
    """Return each node's own share of the time, 0 to 1.

    `Coverage` is not documented. In a path whose first node covers everything, each node's coverage includes those
    below it; its own share is the part that the next one does not cover. Otherwise the shares are used as they are.
    """
    covered = [_share(entity.get("Coverage")) for _, entity in path]
    if len(covered) < 2 or covered[0] < WHOLE_COVERAGE:
        return covered
    return [max(0.0, here - below) for here, below in zip(covered, [*covered[1:], 0.0], strict=True)]


def _share(value: Any) -> float:
    valid = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return min(1.0, max(0.0, float(value))) if valid else 0.0


def _path_name(service: Mapping[str, Any], entity: Mapping[str, Any]) -> str:
    names = dict.fromkeys((service.get("Name"), entity.get("Name")))
    return " → ".join(str(name) for name in names if name)


def _display_name(service: Mapping[str, Any], entity: Mapping[str, Any]) -> str:
    """Return a name for display: a called service alone, local work with its service."""
    if entity.get("Remote"):
        return str(entity.get("Name") or service.get("Name") or "")
    return _path_name(service, entity)


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 0.95 else f"{seconds * 1000:.0f} ms"
