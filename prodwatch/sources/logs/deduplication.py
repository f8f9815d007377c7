"""Which events have been shown: bounded, eight bytes each, and never forgetting silently.

An id is kept as the 64 bits of its hash, keyed anew in every process. Two ids are confused only when they are dated
into the same second of the same group and agree in all 64 bits: at 5,000 lines a second that hides one line in some
forty thousand years of watching. Sets of the ids themselves would take twenty times the memory, and so cover a
twentieth of the time.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from prodwatch.sources.logs.events import RawEvent

BUCKET_MS = 1000
RATE_BUCKETS = 10
BUCKET_IDS = 25
"""A bucket by itself takes as much room as so many ids."""
CAP = 1_500_000
"""Ids kept per group, 12 MB: five minutes at 5,000 lines a second, which covers L and a middle scan."""


class SeenIds:
    """Hashes of event ids in buckets of one second of event time, packed; unpacked only while a page is compared.

    `floor_ms` rises when the cap bites: what is older can no longer be told apart and must not be read again.
    """

    __slots__ = ("_buckets", "_cap", "_count", "floor_ms")

    def __init__(self, cap: int = CAP) -> None:
        self._buckets: dict[int, array[int]] = {}
        self._cap = cap
        self._count = 0
        self.floor_ms = 0

    def __len__(self) -> int:
        return self._count

    def new_of(self, events: Iterable[RawEvent]) -> tuple[list[RawEvent], int]:
        """Remember a page; returns what was not known, and how many are below the floor, where nobody can tell."""
        fresh: list[RawEvent] = []
        unsure = 0
        floor_ms = self.floor_ms
        opened: dict[int, set[int]] = {}
        key, bucket = -1, set[int]()
        for event in events:
            stamp = event.timestamp
            if stamp < floor_ms:
                unsure += 1
                continue
            if stamp // BUCKET_MS != key:
                # Pages come in order of time, so this is rare.
                key = stamp // BUCKET_MS
                if key not in opened:
                    opened[key] = set(self._buckets.get(key, ()))
                bucket = opened[key]
            mark = hash(event.event_id)
            if mark not in bucket:
                bucket.add(mark)
                fresh.append(event)
        self._pack(opened)
        self._count += len(fresh)
        return fresh, unsure

    def _pack(self, opened: dict[int, set[int]]) -> None:
        for key, bucket in opened.items():
            if len(bucket) != len(self._buckets.get(key, ())):
                # Through a list, because only then the array is as long as it has to be.
                self._buckets[key] = array("q", list(bucket))

    def rate(self, now_s: float) -> float:
        """Return the events a second of the ten whole seconds before `now_s`, by AWS's clock."""
        last = int(now_s * 1000) // BUCKET_MS
        return sum(len(self._buckets.get(key, ())) for key in range(last - RATE_BUCKETS, last)) / RATE_BUCKETS

    def start_of_last(self, room: int) -> int:
        """Return the timestamp in milliseconds from which on what is known takes as much room as `room` ids."""
        for key in sorted(self._buckets, reverse=True):
            room -= len(self._buckets[key]) + BUCKET_IDS
            if room < 0:
                return (key + 1) * BUCKET_MS
        return 0

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
