"""Values that a filter expression can test: of a whole trace, or of one service's segment in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prodwatch.demo.aws.xray.segment_document import Segment, ServiceId, duration_s, end_s, exceptions, flag, http, walk
from prodwatch.demo.aws.xray.trace import Trace

_NO_SERVICE = ServiceId("", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Values that one expression is evaluated on."""

    service: ServiceId = _NO_SERVICE
    flags: Mapping[str, bool]
    numbers: Mapping[str, Sequence[float]]
    texts: Mapping[str, Sequence[str]]
    annotations: Mapping[str, Sequence[Any]]
    parts: Sequence[Scope] = field(default=())
    """The segments of the trace, each with its service; empty for a segment."""
    edges: Sequence[tuple[ServiceId, Scope]] = field(default=())
    """(calling service, called segment)."""


def trace_scope(trace: Trace) -> Scope:
    """Return the values of a trace: flags, times and HTTP of its root, annotations of all segments."""
    if not isinstance(trace.scope, Scope):
        trace.scope = _trace_scope(trace)
    return trace.scope


def _trace_scope(trace: Trace) -> Scope:
    parts = {id(segment): segment_scope(segment, service) for service, segment in trace.services()}
    root = trace.root
    top = parts[id(root)] if root is not None else None
    annotations: dict[str, list[Any]] = {}
    texts: dict[str, list[str]] = {}
    for part in parts.values():
        for key, values in part.annotations.items():
            annotations.setdefault(key, []).extend(values)
        for key, names in part.texts.items():
            texts.setdefault(key, []).extend(names)
    services = {id(segment): service for service, segment in trace.services()}
    edges = [(services[id(caller)], parts[id(called)]) for caller, _, called in trace.calls()]
    flags = dict(top.flags) if top is not None else {}
    flags["throttle"] = any(part.flags.get("throttle", False) for part in parts.values())
    flags["partial"] = trace.partial
    flags["ok"] = not any(flags.get(name, False) for name in ("fault", "error", "throttle"))
    return Scope(
        flags=flags,
        numbers={**(top.numbers if top is not None else {}), "duration": [trace.duration_s]},
        texts={
            **texts,
            **{key: values for key, values in (top.texts if top else {}).items() if key.startswith("http.")},
        },
        annotations=annotations,
        parts=list(parts.values()),
        edges=edges,
    )


def segment_scope(segment: Segment, service: ServiceId) -> Scope:
    """Return the values of one segment, for a `service(…) { … }` block."""
    request, response = http(segment, "request"), http(segment, "response")
    flags = {name: flag(segment, name) for name in ("fault", "error", "throttle")}
    flags["ok"] = not any(flags.values())
    flags["partial"] = end_s(segment) is None
    flags["inferred"] = bool(segment.get("inferred"))
    flags["root"] = flags["first"] = not segment.get("parent_id")
    numbers: dict[str, list[float]] = {}
    if end_s(segment) is not None:
        numbers["responsetime"] = numbers["duration"] = [duration_s(segment)]
    if isinstance(status := response.get("status"), int | float):
        numbers["http.status"] = [float(status)]
    annotations: dict[str, list[Any]] = {}
    messages: list[str] = []
    for entity in walk(segment):
        messages.extend(message for _, message in exceptions(entity))
        for key, value in (entity.get("annotations") or {}).items():
            annotations.setdefault(key, []).append(_comparable(value))
    candidates = {
        "http.url": request.get("url"),
        "http.method": request.get("method"),
        "http.useragent": request.get("user_agent"),
        "http.clientip": request.get("client_ip"),
        "user": segment.get("user"),
        "name": service.name,
        "type": service.type,
        "resource.arn": segment.get("resource_arn"),
    }
    texts: dict[str, list[str]] = {key: [str(value)] for key, value in candidates.items() if value is not None}
    texts["message"] = messages
    return Scope(service=service, flags=flags, numbers=numbers, texts=texts, annotations=annotations)


def _comparable(value: Any) -> Any:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
