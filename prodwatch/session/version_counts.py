"""Requests and failures per minute of the two versions of a release, as CloudWatch counts them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from prodwatch.judge.comparison.latency import FEWEST_TO_CALIBRATE
from prodwatch.judge.comparison.strata import Stratum
from prodwatch.judge.comparison.version_comparison import COUNTED_QUANTILES
from prodwatch.model.comparison import RequestBatch, VersionCounts
from prodwatch.model.identity import unique_name
from prodwatch.model.signal import MetricSeries, ReleaseState
from prodwatch.store.metrics import MetricStore
from prodwatch.store.request_ledger import UNKNOWN_VERSION
from prodwatch.store.store import Store, Topic

WARM_UP_S = 120.0
"""Time after the shift whose durations are not compared by count."""
_RATE, _SHARE = ("Invocations", "rate"), ("Errors", "share")


class CountedMinutes:
    """Minutes of one release that have settled, each once."""

    def __init__(self) -> None:
        self._taken: set[int] = set()
        self._revision = -1

    def take(self, store: Store, release: ReleaseState) -> tuple[RequestBatch, ...]:
        """Return the minutes that have become known since the last call, oldest first.

        A minute is known when both series of each version that serves have settled. The minute of the first shift
        belongs to neither side and is left out; a minute that is known after a later one is `late`.
        """
        revision = store.revision(Topic.METRICS)
        if revision == self._revision:
            return ()
        self._revision = revision
        minutes = [each for each in counted_minutes(store, release) if each.start_ms not in self._taken]
        newest_ms = max(self._taken, default=0)
        self._taken.update(each.start_ms for each in minutes)
        return tuple(
            RequestBatch(
                function=each.function,
                start_ms=each.start_ms,
                end_ms=each.end_ms,
                versions=each.versions,
                late=each.start_ms < newest_ms,
                basis="counts",
            )
            for each in minutes
        )


class CountedDurations:
    """Durations of one release above limits that are fixed before it, per minute and version."""

    def __init__(self, usual_ms: Sequence[float], limits_ms: Sequence[float]) -> None:
        """`usual_ms` are the old version's quantiles, `limits_ms` what the new one may take instead."""
        self._old_stats = tuple(map(_exceedance, usual_ms))
        self._new_stats = tuple(map(_exceedance, limits_ms))
        self._taken: set[int] = set()

    def series(self, release: ReleaseState) -> tuple[tuple[str, str], ...]:
        """Return version and statistic of each series that has to be read."""
        new, old = release.version or "", release.previous or ""
        return (*((old, each) for each in self._old_stats), *((new, each) for each in self._new_stats))

    def take(self, store: Store, release: ReleaseState) -> list[tuple[Stratum, ...]]:
        """Return the minutes that have become known since the last call, one stratum per quantile.

        The first minutes after the shift are left out: CloudWatch cannot tell requests that warm an environment up.
        """
        started_s = release.started_at.timestamp() if release.started_at is not None else 0.0
        new, old = release.version or "", release.previous or ""
        counted = {
            (version, stat): {
                point.timestamp_s: round(point.value)
                for series in _series(store.metrics, release, version, "Duration", stat)
                for point in series.points
                if point.settled
            }
            for version, stat in self.series(release)
        }
        strata = []
        for minute in counted_minutes(store, release):
            at_s = minute.start_ms // 1000
            if at_s in self._taken or at_s < started_s + WARM_UP_S:
                continue
            served, usual = minute.of(new).requests, minute.of(old).requests
            above = [counted[new, stat].get(at_s) for stat in self._new_stats]
            below = [counted[old, stat].get(at_s) for stat in self._old_stats]
            if not served or not usual or None in (*above, *below):
                continue
            self._taken.add(at_s)
            strata.append(
                tuple(
                    Stratum(served, min(served, slow or 0), usual, min(usual, slower or 0))
                    for slow, slower in zip(above, below, strict=True)
                )
            )
        return strata


