"""Converts X-Ray's documents into traces, spans and summaries; invalid parts do not affect the rest."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from prodwatch.formats.xray_root_causes import failure_line, slowest_node
from prodwatch.formats.xray_service_graph import node_of
from prodwatch.model.signal import Span, Trace, TraceSummary

LAST_MOMENT_S = 1e11
"""The year 5138: later times are invalid, and would distort the time axis."""
_HEX = frozenset("0123456789abcdefABCDEF")
_is_xray_id = re.compile(r"1-[0-9a-f]{8}-[0-9a-f]{24}").fullmatch


def trace_id_of(text: Any) -> str | None:
    """Return the trace id in an id or header (`Root=1-…;Parent=…`, `1-…`, W3C's 32 hex digits) in X-Ray's form.

    None without a trace id.
    """
    if not isinstance(text, str):
        return None
    if _is_xray_id(text):
        return text
    if "Root=" in text:
        text = text.split("Root=", 1)[1].split(";", 1)[0]
    elif len(text) == 55 and text.count("-") == 3:
        text = text.split("-")[1]
    digits = text.replace("-", "")[1:] if text.startswith("1-") else text
    if len(digits) != 32 or not _HEX.issuperset(digits):
        return None
    return f"1-{digits[:8]}-{digits[8:]}".lower()


def parse_trace(document: Mapping[str, Any]) -> Trace:
    """Convert one element of BatchGetTraces' `Traces`.

    A trace is complete when every span has ended, no parent is missing (see `lacks_parents`), every segment was valid,
    and X-Ray omitted nothing because of its size.
    """
    pieces = list(_pieces(document.get("Segments") or ()))
    spans = parents_first(newest_spans(span for span in pieces if span is not None))
    unread = sum(span is None for span in pieces)
    complete = (
        bool(spans)
        and not unread
        and not document.get("LimitExceeded")
        and all(span.end_s is not None for span in spans)
        and not lacks_parents(spans)
    )
    duration_s = document.get("Duration")
    if not duration_s and complete:
        duration_s = max(span.end_s or 0.0 for span in spans) - min(span.start_s for span in spans)
    return Trace(
        id=str(document.get("Id") or ""),
        spans=spans,
        duration_s=None if duration_s is None else float(duration_s),
        complete=complete,
        cut=bool(document.get("LimitExceeded")),
        unread=unread,
    )


def lacks_parents(spans: Sequence[Span]) -> bool:
    """Return whether a parent is missing; that of the only root may be, since its caller may not be traced.

    Which span is the root does not depend on times: the clocks of a caller and its callee differ.
    """
    ids = {span.id for span in spans}
    roots = [span for span in spans if span.parent_id not in ids]
    return not roots or (len(roots) > 1 and any(root.parent_id is not None for root in roots))


def parse_summary(document: Mapping[str, Any]) -> TraceSummary:
    """Convert one element of GetTraceSummaries' `TraceSummaries`."""
    http = document.get("Http") or {}
    entry = document.get("EntryPoint") or {}
    started = document.get("StartTime") or document.get("MatchedEventTime")
    return TraceSummary(
        id=str(document.get("Id") or ""),
        start_ms=round(started.timestamp() * 1000) if isinstance(started, datetime) else 0,
        duration_s=float(document.get("Duration") or 0.0),
        response_s=_finite_float(document.get("ResponseTime")),
        method=http.get("HttpMethod"),
        url=http.get("HttpURL"),
        status=http.get("HttpStatus"),
        client=http.get("ClientIp"),
        fault=bool(document.get("HasFault")),
        error=bool(document.get("HasError")),
        throttle=bool(document.get("HasThrottle")),
        partial=bool(document.get("IsPartial")),
        revision=int(document.get("Revision") or 0),
        service=entry.get("Name"),
        root_cause=failure_line((*(document.get("FaultRootCauses") or ()), *(document.get("ErrorRootCauses") or ()))),
        slowest=slowest_node(
            document.get("ResponseTimeRootCauses") or (),
            _finite_float(document.get("ResponseTime")) or _finite_float(document.get("Duration")) or 0.0,
        ),
        services=tuple(dict.fromkeys(node_of(item) for item in document.get("ServiceIds") or ())),
        annotations=_annotations(document.get("Annotations") or {}),
    )


def self_times_s(spans: Iterable[Span]) -> dict[str, float]:
    """Return span id → seconds spent in the span itself, outside its children; only for spans that have ended."""
    spans = tuple(spans)
    children: dict[str, list[tuple[float, float]]] = {}
    for span in spans:
        if span.parent_id is not None and span.end_s is not None:
            children.setdefault(span.parent_id, []).append((span.start_s, span.end_s))
    return {
        span.id: max(0.0, span.end_s - span.start_s - _covered_s(children.get(span.id, ()), span.start_s, span.end_s))
        for span in spans
        if span.end_s is not None
    }


def _covered_s(intervals: Iterable[tuple[float, float]], start_s: float, end_s: float) -> float:
    """Return the seconds from `start_s` to `end_s` covered by the intervals, which may overlap and exceed the end."""
    covered, reached = 0.0, start_s
    for begin, end in sorted(intervals):
        begin, end = max(begin, reached), min(end, end_s)  # noqa: PLW2901 -- clipped to the uncovered part
        if end > begin:
            covered += end - begin
            reached = end
    return covered


def _pieces(segments: Iterable[Mapping[str, Any]]) -> Iterator[Span | None]:
    """Yield every span, and None for every invalid one."""
    for segment in segments:
        try:
            document = json.loads(segment.get("Document") or "")
        except (ValueError, RecursionError):
            document = None
        if isinstance(document, dict):
            yield from _tree(document)
        else:
            yield None


def _tree(segment: Mapping[str, Any]) -> Iterator[Span | None]:
    """Yield a segment and all its embedded subsegments, at any depth."""
    pending: list[tuple[Mapping[str, Any], Any]] = [(segment, segment.get("parent_id"))]
    while pending:
        document, parent_id = pending.pop()
        span = _span(document, parent_id if isinstance(parent_id, str) else None)
        yield span
        children = document.get("subsegments")
        if span is not None and isinstance(children, list):
            pending.extend((item, span.id) for item in children if isinstance(item, dict))


def _span(document: Mapping[str, Any], parent_id: str | None) -> Span | None:
    start_s = _moment_s(document.get("start_time"))
    if start_s is None or not isinstance(document.get("id"), str):
        return None
    ended = None if document.get("in_progress") else _moment_s(document.get("end_time"))
    return Span(
        id=document["id"],
        parent_id=parent_id,
        name=str(document.get("name") or ""),
        start_s=start_s,
        end_s=ended,
        origin=document.get("origin"),
        namespace=document.get("namespace"),
        resource_arn=document.get("resource_arn"),
        fault=bool(document.get("fault")),
        error=bool(document.get("error")),
        throttle=bool(document.get("throttle")),
        http=_table(document.get("http")),
        aws=_table(document.get("aws")),
        sql=_table(document.get("sql")),
        annotations=_table(document.get("annotations")),
        metadata=_table(document.get("metadata")),
        exceptions=_exceptions(document.get("cause")),
        links=_links(document.get("links")),
    )


def newest_spans(spans: Iterable[Span]) -> list[Span]:
    """Return one span per id: a segment is sent again when it ends, and an ended one replaces an open one."""
    newest: dict[str, Span] = {}
    for span in spans:
        before = newest.get(span.id)
        if before is None or before.end_s is None or span.end_s is not None:
            newest[span.id] = span
    return list(newest.values())


def parents_first(spans: list[Span]) -> tuple[Span, ...]:
    """Return parents before children, siblings by start; children of missing parents become additional roots."""
    ids = {span.id for span in spans}
    children: dict[str | None, list[Span]] = {}
    for span in sorted(spans, key=lambda item: (item.start_s, item.id)):
        parent = span.parent_id if span.parent_id in ids and span.parent_id != span.id else None
        children.setdefault(parent, []).append(span)
    ordered: dict[str, Span] = {}
    pending = list(reversed(children.get(None, ())))
    while pending:
        span = pending.pop()
        ordered[span.id] = span
        pending.extend(reversed(children.get(span.id, ())))
    # Spans that are each other's parents have no root; they are appended.
    return (*ordered.values(), *(span for span in spans if span.id not in ordered))


def _exceptions(cause: Any) -> tuple[str, ...]:
    items = cause.get("exceptions") if isinstance(cause, dict) else None
    texts = []
    for item in items or ():
        if isinstance(item, dict):
            kind, message = item.get("type"), item.get("message")
            texts.append(": ".join(str(part) for part in (kind, message) if part))
    return tuple(text for text in texts if text)


def _links(links: Any) -> tuple[str, ...]:
    entries = links if isinstance(links, list) else []
    ids = [trace_id_of(link.get("trace_id")) for link in entries if isinstance(link, dict)]
    return tuple(dict.fromkeys(id_ for id_ in ids if id_ is not None))


def _annotations(annotations: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, values in annotations.items():
        for item in values or ():
            value = (item.get("AnnotationValue") or {}) if isinstance(item, dict) else {}
            for kind in ("StringValue", "NumberValue", "BooleanValue"):
                if kind in value:
                    plain.setdefault(key, value[kind])
    return plain


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _moment_s(value: Any) -> float | None:
    """Return epoch seconds; None for an invalid time."""
    seconds = _finite_float(value)
    return seconds if seconds is not None and abs(seconds) <= LAST_MOMENT_S else None


def _finite_float(value: Any) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
