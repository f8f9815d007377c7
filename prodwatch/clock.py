"""The clock as an injected dependency, so that tests control time."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

AWS_CLOCK_TOLERANCE_S = 5.0
"""Difference from AWS's clock in seconds that is left as it is: network delay and the whole seconds of `Date`."""


class Clock(Protocol):
    """Wall time, monotonic time and sleep."""

    def now(self) -> datetime:
        """Return the wall time, in UTC."""
        ...

    def monotonic_s(self) -> float:
        """Return monotonic seconds; only differences are meaningful."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Suspend the current task for `seconds`."""
        ...


class SystemClock:
    """The system clock."""

    def now(self) -> datetime:
        """Return the wall time, in UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Return `time.monotonic()`."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Suspend the current task on the running event loop."""
        import asyncio

        await asyncio.sleep(seconds)


class AwsClock(SystemClock):
    """Wall time by AWS's clock once a response has shown it, before that the machine's."""

    def __init__(self) -> None:
        self.ahead_s = 0.0
        """Seconds by which the machine's clock is ahead of AWS's, negative when behind; `now` is corrected by them."""

    def now(self) -> datetime:
        """Return the wall time, in UTC."""
        return super().now() - timedelta(seconds=self.ahead_s)

    def correct(self, skew_s: float) -> None:
        """Follow AWS's clock, from which `now` was `skew_s` seconds ahead."""
        if abs(skew_s) > AWS_CLOCK_TOLERANCE_S:
            self.ahead_s += skew_s


def ahead_s(clock: Clock) -> float:
    """Return the seconds by which `clock` corrects the machine's."""
    return clock.ahead_s if isinstance(clock, AwsClock) else 0.0
