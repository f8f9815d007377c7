"""Requests and failures per minute of the two versions of a release, as CloudWatch counts them."""

from __future__ import annotations

from prodwatch.model.comparison import RequestBatch, VersionCounts
from prodwatch.model.identity import unique_name
from prodwatch.model.signal import MetricSeries, ReleaseState
from prodwatch.store.metrics import MetricStore
from prodwatch.store.request_ledger import UNKNOWN_VERSION
from prodwatch.store.store import Store, Topic

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
    found: dict[tuple[str, str], MetricSeries] = {}
    for key, series in metrics.series.items():
        if (key.function, key.version, key.place) != (release.function, version, release.place):
            continue
        alias = dict(key.dimensions).get("Resource", release.function)
        if alias == release.id.subject:
            found[key.metric, key.stat] = series
    rate, share = found.get(_RATE), found.get(_SHARE)
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
