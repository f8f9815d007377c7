"""Fast paths for the most common text lines, one pattern each; results equal those of the general parser.

A pattern matches only unambiguous lines; all others are left to the general parser.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from prodwatch.formats.lambda_json import Line
from prodwatch.formats.level_and_message import is_suspect
from prodwatch.formats.level_values import LEVELS
from prodwatch.model.signal import LambdaReport, Level
from prodwatch.text.sanitize import MAX_CHARS, sanitize

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_DATED = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,20}Z"
_MS = r"([0-9]{1,12}\.[0-9]{1,6}) ms"
_WHOLE = r"([0-9]{1,9})"
_is_id = re.compile(UUID).fullmatch
_start = re.compile(r"START RequestId: (.{36}) Version: (\$LATEST|[0-9]{1,18})\Z").match
_end = re.compile(r"END RequestId: (.{36})\Z").match
_report = re.compile(
    rf"REPORT RequestId: (.{{36}})\tDuration: {_MS}\tBilled Duration: {_WHOLE} ms\tMemory Size: {_WHOLE} MB"
    rf"\tMax Memory Used: {_WHOLE} MB(?:\tInit Duration: {_MS})?[\t\n]*"
    r"(?:XRAY TraceId: (1-[0-9a-f]{8}-[0-9a-f]{24})\tSegmentId: [0-9a-f]{1,32}\tSampled: [a-z]{1,9}\t*)?\Z"
).match
_python = re.compile(rf"\[([A-Z]{{4,8}})\]\t{_DATED}\t(.{{36}})\t\s*").match
_node = re.compile(rf"{_DATED}\t(.{{36}})\t([A-Za-z]{{4,8}})(?:\t|(?<=[A-Z])\s)\s*").match

_PLATFORM = Level.PLATFORM
"""A shortcut: access to an enumeration's members is slow in Python 3.11."""
_OBJECT_ENDS = frozenset("}] \t")
"""Ends of lines that may contain a JSON object."""
_IDS: dict[str, str] = {}
_MAX_IDS = 8192


def parse_fast(text: str) -> Line | None:
    """Return the parsed line if its format has a fast path, else None; the text must not end in a newline."""
    parse = _PARSERS.get(text[:1])
    return parse(text) if parse else None


def _shared_id(text: str) -> str | None:
    """Return a request id as a string shared by all lines of its request; None when `text` is not a request id."""
    cached = _IDS.get(text)
    if cached is None and _is_id(text):
        if len(_IDS) >= _MAX_IDS:
            _IDS.clear()
        cached = _IDS[text] = text
    return cached


def _start_line(text: str) -> Line | None:
    match = _start(text)
    request_id = _shared_id(match[1]) if match else None
    if match is None or request_id is None:
        return None
    return Line(None, text, _PLATFORM, "start", request_id, None, match[2])


def _end_line(text: str) -> Line | None:
    match = _end(text)
    request_id = _shared_id(match[1]) if match else None
    return None if request_id is None else Line(None, text, _PLATFORM, "end", request_id)


def _report_line(text: str) -> Line | None:
    match = _report(text)
    if match is None:
        return None
    id_, duration, billed, memory, used, init, trace_id = match.groups()
    request_id = _shared_id(id_)
    if request_id is None:
        return None
    report = LambdaReport(
        duration_ms=float(duration),
        billed_ms=float(billed),
        memory_mb=int(memory),
        used_mb=int(used),
        init_ms=None if init is None else float(init),
    )
    # The pattern matches only text that needs no sanitising.
    body = text.replace("\t", " ").rstrip()
    return Line(None, body, _PLATFORM, "report", request_id, trace_id, None, report)


def _python_line(text: str) -> Line | None:
    match = _python(text)
    return _application_line(text, match.end(), match[1], match[2]) if match else None


def _node_line(text: str) -> Line | None:
    match = _node(text)
    return _application_line(text, match.end(), match[2], match[1]) if match else None


def _application_line(text: str, end: int, level_name: str, id_: str) -> Line | None:
    level, request_id = LEVELS.get(level_name), _shared_id(id_)
    body = text[end:] or text
    # Leave lines that may contain a trace id to the general parser; all trace ids contain these characters.
    if level is None or request_id is None or "1-" in body:
        return None
    # Also those with a level, or an object, of their own.
    if is_suspect(body) or body[-1:] in _OBJECT_ENDS:
        return None
    if len(body) > MAX_CHARS or not body.isprintable():
        body = sanitize(body)
    return Line(None, body, level, "app", request_id)


_PARSERS: dict[str, Callable[[str], Line | None]] = {
    "S": _start_line,
    "E": _end_line,
    "R": _report_line,
    "[": _python_line,
    **dict.fromkeys("0123456789", _node_line),
}
