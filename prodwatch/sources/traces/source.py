"""Reads X-Ray trace summaries as they appear and grow, and reports traces that are left out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from msgspec.structs import replace

from prodwatch.aws.default_account_and_region import in_place
from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.clock import Clock
from prodwatch.formats.otel_spans import SEARCH_IS_ON, SPANS_GROUP
from prodwatch.formats.xray_documents import parse_summary
from prodwatch.formats.xray_service_graph import in_place_of
from prodwatch.model.identity import HOME, Place, source_name
from prodwatch.model.signal import Record, SourcePhase, SourceStatus, TraceSummary
from prodwatch.model.status import Reason
from prodwatch.sources.backoff import Backoff
from prodwatch.sources.poll_loop import PollingSource
from prodwatch.sources.redaction import SignalRedactor
from prodwatch.sources.traces.read_rate import PACES, Pace, ScanBudget, pace_for

MAX_WINDOW_S = 6 * 3600
"""Longest window of one query."""
PART_S = 600.0
"""A long history is read in parts of this length, oldest first."""
ORDER_TOLERANCE_S = 1.0
"""Overlap of two pages that counts as ordered."""
UNORDERED = 0.8
"""Share of the window that one page of many may span before it counts as unordered."""
SHORTEST_S = 1.0
"""Shortest window of a query that follows one that could not be read whole."""
REMEMBERED_S = 1800.0
"""A trace not returned for this long is forgotten; if it grows again, it is reported again."""
DESTINATION_EVERY_S = 600.0
"""Interval between checks of where the account sends its spans."""


class _Window(NamedTuple):
    start: datetime
    end: datetime
    last: bool
    """Whether the window ends now."""
    deep: bool
    skipped_s: float = 0.0
    """Unread seconds before its start that are left out."""


class _Reach(NamedTuple):
    """The part of a window that was read, in epoch seconds; its end is before its start when that is not known."""

    from_s: float
    to_s: float

    @property
    def length_s(self) -> float:
        """Return its length, not 0."""
        return max(0.05, self.to_s - self.from_s)

    @property
    def is_known(self) -> bool:
        """Return whether it is known which part was read."""
        return self.from_s <= self.to_s


class _Reported(NamedTuple):
    revision: int
    complete: bool
    seen_s: float


class TraceSource(PollingSource):
    """Polls summaries by update time with overlap; a trace is reported again when it has grown."""

    name = "traces"

    def __init__(
        self,
        aws: AwsApi,
        *,
        clock: Clock,
        since: datetime,
        signal_redactor: SignalRedactor,
        filter_expression: str | None = None,
        sample: bool = True,
        on_spans: Callable[[], None] | None = None,
        place: Place = HOME,
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        """With `sample`, a busy account is read in part, newest first, to limit the cost; else completely."""
        super().__init__(clock=clock, backoff=backoff)
        self._aws = in_place(aws, place)
        self._place = place
        self.name = source_name("traces", place)
        self._since = since
        self._signal_redactor = signal_redactor
        self._filter = filter_expression
        self._sample = sample
        self._on_spans = on_spans
        self._destination_checked_s: float | None = None
        self._destination_problem: str | None = None
        self._search_enabled = False
        self._indexed_percent: float | None = None
        """Percentage of traces that X-Ray indexes under Transaction Search; None while unknown."""
        self._time_range_type = "Event"
        self._pace: Pace = PACES[0]
        self._scan_budget = ScanBudget(clock.now().timestamp())
        self._newest_first = True
        """Whether a query that was given up had returned the newest traces first; X-Ray promises no order."""
        self._rate_per_s: float | None = None
        """Traces scanned per second of a window; None while unknown."""
        self._limit_s: float | None = None
        """Longest window of the next query, after one of which it is not known which part was read."""
        self._uncounted_s, self._uncounted_read = 0.0, 0
        """Seconds left out whose traces are counted once the rate is known, and traces that were read in them."""
        self._read_to: datetime | None = None
        self._deep_began: datetime | None = None
        self._behind = False
        self._reported: dict[str, _Reported] = {}
        self._pruned_s = 0.0
        self._pending: list[TraceSummary] = []
        self._sampled = 0.0
        self._share = 1.0
        self._clamped: datetime | None = None

    def pause_s(self) -> float:
        """Return the seconds until the next poll."""
        return 0.0 if self._behind else self._pace.every_s

    def status(self, began_s: float) -> SourceStatus:
        """Return the status: up to which time traces are read, and how many were left out."""
        behind = self._read_to is not None and (self._behind or self._read_to.timestamp() < began_s)
        return SourceStatus(
            source=self.name,
            phase=SourcePhase.BEHIND if behind else SourcePhase.LIVE,
            message=self.note(),
            fresh_at=self._read_to if behind else datetime.fromtimestamp(began_s, UTC),
            sampled=round(self._sampled),
        )

    def note(self) -> str | None:
        """Return what X-Ray does not have or what is not read, and why; None without either."""
        notes = []
        if self._behind and self._read_to is not None:
            notes.append(f"reading old traces: up to {self._read_to:%H:%M:%S} UTC so far")
        if self._search_enabled:
            where = f"; spans are read from {SPANS_GROUP}" if self._on_spans else ""
            share = "" if self._indexed_percent is None else f"{self._indexed_percent:g} % of "
            notes.append(f"{SEARCH_IS_ON}: X-Ray has only the {share}traces it indexes{where}")
        if self._destination_problem is not None:
            notes.append(self._destination_problem)
        if self._share < 1:
            notes.append(
                f"sampled: about {self._share * 100:.0f} % of the traces are read, every "
                f"{self._pace.every_s:.0f} s, to limit the cost; the service map counts all"
            )
        elif self._pace is not PACES[0]:
            notes.append(
                f"many traces: growth is followed for only {self._pace.overlap_s:.0f} s, and for "
                f"{self._pace.deep_s:.0f} s every {self._pace.deep_every_s / 60:.0f} min, to limit the cost"
            )
        if self._clamped is not None:
            notes.append(
                f"traces last updated before {self._clamped:%H:%M:%S} UTC were not read: "
                f"one X-Ray query covers at most {MAX_WINDOW_S / 3600:.0f} h"
            )
        if self._time_range_type != "Event":
            notes.append("this endpoint searches traces by start time only; traces that grow late may be missed")
        return "; ".join(notes) or None

    async def poll(self) -> list[Record]:
        """Return summaries that are new or have a higher revision, oldest first."""
        began = self._clock.now()
        await self._check_destination(began.timestamp())
        window = self._window(began)
        self._read_to = await self._read(window)
        self._behind = not window.last
        if window.deep:
            self._deep_began = began
        self._prune(window.end.timestamp())
        pending, self._pending = self._pending, []
        ordered: list[TraceSummary] = sorted(pending, key=lambda summary: (summary.start_ms, summary.id))
        return [*ordered]

    def _window(self, began: datetime) -> _Window:
        """Return the window to read next: the unread period and an overlap with the read one."""
        deep_due = self._deep_began is None or (
            self._pace.deep_every_s > 0 and (began - self._deep_began).total_seconds() >= self._pace.deep_every_s
        )
        start = self._read_to or self._since
        if not self._behind and self._read_to is not None:
            again_s = self._pace.deep_s if deep_due else 0.0
            start -= timedelta(seconds=max(self._pace.overlap_s, again_s))
        start = max(start, self._since)
        if self._sample:
            earliest = began - timedelta(seconds=MAX_WINDOW_S)
            if start < earliest:
                self._clamped = earliest
            start = max(start, earliest)
            latest = max(start, self._affordable_from(began))
            fresh = max(start, self._read_to or start)
            return _Window(latest, began, True, deep_due, max(0.0, (latest - fresh).total_seconds()))
        if (began - start).total_seconds() <= 1.5 * PART_S:
            return _Window(start, began, True, deep_due)
        return _Window(start, start + timedelta(seconds=PART_S), False, deep_due)

    def _affordable_from(self, now: datetime) -> datetime:
        """Return the start of a window that can be read whole, where X-Ray does not return the newest traces first."""
        if self._newest_first or self._rate_per_s is None:
            return self._since
        affordable_s = max(0.0, self._scan_budget.available(now.timestamp())) / max(self._rate_per_s, 0.001)
        return now - timedelta(seconds=max(SHORTEST_S, min(affordable_s, self._limit_s or affordable_s)))

    async def _read(self, window: _Window) -> datetime:
        """Read a window within the scan budget and return up to where; pages read before an error are kept."""
        now_s = window.end.timestamp()
        scanned = 0
        spans: list[tuple[float, float]] = []
        complete = True
        async for page in self._pages(window):
            items = page.get("TraceSummaries") or ()
            count = int(page.get("TracesProcessedCount") or len(items))
            scanned += count
            self._scan_budget.spend(count)
            self._add_summaries(items, now_s)
            moments = [_moment_s(item, now_s) for item in items]
            if moments:
                spans.append((min(moments), max(moments)))
            if self._sample and page.get("NextToken") and self._scan_budget.available(now_s) <= 0:
                complete = False
                break
        whole = _Reach(window.start.timestamp(), now_s)
        reach = whole if complete else _reach_of(spans, whole)
        self._newest_first = self._newest_first if complete else reach.to_s == whole.to_s
        self._update_pace(window, scanned, reach)
        if reach.to_s == whole.to_s:
            return window.end
        # Moves only over what was read; what comes after it is read or counted by the next poll.
        return max(self._read_to or window.start, datetime.fromtimestamp(reach.to_s, UTC))

    async def _pages(self, window: _Window) -> Any:
        query: dict[str, Any] = {"StartTime": window.start, "EndTime": window.end, "Sampling": False}
        if self._filter:
            query["FilterExpression"] = self._filter
        if self._time_range_type == "Event":
            try:
                async for page in self._aws.pages("xray", "GetTraceSummaries", {**query, "TimeRangeType": "Event"}):
                    yield page
            except AwsError as error:
                if "TimeRangeType" not in error.message:
                    raise
                self._time_range_type = "TraceId"
            else:
                return
        async for page in self._aws.pages(
            "xray", "GetTraceSummaries", {**query, "TimeRangeType": self._time_range_type}
        ):
            yield page

    def _update_pace(self, window: _Window, scanned: int, reach: _Reach) -> None:
        """Adapt the pace to the traffic and count the traces left out before what was read."""
        start_s, end_s = window.start.timestamp(), window.end.timestamp()
        length_s = max(SHORTEST_S, end_s - start_s)
        # The overlap was read by an earlier poll.
        fresh_from_s = max(start_s, self._read_to.timestamp()) if self._read_to else start_s
        left_out_s = window.skipped_s
        if reach.is_known:
            rate_per_s, self._limit_s = scanned / reach.length_s, None
            left_out_s += max(0.0, reach.from_s - fresh_from_s)
        else:
            # The window may hold any number more: a shorter one is read next, until one can be read whole.
            rate_per_s, self._limit_s = max(scanned / length_s, self._rate_per_s or 0.0), length_s / 4
            self._uncounted_read += scanned
        self._rate_per_s = rate_per_s
        self._pace = pace_for(rate_per_s)
        self._uncounted_s += left_out_s
        if reach.is_known or length_s <= SHORTEST_S:
            self._sampled += max(0.0, self._uncounted_s * rate_per_s - self._uncounted_read)
            self._uncounted_s, self._uncounted_read = 0.0, 0
        unread_s = left_out_s + (end_s - reach.to_s if reach.is_known else end_s - fresh_from_s)
        self._share = max(0.0, 1.0 - unread_s / max(1.0, end_s - fresh_from_s + window.skipped_s))

    def _add_summaries(self, items: Iterable[Mapping[str, Any]], now_s: float) -> None:
        for item in items:
            summary = self._signal_redactor.summary(parse_summary(item))
            if self._place:
                services = tuple(in_place_of(node, self._place) for node in summary.services)
                summary = replace(summary, place=self._place, services=services)
            previous, reported = self._reported.get(summary.id), _Reported(summary.revision, not summary.partial, now_s)
            self._reported[summary.id] = reported
            if previous is None or reported[:2] > previous[:2]:
                self._pending.append(summary)
            elif reported[:2] < previous[:2]:
                self._reported[summary.id] = previous._replace(seen_s=now_s)

    def _prune(self, now_s: float) -> None:
        if now_s - self._pruned_s >= REMEMBERED_S / 6:
            self._pruned_s = now_s
            self._reported = {
                id_: reported for id_, reported in self._reported.items() if now_s - reported.seen_s < REMEMBERED_S
            }

    async def _check_destination(self, now_s: float) -> None:
        """Check whether the account sends its spans to CloudWatch Logs instead of X-Ray."""
        if self._destination_checked_s is not None and now_s - self._destination_checked_s < DESTINATION_EVERY_S:
            return
        self._destination_checked_s = now_s
        try:
            response = await self._aws.call("xray", "GetTraceSegmentDestination")
        except AwsError as error:
            # A role without the permission, or an endpoint without the operation, does not affect this reading.
            if error.reason not in {Reason.ACCESS_DENIED, Reason.API_ERROR}:
                self._destination_problem = f"whether X-Ray has all traces is unknown: {error.message}"
                self._destination_checked_s = None
            return
        self._destination_problem = None
        self._search_enabled = (response.get("Destination"), response.get("Status")) == ("CloudWatchLogs", "ACTIVE")
        if self._search_enabled:
            self._indexed_percent = await self._read_indexed_percent()
            if self._on_spans:
                self._on_spans()

    async def _read_indexed_percent(self) -> float | None:
        try:
            response = await self._aws.call("xray", "GetIndexingRules")
        except AwsError:
            # Only the percentage is lost; the note about Transaction Search remains.
            return None
        rules = (((item.get("Rule") or {}).get("Probabilistic") or {}) for item in response.get("IndexingRules") or ())
        shares = [rule.get("ActualSamplingPercentage", rule.get("DesiredSamplingPercentage")) for rule in rules]
        return next((float(share) for share in shares if isinstance(share, int | float)), None)


def _reach_of(spans: Sequence[tuple[float, float]], window: _Reach) -> _Reach:
    """Return the part of the window that the pages of a query that was given up had covered.

    Each page is given as the earliest and latest moment in it. Pages in no order cover no part for sure.
    """
    nothing = _Reach(window.to_s, window.from_s)
    if not spans:
        return nothing
    from_s, to_s = min(first for first, _ in spans), max(last for _, last in spans)
    pairs = list(itertools.pairwise(spans))
    falling = all(later[1] <= earlier[0] + ORDER_TOLERANCE_S for earlier, later in pairs)
    rising = all(later[0] >= earlier[1] - ORDER_TOLERANCE_S for earlier, later in pairs)
    if falling and rising:
        # A single page, or traces of one moment: the order shows in the end of the window that it is near to.
        falling = window.to_s - to_s <= from_s - window.from_s
        rising = not falling
        if to_s - from_s > UNORDERED * (window.to_s - window.from_s):
            return nothing
    if falling:
        return _Reach(from_s, window.to_s)
    return _Reach(window.from_s, to_s) if rising else nothing


def _moment_s(item: Mapping[str, Any], otherwise_s: float) -> float:
    """Return when a trace was last updated in epoch seconds, `otherwise_s` when its summary does not contain it."""
    at = item.get("MatchedEventTime") or item.get("StartTime")
    return at.timestamp() if isinstance(at, datetime) else otherwise_s
