"""Feeds the configured metrics of the main release to their comparisons, each settled period once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from prodwatch.judge.comparison.metric_comparison import MetricComparison, Period
from prodwatch.model.comparison import ComparisonResult, RequestBatch
from prodwatch.model.environment import Compare, FunctionTarget, MetricTarget, metric_labels
from prodwatch.model.identity import FunctionId, unique_name
from prodwatch.model.release import WENT_WRONG, ReleaseId, has_two_versions, main_release_of, release_id
from prodwatch.model.signal import MetricPoint, MetricSeries, ReleaseState
from prodwatch.session.version_counts import counted_minutes
from prodwatch.store.store import Store, Topic

SERIES_S = 120.0
"""Time after the shift from which points of CloudWatch count: earlier ones mix both sides of the shift."""
_MINUTE_S = 60


class MetricComparisons:
    """All configured metrics, compared for one release at a time: the main one."""

    def __init__(self, store: Store, limits: Compare) -> None:
        self._store = store
        self._limits = limits
        self._targets: tuple[tuple[MetricTarget, str], ...] = ()
        """Metrics and their labels."""
        self._functions: frozenset[FunctionId] = frozenset()
        self._release: ReleaseId | None = None
        self._compared: list[_ComparedMetric] = []
        self._revision = -1
        self._why_not_random: str | None = None
        self._results: tuple[ComparisonResult, ...] = ()

    def watch(self, functions: Iterable[FunctionTarget], targets: Sequence[MetricTarget]) -> None:
        """Compare these metrics, filled for this session, for the main release of these functions."""
        self._functions = frozenset(each.id for each in functions)
        self._targets = tuple(zip(targets, metric_labels(targets), strict=True))

    def update(self, now: datetime, not_random: Mapping[ReleaseId, str | None]) -> tuple[ComparisonResult, ...]:
        """Return the comparisons for the main release; none without one that is compared.

        `not_random` says by release why its requests do not fall on the versions at random.
        """
        release = main_release_of(self._functions, self._store.release.states.values(), now)
        if release is None or not has_two_versions(release) or release.phase in WENT_WRONG:
            self._release, self._compared = None, []
            return ()
        known = self._release == release_id(release)
        if not known:
            self._release = release_id(release)
            by_version = sum(target.is_by_version for target, _ in self._targets)
            self._compared = [
                _ComparedMetric(target, label, release, self._limits, max(1, by_version))
                for target, label in self._targets
            ]
        revision = self._store.revision(Topic.METRICS)
        why_not_random = not_random.get(release_id(release))
        if not known or (revision, why_not_random) != (self._revision, self._why_not_random):
            self._revision, self._why_not_random = revision, why_not_random
            minutes = {each.start_ms // 1000: each for each in counted_minutes(self._store, release)}
            self._results = tuple(each.update(self._store, release, minutes, why_not_random) for each in self._compared)
        return self._results


class _ComparedMetric:
    """One metric of one release."""

    def __init__(
        self, target: MetricTarget, label: str, release: ReleaseState, limits: Compare, comparisons: int
    ) -> None:
        self._target = target
        self._label = label
        self._new, self._old = release.version or "", release.previous or ""
        function = unique_name(release.id.subject, release.place)
        self._comparison = MetricComparison(target, label, function, (self._new, self._old), limits, comparisons)
        started_s = release.started_at.timestamp() if release.started_at is not None else 0.0
        self._before_s, self._since_s = started_s, started_s + SERIES_S if started_s else 0.0
        self._taken: set[int] = set()

    def update(
        self, store: Store, release: ReleaseState, minutes: Mapping[int, RequestBatch], why_not_random: str | None
    ) -> ComparisonResult:
        """Take the periods that have settled since the last call, and return the comparison."""
        if self._target.is_by_version:
            self._take_both(store, release, minutes)
        else:
            self._take_one(store)
        return self._comparison.result(why_not_random)

    def _take_one(self, store: Store) -> None:
        series = self._series(store, None)
        for point in self._fresh(series):
            if point.timestamp_s + _period_s(series) <= self._before_s:
                self._comparison.add_before(point.value)
            elif point.timestamp_s >= self._since_s:
                self._comparison.add_alone(point.value)
            self._taken.add(point.timestamp_s)

    def _take_both(self, store: Store, release: ReleaseState, minutes: Mapping[int, RequestBatch]) -> None:
        new, old = self._series(store, self._new), self._series(store, self._old)
        serving = {version for version, weight in release.weights.items() if weight > 0}
        period_s = _period_s(new or old)
        for at_s in sorted({each.timestamp_s for each in (*self._fresh(new), *self._fresh(old))}):
            new_value, old_value = self._value(new, at_s), self._value(old, at_s)
            if at_s + period_s <= self._before_s:
                if old_value is not None:
                    self._comparison.add_before(old_value)
            elif at_s < self._since_s:
                pass  # a mixture of both sides of the shift
            elif new_value is not None and old_value is not None:
                requests = [_requests(minutes, each, at_s, period_s) for each in (self._new, self._old)]
                if self._comparison.counts_events and None in requests:
                    continue  # until CloudWatch has counted the requests of both versions
                end_ms = (at_s + period_s) * 1000
                self._comparison.add(end_ms, Period(new_value, requests[0]), Period(old_value, requests[1]))
            elif new_value is not None and self._old not in serving:
                self._comparison.add_alone(new_value)
            else:
                continue  # the other version's point may still come
            self._taken.add(at_s)

    def _series(self, store: Store, version: str | None) -> MetricSeries | None:
        return next(
            (
                series
                for key, series in store.metrics.series.items()
                if (key.label, key.version, key.metric) == (self._label, version, self._target.metric)
            ),
            None,
        )

    def _fresh(self, series: MetricSeries | None) -> Iterator[MetricPoint]:
        if series is not None:
            yield from (each for each in series.points if each.settled and each.timestamp_s not in self._taken)

    def _value(self, series: MetricSeries | None, at_s: int) -> float | None:
        """Return a settled value; events that were not counted in a period that was read count as 0."""
        if series is None:
            return None
        value = next((each.value for each in series.points if each.timestamp_s == at_s and each.settled), None)
        if value is None and self._comparison.counts_events:
            was_read = any(start_s <= at_s < end_s for start_s, end_s in series.read)
            has_point = any(each.timestamp_s == at_s for each in series.points)
            return 0.0 if was_read and not has_point else None
        return value


def _period_s(series: MetricSeries | None) -> int:
    return series.period_s if series is not None else _MINUTE_S


def _requests(minutes: Mapping[int, RequestBatch], version: str, at_s: int, period_s: int) -> int | None:
    """Return the requests of a version in one period; None unless every minute of it was counted."""
    counted = [minutes.get(at) for at in range(at_s, at_s + max(period_s, _MINUTE_S), _MINUTE_S)]
    if any(each is None for each in counted):
        return None
    return sum(each.of(version).requests for each in counted if each is not None)
