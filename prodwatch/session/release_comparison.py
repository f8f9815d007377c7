"""Compares the versions of every release of a session: reads batches of requests, files the results in the store."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain

import msgspec

from prodwatch.judge.comparison.coverage import RouteCounts, coverage_of
from prodwatch.judge.comparison.signature_comparison import SeenSignature, SignatureComparison
from prodwatch.judge.comparison.version_comparison import VersionComparison
from prodwatch.judge.signatures.signature import signature_id
from prodwatch.model.comparison import BATCH_MS, ComparisonResult, RequestBatch, SignatureResult
from prodwatch.model.environment import Baseline, Compare, FunctionTarget, KnownSignature, MetricTarget
from prodwatch.model.evidence import LastWeekRead, Looked
from prodwatch.model.identity import FunctionId, GroupId, unique_name
from prodwatch.model.release import (
    WENT_WRONG,
    ReleaseId,
    has_two_versions,
    is_serving,
    present_releases,
    release_id,
)
from prodwatch.model.signal import UNREADABLE, ReleaseState, SourcePhase
from prodwatch.session.configuration_comparison import ConfigurationComparison
from prodwatch.session.metric_comparisons import MetricComparisons
from prodwatch.session.version_counts import CountedDurations, CountedMinutes, counted_minutes, usual_durations
from prodwatch.store.request_ledger import RequestLedger
from prodwatch.store.store import Store
from prodwatch.text.parse_user_times import instant_of
from prodwatch.views.alarm_and_error_rows import signature_groups, was_before

UNREADABLE_FOR = timedelta(minutes=2)
"""Time for which a log group without a counted request cannot be read, after which CloudWatch's counts are compared."""
_WITHOUT_LINES = UNREADABLE | {SourcePhase.WAITING}
SILENT_MINUTES = 3
"""Minutes with invocations of which the log lines name none, after which CloudWatch's counts are compared."""
RECENT_BATCHES = 60
"""Batches kept without a release: half an hour."""


class _Key(msgspec.Struct, frozen=True):
    """Identity of a release with two versions."""

    subject: str
    version: str
    previous: str
    started_at: datetime | None


