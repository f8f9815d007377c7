"""One log group followed to the end: pages in, new events out, whatever the API does in between."""

from __future__ import annotations

from dataclasses import dataclass

from prodwatch.sources.logs.deduplication import CAP, SeenIds
from prodwatch.sources.logs.events import FetchPage, Page, RawEvent
from prodwatch.sources.logs.live_tail_merge import LiveMerge
from prodwatch.sources.logs.scan_window import DEEP_S, WHOLE_IDS, ScanPlan

__all__ = ["GroupTailer", "NewEvents", "Page", "RawEvent"]

TOKEN_MAX_AGE_S = 23 * 3600
"""CloudWatch's tokens live a day; older ones are not even tried."""


@dataclass(frozen=True, slots=True)
class NewEvents:
    """What one page brought that had not been seen."""

    events: list[RawEvent]
    late_before_ms: int
    """Events dated before it are late: earlier scans should have shown them and could not."""
    scan_done: bool
    """True when nothing more is to be read before the next scan is due."""


class GroupTailer:
    """Reads one group page by page; holds everything needed to go on after any error."""

    def __init__(self, group: str, fetch: FetchPage, *, since_ms: int, cap: int = CAP) -> None:
        self.group = group
        self.plan = ScanPlan(since_ms=since_ms)
        self.seen = SeenIds(cap)
        self.live: LiveMerge | None = None
        """Set when Live Tail brings events of this group too."""
        self.shown = 0
        self.late = 0
        self.unsure = 0
        """Events met again below the memory cap's floor: not shown, counted."""
        self._fetch = fetch

    @property
    def has_token(self) -> bool:
        """True while a scan is between two of its pages."""
        return self.plan.current is not None and self.plan.current.token is not None

    async def read_page(self, now_s: float) -> NewEvents:
        """Read the next page of a scan in progress, or of the one that is due.

        After an AwsError the same call goes on with the same token; for an invalid one call `resume_without_token`.
        """
        scan = self.plan.begin(now_s)
        if scan.token is not None and now_s - scan.token_since_s > TOKEN_MAX_AGE_S:
            self.resume_without_token()
        page = await self._fetch(self.group, scan.start_ms, scan.token)
        late_before_ms = self.plan.late_after_ms(scan.began_s) if self.plan.caught_up else 0
        fresh, unsure = self.seen.new_of(page.events)
        self.unsure += unsure
        fresh = self._not_shown_live(fresh, now_s)
        self._count(fresh, late_before_ms)
        self._advance(page, now_s)
        if self.seen.enforce_cap():
            self._forget_below_floor()
        return NewEvents(fresh, late_before_ms, self.plan.idle)

    def window_s(self, now_s: float) -> float | None:
        """Return how late a line may be and still be found while the memory cap shortens the deep window, else None."""
        window_s = max(0.0, now_s - self.plan.ahead_s - self.seen.floor_ms / 1000)
        return window_s if self.seen.floor_ms and window_s < DEEP_S else None

    def take_live(self, events: list[RawEvent], now_s: float) -> NewEvents:
        """Return what Live Tail brings before polling does; needs `live`."""
        assert self.live is not None
        late_before_ms = self.plan.late_after_ms(now_s) if self.plan.caught_up else 0
        floor_ms = max(self.plan.floor_ms, self.plan.since_ms)
        known = [event for event in events if event.timestamp >= floor_ms]
        self.unsure += len(events) - len(known)
        fresh = [event for event in known if self.live.first_live(event, now_s)]
        self._count(fresh, late_before_ms)
        return NewEvents(fresh, late_before_ms, scan_done=False)

    def _not_shown_live(self, fresh: list[RawEvent], now_s: float) -> list[RawEvent]:
        if self.live is None:
            return fresh
        shown = [event for event in fresh if self.live.first_polled(event, now_s)]
        self.live.tidy(now_s)
        return shown

    def _count(self, fresh: list[RawEvent], late_before_ms: int) -> None:
        self.shown += len(fresh)
        if late_before_ms:
            self.late += sum(event.timestamp < late_before_ms for event in fresh)

    def _advance(self, page: Page, now_s: float) -> None:
        """Move the scan on by the page it has read."""
        scan = self.plan.current
        assert scan is not None
        if page.skew_s is not None and self.plan.meet_clock(page.skew_s):
            return
        if page.events:
            scan.read_to_ms = max(scan.read_to_ms, page.events[-1].timestamp)
        if page.next_token is not None:
            scan.token = page.next_token
            scan.token_since_s = now_s
            return
        self.plan.complete()
        self.plan.rate = self.seen.rate(now_s - self.plan.ahead_s)
        if scan.tier:
            self._forget_beyond_reach(now_s)

    def _forget_beyond_reach(self, now_s: float) -> None:
        """Forget what no coming scan meets again."""
        self.plan.whole_ms = max(self.plan.whole_ms, self.seen.start_of_last(WHOLE_IDS))
        horizon_ms = self.plan.deepest_start_ms(now_s)
        self.seen.forget_before(horizon_ms)
        # A clock that is found to differ more must not lead the next scan back to what has been forgotten.
        self.plan.floor_ms = max(self.plan.floor_ms, horizon_ms)
        if self.live is not None:
            self.live.forget_before(horizon_ms)

    def _forget_below_floor(self) -> None:
        """Read no more of what can no longer be told apart."""
        floor_ms = self.seen.floor_ms
        self.plan.floor_ms = max(self.plan.floor_ms, floor_ms)
        if self.live is not None:
            self.live.forget_before(floor_ms)
        for scan in self.plan.scans:
            if scan.read_to_ms < floor_ms and scan.start_ms < floor_ms:
                scan.token, scan.start_ms = None, floor_ms

    def resume_without_token(self) -> None:
        """Go on from the last timestamp read: the token was refused.

        Pages come in order of time, and what became visible behind that point since the scan began is the next
        scan's business: its window starts before this one began.
        """
        scan = self.plan.current
        if scan is not None:
            scan.token = None
            scan.start_ms = max(scan.start_ms, scan.read_to_ms, self.seen.floor_ms)
