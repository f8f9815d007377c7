"""Equality, order and kinds of values: exact numbers, no silent conversion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Context, Decimal
from enum import Enum
from math import isnan
from typing import Any, Final, Literal

from prodwatch.assertions.first_of_several import FirstOfSeveral
from prodwatch.model.quantity import Duration

Number = int | Decimal


class Missing(Enum):
    """Type of `MISSING`."""

    MISSING = "missing"

    def __bool__(self) -> bool:
        """Return False, so that a missing value is never mistaken for data."""
        return False

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final[Literal[Missing.MISSING]] = Missing.MISSING
"""Value of a path that leads nowhere, which is not null. Compare with `is`."""

ARITHMETIC = Context(prec=100, Emax=10**9, Emin=-(10**9))
"""A hundred digits: results from real documents are exact, or rounded far beyond any relevance."""

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
    """Return the kind of a value: the JSON types, duration, time, binary, missing, or `unknown`.

    UndecidableError for the value of one of several elements.
    """
    name = _KINDS.get(type(value))
    if name is not None:
        return name
    if isinstance(value, Mapping):
        return "object"
    for type_, name in _KINDS.items():
        if isinstance(value, type_):
            return name
    if isinstance(value, FirstOfSeveral):
        value.refuse()
    return "unknown"


def a_kind(value: Any) -> str:
    """Return the kind with its article, for a sentence."""
    name = kind(value)
    return _ARTICLES.get(name, f"a {name}" if name != "unknown" else "a value of no known type")


def exact(value: float | Decimal) -> Number:
    """Return a number that compares and adds exactly; a float counts as the digits it prints."""
    return Decimal(repr(value)) if isinstance(value, float) else value


def is_nan(value: Any) -> bool:
    """Return whether `value` is NaN."""
    return (isinstance(value, float) and isnan(value)) or (isinstance(value, Decimal) and value.is_nan())


def equal(left: Any, right: Any) -> bool:
    """Return whether two values are equal: by value, by type, deeply; nothing is converted."""
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
"""Comparisons for the kinds whose values Python's `==` compares differently."""


def one_for_all(elements: Sequence[Any], field: str, what: str, every: str) -> Any:
    """Return the value that all elements share, or a stand-in that decides nothing where they differ.

    `field`, `what` and `every` as for FirstOfSeveral; at least one element.
    """
    first = elements[0]
    if all(equal(first, each) for each in elements[1:]):
        return first
    return FirstOfSeveral(field, what, every, elements)


def freeze(value: Any) -> Any:
    """Return a hashable stand-in: two values are equal exactly when their stand-ins are."""
    name = kind(value)
    if name == "number":
        # NaN equals nothing, so each gets a stand-in of its own.
        return (name, object() if is_nan(value) else exact(value))
    if name == "array":
        return (name, tuple(map(freeze, value)))
    if name == "object":
        return (name, frozenset((key, freeze(item)) for key, item in value.items()))
    if name == "binary":
        return (name, bytes(value))
    return (name, object() if name in {"missing", "unknown"} else value)
