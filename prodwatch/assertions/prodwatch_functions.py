"""Functions added to JMESPath's own: headers, JSON inside texts, parts of texts, ages."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from prodwatch.assertions.errors import PathError, UndecidableError
from prodwatch.assertions.function_signature import Function
from prodwatch.assertions.value_equality_and_order import MISSING
from prodwatch.model.quantity import Duration, Headers

_RFC_3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d(?:\.\d+)?)([Zz]|[+-]\d\d:?\d\d)")
_HTTP_DATE = re.compile(r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MICROSECOND = timedelta(microseconds=1)


def _headers_of(name: str, current: Any) -> Headers:
    held = current.get("headers", MISSING) if isinstance(current, Mapping) else MISSING
    if isinstance(held, Headers):
        return held
    if isinstance(held, Mapping):
        return Headers(tuple((str(key), value) for key, item in held.items() for value in _texts(item)))
    raise PathError(f"{name}() reads the field `headers`, which is missing here")


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list | tuple) else [value]
    return [text for text in values if isinstance(text, str)]


def _header(current: Any, name: str) -> Any:
    values = _headers_of("header", current).get_all(name)
    return values[0] if values else MISSING


def _all_headers(current: Any, name: str) -> Any:
    # No such header is missing rather than an empty list: only `absent` may hold then.
    return _headers_of("headers", current).get_all(name) or MISSING


def parse_json(text: str | bytes) -> Any:
    """Return parsed JSON with exact decimals; PathError when the text is not JSON."""
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_refuse)
    except (ValueError, ArithmeticError) as problem:
        raise PathError(f"parse_json() needs JSON, and this text is not JSON: {problem}") from None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _split(text: str, separator: str) -> list[str]:
    if not separator:
        raise PathError("split() needs a separator of at least one character")
    return text.split(separator)


def last_segment(text: str) -> str:
    """Return what follows the last `/`, in an ARN the last `/` or `:`; slashes at the end do not count."""
    trimmed = text.rstrip("/")
    if trimmed.startswith("arn:"):
        trimmed = trimmed.replace(":", "/")
    return trimmed.rsplit("/", 1)[-1]


def moment(value: str | datetime) -> datetime:
    """Return a moment from RFC 3339 or an HTTP date; PathError for anything else."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise PathError(f"the time {value.isoformat()} has no zone, so it names no moment")
        return value
    try:
        if match := _RFC_3339.fullmatch(value):
            zone = "+00:00" if match[3] in "Zz" else match[3]
            clock = re.sub(r"(\.\d{6})\d+", r"\1", match[2])
            return datetime.fromisoformat(f"{match[1]}T{clock}{zone}")
        if (match := _HTTP_DATE.fullmatch(value)) and match[2] in _MONTHS:
            day, year, hour, minute, second = (int(match[n]) for n in (1, 3, 4, 5, 6))
            return datetime(year, _MONTHS.index(match[2]) + 1, day, hour, minute, second, tzinfo=UTC)
    except ValueError as problem:
        raise PathError(f"this text is not a valid time: {problem}") from None
    raise PathError("a time is written as in 2026-01-15T12:00:00Z, and this text is not in that form")


def _age(now: datetime | None, value: str | datetime) -> Duration:
    if now is None:
        raise UndecidableError("age() needs the time of the measurement, and none was given")
    return Duration((now - moment(value)) // _MICROSECOND * 1_000)


def _parse_time(value: str | datetime) -> datetime:
    return moment(value)


OWN: dict[str, Function] = {
    "age": Function(("string|time",), _age, clock=True),
    "header": Function(("string",), _header, current=True),
    "headers": Function(("string",), _all_headers, current=True),
    "last_segment": Function(("string",), last_segment),
    "lower": Function(("string",), str.lower),
    "parse_json": Function(("string|binary",), parse_json),
    "parse_time": Function(("string|time",), _parse_time),
    "split": Function(("string", "string"), _split),
    "upper": Function(("string",), str.upper),
}
"""Added functions by name."""
