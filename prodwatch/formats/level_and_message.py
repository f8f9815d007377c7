"""Recognises level and message of a log line, as text and as JSON: the only place that decides them.

In text a level is a word in a level position: in brackets, between bars, tabs or dashes, after a key such as `level=`,
before a colon at the start of the line, or in upper case. Other words within a sentence do not count.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from prodwatch.formats.level_values import (
    SEVERITY,
    TEXT_WORDS,
    UPPER_CASE,
    level_of_value,
    most_severe,
)
from prodwatch.model.signal import Level

_UNKNOWN, _INFO = Level.UNKNOWN, Level.INFO
_WARN, _ERROR, _FATAL = Level.WARN, Level.ERROR, Level.FATAL
"""Shortcuts: access to an enumeration's members is slow in Python 3.11."""
_AFTER_TIME = frozenset(
    ("error", "err", "fatal", "critical", "crit", "severe", "warning", "warn", "info", "debug", "trace")
)
"""Words that are a level in lower case, too, directly after a time or brackets."""

_HEAD = 240
"""Characters of a line that are searched for a level word."""
_ALTERNATIVES = "|".join(sorted(TEXT_WORDS, key=len, reverse=True))
_INITIALS = "".join(sorted({word[0] for word in TEXT_WORDS}))
_after_delimiter = re.compile(rf"[\[|\t\n(<=\"':\-][ \t]*+(?=[{_INITIALS}])({_ALTERNATIVES})(?![a-z0-9_])").search
_upper = re.compile(rf"({'|'.join(sorted(UPPER_CASE, key=len, reverse=True))})(?![\w])").search
_KEYS = r"log[._]?level|level[._]?name|severity[._]?text|@?level|severity|lvl|sev|@l"
_after_key = re.compile(rf"(?:^|[\s,({{\[])(?:{_KEYS})=[\"'\[]?$").search
_after_quoted_key = re.compile(
    rf"(?:(?:^|[,{{\s])[\"'](?:{_KEYS})[\"']|(?:^|[,{{]\s*)(?:{_KEYS}))\s*:\s*[\"'\[]?$"
).search
_json_key = re.compile(
    rf"[\"'](?:{_KEYS})[\"']\s*:\s*(?:[\"']\s*({_ALTERNATIVES}|[0-9]{{1,5}})\s*[\"']|([0-9]{{1,5}}))(?=\s*[,}}\]]|\s*$)"
).search
_KEY_CHARS = 32
"""Characters before a word that can be its key."""
_LEAD = r"(?:[\s\d\-:.,/+|]++|(?<=\d)[tz](?=[\d\s\]|])|\[[^\[\]]{0,80}\]|\([^()]{0,80}\)|(?:am|pm|utc|gmt)\b|php )*+"
_lead = re.compile(_LEAD).fullmatch
_first = re.compile(rf"{_LEAD}(?=[{_INITIALS}])({_ALTERNATIVES})(?![a-z0-9_])").match
"""Prefix of a level at the start of a line: times, and names in brackets."""
_dated = re.compile(r"\d[:\-/]\d|\]").search
_logfmt = re.compile(r"(?:[\w.@]+=(?:\"(?:[^\"\\]|\\.)*\"|[^\s\"]*)\s+)*").fullmatch
_of_nothing = re.compile(
    r"[\"']?\s*[:=]\s*[\"'\[{]?(?:0+(?:[.,]0+)?\s*%?|none|null|nil|no|false|off|undefined)[\"'\]}]?\s*(?:[.,;|)}\]]|$|\s[\w.]+[=:])",
    re.IGNORECASE,
).match
"""The rest of `error: 0` and `error=none`."""
_none_before = re.compile(r"(?:^|[\s(,=])(?:0|no|zero|without)\s+$", re.IGNORECASE).search
_about_errors = re.compile(
    r"\s+(?:rate|count|counter|ratio|budget|percentage|level|log|handler|handling|free|page)s?\b", re.IGNORECASE
).match
"""The rest of a text that is about errors and does not report one."""
_AROUND = frozenset(" []|\t")
_PAIRS = {"[": "]", "|": "|", "\t": "\t", "(": ")", "<": ">", "": "\t|"}

