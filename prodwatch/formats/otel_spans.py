"""Spans as CloudWatch keeps them under Transaction Search (OpenTelemetry's form) become the same spans as X-Ray's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from prodwatch.formats.xray_documents import newest_of_each, parents_first, trace_id_of
from prodwatch.model.signal import Span, Trace

SPANS_GROUP = "aws/spans"
"""The log group that has an account's spans."""
SEARCH_IS_ON = "Transaction Search is on"
"""How the state of the traces begins when it is."""
NANO = 1e-9
_METHOD = ("http.request.method", "http.method")
_URL = ("url.full", "http.url", "url.path", "http.target")
_STATUS = ("http.response.status_code", "http.status_code")
_OPERATION = ("rpc.method", "aws.operation", "aws.remote.operation", "db.operation.name", "db.operation")
_STATEMENT = ("db.query.text", "db.statement")
_RESOURCE = ("cloud.resource_id", "aws.lambda.invoked_arn", "faas.id")


def trace_of_spans(trace_id: str, documents: Iterable[Mapping[str, Any]]) -> Trace | None:
    """Return the trace that the spans with this id make up, None without one.

    It is complete when no span names a parent that is missing, but for the first, whose caller may not be traced.
    """
    spans = [span for each in documents if trace_id_of(each.get("traceId")) == trace_id and (span := span_of(each))]
    if not spans:
        return None
    ordered = parents_first(newest_of_each(spans))
    known = {span.id for span in ordered}
    entry = min(ordered, key=lambda span: span.start_s)
    return Trace(
        id=trace_id,
        spans=ordered,
        duration_s=max(span.end_s or span.start_s for span in ordered) - entry.start_s,
        complete=all(span is entry or span.parent_id is None or span.parent_id in known for span in ordered),
    )


def span_of(document: Mapping[str, Any]) -> Span | None:
    """Return one span, None for what is none."""
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
        origin=" ".join(str(each) for each in (service, kind) if each) or None,
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
    found: dict[str, Any] = {"request": request} if request else {}
    return found | ({"response": {"status": status}} if status else {})


def _exceptions(events: Any) -> tuple[str, ...]:
    told = []
    for event in events if isinstance(events, list) else ():
        attributes = _table(event.get("attributes")) if isinstance(event, dict) else {}
        parts = (attributes.get("exception.type"), attributes.get("exception.message"))
        told.append(": ".join(str(part) for part in parts if part))
    return tuple(each for each in told if each)


def _resource(document: Mapping[str, Any]) -> dict[str, Any]:
    return _table(_table(document.get("resource")).get("attributes"))


def _first(table: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((table[name] for name in names if table.get(name) not in (None, "")), None)


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Any) -> float | None:
    """Return a number, also one written as text: JSON has no integers of 64 bits."""
    if isinstance(value, str) and value.isdecimal():
        return float(value)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
