"""X-Ray's root causes as one line each: what failed and where, and which node took the time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

WHOLE = 0.99
"""A path that begins with this much of the time tells of each node together with what is below it."""


def failure(causes: Iterable[Mapping[str, Any]]) -> str | None:
    """Return `service → node: exception` of the first of FaultRootCauses or ErrorRootCauses that says something.

    Without an exception it is the end of the path: `service → node`.
    """
    without: str | None = None
    for cause in causes:
        path = list(_path(cause))
        for service, entity in reversed(path):
            for thrown in entity.get("Exceptions") or ():
                what = ": ".join(str(part) for part in (thrown.get("Name"), thrown.get("Message")) if part)
                where = _where(service, entity)
                return f"{where}: {what}" if what else where
        if path and without is None:
            without = _where(*path[-1])
    return without


def slowest(causes: Iterable[Mapping[str, Any]], taken_s: float) -> str | None:
    """Return `DynamoDB 1.7 s`: the node of ResponseTimeRootCauses with most time of its own, of `taken_s` in all."""
    most: tuple[float, str] | None = None
    for cause in causes:
        path = list(_path(cause))
        for (service, entity), share in zip(path, _own_shares(path), strict=True):
            if share > 0 and (most is None or share > most[0]):
                most = (share, _who(service, entity))
    return None if most is None else f"{most[1]} {_seconds(most[0] * taken_s)}"


def _path(cause: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Yield (service, entity) from the entry down to the cause."""
    for service in cause.get("Services") or ():
        for entity in service.get("EntityPath") or ():
            yield service, entity


def _own_shares(path: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> list[float]:
    """Return each node's own part of the time, 0 to 1.

    `Coverage` is not documented. A path whose first node covers everything counts each node with all below it: its
    own part is what the next one does not cover. Otherwise the shares are taken as they are.
    """
    covered = [_share(entity.get("Coverage")) for _, entity in path]
    if len(covered) < 2 or covered[0] < WHOLE:
        return covered
    return [max(0.0, here - below) for here, below in zip(covered, [*covered[1:], 0.0], strict=True)]


def _share(value: Any) -> float:
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return min(1.0, max(0.0, float(value))) if known else 0.0


def _where(service: Mapping[str, Any], entity: Mapping[str, Any]) -> str:
    names = dict.fromkeys((service.get("Name"), entity.get("Name")))
    return " → ".join(str(name) for name in names if name)


def _who(service: Mapping[str, Any], entity: Mapping[str, Any]) -> str:
    """Return a name that means something by itself: a called service alone, local work with the service it is in."""
    if entity.get("Remote"):
        return str(entity.get("Name") or service.get("Name") or "")
    return _where(service, entity)


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 0.95 else f"{seconds * 1000:.0f} ms"
