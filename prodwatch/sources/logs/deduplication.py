"""Remembers which events have been shown: bounded, eight bytes per event, and never forgetting silently.

Of each id the 64 bits of its hash are kept, with a different key in every process. Two ids collide only when they are
dated into the same second of the same group and agree in all 64 bits: at 5,000 lines a second that hides one line in
some forty thousand years. Sets of the ids themselves would take twenty times the memory, and so cover a twentieth of
the time.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from prodwatch.sources.logs.events import RawEvent

BUCKET_MS = 1000
"""Event time covered by one bucket."""
RATE_BUCKETS = 10
"""Buckets over which the event rate is averaged."""
BUCKET_IDS = 25
"""Memory of an empty bucket, in ids."""
MAX_IDS = 1_500_000
"""Most ids kept per group (12 MB): five minutes at 5,000 lines a second, which covers a middle scan."""


class SeenIds:
    """Hashes of event ids, packed in buckets of one second of event time.

    `floor_ms` rises when the cap is exceeded: older events can no longer be recognised and must not be read again.
    """

    __slots__ = ("_buckets", "_cap", "_count", "floor_ms")

    def __init__(self, cap: int = MAX_IDS) -> None:
        self._buckets: dict[int, array[int]] = {}
        self._cap = cap
        self._count = 0
        self.floor_ms = 0

    def __len__(self) -> int:
        return self._count

    def add_new(self, events: Iterable[RawEvent]) -> tuple[list[RawEvent], int]:
        """Remember the events of a page.

        Returns the new events, and the number of events dated before `floor_ms`, which cannot be recognised.
        """
        new: list[RawEvent] = []
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
                # Pages are in order of time, so this is rare.
                key = stamp // BUCKET_MS
                if key not in opened:
                    opened[key] = set(self._buckets.get(key, ()))
                bucket = opened[key]
            id_hash = hash(event.event_id)
            if id_hash not in bucket:
                bucket.add(id_hash)
                new.append(event)
        self._pack(opened)
        self._count += len(new)
        return new, unsure

    def _pack(self, opened: dict[int, set[int]]) -> None:
        for key, bucket in opened.items():
            if len(bucket) != len(self._buckets.get(key, ())):
                # Via a list, because only then is the array no longer than necessary.
                self._buckets[key] = array("q", list(bucket))

    def rate(self, now_s: float) -> float:
        """Return events per second over the ten full seconds before `now_s` (epoch seconds by AWS's clock)."""
        last = int(now_s * 1000) // BUCKET_MS
        return sum(len(self._buckets.get(key, ())) for key in range(last - RATE_BUCKETS, last)) / RATE_BUCKETS

    def start_of_last(self, room: int) -> int:
        """Return the timestamp (ms) from which on the remembered events take the memory of `room` ids."""
        for key in sorted(self._buckets, reverse=True):
            room -= len(self._buckets[key]) + BUCKET_IDS
            if room < 0:
                return (key + 1) * BUCKET_MS
        return 0

    def forget_before(self, timestamp_ms: int) -> None:
        """Forget ids that no coming scan can meet."""
        for key in [key for key in self._buckets if (key + 1) * BUCKET_MS <= timestamp_ms]:
            self._count -= len(self._buckets.pop(key))

    def enforce_cap(self) -> bool:
        """Forget the oldest buckets above the cap and raise `floor_ms`; True when that happened."""
        if self._count <= self._cap:
            return False
        for key in sorted(self._buckets):
            if self._count <= self._cap * 9 // 10:
                break
            self._count -= len(self._buckets.pop(key))
            self.floor_ms = max(self.floor_ms, (key + 1) * BUCKET_MS)
        return True
