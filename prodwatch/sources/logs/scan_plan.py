"""Plans the windows to read, so that a line is found however late it becomes visible, up to a stated limit.

Four tiers overlap. Each remembers the wall time at which its last complete scan *began*; its next scan starts
`lateness_s` before that time. A line dated t and visible within `lateness_s` of t is therefore always inside the first
scan of that tier that begins after it became visible. The anchor is the wall clock rather than the newest timestamp
read, so that a line dated into the future does not hide all others.

A wide scan of a busy group takes many pages, so fast scans run between its pages: new lines never wait for it.
"""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass, field

from prodwatch.sources.logs.events import Occurrences


@dataclass(frozen=True, slots=True)
class Tier:
    """One overlap: the lateness it covers and the interval of its scans, in seconds."""

    lateness_s: float
    every_s: float


TIERS = (Tier(15.0, 1.0), Tier(180.0, 60.0), Tier(900.0, 300.0), Tier(86_400.0, 1800.0))
"""Fast: every poll, at most once a second. Middle: covers three minutes, the promised lateness. Deep: 15 minutes.

The middle tier's interval is the longest; a window of few pages is read more often, see `PAGE_COSTS_S`.

Whole: as far back as `WHOLE_IDS` ids of memory reach, but at least as far as deep: a day for a line a minute, an hour
for one a second.
"""
MIDDLE_MIN_S = 10.0
"""Shortest interval of the middle tier."""
EARLY_S = 0.05
"""A fast scan is due this much earlier, because two clocks are never read at once."""
CALLS_PER_S = 5
"""AWS's quota per account and region."""
PAGE_COSTS_S = 2.5
"""Interval of the middle tier per page that its last scan took: four pages, two of them empty, fit into ten seconds."""
PAGE_OF_MANY_COSTS_S = 0.4
"""The same per page and watched group: all middle scans together take half of AWS's five calls a second."""
WHOLE_IDS = 100_000
"""Memory, in ids, that the whole tier covers."""

FAST_EVENTS = 4_000
"""Events that the fast tier's overlap may hold, so that reading them again does not use up the call rate."""
FAST_LATENESS_MIN_S = 3.0
"""Shortest overlap of the fast tier."""
SKEW_S = 2.0
"""Smallest clock difference allowed for: the `Date` header is accurate to about a second."""
PROMISED, DEEP, WHOLE = 1, 2, 3
"""Indices into `TIERS`."""
PROMISED_S = TIERS[PROMISED].lateness_s
"""L: a line that becomes visible at most this many seconds after its timestamp is shown."""
DEEP_S = TIERS[DEEP].lateness_s


@dataclass(slots=True)
class Scan:
    """One window being read, page by page."""

    tier: int
    began_s: float
    """Wall time of its start, epoch seconds."""
    start_ms: int
    token: str | None = None
    token_since_s: float = 0.0
    read_to_ms: int = 0
    """Timestamp of the last event read, ms."""
    pages: int = 0
    """Pages read, empty ones included."""
    occurrences: Occurrences = field(default_factory=Occurrences)

    def restart(self, start_ms: int) -> None:
        """Continue without a token from `start_ms`."""
        self.token, self.start_ms = None, start_ms
        self.occurrences.forget(from_ms=start_ms)


