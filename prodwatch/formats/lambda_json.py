"""Parses JSON lines of Lambda: platform events, runtimes' own lines, Powertools in any spelling, and EMF."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from prodwatch.formats.xray_documents import trace_id_of
from prodwatch.model.signal import LambdaReport, Level

Kind = Literal["app", "start", "end", "report", "init", "emf", "dropped", "platform"]

_LEVELS = {
    "critical": Level.FATAL,
    "fatal": Level.FATAL,
    "panic": Level.FATAL,
    "emergency": Level.FATAL,
    "alert": Level.FATAL,
    "error": Level.ERROR,
    "err": Level.ERROR,
    "severe": Level.ERROR,
    "warning": Level.WARN,
    "warn": Level.WARN,
    "notice": Level.INFO,
    "information": Level.INFO,
    "info": Level.INFO,
    "debug": Level.DEBUG,
    "verbose": Level.DEBUG,
    "trace": Level.TRACE,
    "silly": Level.TRACE,
}
_LEVELS_AS_WRITTEN = {
    name: level for values, level in _LEVELS.items() for name in (values, values.upper(), values.capitalize())
}
_UNKNOWN = Level.UNKNOWN
"""A shortcut: access to an enumeration's members is slow in Python 3.11."""
_NUMBERED = ((60, Level.FATAL), (50, Level.ERROR), (40, Level.WARN), (30, Level.INFO), (20, Level.DEBUG))
"""Numeric levels of pino and bunyan: (lowest number, level)."""

_ROLE_OF_KEY = {
    "level": "level",
    "loglevel": "level",
    "severity": "level",
    "lvl": "level",
    "message": "message",
    "msg": "message",
    "errormessage": "error_message",
    "errortype": "error_type",
    "exceptionname": "error_type",
    "exception": "stack",
    "stacktrace": "stack",
    "stack": "stack",
    "requestid": "request_id",
    "awsrequestid": "request_id",
    "functionrequestid": "request_id",
    "lambdarequestid": "request_id",
    "xraytraceid": "trace_id",
    "traceid": "trace_id",
    "functionversion": "version",
    "lambdaversion": "version",
}
"""Key in lower case without underscores, hyphens and dots → role."""
_ERRORS = frozenset(("error_message", "error_type", "stack"))

_PLATFORM_KINDS: dict[str, Kind] = {
    "platform.start": "start",
    "platform.runtimeDone": "end",
    "platform.report": "report",
    "platform.initStart": "init",
    "platform.initRuntimeDone": "init",
    "platform.initReport": "init",
    "platform.restoreStart": "init",
    "platform.restoreRuntimeDone": "init",
    "platform.restoreReport": "init",
    "platform.logsDropped": "dropped",
}
"""Platform event type → kind; unlisted types become `platform`, because Lambda adds new ones."""

_SHAPES: dict[tuple[str, ...], Shape] = {}
"""Keys of an object in order → shape; the lines of one program have few shapes."""
_MAX_SHAPES = 1024
"""Cached shapes."""
_MAX_SHAPE_KEYS = 64
"""Keys above which a shape is not cached."""
_decode = msgspec.json.Decoder().decode


class Line(msgspec.Struct, frozen=True, gc=False):
    """A parsed line."""

    fields: dict[str, Any] | None
    """The JSON object; None for text."""
    message: str
    level: Level = Level.UNKNOWN
    kind: Kind = "app"
    request_id: str | None = None
    trace_id: str | None = None
    version: str | None = None
    report: LambdaReport | None = None


class Shape(msgspec.Struct, frozen=True):
    """Roles of an object's keys."""

    roles: tuple[tuple[str, str], ...]
    """(key, role) of each key with a role."""
    plain: bool
    """Whether no role has two keys and none is an error role."""
    platform: bool
    emf: bool
    level: str = ""
    message: str = ""
    request_id: str = ""
    trace_id: str = ""
    version: str = ""
    """Key of each role in a plain object; for a role without a key, a key that no object of this shape has."""