_glog = re.compile(r"([EFWI])\d{4} \d\d:\d\d:\d\d").match
_syslog = re.compile(r"<(\d{1,3})>").match
_SYSLOG = (_FATAL, _FATAL, _FATAL, _ERROR, _WARN, _INFO, _INFO, Level.DEBUG)
_frame = re.compile(r"^[ \t]+(?:at \S|File \")", re.MULTILINE).search
"""A traceback line of Java, Node, .NET or Python."""
_error_class = re.compile(r"(?:[A-Za-z_$][\w$]*(?:\.|::))*[A-Z]\w*(?:Error|Exception)(?::|\s*$|\s*\n)").match
_crash_start = re.compile(
    r"\s*(?:Traceback \(most recent call last\)|panic: |fatal error: |runtime: goroutine stack exceeds"
    r"|(?:NOTICE: )?(?:PHP message: )?PHP (?:\w+ )?(?:fatal|parse|core|compile|recoverable fatal) error:"
    r"|(?:PHP )?Fatal error: |thread '[^']*' (?:\(\d+\) )?panicked at |Exception in thread |Unhandled |Uncaught "
    r"|Invoke Error\b|Init Error\b|Error raised from handler method|Error when \w+ing handler|Task timed out after "
    r"|Runtime exited |RequestId: [0-9a-f-]{36} (?:Error: |Process exited before |Status: (?:error|timeout|failure)\b)"
    r"|Process exited before |LAMBDA_RUNTIME Failed |Fatal Python error: |Segmentation fault)",
    re.IGNORECASE,
).match
"""Beginnings of the reports that runtimes write of uncaught errors."""
_crash = re.compile(
    r"Task timed out after|Runtime exited|Process exited before|Runtime\.ExitError|OutOfMemoryError|' panicked at |"
    r"\) panicked at |panic serving |PHP (?:Fatal|Parse|Core|Compile|Recoverable fatal) error:|Fatal error: |"
    r"fatal error: |Unhandled [Ee]xception|Uncaught Exception|Unhandled Promise Rejection|UnhandledPromiseRejection|"
    r"Exception in thread |Unknown application error occurred|Unable to import module|SIGSEGV|Segmentation fault|"
    r"\.rb:\d+:in .*\(\w*(?:Error|Exception)\)|Fatal Python error: "
).search
"""Texts of crashes anywhere in a line without a level."""

_LEADS = frozenset(
    (
        *(word[:3] for word, level in TEXT_WORDS.items() if SEVERITY[level] >= SEVERITY[_WARN]),
        *("tra", "run", "not", "php", "thr", "exc", "unh", "unc", "inv", "ini", "tas", "req", "pro", "lam", "seg"),
        *("lev", "lvl", "sev", "log", "tim", "ts="),
    )
)
"""First three letters of the words, reports and keys with which a level can begin."""
_OPENERS = frozenset("[({<|\"'\x1b@ \t\n0123456789")


def is_suspect(message: str) -> bool:
    """Return whether a message that has a level may begin with another one: a fast check, nearly always false."""
    return message[:1] in _OPENERS or message[:3].lower() in _LEADS


def level_of_text(text: str) -> Level:
    """Return the level of a line without a known prefix; UNKNOWN without one."""
    head = text[:_HEAD]
    first = _first_level(head)
    if first is not None:
        level, end = first
        return most_severe((level, inner_level(text[end:].lstrip(" \t:|]>)-"))))
    if text[:1] == "<" and (priority := _syslog(text)):
        return _SYSLOG[int(priority[1]) & 7]
    if text[4:5].isdigit() and (letter := _glog(text)):
        return level_of_value(letter[1])
    if text[:1] in "{[" and (in_json := _json_key(text.lower())):
        return level_of_value(in_json[1] or in_json[2])
    if _may_report_a_crash(text) and (_crash_start(text) or _crash(text) or _error_class(text)):
        return _ERROR
    return _ERROR if "\n" in text and (_frame(text) or _crash_start(text)) else _UNKNOWN


def _may_report_a_crash(text: str) -> bool:
    """Return whether a text contains a part of a report of a crash: much faster than to search for the reports."""
    return (
        ("rror" in text or "xception" in text or "panic" in text or "xited" in text or "timed out" in text)
        or ("egment" in text or "nhandled" in text or "SIGSEGV" in text or "Traceback" in text or "runtime: " in text)
        or "LAMBDA_RUNTIME" in text
    )


