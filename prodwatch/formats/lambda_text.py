"""Parses text lines of Lambda, its runtimes and programs; accepts any text."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from prodwatch.formats.embedded_object import find_object
from prodwatch.formats.lambda_fast_paths import UUID, parse_fast
from prodwatch.formats.lambda_json import Kind, Line, parse_inner_object
from prodwatch.formats.level_and_message import inner_level, level_of_text
from prodwatch.formats.level_values import LEVELS, UPPER_CASE, most_severe
from prodwatch.model.signal import LambdaReport, Level
from prodwatch.text.sanitize import MAX_CHARS, sanitize

_NAMED_ID = re.compile(rf"RequestId: ({UUID})")
_TRACE_ID = re.compile(r"\b1-[0-9a-f]{8}-[0-9a-f]{24}\b")
_TRACE_DIGITS = re.compile(r"1-[0-9a-f]{8}-[0-9a-f]{24}")
"""Necessary part of a trace id; much faster to search, because it begins with literal characters."""
_STARTED_VERSION = re.compile(r"Version: (\$LATEST|\d+)")
_UPPER = "|".join(sorted(UPPER_CASE, key=len, reverse=True))
_ANY_CASE = "|".join(sorted(LEVELS, key=len, reverse=True))
_PYTHON = re.compile(rf"\[({_ANY_CASE})\](?:\s+\d{{4}}-\d\d-\d\dT[\d:.,]+Z?\s+({UUID})\t)?\s*")
_NODE = re.compile(
    rf"\d{{4}}-\d\d-\d\dT[\d:.]+Z\s+(?:({UUID})|undefined)\s+(?:(?:(?<=\t)({_ANY_CASE})\t|({_UPPER})\s)\s*)?"
)
_NUMBER = re.compile(
    r"(Billed Duration|Restore Duration|Billed Restore Duration|Init Duration|Duration): (\d+\.?\d*|\.\d+) ms"
)
_MEMORY = re.compile(r"(Max Memory Used|Memory Size): (\d+) MB")
_STATUS = re.compile(r"Status: (\w+)")
_ERROR_TYPE = re.compile(r"Error Type: (\S+)")
_FAILED = re.compile(r"\b(?:Status: (?!success\b)\w|State: (?:Failed|Error)\b|Error Type: )")
"""A report of Lambda of a failed invocation, start, or extension."""

_PLATFORM_KINDS: dict[str, Kind] = {
    "START RequestId: ": "start",
    "END RequestId: ": "end",
    "REPORT RequestId: ": "report",
    "INIT_START ": "init",
    "INIT_REPORT ": "init",
    "RESTORE_START ": "init",
    "RESTORE_REPORT ": "init",
    "EXTENSION\t": "platform",
    "TELEMETRY\t": "platform",
    "LOGS\t": "platform",
}
_PLATFORM_FIRST = frozenset(prefix[0] for prefix in _PLATFORM_KINDS)


def parse_text_line(text: str) -> Line:
    """Return the parsed line; its message is sanitised."""
    text = normalise_newlines(text)
    return parse_fast(text) or parse_general(text)


def parse_general(text: str) -> Line:
    """Parse any line; the text has newlines of one kind and none at its end."""
    trace_id = _TRACE_ID.search(text) if "1-" in text and _TRACE_DIGITS.search(text) else None
    kind = _platform_kind(text) if text[:1] in _PLATFORM_FIRST else None
    version: str | None = None
    report = None
    fields: dict[str, Any] | None = None
    written: str | None = None
    if kind is None:
        level, request_id, body = _application(text)
        found = find_object(body)
        if found is None:
            level = level_of_text(body) if level is Level.UNKNOWN else most_severe((level, inner_level(body)))
        else:
            inner = parse_inner_object(found.fields)
            fields, request_id, version = inner.fields, request_id or inner.request_id, inner.version
            if found.label or inner.level is Level.UNKNOWN:
                outer = level_of_text(body) if level is Level.UNKNOWN else inner_level(body)
                level = most_severe((level, outer))
            level = most_severe((level, inner.level))
            written = sanitize(body)
            if inner.message:
                body = f"{found.label} {inner.message}".strip()
    else:
        level, body = Level.PLATFORM, text.replace("\t", " ").rstrip()
        id_match = _NAMED_ID.search(text)
        request_id = id_match[1] if id_match else None
        report = parse_report(text) if kind == "report" else None
        if kind == "start":
            version_match = _STARTED_VERSION.search(text)
            version = version_match[1] if version_match else None
        if _FAILED.search(text):
            # As in the JSON format: often no other line reports it.
            level = Level.ERROR
    if len(body) > MAX_CHARS or not body.isprintable():
        body = sanitize(body)
    return Line(
        fields, body, level, kind or "app", request_id, trace_id[0] if trace_id else None, version, report, written
    )


def parse_report(text: str) -> LambdaReport | None:
    """Return the values of the REPORT line in `text` (a line or a log tail); None without one."""
    start = text.find("REPORT RequestId: ")
    if start < 0:
        return None
    # Other lines may follow in a log tail, and an XRAY line after the REPORT line.
    line = text[start:].split("\n", 1)[0]
    times = {name: float(value) for name, value in _NUMBER.findall(line)}
    if "Duration" not in times:
        return None
    memory = {name: int(value) for name, value in _MEMORY.findall(line)}
    status, error_type = _STATUS.search(line), _ERROR_TYPE.search(line)
    return LambdaReport(
        duration_ms=times["Duration"],
        billed_ms=times.get("Billed Duration", 0.0),
        memory_mb=memory.get("Memory Size", 0),
        used_mb=memory.get("Max Memory Used", 0),
        init_ms=times.get("Init Duration", times.get("Restore Duration")),
        status=status[1] if status else None,
        error_type=error_type[1] if error_type else None,
    )


def normalise_newlines(text: str) -> str:
    r"""Return `text` with `\n` for every newline and none at its end, so that tracebacks stay in one record."""
    if "\r" in text:
        # Lambda's Python runtime separates traceback lines by carriage returns.
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.rstrip("\n") if text[-1:] == "\n" else text


def _platform_kind(text: str) -> Kind | None:
    for prefix, kind in _PLATFORM_KINDS.items():
        if text.startswith(prefix):
            return kind
    return None


class _Application(NamedTuple):
    level: Level
    """Level in the prefix of its runtime, UNKNOWN without one."""
    request_id: str | None
    body: str
    """The text behind that prefix."""


def _application(text: str) -> _Application:
    if text[:1] == "[":
        python = _PYTHON.match(text)
        if python:
            return _Application(LEVELS[python[1]], python[2], text[python.end() :] or text)
    elif text[:1].isdigit():
        node = _NODE.match(text)
        if node:
            name = node[2] or node[3]
            return _Application(LEVELS[name] if name else Level.UNKNOWN, node[1], text[node.end() :] or text)
    id_match = _NAMED_ID.search(text) if "RequestId: " in text else None
    return _Application(Level.UNKNOWN, id_match[1] if id_match else None, text)
