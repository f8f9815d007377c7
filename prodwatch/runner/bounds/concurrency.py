"""Concurrency limits: in total, per host, per AWS service; a hung host never holds up another one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

from prodwatch.model.environment import Limits

T = TypeVar("T")


class Slots:
    """A counting semaphore: first come, first served, with urgent waiters ahead of all others."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._patient: deque[asyncio.Future[None]] = deque()

    def try_acquire(self) -> bool:
        """Acquire a slot if one is free."""
        if self._free > 0:
            self._free -= 1
            return True
        return False

    async def acquire(self, *, urgent: bool = False) -> None:
        """Wait for a slot."""
        if self.try_acquire():
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._urgent if urgent else self._patient).append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.release()  # the slot had already been handed over
            raise

    def release(self) -> None:
        """Release a slot, directly to the next waiter."""
        for queue in (self._urgent, self._patient):
            while queue:
                waiter = queue.popleft()
                if not waiter.done():
                    waiter.set_result(None)
                    return
        self._free += 1


class ConcurrencyLimits:
    """All concurrency limits of one run."""

    def __init__(self, limits: Limits, jobs: int | None = None) -> None:
        """Create full limits; `jobs` overrides the total."""
        self.total = Slots(max(1, limits.concurrency if jobs is None else jobs))
        self._per_host = max(1, limits.per_host)
        self._per_service = max(1, limits.per_service)
        self._targets: dict[str, Slots] = {}

    def target(self, key: str) -> Slots:
        """Return the slots of one host or AWS service, by its `limit_key`."""
        slots = self._targets.get(key)
        if slots is None:
            count = self._per_service if key.startswith("aws ") else self._per_host
            slots = self._targets[key] = Slots(count)
        return slots


class ConcurrencySlot:
    """One check's place among those at work.

    A check at work holds one of the run's slots. It releases the slot while it waits for anything but a response, so
    that a hundred checks that queue for one hung host, or poll once a second, hold up no other check. A target's slot
    is always acquired before the run's, which rules out a deadlock.
    """

    __slots__ = ("_holds", "_limits", "_urgent")

    def __init__(self, limits: ConcurrencyLimits, *, urgent: bool = False) -> None:
        """Prepare; an `urgent` check never queues behind those that are not."""
        self._limits = limits
        self._urgent = urgent
        self._holds = False

    async def acquire(self, *, urgent: bool = False) -> None:
        """Wait for a slot of the run; `urgent` when the check has already begun."""
        if not self._holds:
            await self._limits.total.acquire(urgent=urgent or self._urgent)
            self._holds = True

    def release(self) -> None:
        """Release the slot, if it is held."""
        if self._holds:
            self._holds = False
            self._limits.total.release()

    def try_enter(self, key: str | None) -> bool:
        """Acquire everything that one more request to the target `key` needs, if that is possible without waiting."""
        return self._holds and (key is None or self._limits.target(key).try_acquire())

    async def enter(self, key: str | None, *, urgent: bool) -> None:
        """Wait until one more request to the target `key` may be sent."""
        if key is not None:
            target = self._limits.target(key)
            if not target.try_acquire():
                self.release()
                await target.acquire(urgent=urgent or self._urgent)
        if self._holds:
            return
        try:
            await self.acquire(urgent=urgent)
        except asyncio.CancelledError:
            self.leave(key)
            raise

    def leave(self, key: str | None) -> None:
        """Release the target's slot: the request is over."""
        if key is not None:
            self._limits.target(key).release()

    async def released_while(self, waiting: Awaitable[T]) -> T:
        """Await something other than a response, with the run's slot released meanwhile."""
        self.release()
        result = await waiting
        await self.acquire(urgent=True)
        return result


def limit_key(service: str | None, params: Mapping[str, Any], account: str | None, region: str | None) -> str | None:
    """Return the target whose limit a request counts against: `aws <service> …`, a host, or None for neither."""
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
    scheme, separator, rest = url.partition("://")
    if separator and "@" not in rest and "[" not in rest:
        for end in "/?#":
            rest = rest.partition(end)[0]
        return rest.partition(":")[0].lower() or None
    try:
        return urlsplit(url).hostname or scheme
    except ValueError:
        return None
