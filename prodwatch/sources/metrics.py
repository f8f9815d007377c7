"""CloudWatch metrics by constructed name: what Lambda publishes per version, and what the environment adds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from prodwatch.aws.api import AwsApi, AwsError
from prodwatch.clock import Clock
from prodwatch.judge.signals import is_judged, metric_signal, unread_metric
from prodwatch.model.environment import FunctionTarget, MetricTarget
from prodwatch.model.result import SignalResult
from prodwatch.model.signal import (
    SETTLED_AFTER_S,
    EvaluatedSignals,
    MetricKey,
    MetricPoint,
    MetricSeries,
    Record,
)
from prodwatch.model.status import Reason
from prodwatch.sources.backoff import Backoff
from prodwatch.sources.lambda_metrics import MINUTE_S, Behind, derived, raw_keys
from prodwatch.sources.metric_retention import coarse, kept_for
from prodwatch.sources.poll_loop import PollingSource

SERIES_PER_CALL = 500
TIMEOUT_MARGIN_S = 120.0
"""Lambda dates a point at its invocation's start: a minute changes until the longest has ended and been told."""
RECENT_S = 600.0
KEPT = timedelta(hours=2)
FIRST_POLL_AT_S = 10
CATCH_UP_AT_S = 40
"""Seconds after the full minute: Lambda publishes each minute, and some points come late."""
VERSIONS_KNOWN_S = 5.0
"""By then the release has been asked for."""

DECISIVE = frozenset({("Invocations", "Sum"), ("Errors", "Sum"), ("Duration", "p95")})
_LEFT_OUT = "the response leaves it out"
_UNREAD = frozenset(("InternalError", "Forbidden", _LEFT_OUT))

Place = tuple[str | None, str | None]
"""Account and region."""
BehindOf = Callable[[FunctionTarget], Behind]


@dataclass(frozen=True, slots=True)
class _Wanted:
    key: MetricKey
    period_s: int
    settles_after_s: float


@dataclass(slots=True)
class _Read:
    """What one place has told."""

    points: dict[MetricKey, dict[int, float]] = field(default_factory=dict)
    at_s: dict[MetricKey, float] = field(default_factory=dict)
    """When each series was last read without fault."""
    whole_s: float | None = None
    """When every series was last read."""
    refused: dict[MetricKey, str] = field(default_factory=dict)
    """Series that CloudWatch did not read at the last request, each with its status."""


