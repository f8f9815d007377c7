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
from prodwatch.sources.polling import PollingSource

SERIES_PER_CALL = 500
SETTLED_AFTER_S = 180
RECENT = timedelta(minutes=10)
MINUTE_S = 60
FIRST_POLL_AT_S = 10
CATCH_UP_AT_S = 40
"""Seconds after the full minute: Lambda publishes each minute, and some points come late."""

LAMBDA_SERIES = (
    ("Invocations", "Sum", "Count"),
    ("Errors", "Sum", "Count"),
    ("Throttles", "Sum", "Count"),
    ("Duration", "p50", "Milliseconds"),
    ("Duration", "p95", "Milliseconds"),
    ("Duration", "p99", "Milliseconds"),
    ("ConcurrentExecutions", "Maximum", "Count"),
)

VersionsOf = Callable[[FunctionTarget], Iterable[str]]
"""The versions under a function's alias now and before; empty when there is no alias."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    key: MetricKey
    unit: str | None
    period_s: int
    account: str | None
    region: str | None


class MetricSource(PollingSource):
    """Asks for raw series only; rates and ratios are computed by whoever shows or judges them."""

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
        self._known: set[MetricKey] = set()
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
        """Return every series with its recent points; a series asked for the first time brings its whole window."""
        wanted = [*self._lambda_series(), *self._own_series()]
        fresh = [each for each in wanted if each.key not in self._known]
        old = [each for each in wanted if each.key in self._known]
        now = self._clock.now()
        self._partial = False
        found: list[Record] = []
        for group, start in ((fresh, self._since), (old, max(self._since, now - RECENT))):
            for chunk in _chunks(group):
                found += await self._read(chunk, start, now)
        self._known.update(each.key for each in fresh)
        return found

    def _lambda_series(self) -> Iterable[_Wanted]:
        for function in self._functions:
            scopes: list[tuple[tuple[tuple[str, str], ...], str | None]] = [((("FunctionName", function.name),), None)]
            if function.alias:
                alias = (("FunctionName", function.name), ("Resource", f"{function.name}:{function.alias}"))
                scopes.append((alias, None))
                scopes += [((*alias, ("ExecutedVersion", version)), version) for version in self._versions_of(function)]
            for dimensions, version in scopes:
                for metric, stat, unit in LAMBDA_SERIES:
                    key = MetricKey("AWS/Lambda", metric, dimensions, stat, version, f"{function.name} {metric} {stat}")
                    yield _Wanted(key, unit, MINUTE_S, function.account, function.region)

    def _own_series(self) -> Iterable[_Wanted]:
        for target in self._targets:
            dimensions = tuple(sorted(target.dimensions.items()))
            key = MetricKey(target.namespace, target.metric, dimensions, target.stat, None, target.name)
            yield _Wanted(key, target.unit, target.period_s, target.account, target.region)

    async def _read(self, chunk: Sequence[_Wanted], start: datetime, now: datetime) -> list[Record]:
        values: dict[int, dict[int, float]] = {}
        first = chunk[0]
        query = {
            "MetricDataQueries": [_query(number, each) for number, each in enumerate(chunk)],
            "StartTime": start.replace(second=0, microsecond=0),
            "EndTime": now,
            "ScanBy": "TimestampAscending",
        }
        pages = self._aws.pages("cloudwatch", "GetMetricData", query, account=first.account, region=first.region)
        async for page in pages:
            for result in page.get("MetricDataResults", ()):
                points = values.setdefault(int(result["Id"][1:]), {})
                self._partial |= result.get("StatusCode") in {"InternalError", "Forbidden"}
                for moment, value in zip(result.get("Timestamps", ()), result.get("Values", ()), strict=True):
                    points[int(moment.timestamp())] = float(value)
        settled_before = now.timestamp() - SETTLED_AFTER_S
        return [
            MetricSeries(
                key=chunk[number].key,
                unit=chunk[number].unit,
                period_s=chunk[number].period_s,
                points=tuple(
                    MetricPoint(second, value, second + chunk[number].period_s <= settled_before)
                    for second, value in sorted(points.items())
                ),
            )
            for number, points in sorted(values.items())
        ]


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
