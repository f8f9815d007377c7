"""Statistics and details of a set of traces: shares, percentiles, segments, slowest subsegment and path."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from prodwatch.assertions.value_equality_and_order import one_for_all
from prodwatch.formats.xray_documents import self_times_s
from prodwatch.model.quantity import Duration
from prodwatch.model.signal import Span, Trace, TraceSummary


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest of the sorted `values` that at least `share` of them do not exceed (nearest rank)."""
    return values[max(0, math.ceil(share * len(values)) - 1)]


def summary_of(trace: Trace) -> TraceSummary:
    """Return the summary of a trace that was read whole: fault, error and duration are those of its entry."""
    entry = trace.spans[0]
    status = (entry.http.get("response") or {}).get("status")
    return TraceSummary(
        id=trace.id,
        start_ms=round(entry.start_s * 1000),
        duration_s=trace.duration_s or 0.0,
        response_s=None if entry.end_s is None else entry.end_s - entry.start_s,
        status=status if isinstance(status, int) else None,
        fault=entry.fault,
        error=entry.error,
        throttle=any(span.throttle for span in trace.spans),
        partial=not trace.complete,
    )


def figures(summaries: Sequence[TraceSummary]) -> dict[str, Any]:
    """Return count, shares and percentiles; only the count when there are none."""
    document: dict[str, Any] = {"count": len(summaries), "traces": [_summary(each) for each in summaries]}
    if summaries:
        total = Decimal(len(summaries))
        document["fault_ratio"] = sum(each.fault for each in summaries) / total
        document["error_ratio"] = sum(each.error for each in summaries) / total
    times = sorted(each.response_s for each in summaries if each.response_s is not None)
    if times:
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
            document[name] = Duration.from_s(percentile(times, share))
    return document


def contents(traces: Sequence[Trace]) -> dict[str, Any]:
    """Return annotations, metadata, segments, subsegments, the slowest of them and the path that the traces share."""
    spans = [span for trace in traces for span in trace.spans]
    own_s = {(trace.id, id_): taken for trace in traces for id_, taken in self_times_s(_told(trace)).items()}
    inner = [(trace, span) for trace in traces for span in trace.spans if not is_service(span)]
    timed = [(own_s[trace.id, span.id], trace, span) for trace, span in inner if (trace.id, span.id) in own_s]
    document: dict[str, Any] = {
        "annotations": _gathered(span.annotations for span in spans),
        "metadata": _gathered_by_namespace(spans),
        "segments": [_segment(span) for span in sorted(filter(is_service, spans), key=lambda each: each.start_s)],
        "subsegments": [_subsegment(span) for _, span in inner],
        "path": _common_path(traces),
    }
    if timed:
        taken_s, trace, span = max(timed, key=lambda each: each[0])
        document["slowest"] = _subsegment(span) | {"own": Duration.from_s(taken_s), "trace_id": trace.id}
    return document


def of_each(traces: Sequence[Trace]) -> dict[str, dict[str, Any]]:
    """Return the contents of each trace by its id: `annotations`, `path` and `links`."""
    return {
        trace.id: {
            "annotations": _gathered(span.annotations for span in trace.spans),
            "path": path_of(trace),
            "links": linked_traces(trace),
        }
        for trace in traces
    }


def linked_traces(trace: Trace) -> list[str]:
    """Return the ids of the traces that a trace is linked with, each once."""
    return list(dict.fromkeys(id_ for span in trace.spans for id_ in span.links if id_ != trace.id))


def _common_path(traces: Sequence[Trace]) -> Any:
    """Return the path that all traces share; where they differ, a value that decides nothing."""
    if not traces:
        return []
    return one_for_all(
        list(map(path_of, traces)), "path", f"that of the first of {len(traces)} traces", "traces[].path"
    )


def _told(trace: Trace) -> list[Span]:
    """Return the spans that were sent, without those X-Ray adds for called services that send none.

    An added span repeats the call it belongs to, which would then have no time of its own.
    """
    by_id = {span.id: span for span in trace.spans}
    parents = {span.parent_id for span in trace.spans}

    def is_made_up(span: Span) -> bool:
        call = by_id.get(span.parent_id or "")
        return span.id not in parents and is_service(span) and call is not None and call.name == span.name

    return [span for span in trace.spans if not is_made_up(span)]


def is_service(span: Span) -> bool:
    """Return whether a span is a service's own segment, not a part of one."""
    return span.origin is not None or span.parent_id is None


def path_of(trace: Trace) -> list[str]:
    """Return the services of a trace in order of start, without consecutive repetitions."""
    names: list[str] = []
    for span in sorted(filter(is_service, trace.spans), key=lambda each: each.start_s):
        if not names or names[-1] != span.name:
            names.append(span.name)
    return names


def _summary(summary: TraceSummary) -> dict[str, Any]:
    item = {
        "id": summary.id,
        "duration": Duration.from_s(summary.duration_s),
        "fault": summary.fault,
        "error": summary.error,
        "throttle": summary.throttle,
        "complete": not summary.partial,
    }
    optional = {
        "response_time": None if summary.response_s is None else Duration.from_s(summary.response_s),
        "status": summary.status,
        "url": summary.url,
        "method": summary.method,
        "root_cause": summary.root_cause,
    }
    return item | {name: value for name, value in optional.items() if value is not None}


def _segment(span: Span) -> dict[str, Any]:
    item = _subsegment(span)
    optional = {"origin": span.origin, "resource_arn": span.resource_arn}
    return item | {name: value for name, value in optional.items() if value is not None}


def _subsegment(span: Span) -> dict[str, Any]:
    item: dict[str, Any] = {
        "name": span.name,
        "fault": span.fault,
        "error": span.error,
        "throttle": span.throttle,
    }
    if span.end_s is not None:
        item["duration"] = Duration.from_s(span.end_s - span.start_s)
    if span.namespace is not None:
        item["namespace"] = span.namespace
    if span.exceptions:
        item["exceptions"] = list(span.exceptions)
    return item


def _gathered(tables: Iterable[dict[str, Any]]) -> dict[str, list[Any]]:
    values: dict[str, list[Any]] = {}
    for table in tables:
        for key, value in table.items():
            values.setdefault(key, []).append(value)
    return values


def _gathered_by_namespace(spans: Iterable[Span]) -> dict[str, dict[str, list[Any]]]:
    told: dict[str, dict[str, list[Any]]] = {}
    for span in spans:
        for namespace, values in span.metadata.items():
            held = told.setdefault(namespace, {})
            if isinstance(values, dict):
                for key, value in values.items():
                    held.setdefault(key, []).append(value)
    return told
