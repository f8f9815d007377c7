"""Separates AWS's time from ours: a limit runs from the sending of a request, not while it waits in this process.

Creating a client, loading credentials, signing and queueing for a rate limit are ours. A throttle is AWS's, and so is
the wait that follows it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

from prodwatch.aws.interface import AwsError
from prodwatch.clock import Clock

OWN_LIMIT_S = 30.0
"""Longest wait of a call for credentials, its client and its signature, in seconds."""
QUEUE_LIMIT_S = 120.0
"""Longest wait of a call for its turn under a rate limit, in seconds."""


class StepTime:
    """Time that the AWS calls of one step may take together; it is paused while any of them waits in this process."""

    def __init__(self, clock: Clock, timeout_s: float) -> None:
        self._clock = clock
        self._timeout_s = timeout_s
        self._started_s = clock.monotonic_s()
        self._own_s = 0.0
        self._waiting = 0
        self._waiting_since_s = 0.0

    def elapsed_s(self) -> float:
        """Return the seconds since the start, without waits in this process."""
        now_s = self._clock.monotonic_s()
        waiting_s = now_s - self._waiting_since_s if self._waiting else 0.0
        return now_s - self._started_s - self._own_s - waiting_s

    def left_s(self) -> float:
        """Return the remaining seconds, always more than zero."""
        return max(0.05, self._timeout_s - self.elapsed_s())

    def over(self) -> bool:
        """Return whether no time is left: every further call would take the least that a call needs."""
        return self.elapsed_s() >= self._timeout_s

    def wait(self) -> None:
        """Record that a call waits in this process."""
        if not self._waiting:
            self._waiting_since_s = self._clock.monotonic_s()
        self._waiting += 1

    def proceed(self) -> None:
        """Record that the call no longer waits."""
        self._waiting -= 1
        if not self._waiting:
            self._own_s += self._clock.monotonic_s() - self._waiting_since_s


class CallTime:
    """Limits of one call: `budget_s` for AWS, `OWN_LIMIT_S` or `QUEUE_LIMIT_S` for each wait in this process."""

    def __init__(self, budget_s: float, step: StepTime | None) -> None:
        self.waits = True
        """Whether the call waits in this process now."""
        self.queued = False
        """Whether it waits for a rate limit."""
        self.throttled = False
        self.refused: AwsError | None = None
        """Error of the latest attempt; None before the first has ended."""
        self._left_s = budget_s
        self._step = step
        self._sent_s = 0.0
        self._limit = asyncio.timeout(OWN_LIMIT_S)

    async def __aenter__(self) -> Self:
        self._token = CALL_TIME.set(self)
        if self._step is not None:
            self._step.wait()
        await self._limit.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        CALL_TIME.reset(self._token)
        if self.waits and self._step is not None:
            self._step.proceed()
        await self._limit.__aexit__(kind, exc, trace)

    def wait(self) -> None:
        """Stop AWS's clock: the call waits here again, unless AWS throttled it."""
        if self.waits or self.throttled:
            return
        loop = asyncio.get_running_loop()
        self._left_s -= loop.time() - self._sent_s
        self.waits = True
        self._limit.reschedule(loop.time() + OWN_LIMIT_S)
        if self._step is not None:
            self._step.wait()

    async def queue(self, turn: Awaitable[None]) -> None:
        """Wait for the call's turn under a rate limit."""
        self.wait()
        if not self.waits:
            await turn
            return
        loop = asyncio.get_running_loop()
        self.queued = True
        self._limit.reschedule(loop.time() + QUEUE_LIMIT_S)
        await turn
        self.queued = False
        self._limit.reschedule(loop.time() + OWN_LIMIT_S)

    @property
    def wait_limit_s(self) -> float:
        """Longest wait of the kind that the call is in."""
        return QUEUE_LIMIT_S if self.queued else OWN_LIMIT_S

    def sent(self) -> None:
        """Start AWS's clock: the request leaves now."""
        if not self.waits:
            return
        loop = asyncio.get_running_loop()
        self._sent_s = loop.time()
        self.waits = False
        self._limit.reschedule(self._sent_s + max(0.0, self._left_s))
        if self._step is not None:
            self._step.proceed()


SENT_ONCE: ContextVar[bool] = ContextVar("prodwatch_sent_once", default=False)
"""Whether the current call must be sent at most once. A kept-alive connection may be closing just now: whether the
request arrived on it is not known, so the call gets a connection that no other request has used."""
CALL_TIME: ContextVar[CallTime | None] = ContextVar("prodwatch_call_time", default=None)
"""The call that the current task makes; None outside of `Aws.call`."""
STEP_TIME: ContextVar[StepTime | None] = ContextVar("prodwatch_step_time", default=None)
"""The step that the current task belongs to; None outside of a probe."""


def clock_skew_s(response: Mapping[str, Any], now: datetime) -> float | None:
    """Return local clock minus AWS's `Date` for a response received at `now`, in seconds; None without the header."""
    header = response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    if not header:
        return None
    try:
        date = parsedate_to_datetime(header)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return (now - date).total_seconds()


@contextmanager
def shared_reading() -> Iterator[None]:
    """Free the calls inside from the step's time limit: several steps wait for their result, whichever makes them."""
    step, token = STEP_TIME.get(), STEP_TIME.set(None)
    if step is not None:
        step.wait()
    try:
        yield
    finally:
        if step is not None:
            step.proceed()
        STEP_TIME.reset(token)
