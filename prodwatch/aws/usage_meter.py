"""Counts calls, throttles and cost in US dollars, and enforces the limits of a run.

Cost is an estimate at list price, before any free tier; the prices are in `prices.toml`. What has no known price there
makes it "at least" that much.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
import tomli

from prodwatch.aws.interface import AwsError
from prodwatch.model.environment import Limits
from prodwatch.model.result import Usage
from prodwatch.model.status import Reason

BYTES_PER_GB = 1e9
_LIMITS_LIFTED: ContextVar[bool] = ContextVar("prodwatch_limits_lifted", default=False)


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """Price of one unit of an operation."""

    usd: float
    per: str
    source: str
    checked: str
    """ISO date of the last comparison with `source`."""


@cache
def _shipped() -> dict[str, Any]:
    return tomli.loads(files("prodwatch.aws").joinpath("prices.toml").read_text("utf-8"))


@cache
def shipped_prices() -> dict[str, Price]:
    """Return `service:Operation` → price from `prices.toml`."""
    return {
        call: Price(
            usd=float(entry["usd"]), per=entry["per"], source=entry["source"], checked=entry["checked"].isoformat()
        )
        for entry in _shipped()["price"]
        for call in entry["calls"]
    }


@cache
def free_calls() -> tuple[str, ...]:
    """Return the calls of `prices.toml` that cost nothing, as patterns."""
    return tuple(call for entry in _shipped()["free"] for call in entry["calls"])


def request_units(call: str, params: Mapping[str, Any]) -> float:
    """Return the billable units known before `service:Operation` is sent."""
    count = _COUNTED.get(call)
    return 1.0 if count is None else float(count(params))


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list | tuple) else 0


def _batch(params: Mapping[str, Any]) -> Iterable[Any]:
    requested = params.get("RequestItems")
    return requested.values() if isinstance(requested, Mapping) else ()


STATISTICS_PER_METRIC = 5
"""Statistics of one metric in one GetMetricData request that AWS bills as one metric."""


def _metrics_billed(params: Mapping[str, Any]) -> int:
    statistics: dict[str, set[tuple[Any, Any]]] = {}
    for query in params.get("MetricDataQueries", ()):
        if "MetricStat" in query:
            stat = query["MetricStat"]
            metric = repr((query.get("AccountId"), stat.get("Metric")))
            statistics.setdefault(metric, set()).add((stat.get("Stat"), stat.get("Period")))
    return sum(math.ceil(len(each) / STATISTICS_PER_METRIC) for each in statistics.values())


_COUNTED: dict[str, Callable[[Mapping[str, Any]], int]] = {
    "cloudwatch:GetMetricData": _metrics_billed,
    "dynamodb:BatchGetItem": lambda params: sum(_length(each.get("Keys")) for each in _batch(params)),
    "dynamodb:BatchWriteItem": lambda params: sum(map(_length, _batch(params))),
    "dynamodb:TransactGetItems": lambda params: 2 * _length(params.get("TransactItems")),
    "dynamodb:TransactWriteItems": lambda params: 2 * _length(params.get("TransactItems")),
    "events:PutEvents": lambda params: _length(params.get("Entries")),
    "logs:StartLiveTail": lambda _: 0,
    "logs:StartQuery": lambda _: 0,
    "xray:BatchGetTraces": lambda params: _length(params.get("TraceIds")),
    "xray:GetTraceSummaries": lambda _: 0,
}
"""Calls that are not billed one unit each → units of a request; the rest comes with the response."""


def has_unknown_units(call: str, params: Mapping[str, Any]) -> bool:
    """Return whether neither the request nor the response of a priced call tells what AWS bills for it."""
    # A search or a query bills every metric that it looks at.
    return call == "cloudwatch:GetMetricData" and any(
        re.search(r"\b(SELECT|SEARCH)\b", str(query.get("Expression") or ""), re.IGNORECASE)
        for query in params.get("MetricDataQueries", ())
    )


def response_units(call: str, params: Mapping[str, Any], response: Mapping[str, Any]) -> float:
    """Return the billable units that only the response reports, beyond those of the request."""
    if call == "xray:GetTraceSummaries":
        return float(response.get("TracesProcessedCount") or 0)
    if call.startswith("dynamodb:"):
        requested = request_units(call, params)
        consumed = response.get("ConsumedCapacity") or ()
        reports = [consumed] if isinstance(consumed, Mapping) else consumed
        if reports:
            return max(0.0, sum(float(each.get("CapacityUnits") or 0) for each in reports) - requested)
        # One unit covers 8 kB of eventually consistent reads; without a capacity report, count the scanned items.
        return max(0.0, math.ceil(float(response.get("ScannedCount") or 0) / 8) - requested)
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
        self._unpriced: set[str] = set()
        self._scanned_gb: dict[str, float] = {}
        """Query of CloudWatch Logs → GB charged so far."""

    def price_usd(self, call: str) -> float | None:
        """Return the price of one unit of `service:Operation` in US dollars, 0 when it is free; None when unknown."""
        own = self._limits.prices.get(call)
        if own is not None:
            return own
        listed = shipped_prices().get(call)
        if listed is not None:
            return listed.usd
        return 0.0 if any(fnmatchcase(call, pattern) for pattern in free_calls()) else None

    def admit(self, service: str, operation: str, units: float) -> None:
        """Count a call that is about to be sent; AwsError (reason `limit`) when it would exceed a limit."""
        call = f"{service}:{operation}"
        price_usd = self.price_usd(call)
        cost_usd = (price_usd or 0.0) * units
        if not _LIMITS_LIFTED.get():
            self._check_limits(service, operation, cost_usd, billed=price_usd != 0)
        if price_usd is None:
            self._unpriced.add(call)
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
        self._usd += (self.price_usd(call) or 0.0) * units

    def answered(self, call: str, params: Mapping[str, Any], response: Mapping[str, Any]) -> None:
        """Add what the response of a call reports as billable."""
        if has_unknown_units(call, params):
            self._unpriced.add(call)
        if call == "logs:GetQueryResults":
            # Asked for again and again, a query reports each time what it has scanned since its start.
            scanned = (response.get("statistics") or {}).get("bytesScanned") or 0
            query, gb = str(params.get("queryId")), float(scanned) / BYTES_PER_GB
            self.add("logs:StartQuery", max(0.0, gb - self._scanned_gb.get(query, 0.0)))
            self._scanned_gb[query] = max(gb, self._scanned_gb.get(query, 0.0))
            return
        units = response_units(call, params, response)
        if units:
            self.add(call, units)

    def throttled(self) -> None:
        """Count one throttled call."""
        self._throttles += 1

    def usage(self) -> Usage:
        """Return the totals of the run."""
        return Usage(
            calls=dict(sorted(self._calls.items())),
            throttles=self._throttles,
            cost_usd=round(self._usd, 9),
            unpriced=tuple(sorted(self._unpriced)),
        )
