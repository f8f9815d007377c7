"""Converts OpenTelemetry spans, as CloudWatch keeps them under Transaction Search, into the same spans as X-Ray's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from prodwatch.formats.xray_documents import lacks_parents, newest_spans, parents_first, trace_id_of
from prodwatch.model.signal import Span, Trace

SPANS_GROUP = "aws/spans"
"""Log group of an account's spans."""
SEARCH_IS_ON = "Transaction Search is on"
"""First words of the traces' status under Transaction Search."""
NANO = 1e-9
"""Seconds per nanosecond."""
_METHOD = ("http.request.method", "http.method")
_URL = ("url.full", "http.url", "url.path", "http.target")
_STATUS = ("http.response.status_code", "http.status_code")
_OPERATION = ("rpc.method", "aws.operation", "aws.remote.operation", "db.operation.name", "db.operation")
_STATEMENT = ("db.query.text", "db.statement")
_RESOURCE = ("cloud.resource_id", "aws.lambda.invoked_arn", "faas.id")


def trace_of_spans(trace_id: str, documents: Iterable[Mapping[str, Any]]) -> Trace | None:
    """Return the trace made of the spans with this id; None without spans.

    It is complete when no span's parent is missing, as `lacks_parents` defines it.
    """
    spans = [span for item in documents if trace_id_of(item.get("traceId")) == trace_id and (span := span_of(item))]
    if not spans:
        return None
    ordered = parents_first(newest_spans(spans))
    return Trace(
        id=trace_id,
        spans=ordered,
        duration_s=max(span.end_s or span.start_s for span in ordered) - min(span.start_s for span in ordered),
        complete=not lacks_parents(ordered),
    )


def span_of(document: Mapping[str, Any]) -> Span | None:
    """Convert one span document; None when it is not a valid span."""
    start, span_id = _number(document.get("startTimeUnixNano")), document.get("spanId")
    if start is None or not isinstance(span_id, str) or not span_id:
        return None
    end = _number(document.get("endTimeUnixNano"))
    attributes, resource = _table(document.get("attributes")), _resource(document)
    status = _number(_first(attributes, _STATUS)) or 0
    failed = str(_table(document.get("status")).get("code", "")).upper().endswith("ERROR")
    parent = document.get("parentSpanId")
    operation, statement = _first(attributes, _OPERATION), _first(attributes, _STATEMENT)
    service, kind = resource.get("service.name"), document.get("kind")
    return Span(
        id=span_id,
        parent_id=parent if isinstance(parent, str) and parent else None,
        name=str(document.get("name") or service or ""),
        start_s=start * NANO,
        end_s=None if end is None else end * NANO,
        origin=" ".join(str(item) for item in (service, kind) if item) or None,
        resource_arn=_text(_first(resource, _RESOURCE)),
        fault=status >= 500 or (failed and not 400 <= status < 500),
        error=400 <= status < 500,
        throttle=status == 429,
        http=_http(attributes, int(status)),
        aws={"operation": operation} if operation else {},
        sql={"sanitized_query": statement} if statement else {},
        annotations=attributes,
        metadata={"resource": resource} if resource else {},
        exceptions=_exceptions(document.get("events")),
    )


def _http(attributes: Mapping[str, Any], status: int) -> dict[str, Any]:
    method, url = _first(attributes, _METHOD), _first(attributes, _URL)
    request = {name: value for name, value in (("method", method), ("url", url)) if value}
    http: dict[str, Any] = {"request": request} if request else {}
    return http | ({"response": {"status": status}} if status else {})


def _exceptions(events: Any) -> tuple[str, ...]:
    exceptions = []
    for event in events if isinstance(events, list) else ():
        attributes = _table(event.get("attributes")) if isinstance(event, dict) else {}
        parts = (attributes.get("exception.type"), attributes.get("exception.message"))
        exceptions.append(": ".join(str(part) for part in parts if part))
    return tuple(item for item in exceptions if item)


def _resource(document: Mapping[str, Any]) -> dict[str, Any]:
    return _table(_table(document.get("resource")).get("attributes"))


def _first(table: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((table[name] for name in names if table.get(name) not in (None, "")), None)


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Any) -> float | None:
    """Return a number, also from text, because JSON has no 64-bit integers; else None."""
    if isinstance(value, str) and value.isdecimal():
        return float(value)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
