"""Reads one page of FilterLogEvents, decoded straight into typed values."""

from __future__ import annotations

from typing import Any

import msgspec

from prodwatch.aws.api import AwsApi, AwsError
from prodwatch.model.environment import LogTarget
from prodwatch.model.status import Reason
from prodwatch.sources.logs.events import FetchPage, Page

PAGE_EVENTS = 10_000
"""The most AWS gives at once; a page also ends at 1 MB."""

_PAGE = msgspec.json.Decoder(Page)


def fetcher(aws: AwsApi, target: LogTarget, *, limit: int = PAGE_EVENTS) -> FetchPage:
    """Return a function that reads one page of a group of this target."""

    async def fetch(group: str, start_ms: int, token: str | None) -> Page:
        params: dict[str, Any] = {"logGroupName": group, "startTime": start_ms, "limit": limit}
        if target.filter:
            params["filterPattern"] = target.filter
        if token is not None:
            params["nextToken"] = token
        answer = await aws.raw("logs", "FilterLogEvents", params, account=target.account, region=target.region)
        try:
            page = _PAGE.decode(answer.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as broken:
            raise AwsError(
                f'logs FilterLogEvents on log group "{group}" answered what is not a page of events: {broken}',
                code="BrokenAnswer",
                reason=Reason.SERVICE,
                service="logs",
                operation="FilterLogEvents",
                transient=True,
            ) from broken
        return msgspec.structs.replace(page, skew_s=answer.skew_s)

    return fetch
