"""Parses numbers other than plain integers: decimals, durations, sizes, percentages and times.

A separate module because most assertions do not need it, and its patterns take long to compile.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Any

from prodwatch.assertions.literals_and_templates import UNIT_NS, UNITS, Constant, in_unit
from prodwatch.model.quantity import Duration

MAX_QUANTITY_DIGITS = 20
_UNIT = "|".join(sorted(UNITS, key=len, reverse=True))
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)(?![\w.:+-])")
_TIME_LIKE = re.compile(r"\d{4}-\d\d(?:-\d\d)?(?:[Tt ][\d:.]*)?[\w:+-]*")
_COMPOUND = re.compile(r"-?(?:\d+(?:\.\d+)?(?:d|h|ms|m|us|µs|ns|s)){2,}(?![\w.%])")
_PART = re.compile(r"(\d+(?:\.\d+)?)(d|h|ms|m|us|µs|ns|s)")
_QUANTITY = re.compile(rf"(-?(?:0|[1-9]\d*)(?:\.\d+)?)({_UNIT})(?![\w.%])")
_NUMBER = re.compile(r"(-?(?:0|[1-9]\d*))(\.\d+)?([eE][+-]?\d+)?(?![\w.%-])")
_NUMBER_LIKE = re.compile(r"[+-]?[\d.][\w.%+-]*")
_UNIT_BEHIND = re.compile(rf"({_UNIT})(?![\w.%])")


class NoQuantityError(ValueError):
    """The text is not a quantity; the message is one sentence."""


def unit_behind(source: str, start: int) -> str:
    """Return the unit that begins at `start`, or nothing."""
    match = _UNIT_BEHIND.match(source, start)
    return match[1] if match else ""


def read_quantity(source: str, start: int) -> tuple[Constant, int]:
    """Return the value that begins at `start`, and the position after it; NoQuantityError when there is none."""
    if match := _TIME.match(source, start):
        return Constant(_time(match[0]), match[0].upper()), match.end()
    if match := _COMPOUND.match(source, start):
        total = sum(_quantity(number, unit).ns for number, unit in _PART.findall(match[0]))
        return Constant(Duration(-total if match[0][0] == "-" else total), match[0]), match.end()
    if match := _QUANTITY.match(source, start):
        return Constant(_quantity(match[1], match[2]), match[0]), match.end()
    if match := _NUMBER.match(source, start):
        return Constant(_number(match), match[0]), match.end()
    raise NoQuantityError(_what_is_wrong(source, start))


def _quantity(number: str, unit: str) -> Any:
    if len(number) > MAX_QUANTITY_DIGITS:
        raise NoQuantityError(f"a number with a unit has at most {MAX_QUANTITY_DIGITS} digits")
    value = in_unit(Decimal(number), unit)
    if unit in UNIT_NS and Decimal(number) * UNIT_NS[unit] != value.ns:
        raise NoQuantityError(f"`{number}{unit}` is finer than a nanosecond")
    return value


def _number(match: re.Match[str]) -> int | Decimal:
    text = match[0]
    if match[2] or match[3]:
        number = Decimal(text)
        if not number.is_finite() or abs(number.adjusted()) > 10_000:
            shown = text if len(text) <= 40 else f"{text[:39]}…"
            raise NoQuantityError(f"`{shown}` is out of range: exponents go up to 10,000")
        return number
    if len(text) > 1_000:
        raise NoQuantityError("a number has at most 1,000 digits")
    return int(text)


def _time(text: str) -> datetime:
    # Python keeps microseconds; further digits would be dropped silently.
    fraction = re.search(r"\.\d{6}(\d+)", text)
    if fraction and fraction[1].strip("0"):
        raise NoQuantityError("a time has at most six digits after the seconds")
    trimmed = re.sub(r"(\.\d{6})\d+", r"\1", text)
    try:
        return datetime.fromisoformat(trimmed.upper())
    except ValueError as problem:
        raise NoQuantityError(f"`{text}` is not a valid time: {problem}") from None


def _what_is_wrong(source: str, start: int) -> str:
    like = _TIME_LIKE.match(source, start)
    if like and len(like[0]) > 5:
        return f"`{like[0].strip()}` is not a complete time; write one like 2026-01-15T12:00:00Z"
    match = _NUMBER_LIKE.match(source, start)
    text = match[0] if match else source[start]
    unit = re.search(r"[A-Za-zµ%]+$", text)
    if unit and unit[0] not in UNITS:
        return f"`{text}` has an unknown unit; units are {', '.join(UNITS)}"
    return f"`{text}` is not a number; numbers look like 5, -3, 0.25, 1e6, 300ms, 10kB or 5%"