@dataclass(slots=True)
class ScanPlan:
    """The tiers of one log group and the scans in progress: at most one fast and one wide."""

    since_ms: int
    """Timestamp before which nothing is shown, ms."""
    tiers: tuple[Tier, ...] = TIERS
    ahead_s: float = 0.0
    """Local clock minus CloudWatch's clock, in seconds."""
    whole_ms: int = 0
    """Timestamp (ms) from which on the remembered events fit into `WHOLE_IDS` ids of memory."""
    floor_ms: int = 0
    """Timestamp (ms) before which events can no longer be recognised as shown, so they are not read."""
    rate: float = 0.0
    """Events per second; limits the fast tier's overlap."""
    sweep_s: float | None = None
    """Wall time (epoch seconds) of a request for an immediate scan of the promised tier."""
    watched: Sized = ()
    """All groups of the account and region, which share the call budget."""
    current: Scan | None = None
    """The scan whose page was requested last; None once it is complete."""
    _middle_pages: int = 0
    """Pages of the last complete scan of the middle tier, 0 before the first."""
    _fast_pages: int = 1
    """Pages of the last complete fast scan."""
    _wide_pages: int = 0
    """Pages of wide scans since the last complete fast scan."""
    _wide_is_next: bool = False
    _fast: Scan | None = None
    _wide: Scan | None = None
    _began_s: list[float | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._began_s = [None] * len(self.tiers)

    @property
    def idle(self) -> bool:
        """Whether nothing is to be read until the next scan is due."""
        return self._fast is None and self._wide is None and not self._sweep_due()

    @property
    def paused(self) -> bool:
        """Whether a wide scan has read its share of pages and continues after the next fast scan.

        Without the pause its calls would be missing when the next fast scan is due, and delay new lines.
        """
        if self._fast is not None or self._wide is None or not self.caught_up:
            return False
        return self._wide_pages >= max(1, CALLS_PER_S - self._fast_pages)

    @property
    def scans(self) -> list[Scan]:
        """Scans in progress."""
        return [scan for scan in (self._fast, self._wide) if scan is not None]

    @property
    def caught_up(self) -> bool:
        """Whether the first scan, from `since_ms` to now, is complete."""
        return self._began_s[-1] is not None

    def fresh_s(self) -> float | None:
        """Return the epoch second up to which everything visible has been read, None before the first scan ended."""
        began = [began_s for began_s in self._began_s if began_s is not None]
        return max(began) if began else None

    def swept_s(self) -> float | None:
        """Return the epoch second up to which all lines visible within L are read, None before the first scan."""
        return self._began_s[PROMISED]

    def set_clock_difference(self, ahead_s: float) -> bool:
        """Set the clock difference; True when the first scan restarts because of it.

        A start that is still in CloudWatch's future would hide lines written until then.
        """
        self.ahead_s = ahead_s
        scan = self._wide
        if self.caught_up or scan is None or self.since_ms <= (scan.began_s - ahead_s) * 1000:
            return False
        self.since_ms -= int(ahead_s * 1000)
        scan.restart(self.since_ms)
        scan.read_to_ms = 0
        return True

    def shift_clock_back(self, by_s: float) -> None:
        """Shift remembered times by `by_s` after the local clock was set back, so that none is in the future."""
        self._began_s = [began if began is None else began - by_s for began in self._began_s]
        for scan in self.scans:
            scan.began_s -= by_s

    def begin(self, now_s: float) -> Scan:
        """Return the scan to read a page of: a new one that is due, else fast and wide ones in turn."""
        if self._wide is None and (tier := self._wide_due(now_s)) is not None:
            self._wide = Scan(tier, now_s, self._start_ms(tier))
            self._wide_is_next = False
            # Counted from the next page on, so that the fast scan that is due now follows at once.
            self._wide_pages = 0
            if self._middle_pages <= 1 or not self.caught_up:
                # Its first page may be its last, which then also covers the fast tier.
                self.current = self._wide
                return self.current
        if self._fast is None and self.caught_up and (self._wide is None or self.paused or self._fast_due(now_s)):
            self._fast = Scan(0, now_s, self._start_ms(0))
        # A fast scan is read to its end, however many of its pages are empty. A page of the wide scan follows, even if
        # the next fast scan is due at once: a wide scan must finish.
        first, second = (self._wide, self._fast) if self._wide_is_next else (self._fast, self._wide)
        self.current = first or second
        assert self.current is not None
        self._wide_is_next = False
        self._wide_pages += self.current is self._wide
        return self.current

    def complete(self) -> None:
        """Complete the current scan; it counts for every narrower tier too."""
        scan = self.current
        assert scan is not None
        for tier in range(scan.tier + 1):
            self._began_s[tier] = max(scan.began_s, self._began_s[tier] or 0.0)
        if scan is self._fast:
            self._fast = None
            self._wide_is_next = True
            self._fast_pages, self._wide_pages = scan.pages, 0
        else:
            self._wide = None
        if scan.tier == PROMISED:
            self._middle_pages = scan.pages
        self.current = None

    def late_after_ms(self, now_s: float) -> int:
        """Return the timestamp (ms) before which a line arriving now has missed the scans that should have shown it."""
        fresh = self.fresh_s()
        if fresh is None:
            return 0
        return int((min(fresh, now_s) - self.ahead_s - self._fast_lateness_s() - SKEW_S) * 1000)

    def deepest_start_ms(self, now_s: float) -> int:
        """Return the earliest timestamp (ms) that any coming scan may read."""
        starts_ms = [
            int(((now_s if began is None else began) - tier.lateness_s - self._skew_s()) * 1000) - 1000
            for began, tier in zip(self._began_s, self.tiers, strict=True)
        ]
        deep_ms, whole_ms = starts_ms[-2:]
        return max(self.since_ms, whole_ms, min(deep_ms, self.whole_ms))

    def _wide_due(self, now_s: float) -> int | None:
        for tier in range(len(self.tiers) - 1, 0, -1):
            began = self._began_s[tier]
            if began is None or now_s - began >= self._interval_s(tier):
                return tier
        return PROMISED if self._sweep_due() else None

    def _interval_s(self, tier: int) -> float:
        longest_s = self.tiers[tier].every_s
        if tier != PROMISED:
            return longest_s
        page_s = max(PAGE_COSTS_S, len(self.watched) * PAGE_OF_MANY_COSTS_S)
        return min(longest_s, max(MIDDLE_MIN_S, self._middle_pages * page_s))

    def _sweep_due(self) -> bool:
        swept_s = self.swept_s()
        return self.sweep_s is not None and swept_s is not None and swept_s < self.sweep_s

    def _fast_due(self, now_s: float) -> bool:
        began = self._began_s[0]
        return began is None or now_s - began >= self.tiers[0].every_s - EARLY_S

    def _start_ms(self, tier: int) -> int:
        began = self._began_s[tier]
        if began is None:
            return max(self.since_ms, self.floor_ms)
        if tier == 0:
            # By CloudWatch's clock: a local clock minutes behind must not cause those minutes to be read every second.
            back_s = self._fast_lateness_s() + SKEW_S + self.ahead_s
        else:
            # The promised tier does not rely on the measured clock difference.
            back_s = self.tiers[tier].lateness_s + self._skew_s()
        start_ms = int((began - back_s) * 1000)
        if tier == WHOLE:
            start_ms = max(start_ms, min(self.whole_ms, self._start_ms(DEEP)))
        return max(self.since_ms, self.floor_ms, start_ms)

    def _skew_s(self) -> float:
        return max(SKEW_S, abs(self.ahead_s))

    def _fast_lateness_s(self) -> float:
        widest = self.tiers[0].lateness_s
        if self.rate <= 0:
            return widest
        return min(widest, max(FAST_LATENESS_MIN_S, FAST_EVENTS / self.rate))
