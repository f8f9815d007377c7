"""Rows of the trace table, with the cause of a failure or slowness."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from prodwatch.formats.otel_spans import SPANS_GROUP, trace_of_spans
from prodwatch.formats.xray_service_graph import CLIENT
from prodwatch.model.identity import PlaceNames
from prodwatch.model.signal import LogRecord, ServiceNode, Trace, TraceSummary
from prodwatch.store.store import Store

Edge = tuple[ServiceNode, ServiceNode]
"""Caller and callee."""
TraceSort = Literal["newest", "worst", "slowest"]
SLOW_S = 1.0
"""Duration above which a trace is called slow."""


class TraceRow(msgspec.Struct, frozen=True, kw_only=True):
    """One trace as the table shows it."""

    id: str
    at: datetime | None
    start_ms: int
    method: str
    path: str
    status: int | None
    duration_s: float
    service: str
    where: str
    """Account and region, where traces of one path or service come from several; else empty."""
    version: str | None
    verdict: Literal["fault", "error", "throttle", "slow", "open", "ok"]
    cause: str
    """Cause of a failure, or the slowest node of a slow trace."""
    slowest: str
    """The slowest node, for every trace."""
    own: bool = False
    """It is of a request of prodwatch's own."""


class TraceTable(msgspec.Struct, frozen=True, kw_only=True):
    """Rows in display order, and counts by state."""

    rows: tuple[TraceRow, ...]
    faults: int
    errors: int
    """4xx without throttles."""
    throttles: int
    slow: int
    total: int
    """All traces of others, including those filtered out."""
    own: int = 0
    """Traces of prodwatch's own requests, which no other count includes."""
    shown_of: int
    """Traces that match the filter."""


def trace_table(
    store: Store,
    *,
    sort: TraceSort = "newest",
    needle: str = "",
    limit: int | None = None,
    only_problems: bool = False,
    through: Edge | None = None,
) -> TraceTable:
    """Return the table; `only_problems` keeps failed and slow traces of others, `through` those that pass an edge."""
    summaries = [each for each in store.traces.summaries.values() if through is None or goes_through(each, through)]
    names = PlaceNames((_name(each), each.place) for each in summaries)
    everything = [
        _row(each, own=each.id in store.own, where=names.suffix(_name(each), each.place)) for each in summaries
    ]
    rows = [
        row
        for row in everything
        if _matches(row, needle) and (not only_problems or (row.verdict not in ("ok", "open") and not row.own))
    ]
    ordered = _sorted(rows, sort)
    counts = Counter(row.verdict for row in everything if not row.own)
    return TraceTable(
        rows=tuple(ordered[:limit] if limit is not None else ordered),
        faults=counts["fault"],
        errors=counts["error"],
        throttles=counts["throttle"],
        slow=counts["slow"],
        total=counts.total(),
        own=len(everything) - counts.total(),
        shown_of=len(rows),
    )


def goes_through(trace: TraceSummary, edge: Edge) -> bool:
    """Return whether a trace contains both ends of an edge; for an edge from clients, whether it entered there.

    X-Ray's summaries list services, not calls: a trace that reached both ends on other paths matches as well.
    """
    caller, callee = map(plain_node, edge)
    if caller.kind == CLIENT:
        return trace.service == callee.name and (not trace.services or callee in trace.services)
    return caller in trace.services and callee in trace.services


def plain_node(node: ServiceNode) -> ServiceNode:
    """Return a node of the service map under X-Ray's own name, without the account and region that were appended."""
    return replace(node, name=node.name.removesuffix(f" in {node.place}")) if node.place else node


def trace_of_lines(trace_id: str, lines: Iterable[LogRecord]) -> Trace | None:
    """Return the trace built from lines of the span log group; None without such lines."""
    return trace_of_spans(trace_id, (line.fields for line in lines if line.group == SPANS_GROUP and line.fields))


def _name(summary: TraceSummary) -> str:
    return _path(summary.url) or summary.service or ""


def _row(summary: TraceSummary, *, own: bool, where: str) -> TraceRow:
    if summary.fault:
        verdict: Literal["fault", "error", "throttle", "slow", "open", "ok"] = "fault"
    elif summary.throttle:
        verdict = "throttle"
    elif summary.error:
        verdict = "error"
    elif summary.duration_s > SLOW_S:
        verdict = "slow"
    else:
        verdict = "open" if summary.partial else "ok"
    return TraceRow(
        id=summary.id,
        at=None,
        start_ms=summary.start_ms,
        method=summary.method or "",
        path=_path(summary.url),
        status=summary.status,
        duration_s=summary.duration_s,
        service=summary.service or "",
        where=where,
        version=summary.version,
        verdict=verdict,
        cause=cause_text(summary, slow=verdict == "slow"),
        slowest=summary.slowest or "",
        own=own,
    )


def cause_text(trace: TraceSummary, *, slow: bool) -> str:
    """Return why a trace failed or was slow: first what, then where, because a narrow column cuts the end."""
    if trace.root_cause:
        where, colon, what = trace.root_cause.partition(": ")
        return f"{what} in {where}" if colon else where
    return (trace.slowest or "") if slow else ""


def _path(url: str | None) -> str:
    if not url:
        return ""
    try:
        return urlsplit(url).path or "/"
    except ValueError:
        return url


def _matches(row: TraceRow, needle: str) -> bool:
    return all(_term(row, term) for term in needle.casefold().split())


def _term(row: TraceRow, term: str) -> bool:
    if term.startswith("!") and len(term) > 1:
        return not _term(row, term[1:])
    name, colon, value = term.partition(":")
    if colon and value and name in {"status", "version", "service", "method", "is"}:
        field_value = ("own" if row.own and value == "own" else row.verdict) if name == "is" else getattr(row, name)
        return str(field_value if field_value is not None else "").casefold().startswith(value)
    text = f"{row.id} {row.method} {row.path} {row.service}{row.where} {row.cause} {row.verdict}".casefold()
    return term in text


_WORST = ("fault", "throttle", "slow", "error", "open", "ok")
"""Sort order; a 4xx is usually the client's own mistake and comes after slow traces."""


def _rank(row: TraceRow) -> str:
    return "slow" if row.verdict == "error" and row.duration_s > SLOW_S else row.verdict


def _sorted(rows: Iterable[TraceRow], sort: TraceSort) -> list[TraceRow]:
    if sort == "slowest":
        return sorted(rows, key=lambda row: -row.duration_s)
    if sort == "worst":
        return sorted(rows, key=lambda row: (row.own, _WORST.index(_rank(row)), -row.start_ms))
    return sorted(rows, key=lambda row: -row.start_ms)