def parse_json_line(text: str) -> Line | None:
    """Parse a line that begins with `{`; None when it is not a JSON object."""
    try:
        fields = _decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    keys = tuple(fields)
    shape = _SHAPES.get(keys) or _shape(keys)
    if shape.platform:
        type_, record = fields["type"], fields["record"]
        if isinstance(type_, str) and type_.startswith("platform.") and isinstance(record, dict):
            return _platform(fields, type_, record)
    if shape.emf and isinstance(fields["_aws"], dict) and "CloudWatchMetrics" in fields["_aws"]:
        return _emf(fields, shape)
    return (_plain(fields, shape) if shape.plain else None) or _application(fields, shape, text)


def _shape(keys: tuple[str, ...]) -> Shape:
    roles = tuple((key, role) for key in keys if (role := _ROLE_OF_KEY.get(_normalise_key(key))) is not None)
    key_of = {role: key for key, role in roles}
    plain = len(key_of) == len(roles) and "message" in key_of and _ERRORS.isdisjoint(key_of)
    # Longer than the longest key, so it cannot be a key of the object.
    absent = "-" * (max(map(len, keys), default=0) + 1)
    shape = Shape(
        roles,
        plain,
        "type" in keys and "record" in keys,
        "_aws" in keys,
        *(key_of.get(role, absent) for role in ("level", "message", "request_id", "trace_id", "version")),
    )
    # Bounded, because free-form objects must not fill the memory.
    if len(keys) <= _MAX_SHAPE_KEYS:
        if len(_SHAPES) >= _MAX_SHAPES:
            _SHAPES.clear()
        _SHAPES[keys] = shape
    return shape


def _normalise_key(key: str) -> str:
    return key.lower().replace("_", "").replace("-", "").replace(".", "")


def _plain(fields: dict[str, Any], shape: Shape) -> Line | None:
    """Parse an object with a text as its message; None when it needs the general way."""
    get = fields.get
    message = get(shape.message)
    if not message or not isinstance(message, str):
        return None
    level, request_id, trace_id = get(shape.level), get(shape.request_id), get(shape.trace_id)
    return Line(
        fields,
        message,
        _UNKNOWN if level is None else _level(level),
        "app",
        request_id if request_id and isinstance(request_id, str) else None,
        trace_id_of(trace_id) if trace_id else None,
        _text(get(shape.version)),
    )


def _application(fields: dict[str, Any], shape: Shape, text: str) -> Line:
    by_role = _roles(fields, shape)
    message = _message(by_role)
    level = _level(by_role.get("level"))
    if level is Level.UNKNOWN and ("error_type" in by_role or "error_message" in by_role):
        level = Level.ERROR
    return Line(
        fields,
        message or text.rstrip("\n"),
        level,
        "app",
        _text(by_role.get("request_id")),
        trace_id_of(by_role.get("trace_id")),
        _text(by_role.get("version")),
    )


def _roles(fields: dict[str, Any], shape: Shape) -> dict[str, Any]:
    by_role: dict[str, Any] = {}
    for key, role in shape.roles:
        value = fields[key]
        if value is not None and role not in by_role:
            by_role[role] = value
    return by_role


def _message(by_role: dict[str, Any]) -> str:
    message = by_role.get("message")
    if message is not None and not isinstance(message, str):
        message = msgspec.json.encode(message).decode()
    error = by_role.get("error_message")
    if message is None and error is not None:
        kind = by_role.get("error_type")
        message = f"{kind}: {error}" if kind else str(error)
    if "stack" not in by_role:
        return message or ""
    stack = by_role["stack"]
    lines = "\n".join(str(item).rstrip("\n") for item in stack) if isinstance(stack, list) else str(stack)
    # A logger may already include the traceback in the message.
    return "\n".join(part for part in (message, lines if lines not in (message or "") else "") if part)