class ReleaseComparisons:
    """All comparisons of a session; a release that goes wrong or is replaced is compared no further."""

    def __init__(self, store: Store, limits: Compare, functions: int, *, baseline: Baseline = "auto") -> None:
        """`functions` is the number of functions that may be under release: the bound on false alarms is for all.

        Without a baseline nothing is compared.
        """
        self._store = store
        self._baseline = baseline
        self._limits = limits
        self._functions = max(1, functions)
        self._compared: dict[_Key, _ComparedRelease] = {}
        self._configurations: dict[ReleaseId, ConfigurationComparison] = {}
        self._watched: dict[tuple[FunctionId, GroupId], _WatchedFunction] = {}
        self._metrics = MetricComparisons(store, limits)
        self.batches: list[RequestBatch] = []
        """Batches closed by the latest update, in the order of time."""

    def watch(self, functions: Iterable[FunctionTarget], metrics: Sequence[MetricTarget] = ()) -> None:
        """Count the requests of these functions from now on, so that a later release has a time before it.

        The filled `metrics` are compared, too.
        """
        watched = tuple(functions)
        for each in watched:
            self._watch(each.id, each.group_id)
        self._metrics.watch(watched, metrics)
        if self._baseline == "auto" and (self._limits.errors or self._limits.latency or self._limits.signatures):
            self._store.compare(each.id for each in watched)

    def update(self, now: datetime) -> None:
        """Judge what has been read since the last update, and file the results."""
        self._store.note(Looked(at=now))
        states = self._store.release.states.values() if self._baseline == "auto" else ()
        under_way = [
            (release, key)
            for release in present_releases(states, now)
            if (key := _key_of(release)) is not None and release.phase not in WENT_WRONG
        ]
        for release, _ in under_way:
            self._watch(release.id, release.group_id)
        closed = {watched: each.close(self._store) for watched, each in self._watched.items()}
        writers = Counter(group for group, _ in {(group, function.name) for function, group in self._watched})
        present: dict[_Key, _ComparedRelease] = {}
        for release, key in under_way:
            lines = (release.id, release.group_id)
            watched = self._watched[lines]
            batches: Iterable[RequestBatch] = closed[lines]
            compared = self._compared.get(key)
            if compared is None:
                compared = _ComparedRelease(release, key, self._limits, self._functions)
                batches = watched.recent
            is_mixed = writers[release.group_id] > 1 and watched.is_unnamed
            counted = compared.choose_basis(self._store, release, now, is_mixed=is_mixed)
            if counted is not None:
                batches = closed[lines] = counted
            compared.update(release, batches, now)
            present[key] = compared
        self.batches = [each for batches in closed.values() for each in batches]
        self._compared = present
        self._compare_configurations(closed, now)
        comparisons = [each for compared in present.values() for each in compared.results()]
        comparisons += [each for compared in self._configurations.values() for each in compared.results()]
        if self._baseline == "auto":
            comparisons += self._metrics.update(
                now, {release_id(each.release): each.versions.why_not_random for each in present.values()}
            )
        signatures = [each for compared in present.values() for each in compared.signatures(self._store, now)]
        covered = [counts.result() for compared in present.values() for counts in compared.routes]
        coverage = coverage_of(covered, self._limits.coverage)
        looked_at = frozenset(release_id(each.release) for each in present.values() if each.is_looked_at(self._store))
        self._store.set_comparisons(tuple(comparisons), tuple(signatures), coverage, compared=looked_at)

    def exceedances_of(self, function: FunctionTarget) -> tuple[tuple[str, str], ...]:
        """Return version and statistic of the durations that CloudWatch has to count for a function's release."""
        return tuple(
            dict.fromkeys(
                needed
                for each in self._compared.values()
                if each.release.id == function.id
                for needed in each.exceedances
            )
        )

    def without_last_week(self) -> tuple[ReleaseState, ...]:
        """Return the releases that only time can be compared with, and whose same time a week ago was not read."""
        configurations = (each.without_last_week() for each in self._configurations.values())
        releases = (each.release for each in self._compared.values() if each.lacks_last_week)
        return (*releases, *chain.from_iterable(configurations))

    def add_last_week(self, release: ReleaseState, minutes: Sequence[RequestBatch]) -> None:
        """Compare a release with the same time a week ago, too; nothing if it is over meanwhile."""
        compared = self._compared.get(key) if (key := _key_of(release)) is not None else None
        if compared is not None:
            self._store.note(LastWeekRead(release=release, minutes=tuple(minutes)))
            compared.add_last_week(minutes)
            return
        for configuration in self._configurations.values():
            if release in configuration.without_last_week():
                self._store.note(LastWeekRead(release=release, minutes=tuple(minutes)))
                configuration.add_last_week(release.id, minutes)

    def _compare_configurations(
        self, closed: Mapping[tuple[FunctionId, GroupId], Sequence[RequestBatch]], now: datetime
    ) -> None:
        """Judge the requests of every function by the releases of configurations, which any of them may read."""
        states = self._store.release.configurations.values() if self._baseline == "auto" else ()
        present: dict[ReleaseId, ConfigurationComparison] = {}
        for release in present_releases(states, now):
            if release.phase in WENT_WRONG or not is_serving(release):
                continue
            id_ = release_id(release)
            batches = {function: tuple(own) for (function, _), own in closed.items()}
            compared = self._configurations.get(id_)
            if compared is None:
                compared = ConfigurationComparison(release, self._limits, self._functions)
                batches = {function: tuple(each.recent) for (function, _), each in self._watched.items()}
            compared.update(batches)
            present[id_] = compared
        self._configurations = present

    def _watch(self, function: FunctionId, group: GroupId) -> _WatchedFunction:
        watched = self._watched.get((function, group))
        if watched is None:
            ledger = self._store.watch_requests(function, group, self._limits.exclude, self._limits.coverage_by)
            watched = self._watched[function, group] = _WatchedFunction(function, group, ledger)
        return watched


