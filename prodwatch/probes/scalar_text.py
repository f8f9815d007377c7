"""Writes a scalar of a check as text, the same for headers, arguments, variables, commands and dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from prodwatch.errors import UnusableError
from prodwatch.model.quantity import Duration


def text_value(value: Any, what: str) -> str:
    """Return a scalar as text (`true`, not `True`). Raises UnusableError for other values."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, int | float | Decimal | Duration):
        return str(value)
    kind = "null" if value is None else "a table" if isinstance(value, Mapping) else "a list"
    raise UnusableError(f"{what} is {kind}, which cannot be written as text; use a text or a number")
