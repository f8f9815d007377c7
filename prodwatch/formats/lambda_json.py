"""The JSON lines of Lambda: platform events, runtimes' own lines, Powertools in any spelling, and EMF."""

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
    name: level for said, level in _LEVELS.items() for name in (said, said.upper(), said.capitalize())
}
_UNKNOWN = Level.UNKNOWN
"""Bound once: an enumeration's members are slow to get at in Python 3.11."""
_NUMBERED = ((60, Level.FATAL), (50, Level.ERROR), (40, Level.WARN), (30, Level.INFO), (20, Level.DEBUG))
"""Levels of pino and bunyan, from this number on."""

_ROLES = {
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
"""A key without its case, underscores, hyphens and dots → what it says."""
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
"""Types not named here are kept as `platform`: Lambda adds new ones."""

_SHAPES: dict[tuple[str, ...], Shape] = {}
"""The keys of an object in their order → what they say: the lines of one program have few shapes."""
_MAX_SHAPES = 1024
_MAX_SHAPE_KEYS = 64
_decode = msgspec.json.Decoder().decode


class Line(msgspec.Struct, frozen=True, gc=False):
    """What a line says."""

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
    """Which keys of an object say what."""

    roles: tuple[tuple[str, str], ...]
    """(key, role) of each key that says something."""
    plain: bool
    """Whether no role has two keys, and no key tells of an error."""
    platform: bool
    emf: bool
    level: str = ""
    message: str = ""
    request_id: str = ""
    trace_id: str = ""
    version: str = ""
    """The key of each role in a plain object, a key that no object of this shape has when there is none."""


def parse_json_line(text: str) -> Line | None:
    """Return what a line that begins with `{` says, None when it is no JSON object after all."""
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
    roles = tuple((key, role) for key in keys if (role := _ROLES.get(_bare(key))) is not None)
    key_of = {role: key for key, role in roles}
    plain = len(key_of) == len(roles) and "message" in key_of and _ERRORS.isdisjoint(key_of)
    # What no key of the object can be: longer than the longest of them.
    none = "-" * (max(map(len, keys), default=0) + 1)
    shape = Shape(
        roles,
        plain,
        "type" in keys and "record" in keys,
        "_aws" in keys,
        *(key_of.get(role, none) for role in ("level", "message", "request_id", "trace_id", "version")),
    )
    # Bounded: keys of somebody's free-form objects must not fill the memory.
    if len(keys) <= _MAX_SHAPE_KEYS:
        if len(_SHAPES) >= _MAX_SHAPES:
            _SHAPES.clear()
        _SHAPES[keys] = shape
    return shape


def _bare(key: str) -> str:
    return key.lower().replace("_", "").replace("-", "").replace(".", "")


def _plain(fields: dict[str, Any], shape: Shape) -> Line | None:
    """Return what an object with a text as its message says; None when it is not so simple after all."""
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
    said = _roles(fields, shape)
    message = _message(said)
    level = _level(said.get("level"))
    if level is Level.UNKNOWN and ("error_type" in said or "error_message" in said):
        level = Level.ERROR
    return Line(
        fields,
        message or text.rstrip("\n"),
        level,
        "app",
        _text(said.get("request_id")),
        trace_id_of(said.get("trace_id")),
        _text(said.get("version")),
    )


def _roles(fields: dict[str, Any], shape: Shape) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for key, role in shape.roles:
        value = fields[key]
        if value is not None and role not in said:
            said[role] = value
    return said


def _message(said: dict[str, Any]) -> str:
    message = said.get("message")
    if message is not None and not isinstance(message, str):
        message = msgspec.json.encode(message).decode()
    error = said.get("error_message")
    if message is None and error is not None:
        kind = said.get("error_type")
        message = f"{kind}: {error}" if kind else str(error)
    if "stack" not in said:
        return message or ""
    stack = said["stack"]
    lines = "\n".join(str(each).rstrip("\n") for each in stack) if isinstance(stack, list) else str(stack)
    # A logger may put the traceback into the message already.
    return "\n".join(part for part in (message, lines if lines not in (message or "") else "") if part)


def _level(value: Any) -> Level:
    if isinstance(value, str):
        return _LEVELS_AS_WRITTEN.get(value) or _LEVELS.get(value.lower(), _UNKNOWN)
    if isinstance(value, int) and not isinstance(value, bool):
        return next((level for least, level in _NUMBERED if value >= least), Level.TRACE)
    return Level.UNKNOWN


def _platform(fields: dict[str, Any], type_: str, record: dict[str, Any]) -> Line:
    kind = _PLATFORM_KINDS.get(type_, "platform")
    level = Level.PLATFORM
    report = _report(record) if kind == "report" else None
    status = record.get("status")
    if kind == "dropped" or (kind in {"report", "init"} and status in {"timeout", "error", "failure"}):
        # In this format no other line says that the function timed out or crashed.
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
    """Say the numbers as Lambda's text format does, so that both read alike."""
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
    told = " ".join(f"{key}={value}" for key, value in record.items() if isinstance(value, str | int | float))
    return f"{type_} {told}".rstrip()


def _emf(fields: dict[str, Any], shape: Shape) -> Line:
    said = _roles(fields, shape)
    told = []
    for directive in tables(fields["_aws"]["CloudWatchMetrics"]):
        names = [str(metric["Name"]) for metric in tables(directive.get("Metrics")) if "Name" in metric]
        values = " ".join(f"{name}={fields.get(name)}" for name in names)
        told.append(f"{directive.get('Namespace', '')}: {values}")
    return Line(
        fields,
        "metrics " + "; ".join(told),
        Level.INFO,
        "emf",
        _text(said.get("request_id")),
        trace_id_of(said.get("trace_id")),
        _text(said.get("version")),
    )


def tables(several: Any) -> list[dict[str, Any]]:
    """Return the objects in what should be a list of them; whatever else it has is passed over."""
    return [each for each in several if isinstance(each, dict)] if isinstance(several, list) else []


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
