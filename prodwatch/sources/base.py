"""What a live source is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from prodwatch.model.signal import Batch


class Source(Protocol):
    """A stream of batches that never ends by itself and says how it is doing in-band."""

    name: str
    """Unique: `logs`, `traces`, `metrics`, `alarms`, `release`."""

    def batches(self) -> AsyncIterator[Batch]:
        """Yield batches until cancelled; errors of AWS become statuses, not exceptions."""
        ...
