"""A log service with uneven pages, as CloudWatch has them: empty, partial, an empty one at the end; and a quota."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from prodwatch.aws.rate_limiter import RateLimiter
from prodwatch.demo.aws.api_call import Raw
from prodwatch.testing.clock import FakeClock
from tests.support.fake_log_api import LogDoor

_FIRST, _LAST = "first", "last"


class UnevenPages(LogDoor):
    """Every scan begins with an empty page and ends with an empty one; its other pages are `share` full."""

    def __init__(
        self,
        clock: FakeClock,
        *,
        share: float = 1.0,
        members: frozenset[str] = frozenset(),
        is_uneven: bool = True,
    ) -> None:
        """Leave `members` out of every event: AWS promises none of them. Pages that are not uneven are whole."""
        super().__init__(clock)
        self._members = members
        self._is_uneven = is_uneven
        self._limiter = RateLimiter(clock)
        self._limit = int(10_000 * share)

    async def answer(self, service: str, operation: str, params: Mapping[str, Any]) -> Any:
        """Respond within the quota that prodwatch keeps."""
        await self._limiter.bucket("", "", service, operation).acquire()
        if operation != "FilterLogEvents" or not self._is_uneven:
            return await super().answer(service, operation, params)
        token = params.get("nextToken")
        if token is None or token == _LAST:
            await super().answer(service, operation, {**params, "limit": 1, "nextToken": None})
            return Raw(msgspec.json.encode({"events": []} if token else {"events": [], "nextToken": _FIRST}))
        inner = {**params, "limit": self._limit, "nextToken": None if token == _FIRST else token}
        page = msgspec.json.decode((await super().answer(service, operation, inner)).body)
        events = [{name: each[name] for name in each.keys() - self._members} for each in page["events"]]
        return Raw(msgspec.json.encode({"nextToken": _LAST, **page, "events": events}))
