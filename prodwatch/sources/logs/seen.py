"""Which events have been shown: exact, bounded, and never forgetting silently."""

from __future__ import annotations

BUCKET_MS = 1000
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

    def add(self, event_id: str, timestamp_ms: int) -> bool:
        """Remember an id; False when it was known already."""
        bucket = self._buckets.get(timestamp_ms // BUCKET_MS)
        if bucket is None:
            bucket = self._buckets[timestamp_ms // BUCKET_MS] = set()
        elif event_id in bucket:
            return False
        bucket.add(event_id)
        self._count += 1
        return True

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
