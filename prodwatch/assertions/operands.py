"""Refuses, while parsing, values that can never be right behind their operator."""

from __future__ import annotations

from typing import Any

from prodwatch.assertions.comparison import a_kind, kind
from prodwatch.assertions.operators import ORDERED

_TEXTUAL = frozenset({"starts with", "ends with", "matches", "satisfies"})
_KINDS: dict[str, tuple[tuple[str, ...], str]] = {
    **dict.fromkeys(("<", "<=", ">", ">="), (ORDERED, "compares numbers, durations and times")),
    **dict.fromkeys(("in", "not in"), (("array",), "needs a list, such as [200, 201]")),
    **dict.fromkeys(_TEXTUAL, (("string",), "needs a text in quotes")),
    "includes": (("array", "object"), "needs an object or a list"),
    "equals unordered": (("array",), "needs a list"),
}
"""Operator → kinds it takes, and how to say so."""
_NOT_EMPTY = _TEXTUAL | {"in", "not in", "includes", "contains", "not contains"}
"""Behind these an empty text, list or object would make the claim always true or always false."""


def unfit_operand(operator: str, expected: Any) -> str | None:
    """Return why a value written out can never be right behind `operator`, or None."""
    kinds, phrase = _KINDS.get(operator, ((), ""))
    if kinds and kind(expected) not in kinds:
        return f"`{operator}` {phrase}, not {a_kind(expected)}"
    if operator in _NOT_EMPTY and expected in ("", [], {}):
        return f"`{operator}` needs something in its {kind(expected)}: with nothing in it this claims nothing"
    return None


def unfit_bounds(low: Any, high: Any) -> str | None:
    """Return why two bounds written out can never hold anything between them, or None."""
    for bound in (low, high):
        if kind(bound) not in ORDERED:
            return f"`between` compares numbers, durations and times, not {a_kind(bound)}"
    if kind(low) != kind(high):
        return f"the bounds of `between` are {a_kind(low)} and {a_kind(high)}; they must be of one kind"
    if low > high:
        return "the first bound of `between` is above the second, so nothing lies between them"
    return None
