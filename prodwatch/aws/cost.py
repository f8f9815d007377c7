"""Counts calls, throttles and US dollars at list price, and stops a run at the bounds its user set.

The dollars are an estimate before any free tier; the table behind them is `prices.toml`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
import tomli

from prodwatch.aws.api import AwsError
from prodwatch.model.environment import Limits
from prodwatch.model.result import Usage
from prodwatch.model.status import Reason

_BEYOND: ContextVar[bool] = ContextVar("prodwatch_beyond_limits", default=False)


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What one unit of one operation costs."""

    usd: float
    per: str
    source: str
    checked: str
    """ISO date."""


@cache
def shipped_prices() -> dict[str, Price]:
    """Return `service:Operation` → price as shipped; calls not in it are free."""
    text = files("prodwatch.aws").joinpath("prices.toml").read_text("utf-8")
    return {
        call: Price(
            usd=float(entry["usd"]), per=entry["per"], source=entry["source"], checked=entry["checked"].isoformat()
        )
        for entry in tomli.loads(text)["price"]
        for call in entry["calls"]
    }


def units_asked(call: str, params: Mapping[str, Any]) -> float:
    """Return the billable units that are known before `service:Operation` is sent."""
    if call == "cloudwatch:GetMetricData":
        return float(sum(1 for query in params.get("MetricDataQueries", ()) if "MetricStat" in query))
    if call in {"logs:StartLiveTail", "logs:StartQuery", "xray:GetTraceSummaries"}:
        return 0.0
    if call == "xray:BatchGetTraces":
        return float(len(params.get("TraceIds", ())))
    if call == "events:PutEvents":
        return float(len(params.get("Entries", ())))
    return 1.0


def units_told(call: str, response: Mapping[str, Any]) -> float:
    """Return the billable units that only the response tells, beyond those asked."""
    if call == "xray:GetTraceSummaries":
        return float(response.get("TracesProcessedCount") or 0)
    if call in {"dynamodb:Query", "dynamodb:Scan", "dynamodb:GetItem"}:
        # One unit reads 4 kB, eventually consistent half of it; without a capacity report count what was scanned.
        consumed = response.get("ConsumedCapacity") or {}
        if isinstance(consumed, Mapping) and "CapacityUnits" in consumed:
            return max(0.0, float(consumed["CapacityUnits"]) - 1)
        return max(0.0, math.ceil(float(response.get("ScannedCount") or 0) / 8) - 1)
    return 0.0


@contextmanager
def beyond_limits() -> Iterator[None]:
    """Let the calls inside pass the bounds: cleanup must finish even when a run has spent its budget."""
    token = _BEYOND.set(True)
    try:
        yield
    finally:
        _BEYOND.reset(token)


class Meter:
    """What a run has spent so far, against `[limits]`."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._calls: Counter[str] = Counter()
        self._throttles = 0
        self._usd = 0.0

    def price_usd(self, call: str) -> float:
        """Return the price of one unit of `service:Operation`; 0 when it is free."""
        own = self._limits.prices.get(call)
        if own is not None:
            return own
        listed = shipped_prices().get(call)
        return listed.usd if listed else 0.0

    def admit(self, service: str, operation: str, units: float) -> None:
        """Count one call about to be sent; AwsError (reason `limit`) when a bound would be passed."""
        call = f"{service}:{operation}"
        price_usd = self.price_usd(call)
        cost_usd = price_usd * units
        if not _BEYOND.get():
            self._refuse_beyond(service, operation, cost_usd, costs=price_usd > 0)
        self._calls[call] += 1
        self._usd += cost_usd

    def _refuse_beyond(self, service: str, operation: str, cost_usd: float, *, costs: bool) -> None:
        most_calls, most_usd = self._limits.api_calls, self._limits.api_cost_usd
        if most_calls is not None and self._calls.total() >= most_calls:
            message = f"the run has made the {most_calls} AWS calls that [limits] api_calls allows"
        elif most_usd is not None and costs and self._usd >= most_usd:
            # Some calls are billed by what they answer, traces by how many were looked at.
            message = f"the run's AWS cost has reached the ${most_usd:g} that [limits] api_cost_usd allows"
        elif most_usd is not None and costs and self._usd + cost_usd > most_usd:
            message = (
                f"{service} {operation} would bring the run's AWS cost to ${self._usd + cost_usd:.4f}, "
                f"over the ${most_usd:g} that [limits] api_cost_usd allows"
            )
        else:
            return
        raise AwsError(
            f"{message}; raise the limit or check less often",
            code="LimitReached",
            reason=Reason.LIMIT,
            service=service,
            operation=operation,
        )

    def add(self, call: str, units: float) -> None:
        """Add units of `service:Operation` that were not known when it was sent."""
        self._usd += self.price_usd(call) * units

    def throttled(self) -> None:
        """Count one throttle."""
        self._throttles += 1

    def usage(self) -> Usage:
        """Return the totals."""
        return Usage(calls=dict(sorted(self._calls.items())), throttles=self._throttles, cost_usd=round(self._usd, 9))
