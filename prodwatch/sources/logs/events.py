"""Log events as FilterLogEvents returns them, and the function that reads a page of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.model.environment import LogTarget
from prodwatch.model.status import Reason

PAGE_EVENTS = 10_000
"""Most events AWS returns in one page; a page also ends at 1 MB."""


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
    stream: str = ""
    ingested_ms: int = 0


class Page(msgspec.Struct, frozen=True, rename={"next_token": "nextToken"}):
    """One page of events; only a missing token ends a scan."""

    events: list[RawEvent] = []
    next_token: str | None = None
    skew_s: float | None = None
    """Local clock minus AWS's clock in seconds when the page arrived, None when unknown."""


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