class _WatchedFunction:
    """The requests of one function, closed as they are read, whether or not there is a release."""

    def __init__(self, function: FunctionId, group: GroupId, ledger: RequestLedger) -> None:
        self._source = f"logs:{group.key}"
        self._function = unique_name(function.subject, function.place)
        self._ledger = ledger
        self.recent: deque[RequestBatch] = deque(maxlen=RECENT_BATCHES)
        """The latest batches, in the order of time: what a release that begins now has before it."""

    @property
    def is_unnamed(self) -> bool:
        """Whether requests do not name the function that they are of."""
        return self._ledger.unnamed > 0

    def close(self, store: Store) -> tuple[RequestBatch, ...]:
        """Return the batches that have been read since the last call."""
        status = store.sources.get(self._source)
        if status is None or status.fresh_at is None:
            return ()
        closed = self._ledger.close(self._function, int(status.fresh_at.timestamp() * 1000))
        self.recent.extend(closed)
        return closed


class _ComparedRelease:
    """The release of one function."""

    def __init__(self, release: ReleaseState, key: _Key, limits: Compare, functions: int) -> None:
        self._key = key
        self.release = release
        """Its latest state."""
        self._last_week: Sequence[RequestBatch] | None = None
        """None before it was read."""
        self._writers = release.writers
        self._limits = limits
        self._functions = functions
        self._weights = release.weights
        self._started_at = release.started_at
        self.routes = _routes(key, limits)
        self.versions = VersionComparison(key.subject, key.version, key.previous, limits, comparisons=functions)
        self.versions.shift(self._started_ms)
        self._errors = (
            SignatureComparison(key.subject, key.version, key.previous, limits.signatures)
            if limits.signatures is not None
            else None
        )
        self._has_batches = False
        """Whether any batch since the release was compared."""
        self._has_requests = False
        """Whether log lines have brought a request of either version since the release."""
        self._unreadable_since: datetime | None = None
        self._minutes: CountedMinutes | None = None
        """None while requests are counted from log lines."""
        self._durations: CountedDurations | None = None
        """None as well while the old version's usual durations are not known."""

    def choose_basis(
        self, store: Store, release: ReleaseState, now: datetime, *, is_mixed: bool
    ) -> tuple[RequestBatch, ...] | None:
        """Return the new minutes by CloudWatch's counts; None while requests are counted from log lines.

        A release that is compared by count stays so, and forgets what lines have brought: never both.
        """
        if self._minutes is None:
            why = self._why_by_count(store, release, now, is_mixed=is_mixed)
            if why is None:
                return None
            key = self._key
            self._minutes, self._errors = CountedMinutes(), None
            self.routes = _routes(key, self._limits)
            self.versions = VersionComparison(
                key.subject, key.version, key.previous, self._limits, comparisons=self._functions, by_count=why
            )
            self.versions.shift(self._started_ms)
            for each in self._last_week or ():
                self.versions.add_last_week(each)
        if self._durations is None and (usual := usual_durations(store, release)) is not None:
            self._durations = CountedDurations(usual, tuple(map(self.versions.latency_limit, usual)))
        if self._durations is not None:
            for strata in self._durations.take(store, release):
                self.versions.add_exceeding(strata)
        return self._minutes.take(store, release)

    @property
    def _started_ms(self) -> int:
        return int(self._started_at.timestamp() * 1000) if self._started_at is not None else 0

    @property
    def exceedances(self) -> tuple[tuple[str, str], ...]:
        """Version and statistic of the durations by count that this comparison needs; empty while it needs none."""
        return self._durations.series(self.release) if self._durations is not None else ()

    def _why_by_count(self, store: Store, release: ReleaseState, now: datetime, *, is_mixed: bool) -> str | None:
        """Return why the requests cannot be counted from log lines, None while they can or nothing was counted."""
        if is_mixed:
            return "several functions write its log group and lines do not name theirs"
        source = store.sources.get(f"logs:{release.group_id.key}")
        if self._has_requests or source is None:
            return None
        if source.phase not in _WITHOUT_LINES:
            self._unreadable_since = None
        elif self._unreadable_since is None:
            self._unreadable_since = now
        since = [each for each in counted_minutes(store, release) if each.start_ms >= self._started_ms]
        read_up_to_ms = source.fresh_at.timestamp() * 1000 if source.fresh_at is not None else 0
        if since and self._unreadable_since is not None and now - self._unreadable_since >= UNREADABLE_FOR:
            return "its log group cannot be read"
        if len(since) >= SILENT_MINUTES and read_up_to_ms >= since[-1].end_ms + 2 * BATCH_MS:
            return "its log lines report no finished request of either version"
        return None

    def update(self, release: ReleaseState, batches: Iterable[RequestBatch], now: datetime) -> None:
        """Judge batches that have been read."""
        self.release = release
        self.versions.ordered_sources = release.ordered_sources
        if release.weights != self._weights:
            self._weights = release.weights
            self.versions.shift(int(now.timestamp() * 1000))
            if self._errors is not None:
                self._errors.shift()
        for batch in batches:
            for counts in self.routes:
                counts.add(batch)
            if self._started_at is not None and batch.end_ms <= self._started_at.timestamp() * 1000:
                self.versions.add_before(batch)
                if self._errors is not None:
                    self._errors.add_before(batch)
                continue
            self._has_batches = True
            both = (batch.of(self._key.version), batch.of(self._key.previous))
            self._has_requests = self._has_requests or any(each.requests for each in both)
            self.versions.add(batch)
            if self._errors is not None:
                self._errors.add(batch)
        if self._errors is not None:
            self._errors.why_not_random = self.versions.why_not_random

    def is_looked_at(self, store: Store) -> bool:
        """Return whether a batch since the release was compared, or was read and is empty."""
        if self._has_batches:
            return True
        source = store.sources.get(f"logs:{self.release.group_id.key}")
        if source is None or source.fresh_at is None:
            return False
        return self._started_at is None or source.fresh_at >= self._started_at + 2 * timedelta(milliseconds=BATCH_MS)

    @property
    def lacks_last_week(self) -> bool:
        """Whether the new version serves alone, and nothing is known of the same time a week ago."""
        serving = {version for version, weight in self.release.weights.items() if weight > 0}
        return self._last_week is None and self._started_at is not None and serving == {self._key.version}

    def add_last_week(self, minutes: Sequence[RequestBatch]) -> None:
        """Learn from the same time a week ago."""
        self._last_week = minutes
        for each in minutes:
            self.versions.add_last_week(each)

    def results(self) -> tuple[ComparisonResult, ...]:
        """Return the comparisons as of now."""
        return self.versions.results()

    def signatures(self, store: Store, now: datetime) -> list[SignatureResult]:
        """Return the error signatures that the new version has logged, the surest first."""
        if self._errors is None:
            return []
        results = []
        logged = [
            (each, members)
            for _, members in signature_groups(store)
            for each in members
            if each.group in self._writers and each.by_version.get(self._key.version)
        ]
        for each, members in logged:
            seen = SeenSignature(
                key=each.key,
                example=each.sample,
                first_ms=each.first_ms,
                before=was_before(store, members, self._started_at) if self._started_at is not None else None,
                request_id=each.request_id,
                trace_id=each.trace_id,
                accepted=_accepted(signature_id(self._key.subject, each.shape), self._limits.known, now),
            )
            results.append(self._errors.result(seen))
        return sorted(results, key=lambda each: (-each.evidence, -each.canary, each.id))


def _routes(key: _Key, limits: Compare) -> tuple[RouteCounts, ...]:
    """Return empty counts of the routes, then of each field that has to be covered."""
    return tuple(RouteCounts(key.subject, key.version, key.previous, by) for by in (None, *limits.coverage_by))


def _key_of(release: ReleaseState) -> _Key | None:
    """Return the identity of a release with two versions; None without one."""
    if release.version is None or release.previous is None or not has_two_versions(release):
        return None
    subject = unique_name(release.id.subject, release.place)
    return _Key(subject, release.version, release.previous, release.started_at)


def _accepted(signature: str, known: Sequence[KnownSignature], now: datetime) -> str | None:
    """Return the end and the reason of an acceptance that is in force."""
    for each in known:
        if each.signature == signature and now < instant_of(each.until):
            return f"until {each.until}: {each.reason}"
    return None
