"""Reads CloudWatch metrics: Lambda's own, per function and version, and those configured in the environment."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.clock import Clock
from prodwatch.judge.signals import is_judged, metric_signal, unread_metric
from prodwatch.model.environment import FunctionTarget, MetricTarget, metric_labels, place_of
from prodwatch.model.identity import PlaceNames
from prodwatch.model.result import SignalResult
from prodwatch.model.signal import (
    SETTLED_AFTER_S,
    EvaluatedSignals,
    MetricKey,
    MetricPoint,
    MetricSeries,
    Record,
    ReleaseState,
)
from prodwatch.model.status import Reason
from prodwatch.sources.backoff import Backoff
from prodwatch.sources.error_status import error_of_all
from prodwatch.sources.lambda_metrics import (
    MINUTE_S,
    FunctionVersions,
    RawSeries,
    derived_series,
    raw_keys,
    series_key,
    settled_span,
)
from prodwatch.sources.poll_loop import PollingSource

SERIES_PER_CALL = 500
"""Most series in one GetMetricData request."""
TIMEOUT_MARGIN_S = 120.0
"""Added to a function's timeout: a point is dated at the invocation's start and changes until its end."""
RECENT_S = 600.0
"""Period before the last poll that is read again."""
KEPT = timedelta(hours=2)
"""Shortest history kept in memory."""
KEPT_UNREAD = timedelta(hours=12)
"""History kept in addition while a series could not be read: a share needs both of its series."""
FIRST_POLL_AT_S = 10
"""Seconds after the full minute of the first poll: Lambda publishes each minute."""
CATCH_UP_AT_S = 40
"""Seconds after the full minute of the second poll, for points that arrive late."""
VERSIONS_KNOWN_S = 5.0
"""Delay of the second poll when versions are not known yet; the release source knows them by then."""

DECISIVE = frozenset({("Invocations", "Sum"), ("Errors", "Sum"), ("Duration", "p95")})
"""Metrics and statistics read by the second poll of a minute too."""
_COMPLETE = "Complete"
MAX_REFUSED = 5
"""Most series per account and region that may be invalid by themselves."""
SEARCH_EVERY_S = 600.0
"""Pause between searches for invalid series after one that found too many."""
_LEFT_OUT = "the response leaves it out"
_INVALID = frozenset(("ValidationError", "ValidationException", "InvalidParameterValue", "InvalidParameterCombination"))
"""Error codes of a request with a series that CloudWatch does not accept."""
_NAMED_UNREAD = 5
"""Unread series of one account and region that are named; the rest is counted."""

_RETENTION = (
    (60, timedelta(hours=3)),
    (300, timedelta(days=15)),
    (3600, timedelta(days=63)),
)
"""(period, retention): points finer than *period* seconds are kept for *retention*."""
_LONGEST_RETENTION = timedelta(days=455)
"""Retention of points of an hour and more."""

Place = tuple[str | None, str | None]
"""Account and region."""
ExceedancesOf = Callable[[FunctionTarget], Sequence[tuple[str, str]]]
VersionsOf = Callable[[FunctionTarget], FunctionVersions]


@dataclass(frozen=True, slots=True)
class _SeriesQuery:
    key: MetricKey
    period_s: int
    settles_after_s: float


@dataclass(slots=True)
class _PlaceData:
    """Data read from one account and region."""

    series: dict[MetricKey, RawSeries] = field(default_factory=dict)
    whole_s: float | None = None
    """Epoch second of the last poll of all series."""
    refused: set[MetricKey] = field(default_factory=set)
    """Series that CloudWatch does not accept, requested alone so that they hide no others."""
    search_again_s: float = 0.0
    """Epoch second before which no invalid series are searched for, because too many were found."""


class MetricSource(PollingSource):
    """Reads raw series only; rates and shares are computed here, minute by minute."""

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
        release_of: Callable[[], ReleaseState | None] | None = None,
        exceedances_of: ExceedancesOf = lambda _function: (),
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        """`release_of` returns the main release, for metrics with its version in a dimension: both are read.

        Without it their dimensions are read as filled, for a single reading. `exceedances_of` returns versions and the
        statistics that count their long durations, for comparisons that need them.
        """
        super().__init__(clock=clock, backoff=backoff)
        self._aws = aws
        self._functions = tuple(functions)
        self._targets = tuple(zip(targets, configured_keys(targets), strict=True))
        self._since = since
        self._versions_of = versions_of
        self._release_of = release_of
        self._exceedances_of = exceedances_of
        self._present: dict[MetricKey, tuple[MetricKey, ...]] = {key: (key,) for _, key in self._targets}
        """Key of a configured metric → keys of its series as of the latest poll, that of the new version first."""
        self._age = clock.now() - since
        self._minute_s = retained_period_s(MINUTE_S, self._age)
        self._data: dict[Place, _PlaceData] = {}
        self._polls = 0
        self._unread: list[str] = []
        self._failed: dict[Place, AwsError] = {}

    def pause_s(self) -> float:
        """Return the seconds until 10 s or 40 s after the full minute, whichever comes first.

        The second poll comes after 5 s while the versions of an alias are unknown.
        """
        if self._polls == 1 and any(
            function.alias and not self._versions_of(function).versions for function in self._functions
        ):
            return VERSIONS_KNOWN_S
        second = self._now_s() % MINUTE_S
        due = next((at_s for at_s in (FIRST_POLL_AT_S, CATCH_UP_AT_S) if at_s > second), FIRST_POLL_AT_S + MINUTE_S)
        return due - second

    def note(self) -> str | None:
        """Return what could not be read or is coarser than requested; None without any."""
        notes = list(self.unread())
        if self._minute_s > MINUTE_S:
            notes.append(f"points of {self._minute_s // 60} minutes: CloudWatch keeps finer points for a shorter time")
        return "; ".join(notes) or None

    def unread(self) -> tuple[str, ...]:
        """Return the errors of accounts and regions that could not be read, and the series that were not or in part."""
        return tuple(dict.fromkeys(self._unread))

    async def poll(self) -> list[Record]:
        """Return Lambda's derived series and the configured ones; a new series includes its whole history."""
        self._polls += 1
        now = self._clock.now()
        versions = {function: self._versions_of(function) for function in self._functions}
        queries: dict[Place, list[_SeriesQuery]] = {}
        for function in self._functions:
            settles_after_s = _settles_after_s(versions[function])
            queries.setdefault((function.account, function.region), []).extend(
                _SeriesQuery(key, self._minute_s, settles_after_s)
                for key in (*raw_keys(function, versions[function]), *self._exceedance_keys(function))
            )
        release = self._release_of() if self._release_of is not None else None
        for target, key in self._targets:
            period_s = retained_period_s(target.period_s, self._age)
            keys = self._present[key] = self._keys_of(target, key, release)
            queries.setdefault((target.account, target.region), []).extend(
                _SeriesQuery(each, period_s, SETTLED_AFTER_S) for each in keys
            )
        await self._read_places(queries, now)
        records: list[Record] = [EvaluatedSignals(kind="metric", results=self._evaluated(now))]
        unplaced = list(self._targets)
        for function in sorted(self._functions, key=lambda target: target.alias is None):
            if function.alias is None:
                records += self._configured_series(unplaced)
                unplaced = []
            records += self._derived(function, versions[function])
            records += self._exceedances(function, _settles_after_s(versions[function]))
        return [*records, *self._configured_series(unplaced)]

    def _keys_of(self, target: MetricTarget, key: MetricKey, release: ReleaseState | None) -> tuple[MetricKey, ...]:
        """Return the series of a configured metric: of both versions where a dimension names the one under release."""
        if not target.by_version or self._release_of is None:
            return (key,)
        if release is None or release.version is None:
            return ()
        versions = dict.fromkeys((release.version, release.previous))
        return tuple(
            msgspec.structs.replace(
                key,
                dimensions=tuple(sorted(target.dimensions_of(version).items())),
                version=version,
                function=release.function,
            )
            for version in versions
            if version is not None
        )

    def _exceedance_keys(self, function: FunctionTarget) -> list[MetricKey]:
        return [series_key(function, "Duration", stat, version) for version, stat in self._exceedances_of(function)]

    def _exceedances(self, function: FunctionTarget, settles_after_s: float) -> Iterator[MetricSeries]:
        data = self._data[(function.account, function.region)].series
        for key in self._exceedance_keys(function):
            raw = data.get(key)
            if raw is not None and raw.points:
                settled_before_s = raw.to_s - settles_after_s
                points = (
                    MetricPoint(at_s, value, at_s + self._minute_s <= settled_before_s)
                    for at_s, value in sorted(raw.points.items())
                )
                yield MetricSeries(key=key, unit="Count", period_s=self._minute_s, points=tuple(points))

    def _derived(self, function: FunctionTarget, versions: FunctionVersions) -> list[MetricSeries]:
        return derived_series(
            function,
            versions,
            self._data[(function.account, function.region)].series,
            settles_after_s=_settles_after_s(versions),
            label_suffix=self._name(function),
            period_s=self._minute_s,
        )

    def _name(self, function: FunctionTarget) -> str | None:
        """Return a suffix that distinguishes this function's labels from others; None when not needed."""
        aliased = [other for other in self._functions if other.alias]
        if len(self._functions) == 1 or (function.alias and len(aliased) == 1):
            return None
        namesakes = [other for other in self._functions if other.name == function.name]
        several_aliases = len({other.alias for other in namesakes}) > 1
        name = f"{function.name} {function.alias}" if several_aliases and function.alias else function.name
        places = PlaceNames((other.name, place_of(other)) for other in namesakes)
        return name + places.suffix(function.name, place_of(function))

    def _configured_series(self, targets: Iterable[tuple[MetricTarget, MetricKey]]) -> list[Record]:
        return [
            series
            for target, key in targets
            for each in self._present[key]
            if (series := self._series(target, each)) is not None
        ]

    def _series(self, target: MetricTarget, key: MetricKey) -> MetricSeries | None:
        raw = self._data[(target.account, target.region)].series.get(key)
        if raw is None or not (raw.points or math.isfinite(raw.to_s)):
            return None  # never read: not even its lack of data is known
        period_s = retained_period_s(target.period_s, self._age)
        settled_before_s = raw.to_s - SETTLED_AFTER_S
        return MetricSeries(
            key=key,
            unit=target.unit,
            period_s=period_s,
            points=tuple(
                MetricPoint(second, value, second + period_s <= settled_before_s)
                for second, value in sorted(raw.points.items())
            ),
            read=settled_span((raw,), settled_before_s, period_s),
        )

    def _evaluated(self, now: datetime) -> tuple[SignalResult, ...]:
        """Return the evaluation of the configured metrics that have assertions, from the points read so far.

        Of a metric that is read for both versions, the new one's points are judged.
        """
        return tuple(
            self._signal(target, self._present[key][0], now)
            if self._present[key]
            else unread_metric(target, "the version under release is not known", Reason.NO_DATA)
            for target, key in self._targets
            if is_judged(target)
        )

    def _signal(self, target: MetricTarget, key: MetricKey, now: datetime) -> SignalResult:
        place = (target.account, target.region)
        failure, raw = self._failed.get(place), self._data[place].series.get(key)
        if failure is not None:
            return unread_metric(target, failure.message, failure.reason)
        if raw is not None and raw.failure is not None:
            reason = Reason.ACCESS_DENIED if raw.failure == "Forbidden" else Reason.SERVICE
            return unread_metric(target, f"CloudWatch could not read {target.metric}: {raw.failure}", reason)
        return metric_signal(target, self._series(target, key), now)

    async def _read_places(self, queries: dict[Place, list[_SeriesQuery]], now: datetime) -> None:
        """Read all accounts and regions concurrently; raises AwsError when all of them fail."""
        reads = (self._read_place(place, series, now) for place, series in queries.items())
        outcomes = await asyncio.gather(*reads, return_exceptions=True)
        self._failed = {}
        for place, outcome in zip(queries, outcomes, strict=True):
            if isinstance(outcome, AwsError):
                self._failed[place] = outcome
            elif isinstance(outcome, BaseException):
                raise outcome
        if self._failed and len(self._failed) == len(outcomes):
            raise error_of_all(self._failed.values())
        self._unread = [error.message for error in self._failed.values()]
        for place, asked in queries.items():
            if place not in self._failed:
                self._unread += _unread_sentences(self._data[place].series, {query.key: query for query in asked})

    async def _read_place(self, place: Place, queries: list[_SeriesQuery], now: datetime) -> None:
        data = self._data.setdefault(place, _PlaceData())
        now_s = now.timestamp()
        catching_up = now_s % MINUTE_S >= CATCH_UP_AT_S and data.whole_s is not None
        catching_up = catching_up and now_s - (data.whole_s or 0.0) < MINUTE_S
        slowest_s = max((query.settles_after_s for query in queries), default=0.0)
        longest_s = max((query.period_s for query in queries), default=MINUTE_S)
        overlap_s = max(RECENT_S, slowest_s, 3.0 * longest_s)
        by_start: dict[float, list[_SeriesQuery]] = {}
        for query in queries:
            data.series.setdefault(query.key, RawSeries())
        self._prune(data, queries, now_s)
        for query in queries:
            raw = data.series[query.key]
            is_new = not math.isfinite(raw.to_s)
            if catching_up and not (is_new or raw.failure or _is_decisive(query.key)):
                # Every series read costs money, so the second poll of a minute reads only the decisive ones.
                continue
            # Measured from the last complete reading of each series, not from now, so that an outage leaves no gap.
            since_s = self._since.timestamp()
            start_s = since_s if is_new else max(min(raw.to_s, data.whole_s or raw.to_s) - overlap_s, since_s)
            by_start.setdefault(start_s - start_s % MINUTE_S, []).append(query)
        for start_s, group in sorted(by_start.items()):
            for start in range(0, len(group), SERIES_PER_CALL):
                await self._fetch_valid(place, data, group[start : start + SERIES_PER_CALL], start_s, now)
        if not catching_up:
            data.whole_s = now_s

    def _prune(self, data: _PlaceData, queries: Iterable[_SeriesQuery], now_s: float) -> None:
        """Forget what was delivered long ago."""
        unread = any(not math.isfinite(data.series[each.key].to_s) or data.series[each.key].failure for each in queries)
        kept = max(KEPT, self._age) + (KEPT_UNREAD if unread else timedelta())
        oldest_s = now_s - kept.total_seconds()
        for raw in data.series.values():
            raw.from_s = max(raw.from_s, oldest_s)
            if raw.points and min(raw.points) < oldest_s:
                raw.points = {second: value for second, value in raw.points.items() if second >= oldest_s}

    async def _fetch_valid(
        self, place: Place, data: _PlaceData, chunk: Sequence[_SeriesQuery], start_s: float, now: datetime
    ) -> None:
        """Read series; CloudWatch refuses a whole request for one invalid series, which is then found and left out."""
        parts = [[query for query in chunk if query.key not in data.refused]]
        parts += [[query] for query in chunk if query.key in data.refused]
        for part in filter(None, parts):
            try:
                await self._fetch(place, data, part, start_s, now)
            except AwsError as error:
                if error.code not in _INVALID or now.timestamp() < data.search_again_s:
                    raise
                if len(part) == 1:
                    data.refused.add(part[0].key)
                    if len(data.refused) > MAX_REFUSED:
                        # It is not about single series, and finding each costs requests.
                        data.refused.clear()
                        data.search_again_s = now.timestamp() + SEARCH_EVERY_S
                        raise
                    data.series[part[0].key].failure = error.message
                    continue
                middle = len(part) // 2
                for half in (part[:middle], part[middle:]):
                    await self._fetch_valid(place, data, half, start_s, now)

    async def _fetch(
        self, place: Place, data: _PlaceData, chunk: Sequence[_SeriesQuery], start_s: float, now: datetime
    ) -> None:
        finest_s = min(query.period_s for query in chunk)
        start_s = max(start_s, now.timestamp() - retention_of(finest_s).total_seconds() + finest_s)
        start_s -= start_s % max(MINUTE_S, finest_s)
        query = {
            "MetricDataQueries": [_api_query(number, query) for number, query in enumerate(chunk)],
            "StartTime": datetime.fromtimestamp(start_s, UTC),
            "EndTime": now,
            "ScanBy": "TimestampAscending",
        }
        keys = {f"m{number}": each.key for number, each in enumerate(chunk)}
        statuses: dict[MetricKey, str] = {}
        account, region = place
        async for page in self._aws.pages("cloudwatch", "GetMetricData", query, account=account, region=region):
            for result in page.get("MetricDataResults") or ():
                key = keys.get(result.get("Id"))
                if key is None:
                    continue
                statuses[key] = result.get("StatusCode") or _COMPLETE
                points = zip(result.get("Timestamps") or (), result.get("Values") or (), strict=True)
                raw = data.series[key]
                raw.points.update((int(moment.timestamp()), float(value)) for moment, value in points)
                raw.touched_s = now.timestamp()
        for each in chunk:
            raw = data.series[each.key]
            # A series that the response leaves out was not read, however complete the rest looks.
            status = statuses.get(each.key, _LEFT_OUT)
            raw.failure = None if status == _COMPLETE else status
            if raw.failure is None:
                # An outage may last longer than CloudWatch keeps such points: the gap is not a time without data.
                raw.from_s = start_s if start_s > raw.to_s else min(raw.from_s, start_s)
                raw.to_s = now.timestamp()


