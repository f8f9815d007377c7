"""Filters of templates, `${value | filter}`: pure functions from one value to another."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any

import msgspec

from prodwatch.assertions.first_of_several import FirstOfSeveral
from prodwatch.text.units import parse_duration


class TemplateFilterError(ValueError):
    """A filter cannot be applied; the text is the reason, to follow the filter's name."""


class FilterSpec(msgspec.Struct, frozen=True):
    """Definition of one filter."""

    signature: str
    """Usage, such as `join('path')`."""
    doc: str
    """One sentence for the reference page."""
    apply: Callable[..., Any]
    least: int = 0
    most: int = 0
    check_argument: Callable[[Any], None] = lambda _argument: None
    """Raises TemplateFilterError for an argument that is never valid."""

    def check(self, *arguments: Any) -> None:
        """Raise TemplateFilterError for arguments that are never valid."""
        if not self.least <= len(arguments) <= self.most:
            raise TemplateFilterError(f"write it as {self.signature}")
        for argument in arguments:
            self.check_argument(argument)


ARN_PARTS = ("partition", "service", "region", "account", "resource", "type", "id")


def as_text(value: Any) -> str:
    """Return a value as text inside a longer text. Raises TemplateFilterError for bytes that are not UTF-8.

    Tables and lists become compact JSON, times RFC 3339; true, false and null are written as in JSON.
    """
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool | Mapping | list | tuple):
        return to_json(value)
    if isinstance(value, datetime | date | time):
        return format_moment(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise TemplateFilterError("the value is not UTF-8 text; use base64") from None
    return str(value)


def format_moment(value: datetime | date | time) -> str:
    """Return a time as RFC 3339, with Z for UTC."""
    text = value.isoformat()
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


_INT64 = 2**63
_ENCODER = msgspec.json.Encoder(decimal_format="number")


def to_json(value: Any) -> str:
    """Return compact JSON with all digits of decimals; times and durations are converted by `as_text`.

    nan and infinity become null. Raises TemplateFilterError for text that is not valid Unicode.
    """
    try:
        return _ENCODER.encode(_plain(value)).decode()
    except UnicodeError:
        raise TemplateFilterError("the value contains an incomplete character (a lone surrogate)") from None


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else as_text(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, int | float | Decimal):
        return _number(value)
    return value if value is None or isinstance(value, str) else as_text(value)


def _number(value: float | Decimal) -> Any:
    if isinstance(value, int):
        # msgspec writes integers of at most 64 bits, and decimals of any size.
        return value if -_INT64 <= value < _INT64 else Decimal(value)
    finite = value.is_finite() if isinstance(value, Decimal) else isfinite(value)
    return value if finite else None


def _text(value: Any) -> str:
    if isinstance(value, Mapping | list | tuple) or value is None:
        raise TemplateFilterError(f"needs a text, not {_kind(value)}")
    return as_text(value)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    return "a table" if isinstance(value, Mapping) else "a list" if isinstance(value, list | tuple) else "a value"


def _last_segment(value: Any) -> str:
    text = _text(value).rstrip("/")
    if text.startswith("arn:"):
        text = text.replace(":", "/")
    return text.rsplit("/", 1)[-1]


def _arn(value: Any, part: str) -> str:
    text = _text(value)
    pieces = text.split(":", 5)
    if len(pieces) != 6 or pieces[0] != "arn":
        raise TemplateFilterError(f'"{text}" is not an ARN')
    named = dict(zip(ARN_PARTS, pieces[1:], strict=False))
    resource = named["resource"]
    cut = min((at for at in (resource.find("/"), resource.find(":")) if at >= 0), default=-1)
    named["type"], named["id"] = (resource[:cut], resource[cut + 1 :]) if cut >= 0 else ("", resource)
    return named[part]


def _check_arn(part: Any) -> None:
    if part not in ARN_PARTS:
        raise TemplateFilterError(f"the part must be one of {', '.join(ARN_PARTS)}")


def _replace(value: Any, old: str, new: str) -> str:
    return _text(value).replace(old, new)


def _join(value: Any, *parts: str) -> str:
    joined = _text(value)
    for part in parts:
        joined = f"{joined.rstrip('/')}/{part.lstrip('/')}"
    return joined


_INDEX = re.compile(r"-?[0-9]{1,18}")


def follow_path(value: Any, names: tuple[str, ...]) -> Any:
    """Return the value at a path of names in a document. Raises LookupError with the first name that does not exist.

    A number is an index of a list, counting from 0; a negative one counts from its end. UndecidableError for the value
    of one of several elements.
    """
    for name in names:
        if isinstance(value, Mapping) and name in value:
            value = value[name]
        elif isinstance(value, list | tuple) and _INDEX.fullmatch(name) and -len(value) <= int(name) < len(value):
            value = value[int(name)]
        elif isinstance(value, FirstOfSeveral):
            break
        else:
            raise LookupError(name)
    if isinstance(value, FirstOfSeveral):
        value.refuse()
    return value


def _path(value: Any, dotted: str) -> Any:
    try:
        return follow_path(value, tuple(dotted.split(".")))
    except LookupError as error:
        raise TemplateFilterError(f'"{error}" of {dotted} does not exist') from None


def _base64(value: Any) -> str:
    from base64 import b64encode

    return b64encode(value if isinstance(value, bytes) else _text(value).encode()).decode()


def _parse_json(value: Any) -> Any:
    import json

    text = _text(value)
    try:
        return json.loads(text, parse_float=_exact, parse_constant=_no_constant)
    except RecursionError:
        raise TemplateFilterError("the value is nested too deeply") from None
    except (ValueError, ArithmeticError):
        raise TemplateFilterError("the value is not JSON") from None


def _exact(digits: str) -> Decimal:
    number = Decimal(digits)
    if not number.is_finite():
        raise ValueError(digits)
    return number


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _urlencode(value: Any) -> str:
    from urllib.parse import quote

    return quote(_text(value), safe="")


def _moment(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    try:
        return datetime.fromisoformat(_text(value))
    except ValueError:
        raise TemplateFilterError(f'"{value}" is not a time such as ${{now}} or 2026-11-20T08:00:00Z') from None


def _shift(value: Any, duration: str) -> datetime:
    try:
        return _moment(value) + timedelta(microseconds=parse_duration(duration).ns / 1000)
    except OverflowError:
        raise TemplateFilterError("the time is outside the calendar") from None


def _check_duration(duration: Any) -> None:
    try:
        parse_duration(duration if isinstance(duration, str) else str(duration))
    except ValueError as error:
        raise TemplateFilterError(str(error)) from None


def _format_time(value: Any, pattern: str) -> str:
    try:
        return _moment(value).strftime(pattern)
    except ValueError:
        raise TemplateFilterError(f'"{pattern}" is not a time pattern such as %Y-%m-%d') from None


def _length(value: Any) -> int:
    if isinstance(value, str | list | tuple | Mapping):
        return len(value)
    raise TemplateFilterError("needs a text, a list or a table")


def _check_text(argument: Any) -> None:
    if not isinstance(argument, str):
        raise TemplateFilterError("the argument must be a text in single quotes")


FILTERS: dict[str, FilterSpec] = {
    "default": FilterSpec(
        "default('x')", "Default for a value that is missing, null or an empty text.", lambda v, _: v, 1, 1
    ),
    "last_segment": FilterSpec(
        "last_segment", "Text after the last `/`, or in an ARN after the last `/` or `:`.", _last_segment
    ),
    "arn": FilterSpec("arn('resource')", f"One part of an ARN: {', '.join(ARN_PARTS)}.", _arn, 1, 1, _check_arn),
    "replace": FilterSpec("replace('{id}', 'x')", "Replaces every occurrence of a text.", _replace, 2, 2, _check_text),
    "join": FilterSpec(
        "join('path')", "Appends with exactly one slash in between; nothing is encoded.", _join, 1, 9, _check_text
    ),
    "path": FilterSpec(
        "path('a.b.0')", "Part of a table or list, by dotted names and indexes.", _path, 1, 1, _check_text
    ),
    "upper": FilterSpec("upper", "Upper case.", lambda value: _text(value).upper()),
    "lower": FilterSpec("lower", "Lower case.", lambda value: _text(value).lower()),
    "base64": FilterSpec("base64", "The UTF-8 bytes of the text as base64.", _base64),
    "json": FilterSpec("json", "The value as compact JSON text.", to_json),
    "parse_json": FilterSpec("parse_json", "The value of a JSON text, numbers with all their digits.", _parse_json),
    "urlencode": FilterSpec("urlencode", "Percent-encoded, including slashes.", _urlencode),
    "shift": FilterSpec("shift('-5m')", "A time moved by a duration.", _shift, 1, 1, _check_duration),
    "format_time": FilterSpec(
        "format_time('%Y-%m-%d')", "A time as text, in strftime format.", _format_time, 1, 1, _check_text
    ),
    "length": FilterSpec("length", "Number of characters or elements.", _length),
}
"""Every filter by name, in the order of the reference page."""
