"""Validates TOML values against the kind of a key, with one sentence about the expected kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from math import isfinite
from types import NoneType
from typing import Any

from prodwatch.model.spec import Key
from prodwatch.text.units import format_ms, parse_duration, parse_share, parse_size

SHORTEST_S = 0.001
"""Smallest value of a duration that must not be zero."""

_EXPECTED = {
    "text": "a text in quotes",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "duration": 'a duration such as "5s", "300ms" or "2m"',
    "size": 'a size such as "512B", "10kB" or "5MiB"',
    "share": 'a share from "0%" to "100%", such as "0.5%"',
    "list": "a list in [ ]",
    "table": "a table in { }",
    "texts": "a text or a list of texts",
}


def _list(value: list[Any]) -> str:
    other = next((each for each in value if not isinstance(each, str)), None)
    if not value:
        return "an empty list"
    return "a list" if other is None else f"a list that contains {describe(other)}"


_NOUNS: tuple[tuple[type | tuple[type, ...], Callable[[Any], str]], ...] = (
    (str, lambda value: f'the text "{_short(value)}"'),
    (NoneType, lambda _value: "null"),
    (bool, lambda value: "true" if value else "false"),
    ((int, float, Decimal), lambda value: f"the number {_number(value)}"),
    (dict, lambda value: "a table" if value else "an empty table"),
    (list, _list),
    ((datetime, date, time), lambda value: f"the time {value.isoformat()}"),
)


def describe(value: Any) -> str:
    """Return a short description of a value with its kind, for messages."""
    return next((noun(value) for kind, noun in _NOUNS if isinstance(value, kind)), "a value of another kind")


def _number(value: float) -> str:
    try:
        return _short(str(value))
    except ValueError:
        return "with thousands of digits"  # more than Python converts to text


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}…"


def problem_with(key: Key, value: Any, *, references: bool) -> str | None:
    """Return the problem with `value` under `key` as one sentence; None for a valid value.

    With `references`, a text with `${…}` is accepted if its filled value may be valid.
    """
    unfilled = references and isinstance(value, str) and "${" in value
    if unfilled and key.kind not in {"list", "table"}:
        return None
    if unfilled and _is_one_reference(value):
        return None
    if key.can_be_off and value is False:
        return None
    if not _FITS[key.kind](value):
        expected = f"{_EXPECTED[key.kind]} or false" if key.can_be_off else _EXPECTED[key.kind]
        return f'"{key.name}" must be {expected}, not {describe(value)}{_remark(key, value)}'
    return _choice(key, value) or _bound(key, value)


def seconds(text: str) -> float:
    """Return the seconds of a validated duration."""
    return parse_duration(text).s


def share(text: str) -> float:
    """Return a validated share as a number from 0 to 1."""
    return parse_share(text)


def texts(value: str | Sequence[str]) -> tuple[str, ...]:
    """Return one text or several as a tuple."""
    return (value,) if isinstance(value, str) else tuple(value)


def parse_date(name: str, value: Any) -> str:
    """Return a TOML date or time, or a text with one, as RFC 3339. Raises ValueError with one sentence."""
    try:
        if isinstance(value, datetime | date):
            return str(plain(value))
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        expected = "a date or time such as 2026-12-24 or 2026-12-24T08:00:00Z"
        raise ValueError(f'"{name}" must be {expected}, not {describe(value)}') from None
    return str(value)


def plain(value: Any) -> Any:
    """Return a TOML value as JSON, with dates and times as RFC 3339 text."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, datetime | date | time):
        return value.isoformat().replace("+00:00", "Z")
    return value


def non_finite_numbers(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the paths of nan and inf inside a value."""
    if isinstance(value, float) and not isfinite(value):
        yield path
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from non_finite_numbers(each, (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from non_finite_numbers(each, (*path, index))


def _is_one_reference(text: str) -> bool:
    return text.strip().startswith("${") and text.strip().endswith("}")


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    # nan equals nothing and JSON cannot represent inf, so both are rejected.
    if isinstance(value, Decimal):
        return value.is_finite()
    return _is_integer(value) or (isinstance(value, float) and isfinite(value))


def _are_texts(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(each, str) for each in value))


def _reads(parse: Callable[[str], Any]) -> Callable[[Any], bool]:
    def fits(value: Any) -> bool:
        if not isinstance(value, str):
            return False
        try:
            parse(value)
        except ValueError:
            return False
        return True

    return fits


_FITS: dict[str, Callable[[Any], bool]] = {
    "text": lambda value: isinstance(value, str),
    "integer": _is_integer,
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "duration": _reads(parse_duration),
    "size": _reads(parse_size),
    "share": _reads(parse_share),
    "list": lambda value: isinstance(value, list),
    "table": lambda value: isinstance(value, dict),
    "texts": _are_texts,
    "any": lambda _value: True,
}


def _remark(key: Key, value: Any) -> str:
    if key.kind == "duration" and isinstance(value, int | float) and not isinstance(value, bool):
        return f'; write "{value}s" for seconds'
    if key.kind in {"boolean", "integer", "number"} and isinstance(value, str):
        return "; write it without quotes"
    if isinstance(value, str) and "${" in value:
        return "; a reference must be the whole value"
    return ""


def _choice(key: Key, value: Any) -> str | None:
    if not key.choices or value in key.choices:
        return None
    from prodwatch.settings.suggestions import did_you_mean, listing

    return (
        f'"{key.name}" must be one of {listing(key.choices)}, not {describe(value)}'
        f"{did_you_mean(str(value), key.choices)}"
    )


def _bound(key: Key, value: Any) -> str | None:
    if key.kind == "duration":
        minimum_s = 0.0 if key.minimum is None else key.minimum
        if seconds(value) < minimum_s or (minimum_s == 0 and value.startswith("-")):
            bound = "longer than zero" if 0 < minimum_s <= SHORTEST_S else f"{format_ms(minimum_s * 1000)} or more"
            return f'"{key.name}" must be {bound}, not "{value}"'
    elif key.minimum is not None and key.kind == "share":
        if share(value) < key.minimum:
            return f'"{key.name}" must be {key.minimum * 100:g}% or more, not "{value}"'
    elif key.minimum is not None and _is_number(value) and value < key.minimum:
        return f'"{key.name}" must be {key.minimum:g} or more, not {value}'
    return None