def _unread_sentences(series: Mapping[MetricKey, RawSeries], asked: Iterable[MetricKey]) -> list[str]:
    """Return one sentence per status that the last request for a series ended with, naming some of the series."""
    by_status: dict[str, list[str]] = {}
    for key in asked:
        raw = series.get(key)
        if raw is not None and raw.failure is not None:
            by_status.setdefault(raw.failure, []).append(_series_name(key))
    sentences = []
    for status, names in by_status.items():
        more = f" and {len(names) - _NAMED_UNREAD} more" if len(names) > _NAMED_UNREAD else ""
        sentences.append(f"CloudWatch did not return all of {', '.join(names[:_NAMED_UNREAD])}{more} ({status})")
    return sentences


def _series_name(key: MetricKey) -> str:
    if key.label:
        return key.label
    name = dict(key.dimensions)
    whose = f"{name.get('Resource') or name.get('FunctionName')}{f' v{key.version}' if key.version else ''}"
    return f"{key.metric} {key.stat} of {whose}"


def _is_decisive(key: MetricKey) -> bool:
    return (key.metric, key.stat) in DECISIVE or bool(key.label)


def _settles_after_s(versions: FunctionVersions) -> float:
    return max(SETTLED_AFTER_S, (versions.timeout_s or 0.0) + TIMEOUT_MARGIN_S)