def usual_durations(store: Store, release: ReleaseState) -> tuple[float, ...] | None:
    """Return the old version's quantiles in ms before the release; None with too few requests to know them."""
    if release.started_at is None or release.previous is None:
        return None
    started_s = release.started_at.timestamp()
    counts = _counts(store.metrics, release, release.previous)
    before = sum(each.requests for at_s, (period_s, each) in counts.items() if at_s + period_s <= started_s)
    if before < FEWEST_TO_CALIBRATE:
        return None
    quantiles = []
    for stat in COUNTED_QUANTILES:
        values = [
            point.value
            for series in _series(store.metrics, release, release.previous, "Duration", stat)
            for point in series.points
            if point.settled and point.timestamp_s + series.period_s <= started_s
        ]
        if not values:
            return None
        quantiles.append(median(values))
    return tuple(quantiles)


def _exceedance(limit_ms: float) -> str:
    """Return CloudWatch's statistic that counts values above a limit."""
    return f"TC({limit_ms:.3f}:)"


def counted_minutes(store: Store, release: ReleaseState) -> list[RequestBatch]:
    """Return every known minute of a release, oldest first."""
    new, old = release.version, release.previous
    if new is None or old is None:
        return []
    counts = {version: _counts(store.metrics, release, version) for version in (new, old)}
    started_s = release.started_at.timestamp() if release.started_at is not None else 0.0
    minutes = []
    for at_s in sorted(counts[new].keys() | counts[old].keys()):
        versions = {version: known[at_s][1] for version, known in counts.items() if at_s in known}
        end_s = at_s + max(known[at_s][0] for known in counts.values() if at_s in known)
        if end_s <= started_s:
            complete = old in versions
        else:
            # A version without a point has not served, if it gets no traffic; else its point is missing.
            serving = {version for version in (new, old) if release.weights.get(version, 0) > 0}
            complete = at_s >= started_s and serving <= versions.keys()
        if complete:
            minutes.append(
                RequestBatch(
                    function=unique_name(release.id.subject, release.place),
                    start_ms=at_s * 1000,
                    end_ms=end_s * 1000,
                    versions=versions,
                    basis="counts",
                )
            )
    return minutes


def minutes_of_all_versions(metrics: MetricStore, release: ReleaseState) -> tuple[RequestBatch, ...]:
    """Return every settled minute of a function's alias in `metrics`, whichever versions served, oldest first."""
    return tuple(
        RequestBatch(
            function=unique_name(release.id.subject, release.place),
            start_ms=at_s * 1000,
            end_ms=(at_s + period_s) * 1000,
            versions={UNKNOWN_VERSION: counts},
            basis="counts",
        )
        for at_s, (period_s, counts) in sorted(_counts(metrics, release, None).items())
    )


def _counts(metrics: MetricStore, release: ReleaseState, version: str | None) -> dict[int, tuple[int, VersionCounts]]:
    """Return start of the period → its length in seconds and its counts, where both series have settled."""
    rate = next(_series(metrics, release, version, *_RATE), None)
    share = next(_series(metrics, release, version, *_SHARE), None)
    if rate is None or share is None:
        return {}
    shares = {point.timestamp_s: point.value for point in share.points if point.settled}
    counts = {}
    for point in rate.points:
        if point.settled and point.timestamp_s in shares:
            requests = round(point.value * rate.period_s)
            failed = min(requests, round(requests * shares[point.timestamp_s] / 100))
            counts[point.timestamp_s] = rate.period_s, VersionCounts(requests=requests, failed=failed)
    return counts


def _series(
    metrics: MetricStore, release: ReleaseState, version: str | None, metric: str, stat: str
) -> Iterator[MetricSeries]:
    """Yield the series of a version of the release's function and alias."""
    for key, series in metrics.series.items():
        if (key.function, key.version, key.place) != (release.function, version, release.place):
            continue
        alias = dict(key.dimensions).get("Resource", release.function)
        if (key.namespace, key.metric, key.stat, alias) == ("AWS/Lambda", metric, stat, release.id.subject):
            yield series
