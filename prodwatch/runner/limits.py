"""How much may be in flight at once: in all, per host, per AWS service; a hung host never holds up another."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from prodwatch.model.environment import Limits


class Slots:
    """A counting gate: first come, first served, but those who have already begun go before those who have not."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._patient: deque[asyncio.Future[None]] = deque()

    async def acquire(self, *, urgent: bool = False) -> None:
        """Wait for a slot."""
        if self._free > 0:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._urgent if urgent else self._patient).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release()  # the slot had already been handed over
            raise

    def release(self) -> None:
        """Give a slot back, straight to the next in line."""
        for line in (self._urgent, self._patient):
            while line:
                turn = line.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self._free += 1


class Gate:
    """All bounds of one run.

    A request takes its host's or service's slot first and the run's second, so that a hundred requests queueing for
    one hung host hold none of the slots others need; the one order also rules out a deadlock.
    """

    def __init__(self, limits: Limits, jobs: int | None = None) -> None:
        self._all = Slots(max(1, limits.concurrency if jobs is None else jobs))
        self._per_host = max(1, limits.per_host)
        self._per_service = max(1, limits.per_service)
        self._narrow: dict[str, Slots] = {}

    async def enter(self, key: str | None, *, urgent: bool) -> None:
        """Wait until one more request for `key` may be sent; `urgent` when its check has already begun."""
        narrow = self._slots(key)
        if narrow is None:
            await self._all.acquire(urgent=urgent)
            return
        await narrow.acquire(urgent=urgent)
        try:
            await self._all.acquire(urgent=urgent)
        except asyncio.CancelledError:
            narrow.release()
            raise

    def leave(self, key: str | None) -> None:
        """Give back what `enter` took."""
        self._all.release()
        narrow = self._slots(key)
        if narrow is not None:
            narrow.release()

    def _slots(self, key: str | None) -> Slots | None:
        if key is None:
            return None
        slots = self._narrow.get(key)
        if slots is None:
            count = self._per_service if key.startswith("aws ") else self._per_host
            slots = self._narrow[key] = Slots(count)
        return slots


def gate_key(service: str | None, params: Mapping[str, Any], account: str | None, region: str | None) -> str | None:
    """Return what a request counts against: `aws <service> …` for AWS, else its host, else nothing."""
    if service is not None:
        name = params.get("service") if service == "*" else service
        return f"aws {name} {account or ''} {region or ''}"
    url = params.get("url")
    if isinstance(url, str):
        return _host(url)
    host = params.get("host") or params.get("server")
    return host.lower() if isinstance(host, str) else None


def _host(url: str) -> str | None:
    # The usual URL needs no full parsing, and this runs once per request.
    scheme, found, rest = url.partition("://")
    if found and "@" not in rest and "[" not in rest:
        for end in "/?#":
            rest = rest.partition(end)[0]
        return rest.partition(":")[0].lower() or None
    try:
        return urlsplit(url).hostname or scheme
    except ValueError:
        return None
