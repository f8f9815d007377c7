"""Parses text lines of Lambda, its runtimes and programs; accepts any text."""

from __future__ import annotations

import re

from prodwatch.formats.lambda_fast_paths import LEVEL_NAME, LEVELS, UUID, parse_fast
from prodwatch.formats.lambda_json import Kind, Line
from prodwatch.model.signal import LambdaReport, Level
from prodwatch.text.sanitize import MAX_CHARS, sanitize

_NAMED_ID = re.compile(rf"RequestId: ({UUID})")
_TRACE_ID = re.compile(r"\b1-[0-9a-f]{8}-[0-9a-f]{24}\b")
_TRACE_DIGITS = re.compile(r"1-[0-9a-f]{8}-[0-9a-f]{24}")
"""Necessary part of a trace id; much faster to search, because it begins with literal characters."""
_STARTED_VERSION = re.compile(r"Version: (\$LATEST|\d+)")
_PYTHON = re.compile(rf"\[({LEVEL_NAME})\](?:\s+\d{{4}}-\d\d-\d\dT[\d:.,]+Z?\s+({UUID})\t)?\s*")
_NODE = re.compile(rf"\d{{4}}-\d\d-\d\dT[\d:.]+Z\s+(?:({UUID})|undefined)\s+(?:({LEVEL_NAME})\s+)?")
_LEVEL_LETTERS = re.compile(LEVEL_NAME)
_ANY_LEVEL = re.compile(rf"(?<![\w.])({LEVEL_NAME})(?![\w.])")
_LEVEL_WITHIN = 80
"""Characters searched for a level in a line of unknown format."""
_NUMBER = re.compile(
    r"(Billed Duration|Restore Duration|Billed Restore Duration|Init Duration|Duration): (\d+\.?\d*|\.\d+) ms"
)
_MEMORY = re.compile(r"(Max Memory Used|Memory Size): (\d+) MB")
_STATUS = re.compile(r"Status: (\w+)")
_ERROR_TYPE = re.compile(r"Error Type: (\S+)")
_FRAME = re.compile(r"^[ \t]+(?:at \S|File \")", re.MULTILINE)
"""A traceback line of Java, Node, .NET or Python."""
_CRASH_TEXTS = (
    "Task timed out after",
    "Runtime exited",
    "Process exited before",
    "Runtime.ExitError",
    "OutOfMemoryError",
)

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
    if kind is None:
        level, request_id, body = _application(text)
    else:
        level, body = Level.PLATFORM, text.replace("\t", " ").rstrip()
        id_match = _NAMED_ID.search(text)
        request_id = id_match[1] if id_match else None
        report = parse_report(text) if kind == "report" else None
        if kind == "start":
            version_match = _STARTED_VERSION.search(text)
            version = version_match[1] if version_match else None
        if kind == "init" and (ended := _STATUS.search(text)) and ended[1] != "success":
            # As in the JSON format: no other line reports that the start failed.
            level = Level.ERROR
    if len(body) > MAX_CHARS or not body.isprintable():
        body = sanitize(body)
    return Line(None, body, level, kind or "app", request_id, trace_id[0] if trace_id else None, version, report)


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


def _application(text: str) -> tuple[Level, str | None, str]:
    """Return level, request id and readable text of an application's line."""
    if text[:1] == "[":
        python = _PYTHON.match(text)
        if python:
            return LEVELS[python[1]], python[2], text[python.end() :] or text
    elif text[:1].isdigit():
        node = _NODE.match(text)
        if node:
            body = text[node.end() :] or text
            level = LEVELS[node[2]] if node[2] else _guess_level(body)
            return level, node[1], body
    id_match = _NAMED_ID.search(text) if "RequestId: " in text else None
    return _guess_level(text), id_match[1] if id_match else None, text


def _guess_level(text: str) -> Level:
    head = text[:_LEVEL_WITHIN]
    # Most lines of unknown format contain no letters of a level, which is faster to check.
    match = _ANY_LEVEL.search(head) if _LEVEL_LETTERS.search(head) else None
    if match:
        return LEVELS[match[1]]
    if text.startswith("Traceback (most recent call last)") or any(crash in text for crash in _CRASH_TEXTS):
        return Level.ERROR
    if "\n" in text and _FRAME.search(text):
        return Level.ERROR
    return Level.UNKNOWN
