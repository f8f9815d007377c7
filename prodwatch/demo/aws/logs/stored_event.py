"""One stored log event with its event id."""

from __future__ import annotations

from typing import NamedTuple
from zlib import crc32


class StoredEvent(NamedTuple):
    """One event; tuples of it sort as FilterLogEvents does: timestamp, ingestion, order of arrival."""

    timestamp_ms: int
    ingested_ms: int
    sequence: int
    visible_ms: int
    stream: str
    message: str

    @property
    def event_id(self) -> str:
        """The 56-digit id: the timestamp above 144 bits that are unique to stream and arrival."""
        return str((self.timestamp_ms << 144) | (crc32(self.stream.encode()) << 96) | self.sequence)
