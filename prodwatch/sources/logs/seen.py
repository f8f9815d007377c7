"""Which events have been shown: exact, bounded, and never forgetting silently."""

from __future__ import annotations

from collections.abc import Iterable

from prodwatch.sources.logs.events import RawEvent

BUCKET_MS = 1000
RATE_BUCKETS = 10
CAP = 300_000
"""Ids kept per group; about 45 MB at the worst."""


class SeenIds:
    """Event ids in buckets of one second of event time.

    `floor_ms` rises when the cap bites: what is older can no longer be told apart and must not be read again.
    """

    __slots__ = ("_buckets", "_cap", "_count", "floor_ms")

    def __init__(self, cap: int = CAP) -> None:
        self._buckets: dict[int, set[str]] = {}
        self._cap = cap
        self._count = 0
        self.floor_ms = 0

    def __len__(self) -> int:
        return self._count

    def new_of(self, events: Iterable[RawEvent]) -> tuple[list[RawEvent], int]:
        """Remember a page; returns what was not known, and how many are below the floor, where nobody can tell."""
        fresh: list[RawEvent] = []
        unsure = 0
        buckets, floor_ms = self._buckets, self.floor_ms
        key, bucket = -1, set[str]()
        for event in events:
            stamp = event.timestamp
            if stamp < floor_ms:
                unsure += 1
                continue
            if stamp // BUCKET_MS != key:
                # Pages come in order of time, so this is rare.
                key = stamp // BUCKET_MS
                bucket = buckets.setdefault(key, set())
            if event.event_id not in bucket:
                bucket.add(event.event_id)
                fresh.append(event)
        self._count += len(fresh)
        return fresh, unsure

    def rate(self, now_s: float) -> float:
        """Return the events a second of the last ten whole seconds."""
        last = int(now_s * 1000) // BUCKET_MS
        return sum(len(self._buckets.get(key, ())) for key in range(last - RATE_BUCKETS, last)) / RATE_BUCKETS

    def forget_before(self, timestamp_ms: int) -> None:
        """Drop ids no coming scan can meet again."""
        for key in [key for key in self._buckets if (key + 1) * BUCKET_MS <= timestamp_ms]:
            self._count -= len(self._buckets.pop(key))

    def enforce_cap(self) -> bool:
        """Drop the oldest buckets over the cap and raise `floor_ms`; True when that happened."""
        if self._count <= self._cap:
            return False
        for key in sorted(self._buckets):
            if self._count <= self._cap * 9 // 10:
                break
            self._count -= len(self._buckets.pop(key))
            self.floor_ms = max(self.floor_ms, (key + 1) * BUCKET_MS)
        return True
