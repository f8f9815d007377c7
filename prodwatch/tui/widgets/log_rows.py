"""Which lines of the ring are shown: all of it, or those a filter and a window let through; worked off in slices."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from prodwatch.model.signal import LogRecord
from prodwatch.store.ring import Ring
from prodwatch.views.log_filter import EVERYTHING, LogFilter

SLICE = 10_000
"""Lines looked at per call when a filter goes over what is kept: a few milliseconds."""


class LogRows:
    """Rows by ring number. Without filter and window they are the ring itself, else a list of its numbers."""

    def __init__(self, ring: Ring[LogRecord]) -> None:
        self.ring = ring
        self.filter: LogFilter = EVERYTHING
        self.window_s = 0
        """Only lines of the last so many seconds; 0: all."""
        self._shown: list[int] = []
        self._scanned = self._base = self._tail = 0

    @property
    def chosen(self) -> bool:
        """Whether some lines are left out."""
        return bool(self.filter.tests) or self.window_s > 0

    def choose(self, wanted: LogFilter, window_s: int) -> None:
        """Begin anew with another filter or window."""
        self.filter, self.window_s = wanted, window_s
        self._shown = []
        self._scanned = 0

    def __len__(self) -> int:
        return len(self._shown) if self.chosen else self._tail - self._base

    def number_at(self, index: int) -> int:
        """Return the ring number of row `index`."""
        return self._shown[index] if self.chosen else self._base + index

    def index_of(self, number: int) -> int | None:
        """Return the row of a ring number, None when it is not shown."""
        if not self.chosen:
            index = number - self._base
            return index if 0 <= index < len(self) else None
        index = bisect_left(self._shown, number)
        return index if index < len(self._shown) and self._shown[index] == number else None

    def record_at(self, index: int) -> LogRecord | None:
        """Return the line of row `index`."""
        return self.ring.get(self.number_at(index))

    def after(self, number: int) -> int:
        """Return how many rows are newer than a ring number."""
        if not self.chosen:
            return max(0, self._tail - max(number + 1, self._base))
        return len(self._shown) - bisect_right(self._shown, number)

    def numbers(self) -> Sequence[int]:
        """Return the ring numbers of all rows as they are now."""
        return tuple(self._shown) if self.chosen else range(self._base, self._tail)

    def newest(self, count: int) -> list[LogRecord]:
        """Return the newest lines shown, oldest first."""
        if not self.chosen:
            return self.ring.window(max(self._base, self._tail - count), self._tail)
        return [record for number in self._shown[-count:] if (record := self.ring.get(number)) is not None]

    @property
    def unfinished(self) -> bool:
        """Whether there are lines the filter has not looked at."""
        return self.chosen and self._scanned < self._tail

    def take_in(self, now_ms: int) -> int:
        """Follow the ring by a slice; return how many rows went at the front."""
        ring = self.ring
        gone = ring.head - self._base
        self._base, self._tail = ring.head, ring.tail
        if not self.chosen:
            return gone
        since_ms = now_ms - self.window_s * 1000 if self.window_s else 0
        trimmed = bisect_left(self._shown, ring.head)
        trimmed += self._too_old(trimmed, since_ms)
        del self._shown[:trimmed]
        begin = max(self._scanned, ring.head)
        self._scanned = stop = min(ring.tail, begin + SLICE)
        matches = self.filter.matches
        self._shown.extend(
            begin + offset
            for offset, record in enumerate(ring.window(begin, stop))
            if record.timestamp_ms >= since_ms and matches(record)
        )
        return trimmed

    def _too_old(self, first: int, since_ms: int) -> int:
        """Return how many rows from `first` on have left the window."""
        count = 0
        while first + count < len(self._shown):
            record = self.ring.get(self._shown[first + count])
            if record is not None and record.timestamp_ms >= since_ms:
                break
            count += 1
        return count
