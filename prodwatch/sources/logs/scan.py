"""Which window to read next so that a line is found however late it became visible, up to a stated bound.

Three tiers overlap. Each remembers the wall time at which its last complete scan *began*; its next scan starts
`lateness_s` before that moment. A line dated t and visible within `lateness_s` of t is therefore always inside the
first scan of that tier that begins after it became visible. Anchoring to the wall clock rather than to the newest
timestamp seen is what keeps a line dated into the future from hiding all others.

A wide scan of a busy group takes many pages, so the fast scans go on between its pages: new lines never wait for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Tier:
    """One overlap: how late a line may be and how often to look."""

    lateness_s: float
    every_s: float


TIERS = (Tier(15.0, 1.0), Tier(180.0, 60.0), Tier(900.0, 300.0))
"""Fast, each poll but not twice a second; middle, which carries the promise of three minutes; deep."""

FAST_EVENTS = 4_000
"""The fast tier's overlap is kept to about so many events, so that re-reading never eats the call rate."""
FAST_LATENESS_MIN_S = 3.0
SKEW_S = 2.0
"""The least difference of clocks allowed for; the `Date` of an answer is only good to about a second."""


@dataclass(slots=True)
class Scan:
    """One window being read, page after page."""

    tier: int
    began_s: float
    """Wall time, epoch seconds."""
    start_ms: int
    token: str | None = None
    token_since_s: float = 0.0
    read_to_ms: int = 0
    """Timestamp of the last event read."""


@dataclass(slots=True)
class ScanPlan:
    """The tiers of one log group and the scans in progress: at most one fast and one wide."""

    since_ms: int
    """Nothing older is ever shown."""
    tiers: tuple[Tier, ...] = TIERS
    skew_s: float = SKEW_S
    """How far our clock and CloudWatch's may differ."""
    floor_ms: int = 0
    """Lines dated before it can no longer be told from ones already shown, so they are not read."""
    rate: float = 0.0
    """Events a second; narrows the fast tier."""
    current: Scan | None = None
    """The scan whose page was asked for last, until it is complete."""
    _fast: Scan | None = None
    _wide: Scan | None = None
    _began_s: list[float | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._began_s = [None] * len(self.tiers)

    @property
    def idle(self) -> bool:
        """True when no scan is between two of its pages."""
        return self._fast is None and self._wide is None

    @property
    def caught_up(self) -> bool:
        """True once the first scan, from `since_ms` to now, is complete."""
        return self._began_s[-1] is not None

    def fresh_s(self) -> float | None:
        """Return the wall time up to which everything visible has been read, None before the first scan ended."""
        began = [each for each in self._began_s if each is not None]
        return max(began) if began else None

    def begin(self, now_s: float) -> Scan:
        """Return the scan whose page is to be read: a new one that is due, else fast and wide ones in turn."""
        if self._wide is None and (tier := self._wide_due(now_s)) is not None:
            # Its first page may be its last, and then it has done the fast one's work too.
            self.current = self._wide = Scan(tier, now_s, self._start_ms(tier))
            return self.current
        if self._fast is None and self.caught_up and (self._wide is None or self._fast_due(now_s)):
            self._fast = Scan(0, now_s, self._start_ms(0))
        both = self._fast, self._wide
        self.current = next(each for each in both if each and (each is not self.current or None in both))
        return self.current

    def complete(self) -> None:
        """Note that the current scan has read its last page; it counts for every narrower tier too."""
        scan = self.current
        assert scan is not None
        for tier in range(scan.tier + 1):
            self._began_s[tier] = max(scan.began_s, self._began_s[tier] or 0.0)
        if scan is self._fast:
            self._fast = None
        else:
            self._wide = None
        self.current = None

    def late_after_ms(self, now_s: float) -> int:
        """Return the timestamp before which a line arriving now has missed the scans that should have shown it."""
        fresh = self.fresh_s()
        return 0 if fresh is None else int((min(fresh, now_s) - self._fast_lateness_s() - self.skew_s) * 1000)

    def deepest_start_ms(self, now_s: float) -> int:
        """Return the earliest timestamp any coming scan may read."""
        began = self._began_s[-1]
        reach = now_s if began is None else began
        return max(self.since_ms, int((reach - self.tiers[-1].lateness_s - self.skew_s) * 1000) - 1000)

    def _wide_due(self, now_s: float) -> int | None:
        for tier in range(len(self.tiers) - 1, 0, -1):
            began = self._began_s[tier]
            if began is None or now_s - began >= self.tiers[tier].every_s:
                return tier
        return None

    def _fast_due(self, now_s: float) -> bool:
        began = self._began_s[0]
        return began is None or now_s - began >= self.tiers[0].every_s

    def _start_ms(self, tier: int) -> int:
        began = self._began_s[tier]
        if began is None:
            return max(self.since_ms, self.floor_ms)
        lateness_s = self._fast_lateness_s() if tier == 0 else self.tiers[tier].lateness_s
        return max(self.since_ms, self.floor_ms, int((began - lateness_s - self.skew_s) * 1000))

    def _fast_lateness_s(self) -> float:
        widest = self.tiers[0].lateness_s
        if self.rate <= 0:
            return widest
        return min(widest, max(FAST_LATENESS_MIN_S, FAST_EVENTS / self.rate))
