"""How values look: as literals, as texts, as JSON for a result. Never cuts a text, so that redaction sees it whole."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from prodwatch.assertions.missing import MISSING
from prodwatch.model.quantity import Duration

MAX_NODES = 2_000
"""Values beyond this many are left out of a result, with their number."""
MAX_DEPTH = 40
SHORT = 72
"""Longest rendering a sentence quotes; longer values are described, never cut."""
_SAFE_INTEGER = 2**63


def time_text(value: datetime) -> str:
    """Return a moment as RFC 3339, in UTC with `Z`; without a zone as it is."""
    if value.tzinfo is None:
        return value.isoformat()
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def number_text(value: float | Decimal) -> str:
    """Return a number as JSON writes it, whatever its size."""
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Decimal):
        return str(value)
    try:
        return str(value)
    except ValueError:  # beyond the interpreter's limit of digits
        return hex(value)


def canonical_text(text: str) -> str:
    """Return `text` as a quoted literal that reads back as itself."""
    if "'" not in text and "\\" not in text and text.isprintable():
        return f"'{text.replace('${', '$${')}'"
    return double_quoted(text)


def double_quoted(text: str) -> str:
    """Return `text` in double quotes, escaped as in JSON; `${` stays literal."""
    return json.dumps(text.replace("${", "$${"), ensure_ascii=not text.isprintable())


def literal_text(value: Any) -> str:
    """Return any value as the language would write it."""
    if isinstance(value, str):
        return canonical_text(value)
    if isinstance(value, bytes | bytearray):
        return f"({len(value)} bytes)"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{canonical_text(str(key))}: {literal_text(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(literal_text, value)) + "]"
    return text_of(value)


def text_of(value: Any) -> str:
    """Return any value as text: texts as they are, everything else as JSON, durations and times as literals."""
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        return number_text(value)
    if isinstance(value, datetime):
        return time_text(value)
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "replace")
    if isinstance(value, Mapping | list | tuple):
        return json_text(value)
    return "(missing)" if value is MISSING else str(value)


def json_text(value: Any) -> str:
    """Return compact JSON with exact numbers."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        pairs = (f"{json.dumps(str(key), ensure_ascii=False)}:{json_text(each)}" for key, each in value.items())
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(json_text, value)) + "]"
    if value is None or value is MISSING:
        return "null"
    if isinstance(value, bool | int | float | Decimal):
        return text_of(value)
    return json.dumps(text_of(value), ensure_ascii=False)


def short(value: Any) -> str:
    """Return a value for a sentence: whole when it is short, otherwise what it is and how large."""
    if isinstance(value, str) and len(value) > SHORT:
        return f"a string of {len(value):,} characters"
    if isinstance(value, Mapping | list | tuple) and len(value) > SHORT // 4:
        return _size(value)
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else literal_text(value)
    if len(text) <= SHORT:
        return text
    return _size(value) if isinstance(value, Mapping | list | tuple) else text


def _size(value: Mapping[Any, Any] | list[Any] | tuple[Any, ...]) -> str:
    noun, unit = ("an object", "key") if isinstance(value, Mapping) else ("an array", "element")
    return f"{noun} of {len(value):,} {unit}{'' if len(value) == 1 else 's'}"


class _Budget:
    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_NODES


def to_json(value: Any) -> Any:
    """Return a value as plain JSON data for a result: at most `MAX_NODES` values, texts whole.

    Numbers JSON readers would round, durations and times become text.
    """
    return _to_json(value, _Budget(), 0)


def _to_json(value: Any, budget: _Budget, depth: int) -> Any:
    budget.left -= 1
    if value is None or value is MISSING:
        return None
    if isinstance(value, str | bool):
        return value
    if isinstance(value, int | float | Decimal):
        return _number(value)
    if not isinstance(value, Mapping | list | tuple):
        return text_of(value)
    if depth >= MAX_DEPTH:
        return f"… ({_size(value)})"
    if isinstance(value, Mapping):
        found: dict[str, Any] = {}
        for key, each in value.items():
            if budget.left <= 0:
                found["…"] = f"{len(value) - len(found):,} more"
                break
            found[str(key)] = _to_json(each, budget, depth + 1)
        return found
    items: list[Any] = []
    for each in value:
        if budget.left <= 0:
            items.append(f"… {len(value) - len(items):,} more")
            break
        items.append(_to_json(each, budget, depth + 1))
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
