"""Keeps calls under AWS's quotas with one token bucket per account, region and operation family.

A throttle halves a rate; every ten seconds without a throttle raise it one step, up to a ceiling: AWS's quota, or
a rate below the one that AWS last throttled.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from prodwatch.clock import Clock

FLOOR_PER_S = 0.2
"""Lowest rate that throttles can lead to."""
CLEAN_S = 10.0
"""Seconds without a throttle after which the rate rises one step."""
LEARNT_FOR_S = 600.0
"""Seconds without a throttle after which the learnt ceiling rises one step: AWS may have allowed more meanwhile."""
SAME_THROTTLE_S = 1.0
"""Throttles within this many seconds count as one, because their calls were in flight together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Operations that share one of AWS's quotas."""

    name: str
    rate_per_s: float
    """Initial rate: below the documented quota, so that other users of the account keep working."""
    ceiling_per_s: float
    burst: float

    @property
    def step_per_s(self) -> float:
        """Increase per ten seconds without a throttle."""
        return max(0.2, self.ceiling_per_s / 50)


# AWS allows five calls a second per account and region and does not raise that.
_FILTER = Family(name="logs:FilterLogEvents", rate_per_s=5, ceiling_per_s=5, burst=3)
_LOGS = Family(name="logs", rate_per_s=5, ceiling_per_s=10, burst=5)
_ALARMS = Family(name="cloudwatch:alarms", rate_per_s=3, ceiling_per_s=9, burst=3)
_METRICS = Family(name="cloudwatch", rate_per_s=10, ceiling_per_s=50, burst=10)
_XRAY = Family(name="xray", rate_per_s=5, ceiling_per_s=10, burst=10)
_DEPLOY = Family(name="codedeploy", rate_per_s=5, ceiling_per_s=10, burst=5)
_STACKS = Family(name="cloudformation", rate_per_s=5, ceiling_per_s=10, burst=10)
# AWS allows fifteen calls a second per account and does not raise that; a release in progress needs most of them.
_LAMBDA = Family(name="lambda", rate_per_s=5, ceiling_per_s=8, burst=10)
_CONTROL = Family(name="control", rate_per_s=10, ceiling_per_s=20, burst=15)
_DATA = Family(name="data", rate_per_s=200, ceiling_per_s=500, burst=200)

_BY_OPERATION = {
    "logs:FilterLogEvents": _FILTER,
    "cloudwatch:DescribeAlarms": _ALARMS,
    "cloudwatch:DescribeAlarmHistory": _ALARMS,
    "cloudwatch:DescribeAlarmsForMetric": _ALARMS,
    "lambda:Invoke": _DATA,
}
_BY_SERVICE = {
    "logs": _LOGS,
    "cloudwatch": _METRICS,
    "xray": _XRAY,
    "codedeploy": _DEPLOY,
    "cloudformation": _STACKS,
    "lambda": _LAMBDA,
    "dynamodb": _DATA,
    "sqs": _DATA,
    "s3": _DATA,
    "kinesis": _DATA,
}


def family(service: str, operation: str) -> Family:
    """Return the operation family of `operation`. Services not listed get a modest family of their own."""
    listed = _BY_OPERATION.get(f"{service}:{operation}") or _BY_SERVICE.get(service)
    if listed:
        return listed
    return Family(
        name=service, rate_per_s=_CONTROL.rate_per_s, ceiling_per_s=_CONTROL.ceiling_per_s, burst=_CONTROL.burst
    )


class Bucket:
    """Token bucket; waiting callers are served in order of arrival."""

    def __init__(self, family: Family, clock: Clock) -> None:
        self.family = family
        self.rate_per_s = family.rate_per_s
        self.ceiling_per_s = family.ceiling_per_s
        self.throttles = 0
        self._clock = clock
        self._tokens = family.burst
        self._filled_at_s = clock.monotonic_s()
        self._clean_since_s = self._filled_at_s
        self._halved_at_s = float("-inf")
        self._learnt_at_s = self._filled_at_s
        self._lock = asyncio.Lock()

    async def acquire(self) -> None:
        """Wait until one call may be sent."""
        async with self._lock:
            while True:
                self._fill()
                # Tolerance for rounding: refilling may stop just short of a whole token.
                if self._tokens >= 1 - 1e-9:
                    self._tokens -= 1
                    return
                await self._clock.sleep((1 - self._tokens) / self.rate_per_s)

    def throttled(self) -> None:
        """Record that AWS throttled a call: halve the rate."""
        self.throttles += 1
        now_s = self._clock.monotonic_s()
        is_first = now_s - self._halved_at_s >= CLEAN_S
        self._clean_since_s = now_s
        if now_s - self._halved_at_s < SAME_THROTTLE_S:
            return
        self._fill()
        self._halved_at_s = self._learnt_at_s = now_s
        if is_first:
            # Throttles in a row do not show the rate that AWS allows in normal times.
            self.ceiling_per_s = max(FLOOR_PER_S, self.rate_per_s - self.family.step_per_s)
        self.rate_per_s = max(FLOOR_PER_S, self.rate_per_s / 2)
        self._tokens = min(self._tokens, 0.0)

    def accepted(self) -> None:
        """Record that AWS accepted a call: raise the rate if the last throttle is long enough ago."""
        now_s = self._clock.monotonic_s()
        if now_s - self._clean_since_s >= CLEAN_S:
            self._fill()
            self._clean_since_s = now_s
            if now_s - self._learnt_at_s >= LEARNT_FOR_S:
                self._learnt_at_s = now_s
                self.ceiling_per_s = min(self.family.ceiling_per_s, self.ceiling_per_s + self.family.step_per_s)
            self.rate_per_s = max(self.rate_per_s, min(self.ceiling_per_s, self.rate_per_s + self.family.step_per_s))

    def _fill(self) -> None:
        now_s = self._clock.monotonic_s()
        refill = (now_s - self._filled_at_s) * self.rate_per_s
        self._tokens = min(self.family.burst, self._tokens + refill)
        self._filled_at_s = now_s


class RateLimiter:
    """All token buckets of a run."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: dict[tuple[str, str, str], Bucket] = {}

    def bucket(self, account: str, region: str, service: str, operation: str) -> Bucket:
        """Return the bucket that this call takes a token from."""
        operation_family = family(service, operation)
        key = (account, region, operation_family.name)
        if key not in self._buckets:
            self._buckets[key] = Bucket(operation_family, self._clock)
        return self._buckets[key]

    def reset(self) -> None:
        """Reset all rates to their initial values, as after a long pause."""
        self._buckets.clear()
