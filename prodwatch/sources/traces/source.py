"""X-Ray trace summaries as they appear and grow: each told in its highest revision, what is not read is said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from prodwatch.aws.api import AwsApi, AwsError
from prodwatch.clock import Clock
from prodwatch.formats.otel_spans import SEARCH_IS_ON, SPANS_GROUP
from prodwatch.formats.xray_documents import parse_summary
from prodwatch.model.signal import Record, SourcePhase, SourceStatus, TraceSummary
from prodwatch.sources.backoff import Backoff
from prodwatch.sources.poll_loop import PollingSource
from prodwatch.sources.redaction import Cleaner
from prodwatch.sources.traces.read_rate import PACES, Pace, Purse, pace_for

MAX_WINDOW_S = 6 * 3600
"""The longest window one query may span."""
PART_S = 600.0
"""A long look back is read in parts of this length, oldest first."""
REMEMBERED_S = 1800.0
"""A trace that was in no answer for so long is forgotten; should it grow again it is told again."""
DESTINATION_EVERY_S = 600.0
"""How often it is asked where the account sends its spans."""


class _Window(NamedTuple):
    start: datetime
    end: datetime
    last: bool
    """It reaches up to the present."""
    deep: bool


class _Told(NamedTuple):
    revision: int
    whole: bool
    seen_s: float


class TraceSource(PollingSource):
    """Polls summaries by the time they were last updated, with overlap; a trace is told again when it has grown."""

    name = "traces"

    def __init__(
        self,
        aws: AwsApi,
        *,
        clock: Clock,
        since: datetime,
        cleaner: Cleaner,
        filter_expression: str | None = None,
        sample: bool = True,
        on_spans: Callable[[], None] | None = None,
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        """With `sample` a busy account is read in part, newest first, to bound the cost; else all of it, in order."""
        super().__init__(clock=clock, backoff=backoff)
        self._aws = aws
        self._since = since
        self._cleaner = cleaner
        self._filter = filter_expression
        self._sample = sample
        self._on_spans = on_spans
        self._asked_s: float | None = None
        self._searched = False
        self._indexed: float | None = None
        """Percent of the traces that X-Ray indexes under Transaction Search, None while not known."""
        self._kind = "Event"
        self._pace: Pace = PACES[0]
        self._purse = Purse(clock.now().timestamp())
        self._read_to: datetime | None = None
        self._deep_began: datetime | None = None
        self._behind = False
        self._told: dict[str, _Told] = {}
        self._forgot_s = 0.0
        self._waiting: list[TraceSummary] = []
        self._sampled = 0.0
        self._share = 1.0
        self._clamped: datetime | None = None

    def pause_s(self) -> float:
        """Return the pause between polls."""
        return 0.0 if self._behind else self._pace.every_s

    def status(self, began_s: float) -> SourceStatus:
        """Return how far all has been read, and how many traces were left out about."""
        behind = self._behind and self._read_to is not None
        return SourceStatus(
            source=self.name,
            phase=SourcePhase.BEHIND if behind else SourcePhase.LIVE,
            message=self.note(),
            fresh_at=self._read_to if behind else datetime.fromtimestamp(began_s, UTC),
            sampled=round(self._sampled),
        )

    def note(self) -> str | None:
        """Say what X-Ray does not have, and what of it is not read, and why."""
        notes = []
        if self._behind and self._read_to is not None:
            notes.append(f"looking back: read up to {self._read_to:%H:%M:%S} UTC so far")
        if self._searched:
            where = f"; spans are read from {SPANS_GROUP}" if self._on_spans else ""
            share = "" if self._indexed is None else f"{self._indexed:g} % of "
            notes.append(f"{SEARCH_IS_ON}: X-Ray has only the {share}traces it indexes{where}")
        if self._share < 1:
            notes.append(
                f"sampled: about {self._share * 100:.0f} % of the traces are read, the newest each "
                f"{self._pace.every_s:.0f} s, to bound the cost; the service map counts all"
            )
        elif self._pace is not PACES[0]:
            notes.append(
                f"many traces: what was read is read again only {self._pace.overlap_s:.0f} s back, and "
                f"{self._pace.deep_s:.0f} s back every {self._pace.deep_every_s / 60:.0f} min, to bound the cost"
            )
        if self._clamped is not None:
            notes.append(
                f"traces last updated before {self._clamped:%H:%M:%S} UTC were not read: "
                f"X-Ray answers for {MAX_WINDOW_S / 3600:.0f} h at once"
            )
        if self._kind != "Event":
            notes.append("this endpoint finds traces by their start only: those that grow late may be missed")
        return "; ".join(notes) or None

    async def poll(self) -> list[Record]:
        """Return summaries that are new or have a higher revision, oldest first."""
        began = self._clock.now()
        await self._ask_destination(began.timestamp())
        window = self._window(began)
        await self._read(window)
        self._behind = not window.last
        self._read_to = window.end
        if window.deep:
            self._deep_began = began
        self._forget(window.end.timestamp())
        found, self._waiting = self._waiting, []
        ordered: list[TraceSummary] = sorted(found, key=lambda each: (each.start_ms, each.id))
        return [*ordered]

    def _window(self, began: datetime) -> _Window:
        """Return what to ask for: from where all has been read, and some of that again."""
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
            return _Window(max(start, earliest), began, True, deep_due)
        if (began - start).total_seconds() <= 1.5 * PART_S:
            return _Window(start, began, True, deep_due)
        return _Window(start, start + timedelta(seconds=PART_S), False, deep_due)

    async def _read(self, window: _Window) -> None:
        """Read a window, newest first, as far as may be spent; what came before an error is told with the next poll."""
        now_s = window.end.timestamp()
        looked, oldest_s = 0, now_s
        whole = True
        async for page in self._pages(window):
            items = page.get("TraceSummaries") or ()
            count = int(page.get("TracesProcessedCount") or len(items))
            looked += count
            self._purse.spend(count)
            self._take(items, now_s)
            oldest_s = min((oldest_s, *(_moment_s(each, oldest_s) for each in items)))
            if self._sample and page.get("NextToken") and self._purse.held(now_s) <= 0:
                whole = False
                break
        self._learn(window, looked, None if whole else oldest_s)

    async def _pages(self, window: _Window) -> Any:
        query: dict[str, Any] = {"StartTime": window.start, "EndTime": window.end, "Sampling": False}
        if self._filter:
            query["FilterExpression"] = self._filter
        if self._kind == "Event":
            try:
                async for page in self._aws.pages("xray", "GetTraceSummaries", {**query, "TimeRangeType": "Event"}):
                    yield page
            except AwsError as caught:
                if "TimeRangeType" not in caught.message:
                    raise
                self._kind = "TraceId"
            else:
                return
        async for page in self._aws.pages("xray", "GetTraceSummaries", {**query, "TimeRangeType": self._kind}):
            yield page

    def _learn(self, window: _Window, looked: int, stopped_s: float | None) -> None:
        """Fit the pace to what there was, and count what was left out: all before `stopped_s`; None for nothing."""
        start_s, end_s = window.start.timestamp(), window.end.timestamp()
        read_s = max(1.0, end_s - (start_s if stopped_s is None else stopped_s))
        rate_per_s = looked / read_s
        self._pace = pace_for(rate_per_s)
        self._share = 1.0
        if stopped_s is None:
            return
        # What is read again anyway was read before.
        fresh_from_s = max(start_s, self._read_to.timestamp()) if self._read_to else start_s
        left_out_s = max(0.0, stopped_s - fresh_from_s)
        self._sampled += left_out_s * rate_per_s
        self._share = 1.0 - left_out_s / max(1.0, end_s - fresh_from_s)

    def _take(self, items: Iterable[Mapping[str, Any]], now_s: float) -> None:
        for item in items:
            summary = self._cleaner.summary(parse_summary(item))
            known, told = self._told.get(summary.id), _Told(summary.revision, not summary.partial, now_s)
            self._told[summary.id] = told
            if known is None or told[:2] > known[:2]:
                self._waiting.append(summary)
            elif told[:2] < known[:2]:
                self._told[summary.id] = known._replace(seen_s=now_s)

    def _forget(self, now_s: float) -> None:
        if now_s - self._forgot_s >= REMEMBERED_S / 6:
            self._forgot_s = now_s
            self._told = {id_: told for id_, told in self._told.items() if now_s - told.seen_s < REMEMBERED_S}

    async def _ask_destination(self, now_s: float) -> None:
        """Learn whether the account's spans go to CloudWatch Logs instead of X-Ray."""
        if self._asked_s is not None and now_s - self._asked_s < DESTINATION_EVERY_S:
            return
        self._asked_s = now_s
        try:
            answer = await self._aws.call("xray", "GetTraceSegmentDestination")
        except AwsError:
            # An explanation that not every role may ask for; what is wrong with X-Ray itself the poll will say.
            return
        self._searched = (answer.get("Destination"), answer.get("Status")) == ("CloudWatchLogs", "ACTIVE")
        if self._searched:
            self._indexed = await self._share_indexed()
            if self._on_spans:
                self._on_spans()

    async def _share_indexed(self) -> float | None:
        try:
            answer = await self._aws.call("xray", "GetIndexingRules")
        except AwsError:
            # Only the number is lost: that most traces are not indexed is said all the same.
            return None
        rules = (((each.get("Rule") or {}).get("Probabilistic") or {}) for each in answer.get("IndexingRules") or ())
        shares = [each.get("ActualSamplingPercentage", each.get("DesiredSamplingPercentage")) for each in rules]
        return next((float(each) for each in shares if isinstance(each, int | float)), None)


def _moment_s(item: Mapping[str, Any], otherwise_s: float) -> float:
    """Return when a trace was last updated, as far as its summary tells."""
    at = item.get("MatchedEventTime") or item.get("StartTime")
    return at.timestamp() if isinstance(at, datetime) else otherwise_s
