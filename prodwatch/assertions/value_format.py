"""Formats values as literals, text and JSON for a result; texts are never cut, so that redaction sees them whole."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from prodwatch.assertions.value_equality_and_order import kind

MAX_NODES = 500
"""Most values in a result; the rest is counted."""
MAX_DEPTH = 40
SHORT = 72
"""Longest value that a message quotes, in characters; longer values are described, never cut."""
_SAFE_INTEGER = 2**63
_PLAIN_DIGITS = 40


def time_text(value: datetime) -> str:
    """Return a moment as RFC 3339, UTC as `Z`."""
    text = value.isoformat()
    return f"{text.removesuffix('+00:00')}Z" if text.endswith("+00:00") else text


def number_text(value: float | Decimal) -> str:
    """Return a number as JSON writes it, whatever its size."""
    if isinstance(value, int):
        # Beyond some thousand digits the interpreter refuses decimal text.
        return str(value) if value.bit_length() < 10_000 else hex(value)
    if isinstance(value, Decimal):
        # Plain digits as long as that is short: 1E+2 is 100.
        return f"{value:f}" if value.is_finite() and abs(value.adjusted()) < _PLAIN_DIGITS else str(value)
    return repr(value)


def canonical_text(text: str) -> str:
    """Return `text` as a quoted literal that reads back as itself."""
    if is_raw_safe(text):
        return f"'{text.replace('${', '$${')}'"
    return double_quoted(text)


def is_raw_safe(text: str) -> bool:
    """Return whether `text` needs no escape between single quotes."""
    return "'" not in text and "\\" not in text and text.isprintable()


def double_quoted(text: str) -> str:
    """Return `text` in double quotes, escaped as in JSON; `${` stays literal."""
    return _json_string(text.replace("${", "$${"))


def _json_string(text: str) -> str:
    return json.dumps(text, ensure_ascii=not text.isprintable())


def literal_text(value: Any) -> str:
    """Return any value as a literal for display: `${` is not escaped, so that a secret stays recognisable."""
    name = kind(value)
    if name == "string":
        return f"'{value}'" if is_raw_safe(value) else _json_string(value)
    if name == "binary":
        return f"({len(value):,} bytes)"
    if name == "object":
        return "{" + ", ".join(f"{literal_text(str(key))}: {literal_text(item)}" for key, item in value.items()) + "}"
    if name == "array":
        return "[" + ", ".join(map(literal_text, value)) + "]"
    return text_of(value)


def text_of(value: Any) -> str:
    """Return any value as text: texts as they are, everything else as JSON, durations and times as literals."""
    return _TEXTS.get(kind(value), str)(value)


def json_text(value: Any) -> str:
    """Return compact JSON with exact numbers."""
    name = kind(value)
    if name == "object":
        pairs = (f"{json.dumps(str(key), ensure_ascii=False)}:{json_text(item)}" for key, item in value.items())
        return "{" + ",".join(pairs) + "}"
    if name == "array":
        return "[" + ",".join(map(json_text, value)) + "]"
    if name == "missing":
        return "null"
    if name in {"null", "boolean", "number"}:
        return text_of(value)
    return json.dumps(text_of(value), ensure_ascii=False)


_TEXTS: dict[str, Callable[[Any], str]] = {
    "string": str,
    "null": lambda _value: "null",
    "boolean": lambda value: "true" if value else "false",
    "number": number_text,
    "time": time_text,
    "binary": lambda value: bytes(value).decode("utf-8", "replace"),
    "object": json_text,
    "array": json_text,
    "missing": lambda _value: "(missing)",
}


def short(value: Any) -> str:
    """Return a value for a sentence: whole when it is short, otherwise what it is and how large."""
    if _room_left(value, SHORT, 0) >= 0:
        return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else literal_text(value)
    return f"a string of {len(value):,} characters" if isinstance(value, str) else _size(value)


def _room_left(value: Any, room: int, depth: int) -> int:
    """Return how much of `room` characters a rendering leaves, negative as soon as it does not fit."""
    name = kind(value)
    if name == "string":
        return room - len(value)
    if name not in {"array", "object"}:
        return room - 2 if depth else room
    if depth > MAX_DEPTH:
        return -1
    for item in value.items() if name == "object" else value:
        room = _room_left(item, room - 2, depth + 1)
        if room < 0:
            return room
    return room


def _size(value: Any) -> str:
    noun, unit = ("an object", "key") if isinstance(value, Mapping) else ("an array", "element")
    return f"{noun} of {len(value):,} {unit}{'' if len(value) == 1 else 's'}"


def to_json(value: Any) -> Any:
    """Return a value as plain JSON data for a result: at most `MAX_NODES` values, texts whole.

    Durations, times and numbers that JSON readers would round become text.
    """
    if type(value) is str or (type(value) is int and -_SAFE_INTEGER < value < _SAFE_INTEGER):
        return value  # the most frequent case
    return _Plain().value(value, 0)


class _Plain:
    """Converts one value within a budget of nodes."""

    def __init__(self) -> None:
        self.left = MAX_NODES

    def value(self, value: Any, depth: int) -> Any:
        self.left -= 1
        name = kind(value)
        if name in {"string", "boolean", "null"}:
            return value
        if name == "number":
            return _number(value)
        if name == "missing":
            return None
        if name not in {"array", "object"}:
            return text_of(value)
        if depth >= MAX_DEPTH:
            return f"… ({_size(value)})"
        return self._object(value, depth + 1) if name == "object" else self._array(value, depth + 1)

    def _object(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        items: dict[str, Any] = {}
        for key, item in value.items():
            if self.left <= 0:
                items["…"] = f"{len(value) - len(items):,} more"
                break
            items[str(key)] = self.value(item, depth)
        return items

    def _array(self, value: list[Any], depth: int) -> list[Any]:
        items: list[Any] = []
        for item in value:
            if self.left <= 0:
                items.append(f"… {len(value) - len(items):,} more")
                break
            items.append(self.value(item, depth))
        return items


def _number(value: float | Decimal) -> int | float | str:
    if isinstance(value, int):
        return value if abs(value) < _SAFE_INTEGER else number_text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if not value.is_finite() or abs(value.adjusted()) > 300:
        return str(value)
    if value == value.to_integral_value() and value.adjusted() < 18:
        return int(value)
    rounded = float(value)
    return rounded if Decimal(repr(rounded)) == value else str(value)
