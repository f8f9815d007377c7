"""Metrics of two versions side by side on one time axis, with the release marked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from prodwatch.model.release import first_release
from prodwatch.model.signal import MetricKey, MetricPoint, MetricSeries, ReleaseState
from prodwatch.model.status import Status
from prodwatch.store.store import Store
from prodwatch.views.metric_rows import Requests, RowKey, Share, by_version, combined, is_count, mean, rows_of
from prodwatch.views.release import FunctionReleases

SLOTS = 60
"""Minutes on the axis."""


class SignalRow(msgspec.Struct, frozen=True, kw_only=True):
    """One metric; series of the same name and unit for different versions share a row."""

    label: str
    unit: str | None
    old: float | None
    """Latest final value of the previous version, or of a series without a version."""
    new: float | None
    """Latest final value of the version under release."""
    change: float | None
    """new / old - 1; None without both, or when old is 0."""
    old_points: tuple[float | None, ...]
    """One per slot, oldest first; None without a value."""
    new_points: tuple[float | None, ...]
    keys: tuple[MetricKey, ...]
    old_version: str | None = None
    """Version of `old`: that of its own function's release; None without one."""
    new_version: str | None = None
    mark: int | None = None
    """Slot of the start of that release; None without one, and outside the axis."""
    status: Status | None = None
    """Of its assertions as last judged; None without any."""

    @property
    def names_its_place(self) -> bool:
        """Return whether the label ends in account and region, because others differ in them alone."""
        return any(key.place and self.label.endswith(f" in {key.place}") for key in self.keys)


class Signals(msgspec.Struct, frozen=True, kw_only=True):
    """All rows on one axis."""

    rows: tuple[SignalRow, ...]
    start_s: int
    """Start of the first slot, epoch seconds."""
    slot_s: int
    slots: int
    mark: int | None
    """Slot of the release's start; None outside the axis."""
    old_version: str | None
    """Of the main release; in triage the name of the first window."""
    new_version: str | None
    share_versions: bool = True
    """Whether every row compares these two versions."""
    settled_s: int | None
    """End of the newest settled period, epoch seconds."""

    def of_row(self, row: SignalRow) -> Signals:
        """Return the table with the versions and the mark of one row's own release, for its chart."""
        mark = self.mark if row.new_version is None else row.mark
        return msgspec.structs.replace(self, old_version=row.old_version, new_version=row.new_version, mark=mark)


def signals(store: Store, now: datetime, *, slots: int = SLOTS, slot_s: int = 60) -> Signals:
    """Return the table for the last `slots` periods of `slot_s` seconds."""
    releases = FunctionReleases(store.release.states.values(), now)
    release = releases.main
    newest = int(now.timestamp()) // slot_s * slot_s
    start = newest - slot_s * (slots - 1)
    new_version = release.version if release else None
    axis = _Axis(start, slots, slot_s)
    results = store.signals.get("metric", ())
    # A metric with namesakes has its account and region in its label, as in its id.
    statuses = {result.name: result.status for result in results} | {result.id: result.status for result in results}
    rows = tuple(
        msgspec.structs.replace(_row(key, by_version(group), releases, axis), status=statuses.get(key.label))
        for key, group in rows_of(store.metrics.series.values()).items()
    )
    return Signals(
        rows=rows,
        start_s=start,
        slot_s=slot_s,
        slots=slots,
        mark=_mark(release, start, slots, slot_s),
        old_version=release.previous if release else None,
        new_version=new_version,
        share_versions=releases.share_versions,
        settled_s=settled_until(store.metrics.series.values()),
    )


class _Axis(NamedTuple):
    start_s: int
    slots: int
    slot_s: int


def _row(key: RowKey, group: Sequence[MetricSeries], releases: FunctionReleases, axis: _Axis) -> SignalRow:
    own = [(series, releases.of_series(series.key)) for series in group]
    fresh = [series for series, release in own if _is_new(series.key, release)]
    old_series = [series for series, release in own if _is_old(series.key, release)]
    release = first_release(release for _, release in own if release is not None)
    old, new = latest(old_series), latest(fresh)
    return SignalRow(
        label=key.label,
        unit=key.unit,
        old=old,
        new=new,
        change=new / old - 1 if old and new is not None else None,
        old_points=on_axis(old_series, *axis),
        new_points=on_axis(fresh, *axis),
        keys=tuple(series.key for series in group),
        old_version=release.previous if release else None,
        new_version=release.version if release else None,
        mark=_mark(release, *axis),
    )


def _is_new(key: MetricKey, release: ReleaseState | None) -> bool:
    return release is not None and key.version is not None and key.version == release.version


def _is_old(key: MetricKey, release: ReleaseState | None) -> bool:
    if release is None:
        return True
    # Versions older than the previous one are not compared.
    return key.version in {None, release.previous} if release.previous else key.version != release.version


def latest(group: Iterable[MetricSeries]) -> float | None:
    """Return the latest final value of all series, else the latest value; None without values."""
    points = [point for series in group for point in (*series.points[-4:], *_ceased(series))]
    settled = [point for point in points if point.settled]
    return max(settled or points, key=_when).value if points else None


def _ceased(series: MetricSeries) -> Iterable[MetricPoint]:
    """Return a point of 0 for a count whose newest settled period was read without data."""
    if is_count(series.key) and series.read:
        newest_s = series.read[-1][1] - series.period_s
        if not series.points or series.points[-1].timestamp_s < newest_s:
            yield MetricPoint(newest_s, 0.0)


def on_axis(
    group: Sequence[MetricSeries], start: int, slots: int, slot_s: int, requests: Requests | None = None
) -> tuple[float | None, ...]:
    """Return one value per slot: the mean of the periods in it, each over all series."""
    shares: list[list[Share]] = [[] for _ in range(slots)]
    for at, share in combined(group, requests or {}, start, start + slots * slot_s).items():
        shares[(at - start) // slot_s].append(share)
    return tuple(map(mean, shares))


def _when(point: MetricPoint) -> int:
    return point.timestamp_s


def _mark(release: ReleaseState | None, start: int, slots: int, slot_s: int) -> int | None:
    if release is None or release.started_at is None:
        return None
    slot = (int(release.started_at.timestamp()) - start) // slot_s
    return slot if 0 <= slot < slots else None


def settled_until(all_series: Iterable[MetricSeries]) -> int | None:
    """Return the end of the newest settled period, epoch seconds; None without one."""
    ends = [
        point.timestamp_s + series.period_s for series in all_series for point in series.points[-4:] if point.settled
    ]
    return max(ends, default=None)
