"""How much may be in flight at once: in all, per host, per AWS service; a hung host never holds up another."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

from prodwatch.model.environment import Limits

T = TypeVar("T")


class Slots:
    """A counting gate: first come, first served, but those who have already begun go before those who have not."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._patient: deque[asyncio.Future[None]] = deque()

    def try_acquire(self) -> bool:
        """Take a slot if one is free."""
        if self._free > 0:
            self._free -= 1
            return True
        return False

    async def acquire(self, *, urgent: bool = False) -> None:
        """Wait for a slot."""
        if self.try_acquire():
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


class ConcurrencyLimits:
    """All bounds of one run."""

    def __init__(self, limits: Limits, jobs: int | None = None) -> None:
        self.all = Slots(max(1, limits.concurrency if jobs is None else jobs))
        self._per_host = max(1, limits.per_host)
        self._per_service = max(1, limits.per_service)
        self._narrow: dict[str, Slots] = {}

    def narrow(self, key: str) -> Slots:
        """Return the slots of one host or service."""
        slots = self._narrow.get(key)
        if slots is None:
            count = self._per_service if key.startswith("aws ") else self._per_host
            slots = self._narrow[key] = Slots(count)
        return slots


class ConcurrencySlot:
    """One check's place among those at work.

    A check at work holds one of the run's slots; while it waits for anything but an answer it gives the slot back, so
    that a hundred checks queueing for one hung host, or polling once a second, hold up nobody. A host's slot is always
    taken before the run's, which rules out a deadlock.
    """

    __slots__ = ("_gate", "_holds", "_urgent")

    def __init__(self, gate: ConcurrencyLimits, *, urgent: bool = False) -> None:
        """Prepare; a check that is `urgent` never queues behind those that are not."""
        self._gate = gate
        self._urgent = urgent
        self._holds = False

    async def take(self, *, urgent: bool = False) -> None:
        """Wait for a slot of the run; `urgent` when the check has already begun."""
        if not self._holds:
            await self._gate.all.acquire(urgent=urgent or self._urgent)
            self._holds = True

    def give(self) -> None:
        """Give the slot back, if it is held."""
        if self._holds:
            self._holds = False
            self._gate.all.release()

    def enter_at_once(self, key: str | None) -> bool:
        """Take what one more request for `key` needs, if nobody has to be waited for."""
        return self._holds and (key is None or self._gate.narrow(key).try_acquire())

    async def enter(self, key: str | None, *, urgent: bool) -> None:
        """Wait until one more request for `key` may be sent."""
        if key is not None:
            narrow = self._gate.narrow(key)
            if not narrow.try_acquire():
                self.give()
                await narrow.acquire(urgent=urgent or self._urgent)
        if self._holds:
            return
        try:
            await self.take(urgent=urgent)
        except asyncio.CancelledError:
            self.leave(key)
            raise

    def leave(self, key: str | None) -> None:
        """Note that the request is over."""
        if key is not None:
            self._gate.narrow(key).release()

    async def away(self, waiting: Awaitable[T]) -> T:
        """Wait for something that is not an answer, without holding up anybody."""
        self.give()
        result = await waiting
        await self.take(urgent=True)
        return result


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
