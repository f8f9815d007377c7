"""Reads one page of FilterLogEvents."""

from __future__ import annotations

from typing import Any

from prodwatch.aws.api import AwsApi
from prodwatch.model.environment import LogTarget
from prodwatch.sources.logs.tailer import FetchPage, Page, RawEvent

PAGE_EVENTS = 2_000
"""Small enough that decoding a page never holds the event loop for long."""


def fetcher(aws: AwsApi, target: LogTarget, *, limit: int = PAGE_EVENTS) -> FetchPage:
    """Return a function that reads one page of a group of this target."""

    async def fetch(group: str, start_ms: int, token: str | None) -> Page:
        params: dict[str, Any] = {"logGroupName": group, "startTime": start_ms, "limit": limit}
        if target.filter:
            params["filterPattern"] = target.filter
        if token is not None:
            params["nextToken"] = token
        answer = await aws.call("logs", "FilterLogEvents", params, account=target.account, region=target.region)
        events = [
            RawEvent(
                timestamp=event.get("timestamp", 0),
                message=event.get("message", ""),
                event_id=event.get("eventId", ""),
                stream=event.get("logStreamName", ""),
                ingested_ms=event.get("ingestionTime", 0),
            )
            for event in answer.get("events", ())
        ]
        return Page(events, answer.get("nextToken"))

    return fetch
