"""The lines of the ring to show, in order of time: all, or those that match a filter and a time window."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence

from prodwatch.model.signal import LogRecord
from prodwatch.store.ring import Ring
from prodwatch.views.log_filter import EVERYTHING, FilterError, LogFilter

SLICE = 10_000
"""Lines filtered per call: a few milliseconds."""
TIMED_S = 0.01
"""Time after which a call filters no more lines when the filter has a regular expression, in seconds."""
_BITS = 40
_NUMBER = (1 << _BITS) - 1


class LogRows:
    """Rows are ranks: display time in the high bits, ring number in the low bits, so that equal times keep their order.

    A line's rank never changes; new lines are inserted among those of other groups.
    """

    def __init__(self, ring: Ring[LogRecord], monotonic_s: Callable[[], float]) -> None:
        self.ring = ring
        self.problem: str | None = None
        """Reason for which the last filter was given up and all lines are shown, None while it is applied."""
        self._monotonic_s = monotonic_s
        self.filter: LogFilter = EVERYTHING
        self.window_s = 0
        """Show only lines of this many last seconds; 0: all."""
        self._all: list[int] = []
        self._matching: list[int] = []
        self._arrived: list[int] = []
        """Ring numbers of the matching rows in order of arrival."""
        self._scanned = self._base = self._tail = 0

    @property
    def is_filtered(self) -> bool:
        """Whether a filter or window is active."""
        return bool(self.filter.tests) or self.window_s > 0

    def set_filter(self, log_filter: LogFilter, window_s: int) -> None:
        """Start over with another filter or window."""
        self.filter, self.window_s, self.problem = log_filter, window_s, None
        self._matching, self._arrived = [], []
        self._scanned = 0

    @property
    def _ranks(self) -> list[int]:
        return self._matching if self.is_filtered else self._all

    def __len__(self) -> int:
        return len(self._ranks)

    def number_at(self, index: int) -> int:
        """Return the ring number of row `index`."""
        return self._ranks[index] & _NUMBER

    def rank_at(self, index: int) -> int | None:
        """Return the rank of row `index`; None beyond the last row."""
        ranks = self._ranks
        return ranks[index] if 0 <= index < len(ranks) else None

    def row_of_rank(self, rank: int) -> int:
        """Return the row of a rank; if its line was dropped, the row at its place."""
        return bisect_left(self._ranks, rank)

    def index_of(self, number: int) -> int | None:
        """Return the row of a ring number, None when it is not shown."""
        record = self.ring.get(number)
        if record is None:
            return None
        rank = display_time_ms(record) << _BITS | number
        index = bisect_left(self._ranks, rank)
        return index if self.rank_at(index) == rank else None

    def record_at(self, index: int) -> LogRecord | None:
        """Return the line of row `index`."""
        return self.ring.get(self.number_at(index))

    def after(self, number: int) -> int:
        """Return how many rows arrived after a ring number."""
        if not self.is_filtered:
            return max(0, self._tail - max(number + 1, self._base))
        return min(len(self._matching), len(self._arrived) - bisect_right(self._arrived, number))

    def numbers(self) -> Sequence[int]:
        """Return the ring numbers of all rows as they are now."""
        return tuple(rank & _NUMBER for rank in self._ranks)

    def newest(self, count: int) -> list[LogRecord]:
        """Return the newest lines shown, oldest first."""
        records = (self.ring.get(rank & _NUMBER) for rank in self._ranks[-count:])
        return [record for record in records if record is not None]

    @property
    def unfinished(self) -> bool:
        """Whether lines remain to be filtered."""
        return self.is_filtered and self._scanned < self._tail

    def update(self, now_ms: int) -> None:
        """Take in new lines; with a filter or window at most SLICE lines per call."""
        ring = self.ring
        if ring.head != self._base:
            # The dropped lines arrived first: nearly, but not exactly, the first rows.
            self._all = [rank for rank in self._all if rank & _NUMBER >= ring.head]
            self._matching = [rank for rank in self._matching if rank & _NUMBER >= ring.head]
            del self._arrived[: bisect_left(self._arrived, ring.head)]
        begin = max(self._tail, ring.head)
        self._base, self._tail = ring.head, ring.tail
        _merge(self._all, enumerate(ring.window(begin, ring.tail), begin))
        if self.is_filtered:
            self._filter_slice(now_ms)

    def _filter_slice(self, now_ms: int) -> None:
        since_ms = now_ms - self.window_s * 1000 if self.window_s else 0
        del self._matching[: self._too_old(since_ms)]
        begin = max(self._scanned, self._base)
        stop = min(self._tail, begin + SLICE)
        try:
            matching, self._scanned = self._matches_within(begin, stop, since_ms)
        except FilterError as error:
            # All lines are shown: a line must not be hidden because of a search that did not end.
            self.set_filter(EVERYTHING, self.window_s)
            self.problem = str(error)
            return
        self._arrived += [number for number, _ in matching]
        _merge(self._matching, matching)

    def _matches_within(self, begin: int, stop: int, since_ms: int) -> tuple[list[tuple[int, LogRecord]], int]:
        """Return the matching lines, by number, and the number up to which lines were filtered; raises FilterError."""
        matches = self.filter.matches
        until_s = self._monotonic_s() + TIMED_S if self.filter.is_timed else float("inf")
        matching = []
        for number, record in enumerate(self.ring.window(begin, stop), begin):
            if record.timestamp_ms >= since_ms and matches(record):
                matching.append((number, record))
            if self.filter.is_timed and self._monotonic_s() > until_s:
                return matching, number + 1
        return matching, stop

    def _too_old(self, since_ms: int) -> int:
        """Return how many rows at the front have left the window."""
        for count, rank in enumerate(self._matching):
            record = self.ring.get(rank & _NUMBER)
            if record is not None and record.timestamp_ms >= since_ms:
                return count
        return len(self._matching)


def _merge(ranks: list[int], numbered: Iterable[tuple[int, LogRecord]]) -> None:
    """Insert lines in order; the cost grows with the number of rows after the first of them."""
    come = sorted(display_time_ms(record) << _BITS | number for number, record in numbered)
    if come and ranks and come[0] < ranks[-1]:
        first = bisect_left(ranks, come[0])
        come = sorted(ranks[first:] + come)
        del ranks[first:]
    ranks += come


def display_time_ms(record: LogRecord) -> int:
    """Return the time by which a line is ordered among those of all groups, epoch milliseconds by AWS's clock.

    It is the line's own time, with two exceptions. A line that arrived late is ordered by its arrival, so that it does
    not appear minutes above the lines on screen. A line dated in the future is ordered by its ingestion time, so that
    it does not remain the newest line for hours.
    """
    stamp = record.timestamp_ms
    if record.late_ms:
        return stamp + record.late_ms
    return record.ingested_ms if 0 < record.ingested_ms < stamp else stamp
