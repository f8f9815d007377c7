"""CloudWatch metrics by constructed name: what Lambda publishes per version, and what the environment adds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from prodwatch.aws.api import AwsApi
from prodwatch.clock import Clock
from prodwatch.model.environment import FunctionTarget, MetricTarget
from prodwatch.model.signal import MetricKey, MetricPoint, MetricSeries, Record
from prodwatch.sources.backoff import Backoff
from prodwatch.sources.lambda_metrics import MINUTE_S, derived, raw_keys
from prodwatch.sources.polling import PollingSource

SERIES_PER_CALL = 500
SETTLED_AFTER_S = 180
RECENT = timedelta(minutes=10)
KEPT = timedelta(hours=2)
FIRST_POLL_AT_S = 10
CATCH_UP_AT_S = 40
"""Seconds after the full minute: Lambda publishes each minute, and some points come late."""

DECISIVE = frozenset({("Invocations", "Sum"), ("Errors", "Sum"), ("Duration", "p95")})

VersionsOf = Callable[[FunctionTarget], Iterable[str]]
"""The versions under a function's alias now and before; empty when there is no alias."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    key: MetricKey
    period_s: int
    account: str | None
    region: str | None


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
        versions_of: VersionsOf,
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        super().__init__(clock=clock, backoff=backoff)
        self._aws = aws
        self._functions = tuple(functions)
        self._targets = tuple(targets)
        self._since = since
        self._versions_of = versions_of
        self._raw: dict[MetricKey, dict[int, float]] = {}
        self._partial = False

    def pause_s(self) -> float:
        """Return the seconds to ten or forty seconds after the full minute, whichever comes first."""
        second = self._now_s() % MINUTE_S
        due = next((each for each in (FIRST_POLL_AT_S, CATCH_UP_AT_S) if each > second), FIRST_POLL_AT_S + MINUTE_S)
        return due - second

    def note(self) -> str | None:
        """Say when CloudWatch itself called its answer partial."""
        return "CloudWatch answered in part; the next poll asks again" if self._partial else None

    async def poll(self) -> list[Record]:
        """Return what Lambda's series say and the environment's own; a new series brings its whole window."""
        now = self._clock.now()
        versions = {function.name: tuple(self._versions_of(function)) for function in self._functions}
        lambda_wanted = [
            _Wanted(key, MINUTE_S, function.account, function.region)
            for function in self._functions
            for key in raw_keys(function, versions[function.name])
        ]
        own_wanted = list(self._own_series())
        await self._read_all([*lambda_wanted, *own_wanted], now)
        settled_before_s = now.timestamp() - SETTLED_AFTER_S
        found: list[Record] = []
        several = len(self._functions) > 1
        for function in sorted(self._functions, key=lambda each: each.alias is None):
            if function.alias is None and own_wanted:
                found += self._own(own_wanted, settled_before_s)
                own_wanted = []
            named = several and not (function.alias and sum(bool(each.alias) for each in self._functions) == 1)
            found += derived(
                function, versions[function.name], self._raw, settled_before_s=settled_before_s, named=named
            )
        return [*found, *self._own(own_wanted, settled_before_s)]

    async def _read_all(self, wanted: list[_Wanted], now: datetime) -> None:
        fresh = [each for each in wanted if each.key not in self._raw]
        old = [each for each in wanted if each.key in self._raw]
        if self._now_s() % MINUTE_S >= CATCH_UP_AT_S:
            # Every series asked for costs; the second look of a minute is for what decides.
            old = [each for each in old if (each.key.metric, each.key.stat) in DECISIVE or each.key.label]
        self._partial = False
        for group, start in ((fresh, self._since), (old, max(self._since, now - RECENT))):
            for chunk in _chunks(group):
                await self._read(chunk, start, now)
        oldest_s = int((now - KEPT).timestamp())
        for key, points in self._raw.items():
            if points and min(points) < oldest_s:
                self._raw[key] = {second: value for second, value in points.items() if second >= oldest_s}

    def _own(self, wanted: Iterable[_Wanted], settled_before_s: float) -> list[Record]:
        units = {target.name: target.unit for target in self._targets}
        return [
            MetricSeries(
                key=each.key,
                unit=units[each.key.label],
                period_s=each.period_s,
                points=tuple(
                    MetricPoint(second, value, second + each.period_s <= settled_before_s)
                    for second, value in sorted(self._raw.get(each.key, {}).items())
                ),
            )
            for each in wanted
            if self._raw.get(each.key)
        ]

    def _own_series(self) -> Iterable[_Wanted]:
        for target in self._targets:
            dimensions = tuple(sorted(target.dimensions.items()))
            key = MetricKey(target.namespace, target.metric, dimensions, target.stat, None, target.name)
            yield _Wanted(key, target.period_s, target.account, target.region)

    async def _read(self, chunk: Sequence[_Wanted], start: datetime, now: datetime) -> None:
        first = chunk[0]
        query = {
            "MetricDataQueries": [_query(number, each) for number, each in enumerate(chunk)],
            "StartTime": start.replace(second=0, microsecond=0),
            "EndTime": now,
            "ScanBy": "TimestampAscending",
        }
        read: dict[MetricKey, dict[int, float]] = {each.key: {} for each in chunk}
        pages = self._aws.pages("cloudwatch", "GetMetricData", query, account=first.account, region=first.region)
        async for page in pages:
            for result in page.get("MetricDataResults", ()):
                points = read[chunk[int(result["Id"][1:])].key]
                self._partial |= result.get("StatusCode") in {"InternalError", "Forbidden"}
                for moment, value in zip(result.get("Timestamps", ()), result.get("Values", ()), strict=True):
                    points[int(moment.timestamp())] = float(value)
        for key, points in read.items():
            self._raw[key] = self._raw.get(key, {}) | points


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


def _chunks(wanted: Sequence[_Wanted]) -> Iterable[list[_Wanted]]:
    by_place: dict[tuple[str | None, str | None], list[_Wanted]] = {}
    for each in wanted:
        by_place.setdefault((each.account, each.region), []).append(each)
    for group in by_place.values():
        for start in range(0, len(group), SERIES_PER_CALL):
            yield group[start : start + SERIES_PER_CALL]


def versions_from(states: Mapping[str, tuple[str, ...]]) -> VersionsOf:
    """Return a look-up over a mapping of function name → versions that somebody else keeps up to date."""
    return lambda function: states.get(function.name, ())
