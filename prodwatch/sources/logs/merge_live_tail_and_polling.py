"""Merges Live Tail and polling: each line is shown once, identical lines as often as they were written.

Live Tail has no event ids. Each line is counted by (stream, timestamp, message), separately for the live session and
for polling, and is shown as often as the higher of the two counts. Ingestion times are not compared, because it is not
documented that both report the same.

A line that polling and the session delivered equally often is remembered only briefly: neither delivers it again.
"""

from __future__ import annotations

from prodwatch.sources.logs.events import RawEvent, digest

BUCKET_MS = 1000
"""Event time covered by one bucket."""
GRACE_S = 10.0
"""A line that Live Tail has not delivered after this many seconds counts as missed."""
REMEMBER_S = 30.0
"""Seconds during which the same line may arrive by the other way, or again by an overlapping session."""


class _Counts:
    """Counts of one line: in the live session with this number, by polling, and shown."""

    __slots__ = ("live", "polled", "session", "shown")

    def __init__(self) -> None:
        self.live = self.polled = self.shown = self.session = 0


class LiveTailMerge:
    """Counts of the lines of one log group."""

    def __init__(self) -> None:
        self._buckets: dict[int, dict[bytes, _Counts]] = {}
        self._touched_s: dict[int, float] = {}
        """Epoch second at which each bucket was last changed."""
        self._tidied_s = 0.0
        self._session = 0
        self._live_since_ms: float | None = None
        self.missed = 0
        """Lines that only polling delivered during the session: left out of the sample or dropped by the service."""

    def begin_session(self, now_s: float) -> None:
        """Start a live session, which may deliver lines of the previous one again."""
        self._session += 1
        self._live_since_ms = now_s * 1000

    def end_session(self) -> None:
        """End the live session; only polling continues."""
        self._live_since_ms = None

    def __len__(self) -> int:
        """Return the number of remembered lines."""
        return sum(map(len, self._buckets.values()))

    def add_live(self, event: RawEvent, now_s: float) -> bool:
        """Count a line of the live session; True when it is to be shown."""
        counts = self._counts(event, now_s)
        if counts.session != self._session:
            counts.session, counts.live = self._session, 0
        counts.live += 1
        return self._shown(counts, counts.live)

    def add_polled(self, event: RawEvent, now_s: float) -> bool:
        """Count a line of polling whose event id is new; True when it is to be shown."""
        counts = self._counts(event, now_s)
        counts.polled += 1
        first = self._shown(counts, counts.polled)
        if first and self._live_since_ms is not None:
            in_session = self._live_since_ms + GRACE_S * 1000 <= event.timestamp <= (now_s - GRACE_S) * 1000
            self.missed += in_session
        return first

    def forget_before(self, timestamp_ms: int) -> None:
        """Forget lines that no coming scan can meet."""
        for key in [key for key in self._buckets if (key + 1) * BUCKET_MS <= timestamp_ms]:
            del self._buckets[key]
            self._touched_s.pop(key, None)

    def prune(self, now_s: float) -> None:
        """Forget lines that were delivered both ways, or by polling alone, a while ago."""
        if abs(now_s - self._tidied_s) < REMEMBER_S / 3:
            return
        self._tidied_s = now_s
        for key in [key for key, at_s in self._touched_s.items() if not 0 <= now_s - at_s <= REMEMBER_S]:
            del self._touched_s[key]
            awaited = {name: counts for name, counts in self._buckets[key].items() if counts.shown > counts.polled}
            if awaited:
                self._buckets[key] = awaited
            else:
                del self._buckets[key]

    @staticmethod
    def _shown(counts: _Counts, count: int) -> bool:
        if count <= counts.shown:
            return False
        counts.shown = count
        return True

    def _counts(self, event: RawEvent, now_s: float) -> _Counts:
        second = event.timestamp // BUCKET_MS
        bucket = self._buckets.setdefault(second, {})
        self._touched_s[second] = now_s
        key = digest(event)
        counts = bucket.get(key)
        if counts is None:
            counts = bucket[key] = _Counts()
        return counts
