"""Events as CloudWatch gives them, before anybody has read their text."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec


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
