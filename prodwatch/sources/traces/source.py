"""X-Ray trace summaries as they appear and grow."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from prodwatch.aws.api import AwsApi, AwsError
from prodwatch.clock import Clock
from prodwatch.model.signal import Record, TraceSummary
from prodwatch.sources.backoff import Backoff
from prodwatch.sources.clean import Cleaner
from prodwatch.sources.polling import PollingSource
from prodwatch.text.xray import parse_summary

EVERY_S = 10.0
OVERLAP_S = 60.0
DEEP_EVERY_S = 120.0
DEEP_S = 600.0
MAX_WINDOW_S = 6 * 3600
"""The longest window one query may span."""
MAX_PAGES = 20
"""Pages read per poll; what is beyond is counted as sampled."""
DESTINATION_EVERY_S = 600.0
"""How often it is asked where the account sends its spans."""
SPANS_GROUP = "aws/spans"


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
        on_spans: Callable[[], None] | None = None,
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        super().__init__(clock=clock, backoff=backoff)
        self._on_spans = on_spans
        self._asked_s: float | None = None
        self._searched = False
        self._aws = aws
        self._since = since
        self._cleaner = cleaner
        self._filter = filter_expression
        self._last_began: datetime | None = None
        self._deep_began: datetime | None = None
        self._known: dict[str, tuple[int, bool, int]] = {}
        self._unread_pages = False

    def pause_s(self) -> float:
        """Return the pause between polls."""
        return EVERY_S

    def note(self) -> str | None:
        """Say what X-Ray does not have, and when a poll had more pages than are read."""
        notes = []
        if self._searched:
            where = f"; spans are read from {SPANS_GROUP}" if self._on_spans else ""
            notes.append(f"Transaction Search is on: X-Ray has only the traces it indexes{where}")
        if self._unread_pages:
            notes.append(f"more than {MAX_PAGES} pages in one poll: the oldest traces were not read")
        return "; ".join(notes) or None

    async def poll(self) -> list[Record]:
        """Return summaries that are new or have a higher revision."""
        began = self._clock.now()
        await self._ask_destination(began.timestamp())
        deep = self._deep_began is None or (began - self._deep_began).total_seconds() >= DEEP_EVERY_S
        start = self._since if self._last_began is None else self._last_began - timedelta(seconds=OVERLAP_S)
        if deep and self._deep_began is not None:
            start = min(start, began - timedelta(seconds=DEEP_S))
        start = max(start, self._since, began - timedelta(seconds=MAX_WINDOW_S))
        query: dict[str, Any] = {"TimeRangeType": "Event", "StartTime": start, "EndTime": began, "Sampling": False}
        if self._filter:
            query["FilterExpression"] = self._filter
        found: list[Record] = []
        pages = 0
        self._unread_pages = False
        async for page in self._aws.pages("xray", "GetTraceSummaries", query):
            pages += 1
            found += [summary for item in page.get("TraceSummaries", ()) if (summary := self._fresh(item))]
            if pages >= MAX_PAGES and page.get("NextToken"):
                self._unread_pages = True
                break
        self._last_began = began
        if deep:
            self._deep_began = began
            horizon_ms = int((began.timestamp() - MAX_WINDOW_S) * 1000)
            self._known = {id_: known for id_, known in self._known.items() if known[2] >= horizon_ms}
        return sorted(found, key=lambda record: record.start_ms if isinstance(record, TraceSummary) else 0)

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
        if self._searched and self._on_spans:
            self._on_spans()

    def _fresh(self, item: dict[str, Any]) -> TraceSummary | None:
        summary = self._cleaner.summary(parse_summary(item))
        known = self._known.get(summary.id)
        if known and (summary.revision, not summary.partial) <= (known[0], not known[1]):
            return None
        self._known[summary.id] = (summary.revision, summary.partial, summary.start_ms)
        return summary
