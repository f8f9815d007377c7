"""Log events as FilterLogEvents returns them, and the function that reads a page of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.model.environment import LogTarget
from prodwatch.model.status import Reason

PAGE_EVENTS = 10_000
"""Most events AWS returns in one page; a page also ends at 1 MB."""

_REORDERED_MS = 60_000
"""Time within which events of a page may be out of order."""


class RawEvent(
    msgspec.Struct,
    frozen=True,
    gc=False,
    rename={"event_id": "eventId", "stream": "logStreamName", "ingested_ms": "ingestionTime"},
):
    """One event as returned by FilterLogEvents."""

    timestamp: int = 0
    message: str = ""
    event_id: str = ""
    """Unique id; AWS may leave it out, see `Occurrences`."""
    stream: str = ""
    ingested_ms: int = 0


class Page(msgspec.Struct, frozen=True, rename={"next_token": "nextToken"}):
    """One page of events; only a missing token ends a scan."""

    events: list[RawEvent] = []
    next_token: str | None = None
    skew_s: float | None = None
    """Local clock minus AWS's clock in seconds when the page arrived, None when unknown."""


class Occurrences:
    """Numbers equal events without an id within one scan, so that each has an identity.

    The identity is stream, timestamp, text and occurrence. Every scan numbers equal events alike, because all of them
    are dated into the same millisecond and so are inside or outside its window together.
    """

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[tuple[int, bytes], int] = {}

    def identified(self, events: Sequence[RawEvent]) -> Sequence[RawEvent]:
        """Return the events of the scan's next page, each with an id."""
        if all(event.event_id for event in events):
            return events
        found = [event if event.event_id else self._identified(event) for event in events]
        # Equal events on the next page are dated no earlier than the last ones of this page.
        self.forget(before_ms=events[-1].timestamp - _REORDERED_MS)
        return found

    def _identified(self, event: RawEvent) -> RawEvent:
        key = event.timestamp, digest(event)
        number = self._counts[key] = self._counts.get(key, 0) + 1
        return msgspec.structs.replace(event, event_id=f"{key[1].hex()}.{number}")

    def forget(self, *, before_ms: int = 0, from_ms: int | None = None) -> None:
        """Forget events dated before `before_ms`, and from `from_ms` on, which are to be read again."""
        self._counts = {
            key: count
            for key, count in self._counts.items()
            if key[0] >= before_ms and (from_ms is None or key[0] < from_ms)
        }


def digest(event: RawEvent) -> bytes:
    """Return a key of stream, timestamp and text, equal for polling and Live Tail."""
    text = f"{event.timestamp}\0{event.stream}\0{event.message}"
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


FetchPage = Callable[[str, int, str | None], Awaitable[Page]]
"""`await fetch(group, start_ms, token)`; raises AwsError."""

_PAGE = msgspec.json.Decoder(Page)


def fetcher(aws: AwsApi, target: LogTarget, *, limit: int = PAGE_EVENTS) -> FetchPage:
    """Return a function that reads one page of a log group of `target`."""

    async def fetch(group: str, start_ms: int, token: str | None) -> Page:
        params: dict[str, Any] = {"logGroupName": group, "startTime": start_ms, "limit": limit}
        if target.filter:
            params["filterPattern"] = target.filter
        if token is not None:
            params["nextToken"] = token
        response = await aws.raw("logs", "FilterLogEvents", params, account=target.account, region=target.region)
        try:
            page = _PAGE.decode(response.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise AwsError(
                f'logs FilterLogEvents on log group "{group}": the response is not a page of events: {error}',
                code="BrokenAnswer",
                reason=Reason.SERVICE,
                service="logs",
                operation="FilterLogEvents",
                transient=True,
            ) from error
        return msgspec.structs.replace(page, skew_s=response.skew_s)

    return fetch
