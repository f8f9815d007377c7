"""One log group followed to the end: pages in, new events out, whatever the API does in between."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from prodwatch.sources.logs.scan import ScanPlan
from prodwatch.sources.logs.seen import SeenIds

TOKEN_MAX_AGE_S = 23 * 3600
"""CloudWatch's tokens live a day; older ones are not even tried."""


class RawEvent(
    msgspec.Struct,
    frozen=True,
    gc=False,
    rename={"event_id": "eventId", "stream": "logStreamName", "ingested_ms": "ingestionTime"},
):
    """One event as FilterLogEvents returns it."""

    timestamp: int = 0
    message: str = ""
    event_id: str = ""
    stream: str = ""
    ingested_ms: int = 0


class Page(msgspec.Struct, frozen=True, rename={"next_token": "nextToken"}):
    """One page; only the absence of a token ends a scan."""

    events: list[RawEvent] = []
    next_token: str | None = None
    skew_s: float | None = None
    """This machine's clock minus AWS's when the page arrived, None when unknown."""


FetchPage = Callable[[str, int, str | None], Awaitable[Page]]
"""`await fetch(group, start_ms, token)`; raises AwsError."""


@dataclass(frozen=True, slots=True)
class NewEvents:
    """What one page brought that had not been seen."""

    events: list[RawEvent]
    late_before_ms: int
    """Events dated before it are late: earlier scans should have shown them and could not."""
    scan_done: bool
    window_reduced_s: float | None = None
    """How late a line may now be and still be found, when the memory cap has shortened it."""


class GroupTailer:
    """Reads one group page by page; holds everything needed to go on after any error."""

    def __init__(self, group: str, fetch: FetchPage, *, since_ms: int, cap: int | None = None) -> None:
        self.group = group
        self.plan = ScanPlan(since_ms=since_ms)
        self.seen = SeenIds() if cap is None else SeenIds(cap)
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
        """Read the next page of the scan in progress, or of the one that is due.

        After an AwsError the same call goes on with the same token; for an invalid one call `resume_without_token`.
        """
        scan = self.plan.begin(now_s)
        if scan.token is not None and now_s - scan.token_since_s > TOKEN_MAX_AGE_S:
            self.resume_without_token()
        page = await self._fetch(self.group, scan.start_ms, scan.token)
        late_before_ms = self.plan.late_after_ms(scan.began_s) if self.plan.caught_up else 0
        floor_ms = self.seen.floor_ms
        fresh = []
        for event in page.events:
            if event.timestamp < floor_ms:
                # Its id has been given up to the memory cap: shown before or late, nobody can tell.
                self.unsure += 1
            elif self.seen.add(event.event_id, event.timestamp):
                fresh.append(event)
        self.shown += len(fresh)
        late = sum(event.timestamp < late_before_ms for event in fresh)
        self.late += late
        done = page.next_token is None
        if page.events:
            scan.read_to_ms = max(scan.read_to_ms, page.events[-1].timestamp)
        if done:
            self.plan.complete()
            self.seen.forget_before(self.plan.deepest_start_ms(now_s))
        else:
            scan.token = page.next_token
            scan.token_since_s = now_s
        reduced = None
        if self.seen.enforce_cap():
            self.plan.floor_ms = self.seen.floor_ms
            reduced = max(0.0, now_s - self.seen.floor_ms / 1000)
        return NewEvents(fresh, late_before_ms, done, reduced)

    def resume_without_token(self) -> None:
        """Go on from the last timestamp read: the token was refused.

        Pages come in order of time, and what became visible behind that point since the scan began is the next
        scan's business: its window starts before this one began.
        """
        scan = self.plan.current
        if scan is not None:
            scan.token = None
            scan.start_ms = max(scan.start_ms, scan.read_to_ms, self.seen.floor_ms)
