"""The usual range of a metric, for its chart, and the hour it was measured in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from prodwatch.model.release import first_release
from prodwatch.model.signal import MetricKey
from prodwatch.store.store import Store
from prodwatch.views.chart import band
from prodwatch.views.release import FunctionReleases, version_label

HOUR = timedelta(hours=1)
WEEK = timedelta(weeks=1)
RECENT = timedelta(minutes=15)
"""Without a release the newest minutes are what is looked at, so they do not count as usual."""


class UsualRange(msgspec.Struct, frozen=True, kw_only=True):
    """The range of the middle 80 % of the minutes."""

    low: float
    high: float
    over: str
    """Version and hour of the minutes: `v41 in the hour before the release`."""


def usual_range(store: Store, keys: Sequence[MetricKey], now: datetime) -> UsualRange | None:
    """Return the range of the hour before the release, else of last week's same hour, else of the hour before.

    The version under release of the series' function never counts; None when no such hour has five minutes.
    """
    releases = FunctionReleases(store.release.states.values(), now)
    own = [(key, releases.of_series(key)) for key in keys]
    release = first_release(each for _, each in own if each is not None)
    main = release or releases.main
    started = main.started_at if main else None
    old = [key for key, each in own if each is None or key.version != each.version]
    whose = f"{version_label(release.previous)} in " if release and release.previous else ""
    hours: tuple[tuple[datetime, str], ...]
    if started is not None:
        hours = ((started, f"{whose}the hour before the release"),)
    else:
        hours = ((now - WEEK + RECENT, "the same hour last week"), (now - RECENT, "the hour before the last 15 min"))
    for end, over in hours:
        bounds = band(_values(store, old, end - HOUR, end))
        if bounds is not None:
            return UsualRange(low=bounds[0], high=bounds[1], over=over)
    return None


def _values(store: Store, keys: Sequence[MetricKey], begin: datetime, end: datetime) -> list[float]:
    first, last = begin.timestamp(), end.timestamp()
    return [
        point.value
        for key in keys
        if (series := store.metrics.series.get(key)) is not None
        for point in series.points
        if first <= point.timestamp_s < last
    ]
