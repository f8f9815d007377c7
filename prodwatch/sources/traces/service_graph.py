"""Reads X-Ray's service graph once a minute, for the time before the release and since."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from msgspec.structs import replace

from prodwatch.aws.default_account_and_region import in_place
from prodwatch.aws.interface import AwsApi
from prodwatch.clock import Clock
from prodwatch.formats.xray_service_graph import in_place_of, parse_edges
from prodwatch.model.identity import HOME, Place, source_name
from prodwatch.model.release import current_release
from prodwatch.model.signal import Batch, Record, ReleaseState, ServiceEdge, ServiceGraph
from prodwatch.sources.backoff import Backoff
from prodwatch.sources.poll_loop import PollingSource
from prodwatch.sources.redaction import SignalRedactor
from prodwatch.sources.traces.own_requests import MINUTE_S, OwnRequests, OwnTraces

EVERY_S = 60.0
"""Pause between polls."""
FIRST_S = 10.0
"""Pause before the second poll, which also reads the time before the release."""
RELEASE_WAIT_S = 5.0
"""Longest wait of the first poll for the release to be known."""
RELEASE_CHECK_EVERY_S = 0.5
"""Interval of checks during that wait."""
WINDOW = timedelta(minutes=15)
"""Longest span of `now` and `before`; `now` never starts before the release."""
SETTLED_AFTER = timedelta(minutes=2)
"""Time after the start of a release during which traces from before it may still arrive."""
MAX_PAGES = 50
"""Most pages read of one graph."""


class ServiceGraphSource(PollingSource):
    """Reads the graph of the last 15 min, cut at the start of the release, and of the 15 min before that."""

    name = "service-map"

    def __init__(
        self,
        aws: AwsApi,
        *,
        clock: Clock,
        signal_redactor: SignalRedactor,
        released_at: Callable[[], datetime | None] = lambda: None,
        own_traces: OwnTraces = lambda _start_s, _end_s: (),
        place: Place = HOME,
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        """`released_at` returns the start of the release that separates before from now, None without one.

        The calls of `own_traces` are taken out of the graphs.
        """
        super().__init__(clock=clock, backoff=backoff)
        self._aws = in_place(aws, place)
        self._place = place
        self.name = source_name("service-map", place)
        self._signal_redactor = signal_redactor
        self._released_at = released_at
        self._settled_release: datetime | None = None
        self._own = OwnRequests(self._aws, own_traces, signal_redactor)
        self._truncated = False
        self._polls = 0

    async def batches(self) -> AsyncIterator[Batch]:
        """Yield batches until cancelled."""
        until_s = self._clock.monotonic_s() + RELEASE_WAIT_S
        while self._released_at() is None and self._clock.monotonic_s() < until_s:
            await self._clock.sleep(RELEASE_CHECK_EVERY_S)
        async for batch in super().batches():
            yield batch

    def pause_s(self) -> float:
        """Return the seconds until the next poll."""
        return EVERY_S if self._polls > 1 else FIRST_S

    def note(self) -> str | None:
        """Return a message when the graph was too large to be read completely, or own requests are in it."""
        if self._truncated:
            return f"the service graph has more than {MAX_PAGES} pages; the rest was not read"
        return self._own.problem

    async def poll(self) -> list[Record]:
        """Return the graph of now, and that of before until it can no longer change."""
        self._truncated = False
        now, released = self._clock.now(), self._released_at()
        if released is not None and released >= now:
            released = None
        # Whole minutes, so that each minute of own requests is read once.
        earliest = datetime.fromtimestamp((now - WINDOW).timestamp() // MINUTE_S * MINUTE_S, UTC)
        start = earliest if released is None else max(released, earliest)
        records: list[Record] = [await self._graph("now", start, now, released)]
        if released is not None and self._settled_release != released and self._polls:
            records.append(await self._graph("before", released - WINDOW, released, released))
            if now - released >= SETTLED_AFTER:
                self._settled_release = released
        self._polls += 1
        return records

    async def _graph(
        self, part: Literal["before", "now"], start: datetime, end: datetime, released: datetime | None
    ) -> ServiceGraph:
        own = await self._own.read(start, end)
        services: list[dict[str, Any]] = []
        pages = 0
        async for page in self._aws.pages("xray", "GetServiceGraph", {"StartTime": start, "EndTime": end}):
            pages += 1
            services += page.get("Services") or ()
            if pages >= MAX_PAGES and page.get("NextToken"):
                self._truncated = True
                break
        calls = self._own.taken_out_of(tuple(map(self._signal_redactor.edge, parse_edges(services))), own)
        return ServiceGraph(
            part=part,
            start_ms=_ms(start),
            end_ms=_ms(end),
            released_ms=None if released is None else _ms(released),
            edges=tuple(map(self._in_place, calls.edges)),
            place=self._place,
            own_taken_out=calls.taken_out,
            without_own_until_ms=calls.until_ms,
        )

    def _in_place(self, edge: ServiceEdge) -> ServiceEdge:
        if not self._place:
            return edge
        return replace(edge, caller=in_place_of(edge.caller, self._place), callee=in_place_of(edge.callee, self._place))


def release_began(states: Iterable[ReleaseState], now: datetime) -> datetime | None:
    """Return the start of the main release, None without one."""
    state = current_release(states, now)
    return state.started_at if state is not None else None


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