def configured_keys(targets: Sequence[MetricTarget]) -> list[MetricKey]:
    """Return the key of each configured metric; labels differ in account and region where names do not."""
    return [
        MetricKey(
            target.namespace,
            target.metric,
            tuple(sorted(target.dimensions.items())),
            target.stat,
            None,
            label,
            place=place_of(target),
        )
        for target, label in zip(targets, metric_labels(targets), strict=True)
    ]


def _api_query(number: int, query: _SeriesQuery) -> dict[str, Any]:
    return {
        "Id": f"m{number}",
        "MetricStat": {
            "Metric": {
                "Namespace": query.key.namespace,
                "MetricName": query.key.metric,
                "Dimensions": [{"Name": name, "Value": value} for name, value in query.key.dimensions],
            },
            "Period": query.period_s,
            "Stat": query.key.stat,
        },
        "ReturnData": True,
    }


def retained_period_s(period_s: int, age: timedelta) -> int:
    """Return the finest period of at least `period_s` of which CloudWatch still has points of this `age`.

    For a finer period CloudWatch returns no points at all.
    """
    for below_s, retention in _RETENTION:
        if age >= retention and period_s % below_s:
            # A longer period must be a multiple of the next one that is retained.
            period_s = -(-period_s // below_s) * below_s
    return period_s


def retention_of(period_s: int) -> timedelta:
    """Return how long CloudWatch keeps points of a period."""
    return next((retention for below_s, retention in _RETENTION if period_s % below_s), _LONGEST_RETENTION)
