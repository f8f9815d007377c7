"""Who calls whom, how often and how well, before the release and now: X-Ray's service graph, once a minute."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Literal

from prodwatch.aws.api import AwsApi
from prodwatch.clock import Clock
from prodwatch.formats.xray_service_graph import parse_edges
from prodwatch.model.release import current_release
from prodwatch.model.signal import Batch, Record, ReleaseState, ServiceGraph
from prodwatch.sources.backoff import Backoff
from prodwatch.sources.poll_loop import PollingSource
from prodwatch.sources.redaction import Cleaner

EVERY_S = 60.0
FIRST_S = 10.0
"""The second poll comes sooner and asks for what was before: the first seconds belong to the first screen."""
PATIENCE_S, LOOK_S = 5.0, 0.5
"""So long the first poll waits for the release to be known, looking so often."""
WINDOW = timedelta(minutes=15)
"""What `now` and `before` span at most; `now` never reaches back over the beginning of the release."""
SETTLED_AFTER = timedelta(minutes=2)
"""Traces of the time before the release may still arrive for so long after it began."""
MAX_PAGES = 50


class GraphSource(PollingSource):
    """Asks for the last quarter of an hour, cut where the release began, and for the quarter before that."""

    name = "service-map"

    def __init__(
        self,
        aws: AwsApi,
        *,
        clock: Clock,
        cleaner: Cleaner,
        released_at: Callable[[], datetime | None] = lambda: None,
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        """`released_at` tells when the release began that parts before from now, None without one."""
        super().__init__(clock=clock, backoff=backoff)
        self._aws = aws
        self._cleaner = cleaner
        self._released_at = released_at
        self._settled: datetime | None = None
        self._cut = False
        self._polls = 0

    async def batches(self) -> AsyncIterator[Batch]:
        """Yield batches until cancelled."""
        until_s = self._clock.monotonic_s() + PATIENCE_S
        while self._released_at() is None and self._clock.monotonic_s() < until_s:
            await self._clock.sleep(LOOK_S)
        async for batch in super().batches():
            yield batch

    def pause_s(self) -> float:
        """Return the pause between polls."""
        return EVERY_S if self._polls > 1 else FIRST_S

    def note(self) -> str | None:
        """Say when the graph was too large to be read to its end."""
        return f"more than {MAX_PAGES} pages of the service graph: the rest was not read" if self._cut else None

    async def poll(self) -> list[Record]:
        """Return the graph of now, and that of before until it can no longer change."""
        self._cut = False
        now, released = self._clock.now(), self._released_at()
        if released is not None and released >= now:
            released = None
        start = now - WINDOW if released is None else max(released, now - WINDOW)
        records: list[Record] = [await self._graph("now", start, now, released)]
        if released is not None and self._settled != released and self._polls:
            records.append(await self._graph("before", released - WINDOW, released, released))
            if now - released >= SETTLED_AFTER:
                self._settled = released
        self._polls += 1
        return records

    async def _graph(
        self, part: Literal["before", "now"], start: datetime, end: datetime, released: datetime | None
    ) -> ServiceGraph:
        services: list[dict[str, Any]] = []
        pages = 0
        async for page in self._aws.pages("xray", "GetServiceGraph", {"StartTime": start, "EndTime": end}):
            pages += 1
            services += page.get("Services") or ()
            if pages >= MAX_PAGES and page.get("NextToken"):
                self._cut = True
                break
        return ServiceGraph(
            part=part,
            start_ms=_ms(start),
            end_ms=_ms(end),
            released_ms=None if released is None else _ms(released),
            edges=tuple(self._cleaner.edge(each) for each in parse_edges(services)),
        )


def release_began(states: Iterable[ReleaseState]) -> datetime | None:
    """Return the start of the main release, None without one."""
    state = current_release(states)
    return state.started_at if state is not None else None


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
