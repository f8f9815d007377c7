"""Parses JSON lines of Lambda: platform events, runtimes' own lines, Powertools in any spelling, and EMF."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from prodwatch.formats.level_and_message import (
    is_suspect,
    normalise_key,
    recognise,
    roles_of,
)
from prodwatch.formats.level_values import level_of_value
from prodwatch.formats.xray_documents import trace_id_of
from prodwatch.model.signal import LambdaReport, Level

Kind = Literal["app", "start", "end", "report", "init", "emf", "dropped", "platform"]

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

_UNKNOWN = Level.UNKNOWN
"""A shortcut: access to an enumeration's members is slow in Python 3.11."""
_NOT_PLAIN = frozenset(("error_message", "error_type", "stack", "error", "nested", "weak_level"))
"""Roles that need the general way."""
_SAID_NEXT_TO_METRICS = frozenset(("level", "message", "stack", "error_message", "error_type"))
_FAILED = frozenset(("timeout", "error", "failure", "failed"))
"""Statuses and states of platform events that are failures, in lower case."""

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
    text: str | None = None
    """The line as written, for a line of text that contains an object."""


class Shape(msgspec.Struct, frozen=True):
    """Roles of an object's keys."""

    roles: tuple[tuple[str, str], ...]
    """(key, role) of each key with a role; of several keys with one role the preferred one first."""
    plain: bool
    """Whether no role has two keys and level and message need no closer look."""
    platform: bool
    emf: bool
    scale: str = ""
    """Normalised key of the level in a plain object."""
    level: str = ""
    message: str = ""
    request_id: str = ""
    trace_id: str = ""
    version: str = ""
    """Key of each role in a plain object; for a role without a key, a key that no object of this shape has."""


def decode_object(text: str) -> dict[str, Any] | None:
    """Return the JSON object that `text` is, None for anything else.

    What strict decoders refuse and loggers write is accepted: NaN and infinities, as texts, and halves of surrogate
    pairs.
    """
    try:
        fields = _decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        try:
            fields = json.loads(text.lstrip("\ufeff"), parse_constant=str)
        except (ValueError, RecursionError):
            return None
    return fields if isinstance(fields, dict) else None


def parse_json_line(text: str) -> Line | None:
    """Parse a line that is a JSON object; None when it is not."""
    fields = decode_object(text)
    if fields is None:
        return None
    shape = _shape_of(fields)
    if shape.platform:
        type_, record = fields["type"], fields["record"]
        if isinstance(type_, str) and type_.startswith("platform.") and isinstance(record, dict):
            return _platform(fields, type_, record)
    if shape.emf and isinstance(fields["_aws"], dict) and "CloudWatchMetrics" in fields["_aws"]:
        return _emf(fields, shape)
    return (_plain(fields, shape) if shape.plain else None) or _application(fields, shape, text)


def parse_inner_object(fields: dict[str, Any]) -> Line:
    """Parse an object behind the prefix of a runtime or a logger; its message is empty when the object has none."""
    shape = _shape_of(fields)
    return (_plain(fields, shape) if shape.plain else None) or _application(fields, shape, "")


def _shape_of(fields: dict[str, Any]) -> Shape:
    keys = tuple(fields)
    return _SHAPES.get(keys) or _shape(keys)


def _shape(keys: tuple[str, ...]) -> Shape:
    roles = roles_of(dict.fromkeys(keys))
    key_of = {role: key for key, role in roles}
    plain = len(key_of) == len(roles) and "message" in key_of and _NOT_PLAIN.isdisjoint(key_of) and "@mt" not in keys
    # Longer than the longest key, so it cannot be a key of the object.
    absent = "-" * (max(map(len, keys), default=0) + 1)
    shape = Shape(
        tuple(roles),
        plain,
        "type" in keys and "record" in keys,
        "_aws" in keys,
        normalise_key(key_of.get("level", "level")),
        *(key_of.get(role, absent) for role in ("level", "message", "request_id", "trace_id", "version")),
    )
    # Bounded, because free-form objects must not fill the memory.
    if len(keys) <= _MAX_SHAPE_KEYS:
        if len(_SHAPES) >= _MAX_SHAPES:
            _SHAPES.clear()
        _SHAPES[keys] = shape
    return shape


def _plain(fields: dict[str, Any], shape: Shape) -> Line | None:
    """Parse an object with a text as its message; None when it needs the general way."""
    get = fields.get
    message = get(shape.message)
    if not message or not isinstance(message, str) or is_suspect(message):
        return None
    level, request_id, trace_id = get(shape.level), get(shape.request_id), get(shape.trace_id)
    level = level_of_value(level, shape.scale)
    if level is _UNKNOWN:
        return None
    return Line(
        fields,
        message,
        level,
        "app",
        request_id if request_id and isinstance(request_id, str) else None,
        trace_id_of(trace_id) if trace_id else None,
        _text(get(shape.version)),
    )


def _application(fields: dict[str, Any], shape: Shape, text: str) -> Line:
    found = recognise(fields, shape.roles)
    inner = {} if found.fields is None else _by_role(found.fields, roles_of(found.fields))
    by_role = inner | _by_role(fields, shape.roles)
    return Line(
        fields if found.fields is None else {**found.fields, **fields},
        found.message or text.rstrip("\n"),
        found.level,
        "app",
        _text(by_role.get("request_id")),
        trace_id_of(by_role.get("trace_id")),
        _text(by_role.get("version")),
    )


def _by_role(fields: dict[str, Any], roles: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the first value of each role."""
    by_role: dict[str, Any] = {}
    for key, role in roles:
        value = fields[key]
        if value is not None and role not in by_role:
            by_role[role] = value
    return by_role


def _platform(fields: dict[str, Any], type_: str, record: dict[str, Any]) -> Line:
    kind = _PLATFORM_KINDS.get(type_, "platform")
    level = Level.PLATFORM
    report = _report(record) if kind == "report" else None
    if kind == "dropped" or type_ == "platform.fault" or _has_failed(record):
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
        # Lambda Web Functions have revisions in place of versions.
        _text(record.get("version") or record.get("functionVersion") or record.get("revisionId")),
        report,
    )


def _has_failed(record: dict[str, Any]) -> bool:
    """Return whether a platform event reports a failure of the function, its start, or an extension."""
    states = (str(record.get("status")).casefold(), str(record.get("state")).casefold())
    return not _FAILED.isdisjoint(states) or bool(record.get("errorType"))


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
    by_role = _by_role(fields, shape.roles)
    parts, metrics = [], set[str]()
    for directive in objects_in(fields["_aws"]["CloudWatchMetrics"]):
        names = [str(metric["Name"]) for metric in objects_in(directive.get("Metrics")) if "Name" in metric]
        values = " ".join(f"{name}={fields.get(name)}" for name in names)
        parts.append(f"{directive.get('Namespace', '')}: {values}")
        metrics.update(names)
    # A metric may be called "error"; only what the logger wrote next to the metrics describes the line.
    said = recognise(
        fields, [each for each in shape.roles if each[0] not in metrics and each[1] in _SAID_NEXT_TO_METRICS]
    )
    severe = said.level in {Level.ERROR, Level.FATAL}
    message = "metrics " + "; ".join(parts)
    return Line(
        fields,
        f"{said.message}\n{message}" if said.message and (severe or "level" in by_role) else message,
        Level.INFO if said.level is _UNKNOWN else said.level,
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
