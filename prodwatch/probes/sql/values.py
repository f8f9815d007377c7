"""A database's values as JSON knows them, without losing a digit."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from prodwatch.model.quantity import Duration


def plain(value: Any) -> Any:
    """Return `value` as text, number, list, table or null; times that know their zone and spans keep their kind.

    A float becomes the decimal it is shown as, bytes become base64 text, anything unknown its text.
    """
    if value is None or isinstance(value, bool | int | str | Decimal):
        return value
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    return next((convert(value) for kind, convert in _SCALARS if isinstance(value, kind)), str(value))


def _number(value: float) -> Decimal | str:
    return Decimal(repr(value)) if math.isfinite(value) else str(value)


def _moment(value: datetime) -> datetime | str:
    return value.isoformat() if value.tzinfo is None else value


def _span(value: timedelta) -> Duration:
    return Duration(value // timedelta(microseconds=1) * 1000)


_SCALARS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (float, _number),
    (datetime, _moment),
    (date | time, lambda value: value.isoformat()),
    (timedelta, _span),
    (bytes | bytearray | memoryview, lambda value: b64encode(bytes(value)).decode()),
)
