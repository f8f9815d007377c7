"""Applies CloudWatch filter patterns to the returned lines again, for emulators that ignore parts of a pattern.

Lines of AWS itself match by definition and do not pass here. Only a line that certainly does not match is thrown out;
what cannot be read is kept: losing a line here would turn a found error into a clean log.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

Keeps = Callable[[str, Any], bool]
"""`keeps(message, json)`: whether a line may match; `json` is None for text."""

_TERM = re.compile(r'([-?]?)(?:"((?:[^"\\]|\\.)*)"|(\w+))(?=\s|$)\s*')
_CLAUSE = re.compile(
    r"\s*\$((?:\.[\w-]+)+)\s*(=|!=|<=|>=|<|>)\s*(?:\"((?:[^\"\\]|\\.)*)\"|([\w.*+-]+))\s*",
)
_COMPARE: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "=": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


def keeper(pattern: str | None) -> Keeps:
    """Return the filter of a pattern; a pattern that is not supported here keeps every line."""
    text = (pattern or "").strip()
    if not text:
        return _everything
    parsed = _json(text) if text.startswith("{") and text.endswith("}") else _terms(text)
    return parsed or _everything


def _everything(_message: str, _json: Any) -> bool:
    return True


def _terms(text: str) -> Keeps | None:
    needed: list[str] = []
    optional: list[str] = []
    at = 0
    while at < len(text):
        match = _TERM.match(text, at)
        if match is None:
            return None
        term = match[3] if match[2] is None else _unescaped(match[2])
        if match[1] == "-":
            # An excluded term may be cut at other places than ours: such a pattern is left to CloudWatch.
            return None
        (optional if match[1] == "?" else needed).append(term)
        at = match.end()
    if optional and needed:
        # With both, CloudWatch looks at the needed ones only.
        optional = []

    def keeps(message: str, _json: Any) -> bool:
        return all(term in message for term in needed) and (not optional or any(term in message for term in optional))

    return keeps


def _json(text: str) -> Keeps | None:
    inner = text[1:-1]
    if "||" in inner and "&&" in inner:
        return None
    joined, by = (inner.split("||"), any) if "||" in inner else (inner.split("&&"), all)
    clauses = [_clause(part) for part in joined]
    if not all(clauses):
        return None

    def keeps(message: str, json: Any) -> bool:
        if not isinstance(json, Mapping):
            # CloudWatch may find JSON where this reader does not.
            return "{" in message
        return by(clause(json) for clause in clauses if clause)

    return keeps


def _clause(text: str) -> Callable[[Mapping[str, Any]], bool] | None:
    match = _CLAUSE.fullmatch(text)
    if match is None:
        return None
    path, operator = match[1].lstrip(".").split("."), match[2]
    wanted = match[4] if match[3] is None else _unescaped(match[3])
    number = None if match[4] is None else _number(wanted)
    if number is None and operator not in {"=", "!="}:
        return None

    def holds(json: Mapping[str, Any]) -> bool:
        value: Any = json
        for name in path:
            if not isinstance(value, Mapping) or name not in value:
                return False
            value = value[name]
        if number is not None and isinstance(value, int | Decimal) and not isinstance(value, bool):
            return _COMPARE[operator](Decimal(value), number)
        if not isinstance(value, str) or (number is not None and _number(value) is not None):
            # CloudWatch's comparison of different types is its own: keep what it kept.
            return True
        if operator not in {"=", "!="}:
            return False
        return _like(value, wanted) is (operator == "=")

    return holds


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _like(value: str, wanted: str) -> bool:
    """Return whether a text matches a pattern with `*` as a wildcard, in one pass over the text."""
    first, *rest = wanted.split("*")
    if not rest:
        return value == wanted
    *middle, last = rest
    position, end = len(first), len(value) - len(last)
    if not value.startswith(first) or not value.endswith(last):
        return False
    for part in middle:
        position = value.find(part, position, max(position, end))
        if position < 0:
            return False
        position += len(part)
    return position <= end


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None