def inner_level(message: str) -> Level:
    """Return the level with which a message begins, behind the prefix of its runtime; UNKNOWN without one."""
    if not is_suspect(message):
        return _UNKNOWN
    if _crash_start(message):
        return _ERROR
    first = _first_level(message[:_HEAD], leading=True)
    if first is not None:
        return first[0]
    priority = _syslog(message) if message[:1] == "<" else None
    return _SYSLOG[int(priority[1]) & 7] if priority else _UNKNOWN


def _first_level(head: str, *, leading: bool = False) -> tuple[Level, int] | None:
    """Return the first level in a level position and where its word ends; with `leading` only at the start."""
    lower = head.lower()
    if len(lower) != len(head):
        # A few letters change their number of characters.
        lower = "".join(char.lower() if char.isascii() else char for char in head)
    start = 0
    while start < len(head):
        upper = _upper(head, start)
        # Only what comes before a word in upper case can precede it as the level.
        limit = len(head) if upper is None else upper.end()
        matches = (None if start else _first(lower, 0, limit), _after_delimiter(lower, start, limit), upper)
        spans = [match.span(1) for match in matches if match is not None]
        if not spans:
            return None
        at, end = min(spans)
        level = TEXT_WORDS[lower[at:end]]
        # The most frequent case, without the closer look that errors need.
        harmless = SEVERITY[level] < SEVERITY[_ERROR] and not leading and head[at:end] in UPPER_CASE
        if harmless and head[at - 1 : at] in _AROUND and head[end : end + 1] in _AROUND:
            return level, end
        if _is_level(head, lower, at, end, leading=leading):
            return level, end
        start = end
    return None


def _is_level(head: str, lower: str, start: int, end: int, *, leading: bool) -> bool:
    word, before, after = head[start:end], lower[:start], lower[end:]
    if before[-1:].isalnum() or before[-1:] == "_":
        return False
    key = lower[max(0, start - _KEY_CHARS) : start]
    if "=" in key and (named := _after_key(key)):
        others = head[: start - len(key) + named.start()].strip()
        return not leading or not others or _logfmt(f"{others} ") is not None or _lead(others) is not None
    if ":" in key and (named := _after_quoted_key(key)):
        return not leading or before.lstrip()[:1] in {"", "{"}
    if _of_nothing(after) or _none_before(before[-12:]):
        return False
    if leading and not _lead(before.rstrip(" \t[|(<")) and not _lead(before):
        return False
    return _is_enclosed(before, after) or _is_first(word, before, after) or _is_upper(word, before, after)


def _is_enclosed(before: str, after: str) -> bool:
    """Return whether a word is alone in brackets, or between bars, tabs or dashes."""
    opening, closing = before.rstrip(" ")[-1:], after.lstrip(" ")[:1]
    if opening == ":" and closing == "]" and "[" in before:
        return True
    if before.endswith("- ") and after.lstrip(" ").startswith("- "):
        return True
    closes = _PAIRS.get(opening)
    if closes is None or not closing or closing not in closes:
        return False
    # In the middle of a text, parentheses and angle brackets are more often something else.
    return opening not in "(<" or opening == "" or _lead(before.rstrip(" (<")) is not None


def _is_first(word: str, before: str, after: str) -> bool:
    """Return whether a word in any case begins the line, apart from times and names in brackets."""
    last_line = before.rpartition("\n")[2]
    if _lead(last_line) is None:
        return False
    if after[:1] in {":", "!", ">"} or after.startswith((" - ", " -- ")):
        return True
    spaced = after[:1] in {" ", "\t"} and word.lower() in _AFTER_TIME and _dated(last_line) is not None
    return spaced and _about_errors(after) is None


def _is_upper(word: str, before: str, after: str) -> bool:
    """Return whether a word is a level because of its upper case."""
    if before[-1:] == ".":
        # Monolog: `[time] channel.ERROR: message`.
        return word.isupper() and after.startswith(": ")
    return word in UPPER_CASE and after[:1] != "."


class Role(NamedTuple):
    """Meaning of a key; of several keys with the same role the one with the lowest rank counts."""

    name: str
    rank: int = 0


