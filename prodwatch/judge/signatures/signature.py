"""The signature of an error line: equal for lines of one kind, in every run and on every machine."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from prodwatch.judge.signatures.stack_trace import parse_stack_trace
from prodwatch.judge.signatures.tokens import normalized, tokens_of

Tokens = tuple[str, ...]

_TYPE_KEYS = ("errorType", "error_type", "exception_name", "exc_type", "err.type", "error.type", "exception.type")
_LOGGER_KEYS = ("logger", "logger_name", "loggerName", "category", "Category", "SourceContext", "target")
_TRACE_KEYS = ("stackTrace", "stack_trace", "stack", "exception", "exc_info", "err.stack", "error.stack", "trace", "@x")
_PARTS = re.compile(r"⏎|\r?\n")
_ID_CHARS = 8


class SignatureReader:
    """Signatures of messages, with those of recent lines remembered, since most lines repeat."""

    def __init__(self, remembered: int = 4096) -> None:
        self._remembered = remembered
        self._known: dict[tuple[str, str], Tokens] = {}

    def read(self, message: str, fields: Mapping[str, Any] | None = None) -> Tokens:
        """Return the tokens that lines of this kind share; `fields` is the object of a JSON line.

        A JSON line counts by its message, the type of its error, its logger and its stack trace, never as a whole.
        """
        logger, line = ("", message) if fields is None else _parts_of(message, fields)
        key = (logger, normalized(line))
        tokens = self._known.get(key)
        if tokens is None:
            tokens = _tokens_of(line) if not logger else (logger, *_tokens_of(line))
            if len(self._known) >= self._remembered:
                self._known.clear()
            self._known[key] = tokens
        return tokens


def signature_id(function: str, text: str) -> str:
    """Return the short id of a signature of one function, given as text, in hex."""
    text = f"{function}\x1f{text}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_ID_CHARS]


def signature_text(tokens: Tokens) -> str:
    """Return the tokens as one text: the identity of a signature; `readable` is how people see it."""
    return " ".join(tokens)


def tokens_of_text(text: str) -> Tokens:
    """Return the tokens of a `signature_text`."""
    return tuple(text.split(" "))


def _tokens_of(line: str) -> Tokens:
    trace = parse_stack_trace(line) if "\n" in line or "⏎" in line else None
    if trace is None:
        return tokens_of(_PARTS.split(line, maxsplit=1)[0])
    frame = () if trace.frame is None else ("at", trace.frame)
    return (*trace.types, *tokens_of(trace.message), *frame)


def _parts_of(message: str, fields: Mapping[str, Any]) -> tuple[str, str]:
    """Return the logger of a JSON line, and its error as the text that a runtime would have logged."""
    kind, trace = _first(fields, _TYPE_KEYS), _first(fields, _TRACE_KEYS)
    head = message if kind is None or message.startswith(kind) else f"{kind}: {message}"
    return _first(fields, _LOGGER_KEYS) or "", head if trace is None else f"{head}\n{trace}"


def _first(fields: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    for key in keys:
        value = fields.get(key)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
            return "\n".join(value)
    return None
