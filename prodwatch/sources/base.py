"""The protocol of live sources."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from prodwatch.model.signal import Batch


class Source(Protocol):
    """An endless stream of batches; the source's own status is part of the stream."""

    name: str
    """Unique: `logs`, `traces`, `metrics`, `alarms`, `release`."""

    def batches(self) -> AsyncIterator[Batch]:
        """Yield batches until cancelled. AWS errors become statuses, not exceptions."""
        ...