_ROLES: dict[str, Role] = {}
"""Key in lower case without underscores, hyphens, spaces and dots → role."""
_LEVEL_KEYS = (
    "level loglevel loglevelname severity severitytext severitynumber severitylevel logseverity syslogseverity lvl sev",
    "levelname levelno levelnumber levelvalue levelstr stringlevel syslogseveritycode eventlevel @level @l",
)
for _name, _keys_by_rank in {
    "level": (" ".join(_LEVEL_KEYS),),
    "weak_level": ("l type status priority prio",),
    "message": (
        "message msg @message @m shortmessage logmessage",
        "renderedmessage event text",
        "log body textpayload fullmessage @mt messagetemplate",
    ),
    "error_message": ("errormessage exceptionmessage",),
    "error_type": ("errortype exceptionname exceptionclass exceptiontype errorname errorkind",),
    "stack": ("exception stacktrace stack errorstack errorstacktrace exceptionstacktrace @x excinfo exctext",),
    "error": ("error err thrown",),
    "nested": ("record fields",),
    "request_id": ("requestid awsrequestid functionrequestid lambdarequestid",),
    "trace_id": ("xraytraceid traceid",),
    "version": ("functionversion lambdaversion",),
}.items():
    for _rank, _keys in enumerate(_keys_by_rank):
        _ROLES.update(dict.fromkeys(_keys.split(), Role(_name, _rank)))

_TYPE_KEYS = ("name", "type", "class", "errorType", "exc_type", "exception_class", "kind", "code")
_MESSAGE_KEYS = ("message", "errorMessage", "exc_value", "exception_message", "msg", "detail")
_STACK_KEYS = ("stack", "stack_trace", "stacktrace", "stackTrace", "trace", "extendedStackTrace", "StackTrace")
_NO_ERROR = frozenset(("", "0", "none", "null", "nil", "no", "false", "ok"))
_DEPTH = 3
"""Levels of objects searched for a level and a message."""


class Recognised(NamedTuple):
    """Level and message of an object."""

    level: Level
    message: str
    """Empty without one."""
    fields: dict[str, Any] | None = None
    """The object in the message, None without one."""


def role_of(key: str) -> Role | None:
    """Return the role of a key of a JSON line."""
    return _ROLES.get(normalise_key(key))


def normalise_key(key: str) -> str:
    """Return a key in lower case and without separators."""
    return key.lower().replace("_", "").replace("-", "").replace(".", "").replace(" ", "")


def recognise(fields: Mapping[str, Any], roles: Sequence[tuple[str, str]], depth: int = 0) -> Recognised:
    """Return level and message of an object whose keys have `roles`: (key, role), those of lower rank first."""
    nested = _nested(fields, depth)
    level = most_severe(
        (nested.level, *(level_of_value(fields[key], normalise_key(key)) for key, role in roles if role == "level"))
    )
    if level is _UNKNOWN:
        level = most_severe(_weak_level(fields[key]) for key, role in roles if role == "weak_level")
    values: dict[str, Any] = {}
    for key, role in roles:
        if fields[key] is not None and (role != "message" or _is_message(key, fields[key])):
            values.setdefault(role, fields[key])
    message, inner = _message(values, fields, depth)
    if nested.message and "message" not in {role for key, role in roles if role_of(key) == ("message", 0)}:
        message = nested.message
    if inner is not None:
        level = most_severe((level, inner.level))
    if level is _UNKNOWN and _is_evidence(values):
        level = _ERROR
    if message and SEVERITY[level] < SEVERITY[_ERROR]:
        level = most_severe((level, inner_level(message) if level is not _UNKNOWN else level_of_text(message)))
    error = _error_text(values)
    # A logger may already include the error in the message.
    whole = "\n".join(part for part in (message, error if error not in message else "") if part)
    return Recognised(level, whole, None if inner is None else inner.fields)


def _weak_level(value: Any) -> Level:
    """Return the level under a key that more often holds something else: only words, and only bad ones."""
    level = level_of_value(value) if isinstance(value, str) and value.isalpha() and len(value) > 1 else _UNKNOWN
    return level if SEVERITY[level] >= SEVERITY[_WARN] else _UNKNOWN


def _is_message(key: str, value: Any) -> bool:
    """Return whether a value can be the message: only the usual keys may hold anything but text."""
    role = role_of(key)
    return isinstance(value, str) or (role is not None and not role.rank)


