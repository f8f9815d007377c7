"""The value of a path that leads nowhere, which is not null."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final, Literal


class Missing(Enum):
    """Type of `MISSING`."""

    MISSING = "missing"

    def __bool__(self) -> bool:
        """Return False, so that a missing value is never mistaken for data."""
        return False

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final[Literal[Missing.MISSING]] = Missing.MISSING
"""Compare with `is`."""


def without_missing(value: Any) -> Any:
    """Return a value with null for each missing part, as JMESPath has it; a missing whole stays MISSING."""
    if isinstance(value, list):
        return [None if each is MISSING else without_missing(each) for each in value]
    if isinstance(value, dict):
        return {key: None if each is MISSING else without_missing(each) for key, each in value.items()}
    return value
