"""Lines that both Live Tail and polling bring are shown once, identical ones as often as they were written.

Live Tail gives no event id. Each line is counted under (stream, timestamp, message), apart for the live session and
for polling; it has been shown as often as the highest of these counts. Times of ingestion are left out: nobody has
shown that both ways tell the same.
"""

from __future__ import annotations

from hashlib import blake2b

from prodwatch.sources.logs.events import RawEvent

BUCKET_MS = 1000
GRACE_S = 10.0
"""What Live Tail has not brought after so long it will not bring."""


class _Counts:
    """How often one line came: in the live session with this number, by polling, and on the screen."""

    __slots__ = ("live", "polled", "session", "shown")

    def __init__(self) -> None:
        self.live = self.polled = self.shown = self.session = 0


class LiveMerge:
    """The counts of one log group."""

    def __init__(self) -> None:
        self._buckets: dict[int, dict[bytes, _Counts]] = {}
        self._session = 0
        self._live_since_ms: float | None = None
        self.missed = 0
        """Lines of the running session that only polling brought: sampled away, or dropped by the service."""

    def begin_session(self, now_s: float) -> None:
        """A live session starts: it may bring again what one before it brought."""
        self._session += 1
        self._live_since_ms = now_s * 1000

    def end_session(self) -> None:
        """The live session is over; polling alone goes on."""
        self._live_since_ms = None

    def first_live(self, event: RawEvent) -> bool:
        """Count a line of the live session; True when it is to be shown."""
        counts = self._counts(event)
        if counts.session != self._session:
            counts.session, counts.live = self._session, 0
        counts.live += 1
        return self._shown(counts, counts.live)

    def first_polled(self, event: RawEvent, now_s: float) -> bool:
        """Count a line of polling, whose event id is new; True when it is to be shown."""
        counts = self._counts(event)
        counts.polled += 1
        first = self._shown(counts, counts.polled)
        if first and self._live_since_ms is not None:
            in_session = self._live_since_ms + GRACE_S * 1000 <= event.timestamp <= (now_s - GRACE_S) * 1000
            self.missed += in_session
        return first

    def forget_before(self, timestamp_ms: int) -> None:
        """Drop what no coming scan can meet again."""
        for key in [key for key in self._buckets if (key + 1) * BUCKET_MS <= timestamp_ms]:
            del self._buckets[key]

    @staticmethod
    def _shown(counts: _Counts, count: int) -> bool:
        if count <= counts.shown:
            return False
        counts.shown = count
        return True

    def _counts(self, event: RawEvent) -> _Counts:
        bucket = self._buckets.setdefault(event.timestamp // BUCKET_MS, {})
        key = digest(event)
        found = bucket.get(key)
        if found is None:
            found = bucket[key] = _Counts()
        return found


def digest(event: RawEvent) -> bytes:
    """Return what tells one line of a group from another, both ways alike."""
    text = f"{event.timestamp}\0{event.stream}\0{event.message}"
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