def _nested(fields: Mapping[str, Any], depth: int) -> Recognised:
    """Return what ECS, tracing and loguru put one level deeper."""
    level, message = _UNKNOWN, ""
    log, record, inner = fields.get("log"), fields.get("record"), fields.get("fields")
    if isinstance(log, dict):
        level = level_of_value(log.get("level"))
    if isinstance(record, dict):
        level = most_severe((level, level_of_value(record.get("level"))))
        message = record["message"] if isinstance(record.get("message"), str) else ""
    if isinstance(inner, dict) and depth < _DEPTH:
        found = recognise(inner, roles_of(inner), _DEPTH)
        level, message = most_severe((level, found.level)), message or found.message
    return Recognised(level, message)


def roles_of(fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (key, role) of each key with a role, those of lower rank first."""
    found = [(key, role) for key in fields if (role := role_of(key)) is not None]
    return [(key, role.name) for key, role in sorted(found, key=lambda each: each[1].rank)]


def _message(values: dict[str, Any], fields: Mapping[str, Any], depth: int) -> tuple[str, Recognised | None]:
    """Return the message, and what the object in it says when the message is one."""
    message = values.get("message", "")
    if not isinstance(message, str):
        encoded = msgspec.json.encode(message).decode()
        if isinstance(message, dict) and (inner := _inner(message, depth)) is not None:
            return inner.message or encoded, inner
        return encoded, None
    if message[:1] == "{" and depth < _DEPTH:
        try:
            decoded = msgspec.json.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return message, None
        if isinstance(decoded, dict) and (inner := _inner(decoded, depth)) is not None:
            return inner.message or message, inner
    return _filled(message, fields) if "{" in message and "@mt" in fields and "@m" not in fields else message, None


def _inner(fields: dict[str, Any], depth: int) -> Recognised | None:
    """Return what an object in a message says; None unless it has a level or an error of its own."""
    roles = roles_of(fields)
    if depth >= _DEPTH or not {"level", "error_type", "error_message"} & {role for _, role in roles}:
        return None
    return recognise(fields, roles, depth + 1)._replace(fields=fields)


def _filled(template: str, fields: Mapping[str, Any]) -> str:
    """Return a message template of Serilog with its values."""
    return re.sub(r"\{[@$]?(\w+)[^{}]*\}", lambda hole: str(fields.get(hole[1], hole[0])), template)


def _is_evidence(values: dict[str, Any]) -> bool:
    """Return whether an object without a level reports an error, and not just a key of that name."""
    error = values.get("error")
    if values.get("error_type") or values.get("error_message") or (error and isinstance(error, dict)):
        return True
    if isinstance(error, str) and error.casefold() not in _NO_ERROR:
        return True
    stack = values.get("stack")
    return isinstance(stack, list | dict) or "\n" in str(stack) or "Error" in str(stack) or "Exception" in str(stack)


def _error_text(values: dict[str, Any]) -> str:
    """Return the error that an object describes, empty without one."""
    parts = [_titled(values.get("error_type") if "error_message" in values else None, values.get("error_message"))]
    if "message" not in values or isinstance(values.get("error"), dict):
        parts.append(_described(values.get("error")))
    parts.append(_described(values.get("stack")))
    texts = list(dict.fromkeys(filter(None, parts)))
    return "\n".join(text for text in texts if not any(text in other for other in texts if other is not text))


def _described(value: Any) -> str:
    """Return an error or a stack as text: a text, lines, or an object with name, message and stack."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        if value and isinstance(value[0], dict):
            return "\n".join(filter(None, (_described(item) for item in value if isinstance(item, dict))))
        return "\n".join(str(item).rstrip("\n") for item in value)
    if not isinstance(value, dict):
        return ""
    title = _titled(_first_text(value, _TYPE_KEYS), _first_text(value, _MESSAGE_KEYS))
    stack = _described(next((value[key] for key in _STACK_KEYS if isinstance(value.get(key), str | list)), None))
    return stack if title and title in stack else "\n".join(part for part in (title, stack) if part)


def _first_text(value: dict[str, Any], keys: tuple[str, ...]) -> Any:
    return next((value[key] for key in keys if isinstance(value.get(key), str) and value[key]), None)


def _titled(kind: Any, message: Any) -> str:
    if message is None or message == "":
        return "" if kind is None else str(kind)
    return f"{kind}: {message}" if kind else str(message)
