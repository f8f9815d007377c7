"""Equality, order and kinds of values: exact numbers, no silent conversion."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Context, Decimal
from math import isnan
from typing import Any

from prodwatch.assertions.missing_value import MISSING
from prodwatch.model.quantity import Duration

Number = int | Decimal

ARITHMETIC = Context(prec=100, Emax=10**9, Emin=-(10**9))
"""A hundred digits: what is computed from real documents is exact, or rounded far beyond notice."""

_KINDS: dict[type, str] = {
    str: "string",
    bool: "boolean",
    int: "number",
    float: "number",
    Decimal: "number",
    type(None): "null",
    list: "array",
    tuple: "array",
    dict: "object",
    Duration: "duration",
    datetime: "time",
    bytes: "binary",
    bytearray: "binary",
    type(MISSING): "missing",
}
_ARTICLES = {"array": "an array", "object": "an object", "null": "null", "binary": "binary data", "missing": "missing"}


def kind(value: Any) -> str:
    """Return the kind of a value: the JSON types, duration, time, binary, missing, or `unknown`."""
    found = _KINDS.get(type(value))
    if found is not None:
        return found
    if isinstance(value, Mapping):
        return "object"
    for each, name in _KINDS.items():
        if isinstance(value, each):
            return name
    return "unknown"


def a_kind(value: Any) -> str:
    """Return the kind with its article, for a sentence."""
    name = kind(value)
    return _ARTICLES.get(name, f"a {name}" if name != "unknown" else "a value of no known type")


def exact(value: float | Decimal) -> Number:
    """Return a number that compares and adds exactly; a float counts as the digits it prints."""
    return Decimal(repr(value)) if isinstance(value, float) else value


def is_nan(value: Any) -> bool:
    """Tell whether `value` is the number that equals nothing."""
    return (isinstance(value, float) and isnan(value)) or (isinstance(value, Decimal) and value.is_nan())


def equal(left: Any, right: Any) -> bool:
    """Tell whether two values are equal: by value, by type, deeply; nothing is converted."""
    if type(left) is type(right):
        if isinstance(left, str | bool | int | Duration):
            return bool(left == right)
        if left is None:
            return True
    left_kind = kind(left)
    if left_kind != kind(right):
        return False
    compare = _EQUAL.get(left_kind)
    return bool(left == right) if compare is None else compare(left, right)


def _equal_numbers(left: Any, right: Any) -> bool:
    return not is_nan(left) and not is_nan(right) and exact(left) == exact(right)


def _equal_arrays(left: Any, right: Any) -> bool:
    return len(left) == len(right) and all(map(equal, left, right))


def _equal_objects(left: Any, right: Any) -> bool:
    return len(left) == len(right) and all(key in right and equal(value, right[key]) for key, value in left.items())


_EQUAL: dict[str, Callable[[Any, Any], bool]] = {
    "number": _equal_numbers,
    "array": _equal_arrays,
    "object": _equal_objects,
    "missing": lambda _left, _right: False,
    "unknown": lambda _left, _right: False,
}
"""For the kinds whose values Python's `==` does not compare as we do."""


def freeze(value: Any) -> Any:
    """Return a hashable stand-in: two values are equal exactly when their stand-ins are."""
    name = kind(value)
    if name == "number":
        # NaN equals nothing, so each gets a stand-in of its own.
        return (name, object() if is_nan(value) else exact(value))
    if name == "array":
        return (name, tuple(map(freeze, value)))
    if name == "object":
        return (name, frozenset((key, freeze(each)) for key, each in value.items()))
    if name == "binary":
        return (name, bytes(value))
    return (name, object() if name in {"missing", "unknown"} else value)
