"""The value of a path that leads nowhere, which is not null."""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal


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
