"""Counts calls, throttles and cost in US dollars, and enforces the limits of a run.

Cost is an estimate at list price, before any free tier; the prices are in `prices.toml`.
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

_LIMITS_LIFTED: ContextVar[bool] = ContextVar("prodwatch_limits_lifted", default=False)


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """Price of one unit of an operation."""

    usd: float
    per: str
    source: str
    checked: str
    """ISO date of the last comparison with `source`."""


@cache
def shipped_prices() -> dict[str, Price]:
    """Return `service:Operation` → price from `prices.toml`; operations not listed are free."""
    text = files("prodwatch.aws").joinpath("prices.toml").read_text("utf-8")
    return {
        call: Price(
            usd=float(entry["usd"]), per=entry["per"], source=entry["source"], checked=entry["checked"].isoformat()
        )
        for entry in tomli.loads(text)["price"]
        for call in entry["calls"]
    }


def request_units(call: str, params: Mapping[str, Any]) -> float:
    """Return the billable units known before `service:Operation` is sent."""
    if call == "cloudwatch:GetMetricData":
        return float(sum(1 for query in params.get("MetricDataQueries", ()) if "MetricStat" in query))
    if call in {"logs:StartLiveTail", "logs:StartQuery", "xray:GetTraceSummaries"}:
        return 0.0
    if call == "xray:BatchGetTraces":
        return float(len(params.get("TraceIds", ())))
    if call == "events:PutEvents":
        return float(len(params.get("Entries", ())))
    return 1.0


def response_units(call: str, response: Mapping[str, Any]) -> float:
    """Return the billable units that only the response reports, beyond those of the request."""
    if call == "xray:GetTraceSummaries":
        return float(response.get("TracesProcessedCount") or 0)
    if call in {"dynamodb:Query", "dynamodb:Scan", "dynamodb:GetItem"}:
        # One unit covers 8 kB of eventually consistent reads; without a capacity report, count the scanned items.
        consumed = response.get("ConsumedCapacity") or {}
        if isinstance(consumed, Mapping) and "CapacityUnits" in consumed:
            return max(0.0, float(consumed["CapacityUnits"]) - 1)
        return max(0.0, math.ceil(float(response.get("ScannedCount") or 0) / 8) - 1)
    return 0.0


@contextmanager
def without_limits() -> Iterator[None]:
    """Exempt the calls inside from the limits: cleanup must finish even when a run has used up its budget."""
    token = _LIMITS_LIFTED.set(True)
    try:
        yield
    finally:
        _LIMITS_LIFTED.reset(token)


class Meter:
    """Usage of a run so far, compared with `[limits]`."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._calls: Counter[str] = Counter()
        self._throttles = 0
        self._usd = 0.0

    def price_usd(self, call: str) -> float:
        """Return the price of one unit of `service:Operation` in US dollars; 0 when it is free."""
        own = self._limits.prices.get(call)
        if own is not None:
            return own
        listed = shipped_prices().get(call)
        return listed.usd if listed else 0.0

    def admit(self, service: str, operation: str, units: float) -> None:
        """Count a call that is about to be sent; AwsError (reason `limit`) when it would exceed a limit."""
        call = f"{service}:{operation}"
        price_usd = self.price_usd(call)
        cost_usd = price_usd * units
        if not _LIMITS_LIFTED.get():
            self._check_limits(service, operation, cost_usd, billed=price_usd > 0)
        self._calls[call] += 1
        self._usd += cost_usd

    def _check_limits(self, service: str, operation: str, cost_usd: float, *, billed: bool) -> None:
        max_calls, max_usd = self._limits.api_calls, self._limits.api_cost_usd
        if max_calls is not None and self._calls.total() >= max_calls:
            message = f"the run has made all {max_calls} AWS calls that [limits] api_calls allows"
        elif max_usd is not None and billed and self._usd >= max_usd:
            # Some calls are billed by their response, such as trace searches by the number of traces scanned.
            message = f"the run's AWS cost has reached the ${max_usd:g} that [limits] api_cost_usd allows"
        elif max_usd is not None and billed and self._usd + cost_usd > max_usd:
            message = (
                f"{service} {operation} would bring the run's AWS cost to ${self._usd + cost_usd:.4f}, "
                f"over the ${max_usd:g} that [limits] api_cost_usd allows"
            )
        else:
            return
        raise AwsError(
            f"{message}; raise the limit or run checks less often",
            code="LimitReached",
            reason=Reason.LIMIT,
            service=service,
            operation=operation,
        )

    def add(self, call: str, units: float) -> None:
        """Add units of `service:Operation` that were unknown when it was sent."""
        self._usd += self.price_usd(call) * units

    def throttled(self) -> None:
        """Count one throttled call."""
        self._throttles += 1

    def usage(self) -> Usage:
        """Return the totals of the run."""
        return Usage(calls=dict(sorted(self._calls.items())), throttles=self._throttles, cost_usd=round(self._usd, 9))
