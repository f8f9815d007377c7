"""The functions of JMESPath over exact numbers, durations and times, and the table of all functions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Any

from prodwatch.assertions.errors import PathError
from prodwatch.assertions.function_signature import EXPRESSION, Function
from prodwatch.assertions.prodwatch_functions import OWN
from prodwatch.assertions.value_equality_and_order import (
    ARITHMETIC,
    MISSING,
    Number,
    a_kind,
    equal,
    exact,
    is_nan,
    kind,
)
from prodwatch.assertions.value_format import text_of
from prodwatch.model.quantity import Duration

_QUOTIENT = Context(prec=28, Emax=ARITHMETIC.Emax, Emin=ARITHMETIC.Emin)
"""Precision of a quotient, which may have infinitely many digits."""
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,4})?")
_ORDERED = ("number", "string", "duration", "time")
_SORTABLE = "array of number|string|duration|time"
_SUMMABLE = "array of number|duration"

Expression = Callable[[Any], Any]


def _absolute(value: float | Decimal | Duration) -> Number | Duration:
    if isinstance(value, Duration):
        return Duration(abs(value.ns))
    number = _finite("abs", value)
    return _tidy(number.copy_abs() if isinstance(number, Decimal) else abs(number))


def _finite(name: str, value: float | Decimal) -> Number:
    number = exact(value)
    if isinstance(number, Decimal) and (not number.is_finite() or abs(number.adjusted()) > 5_000):
        raise PathError(f"{name}() cannot compute with {value}")
    return number


def _tidy(value: Number) -> Number:
    """Return whole numbers as int, so that they print the same everywhere."""
    if isinstance(value, Decimal) and value.adjusted() < 40 and value == value.to_integral_value():
        return int(value)
    return value


def _total(name: str, values: list[Any]) -> Number:
    total: Number = 0
    for value in values:
        number = _finite(name, value)
        if isinstance(total, int) and isinstance(number, int):
            total += number
        else:
            total = ARITHMETIC.add(Decimal(total), Decimal(number))
    return _tidy(total)


def _sum(values: list[Any]) -> Any:
    if values and isinstance(values[0], Duration):
        return Duration(sum(value.ns for value in values))
    return _total("sum", values)


def _average(values: list[Any]) -> Any:
    if not values:
        return MISSING
    if isinstance(values[0], Duration):
        return Duration(round(sum(value.ns for value in values) / len(values)))
    return _tidy(_QUOTIENT.divide(Decimal(_total("avg", values)), Decimal(len(values))))


def _rounded(name: str, direction: str) -> Callable[[Any], int]:
    return lambda value: int(Decimal(_finite(name, value)).to_integral_value(direction))


def _contains(subject: Any, search: Any) -> Any:
    if search is MISSING:
        return MISSING
    if isinstance(subject, str):
        return isinstance(search, str) and search in subject
    return any(equal(element, search) for element in subject)


def _key(name: str, value: Any) -> Any:
    """Return the sort key of a value; PathError for a value without an order."""
    if is_nan(value):
        raise PathError(f"{name}() cannot order NaN")
    if kind(value) == "number":
        return exact(value)
    return value


def _extreme(name: str, choose: Callable[..., Any]) -> Callable[[list[Any]], Any]:
    return lambda values: choose(values, key=lambda value: _key(name, value)) if values else MISSING


def _keys_by(name: str, values: list[Any], expression: Expression) -> list[Any]:
    keys = [expression(value) for value in values]
    kinds = {kind(key) for key in keys}
    if len(kinds) > 1 or not kinds <= set(_ORDERED):
        wrong = next(key for key in keys if kind(key) not in _ORDERED or kind(key) != kind(keys[0]))
        raise PathError(
            f"{name}() needs numbers, strings, durations or times, all of one kind, and got {a_kind(wrong)}"
        )
    return [_key(name, key) for key in keys]


def _extreme_by(name: str, choose: Callable[..., Any]) -> Callable[[list[Any], Expression], Any]:
    def pick(values: list[Any], expression: Expression) -> Any:
        if not values:
            return MISSING
        keys = _keys_by(name, values, expression)
        return values[choose(range(len(values)), key=keys.__getitem__)]

    return pick


def _sort_by(values: list[Any], expression: Expression) -> list[Any]:
    keys = _keys_by("sort_by", values, expression)
    return [values[n] for n in sorted(range(len(values)), key=keys.__getitem__)]


def _merge(*objects: Mapping[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for item in objects:
        merged.update(item)
    return merged


def _not_null(*values: Any) -> Any:
    first = next((value for value in values if value is not None and value is not MISSING), MISSING)
    return None if first is MISSING and None in values else first


def _to_array(value: Any) -> Any:
    return value if value is MISSING or kind(value) == "array" else [value]


def _to_string(value: Any) -> Any:
    if value is MISSING or isinstance(value, str):
        return value
    # JMESPath writes JSON in ASCII.
    return re.sub("[^\0-\x7f]", lambda found: json.dumps(found[0])[1:-1], text_of(value))


def _to_number(value: Any) -> Any:
    if kind(value) == "number":
        return value
    if isinstance(value, str) and len(value) <= 1_000 and _NUMBER.fullmatch(value):
        return _tidy(Decimal(value))
    return MISSING


def _type(value: Any) -> Any:
    return MISSING if value is MISSING else kind(value)


TABLE: dict[str, Function] = {
    "abs": Function(("number|duration",), _absolute),
    "avg": Function((_SUMMABLE,), _average),
    "ceil": Function(("number",), _rounded("ceil", ROUND_CEILING)),
    "contains": Function(("array|string", "any"), _contains),
    "ends_with": Function(("string", "string"), str.endswith),
    "floor": Function(("number",), _rounded("floor", ROUND_FLOOR)),
    "join": Function(("string", "array of string"), str.join),
    "keys": Function(("object",), list),
    "length": Function(("string|array|object",), len),
    "map": Function((EXPRESSION, "array"), lambda expression, values: [expression(value) for value in values]),
    "max": Function((_SORTABLE,), _extreme("max", max)),
    "max_by": Function(("array", EXPRESSION), _extreme_by("max_by", max)),
    "merge": Function(("object",), _merge, variadic=True),
    "min": Function((_SORTABLE,), _extreme("min", min)),
    "min_by": Function(("array", EXPRESSION), _extreme_by("min_by", min)),
    "not_null": Function(("any",), _not_null, variadic=True),
    "reverse": Function(("array|string",), lambda value: value[::-1]),
    "sort": Function((_SORTABLE,), lambda values: sorted(values, key=lambda value: _key("sort", value))),
    "sort_by": Function(("array", EXPRESSION), _sort_by),
    "starts_with": Function(("string", "string"), str.startswith),
    "sum": Function((_SUMMABLE,), _sum),
    "to_array": Function(("any",), _to_array),
    "to_number": Function(("any",), _to_number),
    "to_string": Function(("any",), _to_string),
    "type": Function(("any",), _type),
    "values": Function(("object",), lambda value: list(value.values())),
    **OWN,
}
"""Every function by name: JMESPath's own, then the added ones."""


def suggestion(name: str) -> str:
    """Return ` (did you mean …?)` for a misspelt function, or the list of all."""
    from difflib import get_close_matches

    close = get_close_matches(name, TABLE, 1)
    return f" (did you mean {close[0]}()?)" if close else f"; there are {', '.join(sorted(TABLE))}"
