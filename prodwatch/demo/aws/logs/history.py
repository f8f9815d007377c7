"""Past log events: computed chunk by chunk on read, with the latest chunks cached."""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator
from threading import Lock

from prodwatch.demo.aws.logs.stored_event import StoredEvent
from prodwatch.demo.workload import History

_CHUNK_MS = 60_000
_KEEP_EVENTS = 300_000
_PAST_BIT = 1 << 62
"""Sequence numbers of past events are above those of put events, so that ids are unique."""


class PastEvents:
    """History's log events in reading order. Safe to use from any thread."""

    def __init__(self, history: History | None) -> None:
        self._history = history
        self._lock = Lock()
        self._chunks: OrderedDict[tuple[str, int], list[StoredEvent]] = OrderedDict()
        self._held = 0

    @property
    def present(self) -> bool:
        """Whether a history exists."""
        return self._history is not None

    def groups(self) -> dict[str, int]:
        """Return group → creation time in epoch ms."""
        return dict(self._history.log_groups()) if self._history is not None else {}

    def has(self, group: str) -> bool:
        """Return whether a group has past events."""
        return self._history is not None and group in self._history.log_groups()

    def ordered(self, group: str, start_ms: int, end_ms: int) -> Iterator[StoredEvent]:
        """Yield events with start ≤ timestamp ≤ end, by timestamp, ingestion and place."""
        if not self.has(group):
            return
        for index in range(start_ms // _CHUNK_MS, end_ms // _CHUNK_MS + 1):
            chunk = self._chunk(group, index)
            low = bisect_left(chunk, start_ms, key=_stamp)
            yield from chunk[low : bisect_left(chunk, end_ms + 1, lo=low, key=_stamp)]

    def window(self, group: str, start_ms: int, end_ms: int) -> Iterator[StoredEvent]:
        """Yield the events that had become visible by `end_ms`."""
        return (event for event in self.ordered(group, start_ms, end_ms) if event.visible_ms <= end_ms)

    def _chunk(self, group: str, index: int) -> list[StoredEvent]:
        assert self._history is not None
        key = (group, index)
        with self._lock:
            if key in self._chunks:
                self._chunks.move_to_end(key)
                return self._chunks[key]
        start_ms = index * _CHUNK_MS
        log_events = self._history.log_events(group, start_ms, start_ms + _CHUNK_MS - 1)
        events = sorted(
            StoredEvent(
                event.timestamp_ms,
                event.ingested_ms,
                _PAST_BIT | (index << 24) | place,
                event.visible_ms,
                event.stream,
                event.message,
            )
            for place, event in enumerate(log_events)
        )
        with self._lock:
            if key not in self._chunks:
                self._chunks[key] = events
                self._held += len(events)
            while self._held > _KEEP_EVENTS and len(self._chunks) > 1:
                _, dropped = self._chunks.popitem(last=False)
                self._held -= len(dropped)
        return events


def _stamp(event: StoredEvent) -> int:
    return event.timestamp_ms
