"""X-Ray trace summaries as they appear and grow; whole traces on demand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from prodwatch.aws.api import AwsApi
from prodwatch.clock import Clock
from prodwatch.model.signal import Record, TraceSummary
from prodwatch.sources.backoff import Backoff
from prodwatch.sources.polling import PollingSource

EVERY_S = 10.0
OVERLAP_S = 60.0
DEEP_EVERY_S = 120.0
DEEP_S = 600.0
MAX_WINDOW_S = 6 * 3600
"""The longest window one query may span."""
MAX_PAGES = 20
"""Pages read per poll; what is beyond is counted as sampled."""


class TraceSource(PollingSource):
    """Polls summaries by the time they were last updated, with overlap; a trace is told again when it has grown."""

    name = "traces"

    def __init__(
        self,
        aws: AwsApi,
        *,
        clock: Clock,
        since: datetime,
        clean: Callable[[str], str],
        filter_expression: str | None = None,
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        super().__init__(clock=clock, backoff=backoff)
        self._aws = aws
        self._since = since
        self._clean = clean
        self._filter = filter_expression
        self._last_began: datetime | None = None
        self._deep_began: datetime | None = None
        self._known: dict[str, tuple[int, bool, int]] = {}
        self._unread_pages = False

    def pause_s(self) -> float:
        """Return the pause between polls."""
        return EVERY_S

    def note(self) -> str | None:
        """Say when a poll had more pages than are read."""
        return (
            f"more than {MAX_PAGES} pages in one poll: the oldest traces were not read" if self._unread_pages else None
        )

    async def poll(self) -> list[Record]:
        """Return summaries that are new or have a higher revision."""
        began = self._clock.now()
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

    def _fresh(self, item: dict[str, Any]) -> TraceSummary | None:
        summary = summarize(item, self._clean)
        known = self._known.get(summary.id)
        if known and (summary.revision, not summary.partial) <= (known[0], not known[1]):
            return None
        self._known[summary.id] = (summary.revision, summary.partial, summary.start_ms)
        return summary


def summarize(item: dict[str, Any], clean: Callable[[str], str]) -> TraceSummary:
    """Turn one item of GetTraceSummaries into a summary; texts go through `clean`."""
    http = item.get("Http") or {}
    entry = item.get("EntryPoint") or {}
    started = item.get("StartTime") or item.get("MatchedEventTime") or _from_id(item["Id"])
    annotations = _annotations(item.get("Annotations") or {}, clean)
    slowest = _slowest(item.get("ResponseTimeRootCauses") or ())
    cause = _cause(item.get("FaultRootCauses") or ()) or _cause(item.get("ErrorRootCauses") or ())
    version = annotations.get("version") or annotations.get("release")
    return TraceSummary(
        id=item["Id"],
        start_ms=round(started.timestamp() * 1000),
        duration_s=float(item.get("Duration") or 0.0),
        response_s=item.get("ResponseTime"),
        method=http.get("HttpMethod"),
        url=clean(http["HttpURL"]) if http.get("HttpURL") else None,
        status=http.get("HttpStatus"),
        fault=bool(item.get("HasFault")),
        error=bool(item.get("HasError")),
        throttle=bool(item.get("HasThrottle")),
        partial=bool(item.get("IsPartial")),
        revision=int(item.get("Revision") or 0),
        service=clean(entry["Name"]) if entry.get("Name") else None,
        version=str(version) if version is not None else None,
        root_cause=clean(cause) if cause else None,
        slowest=clean(slowest) if slowest else None,
        annotations=annotations,
    )


def _from_id(id_: str) -> datetime:
    # Only for display, and only when nothing else tells: OpenTelemetry ids carry no time.
    try:
        return datetime.fromtimestamp(int(id_.split("-")[1], 16), UTC)
    except (IndexError, ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)


def _annotations(found: dict[str, Any], clean: Callable[[str], str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, items in found.items():
        for item in items:
            value = next(iter((item.get("AnnotationValue") or {}).values()), None)
            values[clean(name)] = clean(value) if isinstance(value, str) else value
    return values


def _cause(causes: Any) -> str | None:
    """Return `service → node: Exception: message` of the first root cause."""
    for cause in causes:
        for service in reversed(cause.get("Services") or ()):
            for entity in reversed(service.get("EntityPath") or ()):
                for exception in entity.get("Exceptions") or ():
                    told = ": ".join(filter(None, (exception.get("Name"), exception.get("Message"))))
                    return f"{service.get('Name', '?')} → {entity.get('Name', '?')}: {told}"
    return None


def _slowest(causes: Any) -> str | None:
    """Return the last node of the first response time root cause."""
    for cause in causes:
        services = cause.get("Services") or ()
        if services:
            path = services[-1].get("EntityPath") or ()
            return str(path[-1]["Name"] if path and path[-1].get("Name") else services[-1].get("Name", "")) or None
    return None