class MetricSource(PollingSource):
    """Asks for raw series only; rates and shares are computed here, minute by minute."""

    name = "metrics"

    def __init__(
        self,
        aws: AwsApi,
        functions: Sequence[FunctionTarget],
        targets: Sequence[MetricTarget],
        *,
        clock: Clock,
        since: datetime,
        behind: BehindOf,
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        super().__init__(clock=clock, backoff=backoff)
        self._aws = aws
        self._functions = tuple(functions)
        self._targets = tuple(targets)
        self._since = since
        self._behind = behind
        self._age = clock.now() - since
        self._minute_s = coarse(MINUTE_S, self._age)
        self._read: dict[Place, _Read] = {}
        self._polls = 0
        self._partial = False
        self._notes: list[str] = []
        self._failed: dict[Place, AwsError] = {}

    def pause_s(self) -> float:
        """Return the seconds to ten or forty seconds after the full minute, whichever comes first.

        Once sooner, when at the start nobody knew yet which versions there are.
        """
        if self._polls == 1 and any(each.alias and not self._behind(each).versions for each in self._functions):
            return VERSIONS_KNOWN_S
        second = self._now_s() % MINUTE_S
        due = next((each for each in (FIRST_POLL_AT_S, CATCH_UP_AT_S) if each > second), FIRST_POLL_AT_S + MINUTE_S)
        return due - second

    def note(self) -> str | None:
        """Say what could not be read, what CloudWatch called partial, and where its points are coarser than asked."""
        told = list(self._notes)
        if self._partial:
            told.append("CloudWatch answered in part; the next poll asks again")
        if self._minute_s > MINUTE_S:
            told.append(f"points of {self._minute_s // 60} minutes: CloudWatch keeps finer ones not so long")
        return "; ".join(told) or None

    def unread(self) -> tuple[str, ...]:
        """Return which accounts and regions did not answer, and why."""
        return tuple(dict.fromkeys(self._notes))

    async def poll(self) -> list[Record]:
        """Return what Lambda's series say and the environment's own; a new series brings its whole window."""
        self._polls += 1
        now = self._clock.now()
        behind = {function: self._behind(function) for function in self._functions}
        wanted: dict[Place, list[_Wanted]] = {}
        for function in self._functions:
            settles_after_s = _settles_after_s(behind[function])
            wanted.setdefault((function.account, function.region), []).extend(
                _Wanted(key, self._minute_s, settles_after_s) for key in raw_keys(function, behind[function])
            )
        for target in self._targets:
            period_s = coarse(target.period_s, self._age)
            wanted.setdefault((target.account, target.region), []).append(
                _Wanted(_own_key(target), period_s, SETTLED_AFTER_S)
            )
        await self._read_places(wanted, now)
        found: list[Record] = [EvaluatedSignals(kind="metric", results=self._evaluated(now))]
        own = list(self._targets)
        for function in sorted(self._functions, key=lambda each: each.alias is None):
            if function.alias is None:
                found += self._told(own)
                own = []
            found += self._derived(function, behind[function])
        return [*found, *self._told(own)]

    def _derived(self, function: FunctionTarget, behind: Behind) -> list[MetricSeries]:
        read = self._read[(function.account, function.region)]
        keys = [key for key in raw_keys(function, behind) if key in read.at_s]
        return derived(
            function,
            behind,
            read.points,
            # Settled is what was read after it had settled, not what has grown old unread.
            settled_before_s=min((read.at_s[key] for key in keys), default=0.0) - _settles_after_s(behind),
            named=self._name(function),
            period_s=self._minute_s,
        )

    def _name(self, function: FunctionTarget) -> str | None:
        """Return what tells this function's series from those of others; None when it needs nothing."""
        aliased = [each for each in self._functions if each.alias]
        if len(self._functions) == 1 or (function.alias and len(aliased) == 1):
            return None
        namesakes = [each for each in self._functions if each.name == function.name]
        if len(namesakes) == 1:
            return function.name
        return " ".join(filter(None, (function.name, function.alias, function.account, function.region)))

    def _told(self, targets: Iterable[MetricTarget]) -> list[Record]:
        return [series for target in targets if (series := self._series(target)) is not None]

    def _series(self, target: MetricTarget) -> MetricSeries | None:
        read, key = self._read[(target.account, target.region)], _own_key(target)
        points = read.points.get(key)
        if not points:
            return None
        period_s = coarse(target.period_s, self._age)
        settled_before_s = read.at_s.get(key, 0.0) - SETTLED_AFTER_S
        return MetricSeries(
            key=key,
            unit=target.unit,
            period_s=period_s,
            points=tuple(
                MetricPoint(second, value, second + period_s <= settled_before_s)
                for second, value in sorted(points.items())
            ),
        )

    def _evaluated(self, now: datetime) -> tuple[SignalResult, ...]:
        """Return the environment's own metrics, judged on what has been read of them."""
        return tuple(self._signal(target, now) for target in self._targets if is_judged(target))

    def _signal(self, target: MetricTarget, now: datetime) -> SignalResult:
        place = (target.account, target.region)
        failure, refused = self._failed.get(place), self._read[place].refused.get(_own_key(target))
        if failure is not None:
            return unread_metric(target, failure.message, failure.reason)
        if refused is not None:
            reason = Reason.ACCESS_DENIED if refused == "Forbidden" else Reason.SERVICE
            return unread_metric(target, f"CloudWatch could not read {target.metric}: {refused}", reason)
        return metric_signal(target, self._series(target), now)

    async def _read_places(self, wanted: dict[Place, list[_Wanted]], now: datetime) -> None:
        """Read every account and region on its own; raises AwsError when none of them answers."""
        self._partial = False
        reads = (self._read_place(place, series, now) for place, series in wanted.items())
        outcomes = await asyncio.gather(*reads, return_exceptions=True)
        self._failed = {}
        for place, outcome in zip(wanted, outcomes, strict=True):
            if isinstance(outcome, AwsError):
                self._failed[place] = outcome
            elif isinstance(outcome, BaseException):
                raise outcome
        if self._failed and len(self._failed) == len(outcomes):
            raise next(iter(self._failed.values()))
        self._notes = [caught.message for caught in self._failed.values()]

    async def _read_place(self, place: Place, wanted: list[_Wanted], now: datetime) -> None:
        read = self._read.setdefault(place, _Read())
        now_s = now.timestamp()
        fresh = [each for each in wanted if each.key not in read.at_s]
        old = [each for each in wanted if each.key in read.at_s]
        second_look = now_s % MINUTE_S >= CATCH_UP_AT_S and read.whole_s is not None
        if second_look and now_s - (read.whole_s or 0.0) < MINUTE_S:
            # Every series asked for costs; the second look of a minute is for what decides.
            old = [each for each in old if (each.key.metric, each.key.stat) in DECISIVE or each.key.label]
        else:
            second_look = False
        slowest_s = max((each.settles_after_s for each in wanted), default=0.0)
        longest_s = max((each.period_s for each in wanted), default=MINUTE_S)
        # Back from the last reading, not from now: an outage must leave no gap.
        recent_s = (read.whole_s or now_s) - max(RECENT_S, slowest_s, 3.0 * longest_s)
        for group, start_s in ((fresh, self._since.timestamp()), (old, max(recent_s, self._since.timestamp()))):
            for start in range(0, len(group), SERIES_PER_CALL):
                await self._ask(place, read, group[start : start + SERIES_PER_CALL], start_s, now)
        if not second_look:
            read.whole_s = now_s
        oldest_s = now_s - max(KEPT, self._age).total_seconds()
        for key, points in read.points.items():
            if points and min(points) < oldest_s:
                read.points[key] = {second: value for second, value in points.items() if second >= oldest_s}

    async def _ask(self, place: Place, read: _Read, chunk: Sequence[_Wanted], start_s: float, now: datetime) -> None:
        finest_s = min(each.period_s for each in chunk)
        start_s = max(start_s, now.timestamp() - kept_for(finest_s).total_seconds() + finest_s)
        query = {
            "MetricDataQueries": [_query(number, each) for number, each in enumerate(chunk)],
            "StartTime": datetime.fromtimestamp(start_s - start_s % max(MINUTE_S, finest_s), UTC),
            "EndTime": now,
            "ScanBy": "TimestampAscending",
        }
        told: dict[MetricKey, dict[int, float]] = {each.key: {} for each in chunk}
        statuses: dict[MetricKey, str] = {}
        account, region = place
        async for page in self._aws.pages("cloudwatch", "GetMetricData", query, account=account, region=region):
            for result in page.get("MetricDataResults", ()):
                key = chunk[int(result["Id"][1:])].key
                statuses[key] = result.get("StatusCode") or "Complete"
                for moment, value in zip(result.get("Timestamps", ()), result.get("Values", ()), strict=True):
                    told[key][int(moment.timestamp())] = float(value)
        for key, points in told.items():
            read.points[key] = read.points.get(key, {}) | points
            # A series that the response leaves out was not read, however complete the rest looks.
            status = statuses.get(key, _LEFT_OUT)
            if status in _UNREAD:
                self._partial = True
                read.refused[key] = status
            else:
                read.refused.pop(key, None)
                read.at_s[key] = now.timestamp()


def _settles_after_s(behind: Behind) -> float:
    return max(SETTLED_AFTER_S, (behind.timeout_s or 0.0) + TIMEOUT_MARGIN_S)


def _own_key(target: MetricTarget) -> MetricKey:
    dimensions = tuple(sorted(target.dimensions.items()))
    return MetricKey(target.namespace, target.metric, dimensions, target.stat, None, target.name)


def _query(number: int, wanted: _Wanted) -> dict[str, Any]:
    return {
        "Id": f"m{number}",
        "MetricStat": {
            "Metric": {
                "Namespace": wanted.key.namespace,
                "MetricName": wanted.key.metric,
                "Dimensions": [{"Name": name, "Value": value} for name, value in wanted.key.dimensions],
            },
            "Period": wanted.period_s,
            "Stat": wanted.key.stat,
        },
        "ReturnData": True,
    }
