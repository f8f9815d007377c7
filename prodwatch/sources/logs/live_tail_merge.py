"""Lines that both Live Tail and polling bring are shown once, identical ones as often as they were written.

Live Tail gives no event id. Each line is counted under (stream, timestamp, message), apart for the live session and
for polling; it has been shown as often as the highest of these counts. Times of ingestion are left out: nobody has
shown that both ways tell the same.

A line that polling has brought as often as the session did is remembered for a moment only: neither brings it again.
"""

from __future__ import annotations

from hashlib import blake2b

from prodwatch.sources.logs.events import RawEvent

BUCKET_MS = 1000
GRACE_S = 10.0
"""What Live Tail has not brought after so long it will not bring."""
REMEMBER_S = 30.0
"""For so long the same line may come the other way, or again by a session that overlaps with the one before."""


class _Counts:
    """How often one line came: in the live session with this number, by polling, and on the screen."""

    __slots__ = ("live", "polled", "session", "shown")

    def __init__(self) -> None:
        self.live = self.polled = self.shown = self.session = 0


class LiveMerge:
    """The counts of one log group."""

    def __init__(self) -> None:
        self._buckets: dict[int, dict[bytes, _Counts]] = {}
        self._touched_s: dict[int, float] = {}
        """When a bucket was last written to; it is tidied some time after."""
        self._tidied_s = 0.0
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

    def __len__(self) -> int:
        """Return how many lines are remembered."""
        return sum(map(len, self._buckets.values()))

    def first_live(self, event: RawEvent, now_s: float) -> bool:
        """Count a line of the live session; True when it is to be shown."""
        counts = self._counts(event, now_s)
        if counts.session != self._session:
            counts.session, counts.live = self._session, 0
        counts.live += 1
        return self._shown(counts, counts.live)

    def first_polled(self, event: RawEvent, now_s: float) -> bool:
        """Count a line of polling, whose event id is new; True when it is to be shown."""
        counts = self._counts(event, now_s)
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
            self._touched_s.pop(key, None)

    def tidy(self, now_s: float) -> None:
        """Forget lines that have come both ways, or by polling alone, a while ago."""
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
        found = bucket.get(key)
        if found is None:
            found = bucket[key] = _Counts()
        return found


def digest(event: RawEvent) -> bytes:
    """Return what tells one line of a group from another, both ways alike."""
    text = f"{event.timestamp}\0{event.stream}\0{event.message}"
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
