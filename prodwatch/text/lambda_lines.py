"""One line of CloudWatch Logs becomes one `LogRecord`: nothing is rejected, an unknown format stays readable text.

Knows Lambda's text and JSON platform lines, the runtimes' own formats, Powertools in any spelling and EMF; the rest
is kept as it is. The version comes from the stream name, which speaks for every line, else from the line itself.
"""

from __future__ import annotations

import re
from functools import lru_cache

from msgspec.structs import replace

from prodwatch.model.signal import LambdaReport, Level, LogRecord
from prodwatch.text.lambda_json import Kind, Line, parse_json_line
from prodwatch.text.redact import Redactor
from prodwatch.text.sanitize import MAX_CHARS, sanitize, sanitize_value

_VERSION_IN_STREAM = re.compile(r"\[(\$LATEST|\d+)\]")
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_NAMED_ID = re.compile(rf"RequestId: ({_UUID})")
_TRACE_ID = re.compile(r"\b1-[0-9a-f]{8}-[0-9a-f]{24}\b")
_STARTED_VERSION = re.compile(r"Version: (\$LATEST|\d+)")
_LEVEL_NAME = r"CRITICAL|FATAL|ERROR|WARNING|WARN|NOTICE|INFO|DEBUG|TRACE"
_PYTHON = re.compile(rf"\[({_LEVEL_NAME})\](?:\s+\d{{4}}-\d\d-\d\dT[\d:.,]+Z?\s+({_UUID})\t)?\s*")
_NODE = re.compile(rf"\d{{4}}-\d\d-\d\dT[\d:.]+Z\s+(?:({_UUID})|undefined)\s+(?:({_LEVEL_NAME})\s+)?")
_ANY_LEVEL = re.compile(rf"(?<![\w.])({_LEVEL_NAME})(?![\w.])")
_LEVEL_WITHIN = 80
"""Characters in which a level is looked for when a line has no known shape."""
_NUMBER = re.compile(r"(Billed Duration|Restore Duration|Billed Restore Duration|Init Duration|Duration): ([\d.]+) ms")
_MEMORY = re.compile(r"(Max Memory Used|Memory Size): (\d+) MB")
_STATUS = re.compile(r"Status: (\w+)")
_ERROR_TYPE = re.compile(r"Error Type: (\S+)")
_CRASHES = ("Task timed out after", "Runtime exited", "Process exited before", "Runtime.ExitError", "OutOfMemoryError")

LEVELS = {
    "CRITICAL": Level.FATAL,
    "FATAL": Level.FATAL,
    "ERROR": Level.ERROR,
    "WARNING": Level.WARN,
    "WARN": Level.WARN,
    "NOTICE": Level.INFO,
    "INFO": Level.INFO,
    "DEBUG": Level.DEBUG,
    "TRACE": Level.TRACE,
}
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


@lru_cache(maxsize=4096)
def version_of_stream(stream: str) -> str | None:
    """Return the version a stream name carries (`2026/11/20/[7]ab12…` gives `7`), None when it carries none."""
    found = _VERSION_IN_STREAM.search(stream)
    return found[1] if found else None


def parse_report(text: str) -> LambdaReport | None:
    """Return the numbers of the REPORT line in `text` (one line or a whole log tail), None when there is none."""
    start = text.find("REPORT RequestId: ")
    if start < 0:
        return None
    # A tail may go on with other lines; a REPORT line itself may be followed by its XRAY line.
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


class LineParser:
    """Parses lines; what comes out is sanitised, and free of the secrets that `redactor` knows."""

    def __init__(self, redactor: Redactor | None = None) -> None:
        self._redactor = redactor

    def parse(
        self,
        message: str,
        *,
        group: str,
        timestamp_ms: int,
        stream: str = "",
        event_id: str = "",
        ingested_ms: int = 0,
        late_ms: int = 0,
    ) -> LogRecord:
        """Return the record of one event as CloudWatch gave it."""
        text = self._redactor.text(message) if self._redactor else message
        line = parse_json_line(text) if text.startswith("{") else None
        line = _text_line(text) if line is None else self._safe(line, text)
        return LogRecord(
            timestamp_ms,
            line.message,
            group,
            stream,
            line.level,
            version_of_stream(stream) or line.version,
            line.request_id,
            line.trace_id,
            event_id,
            ingested_ms,
            line.fields,
            line.kind,
            line.report,
            late_ms,
        )

    def _safe(self, line: Line, text: str) -> Line:
        """Return a JSON line whose texts may be shown."""
        if "\\" not in text and text.isprintable() and len(text) <= MAX_CHARS:
            # Without an escape or a raw control character the decoded texts are as safe as the line itself was.
            return line
        fields, message = line.fields, line.message
        if self._redactor:
            # An escape (`\\u0041`) may have hidden a secret from the look at the raw line.
            fields, message = self._redactor.value(fields), self._redactor.text(message)
        return replace(line, fields=sanitize_value(fields), message=sanitize(_newlines(message)))


def _text_line(text: str) -> Line:
    text = _newlines(text)
    trace_id = _TRACE_ID.search(text) if "1-" in text else None
    kind = _platform_kind(text) if text[:1] in _PLATFORM_FIRST else None
    version: str | None = None
    report = None
    if kind is None:
        level, request_id, body = _application(text)
    else:
        level, body = Level.PLATFORM, text.replace("\t", " ").rstrip()
        named = _NAMED_ID.search(text)
        request_id = named[1] if named else None
        report = parse_report(text) if kind == "report" else None
        if kind == "start":
            told = _STARTED_VERSION.search(text)
            version = told[1] if told else None
    if len(body) > MAX_CHARS or not body.isprintable():
        body = sanitize(body)
    return Line(None, body, level, kind or "app", request_id, trace_id[0] if trace_id else None, version, report)


def _platform_kind(text: str) -> Kind | None:
    for prefix, kind in _PLATFORM_KINDS.items():
        if text.startswith(prefix):
            return kind
    return None


def _application(text: str) -> tuple[Level, str | None, str]:
    """Return level, request id and what people read of a line that a program wrote."""
    if text[:1] == "[":
        python = _PYTHON.match(text)
        if python:
            return LEVELS[python[1]], python[2], text[python.end() :] or text
    elif text[:1].isdigit():
        node = _NODE.match(text)
        if node:
            body = text[node.end() :] or text
            level = LEVELS[node[2]] if node[2] else _guess(body)
            return level, node[1], body
    named = _NAMED_ID.search(text) if "RequestId: " in text else None
    return _guess(text), named[1] if named else None, text


def _guess(text: str) -> Level:
    head = text[:_LEVEL_WITHIN]
    found = _ANY_LEVEL.search(head)
    if found:
        return LEVELS[found[1]]
    if text.startswith("Traceback (most recent call last)") or any(crash in text for crash in _CRASHES):
        return Level.ERROR
    return Level.UNKNOWN


def _newlines(text: str) -> str:
    """Return `text` without the newline at its end and with one kind of newline inside: tracebacks stay whole."""
    if "\r" in text:
        # Lambda's Python runtime separates the lines of a traceback by carriage returns.
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.rstrip("\n") if text.endswith("\n") else text