def _level(value: Any) -> Level:
    if isinstance(value, str):
        return _LEVELS_AS_WRITTEN.get(value) or _LEVELS.get(value.lower(), _UNKNOWN)
    if isinstance(value, int) and not isinstance(value, bool):
        return next((level for lowest, level in _NUMBERED if value >= lowest), Level.TRACE)
    return Level.UNKNOWN


def _platform(fields: dict[str, Any], type_: str, record: dict[str, Any]) -> Line:
    kind = _PLATFORM_KINDS.get(type_, "platform")
    level = Level.PLATFORM
    report = _report(record) if kind == "report" else None
    status = record.get("status")
    if kind == "dropped" or (kind in {"report", "init"} and status in {"timeout", "error", "failure"}):
        # In this format no other line reports that the function timed out or crashed.
        level = Level.ERROR
    request_id = _text(record.get("requestId"))
    tracing = record.get("tracing")
    return Line(
        fields,
        _report_text(request_id, report) if report else _record_text(type_, record),
        level,
        kind,
        request_id,
        trace_id_of(tracing.get("value")) if isinstance(tracing, dict) else None,
        _text(record.get("version") or record.get("functionVersion")),
        report,
    )


def _report(record: dict[str, Any]) -> LambdaReport | None:
    metrics = record.get("metrics")
    if not isinstance(metrics, dict) or not isinstance(metrics.get("durationMs"), int | float):
        return None
    status = record.get("status")
    init_ms = metrics.get("initDurationMs", metrics.get("restoreDurationMs"))
    return LambdaReport(
        duration_ms=float(metrics["durationMs"]),
        billed_ms=_number(metrics.get("billedDurationMs")),
        memory_mb=int(_number(metrics.get("memorySizeMB"))),
        used_mb=int(_number(metrics.get("maxMemoryUsedMB"))),
        init_ms=None if init_ms is None else _number(init_ms),
        status=None if status in {None, "success"} else str(status),
        error_type=_text(record.get("errorType")),
    )


def _report_text(request_id: str | None, report: LambdaReport) -> str:
    """Return the values in Lambda's text format, so that both formats look alike."""
    parts = [
        f"REPORT RequestId: {request_id or '-'} Duration: {report.duration_ms:.2f} ms",
        f"Billed Duration: {report.billed_ms:g} ms Memory Size: {report.memory_mb} MB",
        f"Max Memory Used: {report.used_mb} MB",
    ]
    if report.init_ms is not None:
        parts.append(f"Init Duration: {report.init_ms:.2f} ms")
    if report.status is not None:
        parts.append(f"Status: {report.status}")
    if report.error_type is not None:
        parts.append(f"Error Type: {report.error_type}")
    return " ".join(parts)


def _record_text(type_: str, record: dict[str, Any]) -> str:
    parts = " ".join(f"{key}={value}" for key, value in record.items() if isinstance(value, str | int | float))
    return f"{type_} {parts}".rstrip()


def _emf(fields: dict[str, Any], shape: Shape) -> Line:
    by_role = _roles(fields, shape)
    parts = []
    for directive in objects_in(fields["_aws"]["CloudWatchMetrics"]):
        names = [str(metric["Name"]) for metric in objects_in(directive.get("Metrics")) if "Name" in metric]
        values = " ".join(f"{name}={fields.get(name)}" for name in names)
        parts.append(f"{directive.get('Namespace', '')}: {values}")
    return Line(
        fields,
        "metrics " + "; ".join(parts),
        Level.INFO,
        "emf",
        _text(by_role.get("request_id")),
        trace_id_of(by_role.get("trace_id")),
        _text(by_role.get("version")),
    )


def objects_in(items: Any) -> list[dict[str, Any]]:
    """Return the objects in a list of objects; other items are skipped, and anything but a list is empty."""
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
