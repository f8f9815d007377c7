"""Follows one log group: requests pages and returns new events, across errors of any kind."""

from __future__ import annotations

from dataclasses import dataclass

from prodwatch.sources.logs.deduplication import MAX_IDS, SeenIds
from prodwatch.sources.logs.events import FetchPage, Page, RawEvent
from prodwatch.sources.logs.merge_live_tail_and_polling import LiveTailMerge
from prodwatch.sources.logs.scan_plan import DEEP_S, WHOLE_IDS, ScanPlan

__all__ = ["GroupTailer", "NewEvents", "Page", "RawEvent"]

TOKEN_MAX_AGE_S = 23 * 3600
"""Greatest age of a token that is used: CloudWatch's tokens expire after a day."""


@dataclass(frozen=True, slots=True)
class NewEvents:
    """New events of one page."""

    events: list[RawEvent]
    late_before_ms: int
    """Timestamp (ms) before which events are late: earlier scans should have shown them and could not."""
    scan_done: bool
    """Whether nothing more is to be read before the next scan is due."""
    paused: bool = False
    """Whether a wide scan continues only after the next fast scan."""
    busy: bool = True
    """Whether the group had a new event since it was idle, on this page or an earlier one."""


class GroupTailer:
    """Reads one group page by page; keeps all state needed to continue after an error."""

    def __init__(self, group: str, fetch: FetchPage, *, since_ms: int, cap: int = MAX_IDS) -> None:
        self.group = group
        self.plan = ScanPlan(since_ms=since_ms)
        self.seen = SeenIds(cap)
        self.live: LiveTailMerge | None = None
        """Set when Live Tail delivers events of this group too."""
        self.shown = 0
        self.late = 0
        self.unsure = 0
        """Events dated before the floor of the memory cap: not shown, but counted."""
        self._fetch = fetch
        self._is_busy = False

    @property
    def has_token(self) -> bool:
        """Whether a scan is between two of its pages."""
        return self.plan.current is not None and self.plan.current.token is not None

    async def read_page(self, now_s: float) -> NewEvents:
        """Read the next page of the scan in progress, or of the one that is due.

        After an AwsError the same call continues with the same token; after an invalid token call
        `resume_without_token` first.
        """
        scan = self.plan.begin(now_s)
        if scan.token is not None and now_s - scan.token_since_s > TOKEN_MAX_AGE_S:
            self.resume_without_token()
        page = await self._fetch(self.group, scan.start_ms, scan.token)
        late_before_ms = self.plan.late_after_ms(scan.began_s) if self.plan.caught_up else 0
        scan.pages += 1
        new, unsure = self.seen.add_new(scan.occurrences.identified(page.events))
        self.unsure += unsure
        new = self._not_shown_live(new, now_s)
        self._count(new, late_before_ms)
        self._advance(page, now_s)
        if self.seen.enforce_cap():
            self._forget_below_floor()
        self._is_busy = self._is_busy or bool(new)
        result = NewEvents(new, late_before_ms, self.plan.idle, self.plan.paused, self._is_busy)
        self._is_busy = self._is_busy and not result.scan_done
        return result

    def window_s(self, now_s: float) -> float | None:
        """Return the lateness covered (seconds) while the memory cap shortens the deep window, else None."""
        window_s = max(0.0, now_s - self.plan.ahead_s - self.seen.floor_ms / 1000)
        return window_s if self.seen.floor_ms and window_s < DEEP_S else None

    def take_live(self, events: list[RawEvent], now_s: float) -> NewEvents:
        """Return the events that Live Tail delivered before polling; needs `live`."""
        assert self.live is not None
        late_before_ms = self.plan.late_after_ms(now_s) if self.plan.caught_up else 0
        floor_ms = max(self.plan.floor_ms, self.plan.since_ms)
        recognisable = [event for event in events if event.timestamp >= floor_ms]
        self.unsure += len(events) - len(recognisable)
        new = [event for event in recognisable if self.live.add_live(event, now_s)]
        self._count(new, late_before_ms)
        return NewEvents(new, late_before_ms, scan_done=False)

    def _not_shown_live(self, new: list[RawEvent], now_s: float) -> list[RawEvent]:
        if self.live is None:
            return new
        shown = [event for event in new if self.live.add_polled(event, now_s)]
        self.live.prune(now_s)
        return shown

    def _count(self, new: list[RawEvent], late_before_ms: int) -> None:
        self.shown += len(new)
        if late_before_ms:
            self.late += sum(event.timestamp < late_before_ms for event in new)

    def _advance(self, page: Page, now_s: float) -> None:
        """Advance the scan by the page read."""
        scan = self.plan.current
        assert scan is not None
        if page.skew_s is not None and self.plan.set_clock_difference(page.skew_s):
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
        """Forget events that no coming scan can meet."""
        self.plan.whole_ms = max(self.plan.whole_ms, self.seen.start_of_last(WHOLE_IDS))
        horizon_ms = self.plan.deepest_start_ms(now_s)
        self.seen.forget_before(horizon_ms)
        # A greater clock difference, measured later, must not lead a scan back to forgotten events.
        self.plan.floor_ms = max(self.plan.floor_ms, horizon_ms)
        if self.live is not None:
            self.live.forget_before(horizon_ms)

    def _forget_below_floor(self) -> None:
        """Exclude events that can no longer be recognised from coming reads."""
        floor_ms = self.seen.floor_ms
        self.plan.floor_ms = max(self.plan.floor_ms, floor_ms)
        if self.live is not None:
            self.live.forget_before(floor_ms)
        for scan in self.plan.scans:
            if scan.read_to_ms < floor_ms and scan.start_ms < floor_ms:
                scan.restart(floor_ms)

    def resume_without_token(self) -> None:
        """Continue from the last timestamp read, after the token was rejected.

        Pages are in order of time. Events that became visible before that point since the scan began are found by the
        next scan, whose window starts before this one began.
        """
        scan = self.plan.current
        if scan is not None:
            scan.restart(max(scan.start_ms, scan.read_to_ms, self.seen.floor_ms))
