"""Converts between DynamoDB's typed attributes and plain values, with exact numbers."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any


def to_attribute(value: Any) -> dict[str, Any]:
    """Return `value` as a typed attribute; values such as `{ S = "x" }` are already typed.

    Raises ValueError for a value that DynamoDB cannot store.
    """
    if isinstance(value, Mapping):
        if _is_typed(value):
            return _typed(value)
        return {"M": {str(key): to_attribute(each) for key, each in value.items()}}
    if isinstance(value, list | tuple):
        return {"L": [to_attribute(each) for each in value]}
    return _scalar(value)


def to_item(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return attribute name → typed attribute."""
    return {str(name): to_attribute(value) for name, value in values.items()}


def from_attribute(attribute: Mapping[str, Any]) -> Any:
    """Return a typed attribute as plain JSON: exact numbers (int or Decimal), sets sorted, binary as base64."""
    ((kind, value),) = attribute.items()
    return _READERS[kind](value)


def from_item(item: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return attribute name → plain value."""
    return {name: from_attribute(attribute) for name, attribute in item.items()}


def _scalar(value: Any) -> dict[str, Any]:
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, int | float | Decimal):
        return {"N": _number_text(value)}
    if isinstance(value, bytes | bytearray):
        return {"B": bytes(value)}
    if isinstance(value, datetime | date | time):
        return {"S": value.isoformat()}
    raise ValueError(f"DynamoDB cannot store a value of type {type(value).__name__}")


def _number_text(value: float | Decimal) -> str:
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite():
        raise ValueError(f"DynamoDB cannot store the number {value}")
    return str(number)


def _number(text: str) -> int | Decimal:
    number = Decimal(text)
    return int(number) if number == number.to_integral_value() and number.adjusted() < 40 else number


def _is_typed(value: Any) -> bool:
    if not isinstance(value, Mapping) or len(value) != 1:
        return False
    ((kind, content),) = value.items()
    fits = _FITS.get(kind)
    return fits is not None and fits(content)


def _is_number(content: Any) -> bool:
    if isinstance(content, bool) or not isinstance(content, str | int | float | Decimal):
        return False
    try:
        return Decimal(str(content)).is_finite()
    except ArithmeticError:
        return False


def _is_binary(content: Any) -> bool:
    return isinstance(content, str | bytes)


def _is_set_of(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda content: isinstance(content, list) and bool(content) and all(map(fits, content))


def _typed(value: Mapping[str, Any]) -> dict[str, Any]:
    ((kind, content),) = value.items()
    writers: dict[str, Callable[[Any], Any]] = {
        "N": str,
        "NS": lambda each: [str(number) for number in each],
        "B": _binary,
        "BS": lambda each: [_binary(one) for one in each],
        "L": lambda each: [_typed(one) for one in each],
        "M": lambda each: {name: _typed(one) for name, one in each.items()},
    }
    return {kind: writers[kind](content) if kind in writers else content}


def _binary(content: Any) -> bytes:
    return base64.b64decode(content) if isinstance(content, str) else bytes(content)


_FITS: dict[str, Callable[[Any], bool]] = {
    "S": lambda content: isinstance(content, str),
    "N": _is_number,
    "B": _is_binary,
    "BOOL": lambda content: isinstance(content, bool),
    "NULL": lambda content: content is True,
    "SS": _is_set_of(lambda each: isinstance(each, str)),
    "NS": _is_set_of(_is_number),
    "BS": _is_set_of(_is_binary),
    "L": lambda content: isinstance(content, list) and all(map(_is_typed, content)),
    "M": lambda content: isinstance(content, Mapping) and all(map(_is_typed, content.values())),
}
"""DynamoDB's type letters and the values they accept."""
_READERS: dict[str, Callable[[Any], Any]] = {
    "S": str,
    "N": _number,
    "B": lambda value: base64.b64encode(bytes(value)).decode(),
    "BOOL": bool,
    "NULL": lambda _value: None,
    "SS": sorted,
    "NS": lambda value: sorted(map(_number, value)),
    "BS": lambda value: sorted(base64.b64encode(bytes(each)).decode() for each in value),
    "L": lambda value: [from_attribute(each) for each in value],
    "M": from_item,
}
