"""Rows of the check grid, failures first; no check is green without a measurement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

from prodwatch.judge.freshness import is_stale
from prodwatch.model.status import WORST_FIRST, Status
from prodwatch.store.check_history import CheckTrack
from prodwatch.store.store import Store

OUTCOMES = 12
"""Latest outcomes shown per row."""

CheckSort = Literal["status", "name", "latency", "age"]
_RED = frozenset((Status.FAIL, Status.ERROR, Status.INCONCLUSIVE))
_WEIGHT = {status: weight for weight, status in enumerate(WORST_FIRST)}
_WAITING_WEIGHT = 2.5
"""Weight of checks that never finished: below everything that is not green, above degraded checks."""


class CheckRow(msgspec.Struct, frozen=True, kw_only=True):
    """One check as the grid shows it."""

    id: str
    title: str
    kind: str
    status: Status | None
    running: bool
    past: tuple[Status, ...]
    """Outcomes of earlier runs, oldest first, as far as those of this session leave room for them."""
    outcomes: tuple[Status, ...]
    """Oldest first."""
    latency_ms: int | None
    age_s: float | None
    stale: bool
    since: datetime | None
    streak: int
    message: str | None
    owner: str | None
    flags: tuple[str, ...]


class CheckGrid(msgspec.Struct, frozen=True, kw_only=True):
    """All rows in display order, and how many there are of each status."""

    rows: tuple[CheckRow, ...]
    counts: dict[Status, int]
    """Smoke checks only, as the verdict counts them."""
    waiting: int
    """Smoke checks no round of which has finished."""
    every_s: float | None
    """The shortest interval between rounds, None when unknown."""


def check_grid(
    store: Store,
    now: datetime,
    *,
    every_s: float = 30.0,
    sort: CheckSort = "status",
    needle: str = "",
    tracks: Sequence[CheckTrack] | None = None,
) -> CheckGrid:
    """Return the grid at `now`; `every_s` holds for checks that do not say how often they run.

    `tracks` are the checks of a moment that has passed, None for those of now.
    """
    tracks = tuple(store.checks.tracks.values()) if tracks is None else tracks
    rows = [
        _row(track, now, every_s, store.checks.past.get(track.id, ())) for track in tracks if _matches(track, needle)
    ]
    smoke = [track for track in tracks if track.kind == "smoke"]
    counts: dict[Status, int] = {}
    for track in smoke:
        if track.status:
            counts[track.status] = counts.get(track.status, 0) + 1
    return CheckGrid(
        rows=tuple(_sorted(rows, sort)),
        counts=counts,
        waiting=sum(track.status is None for track in smoke),
        every_s=min((each for track in smoke if (each := interval_s(track, every_s)) is not None), default=None),
    )


def interval_s(track: CheckTrack, every_s: float) -> float | None:
    """Return the seconds between rounds; None for a mutating check without an interval, which runs once per session."""
    definition = track.definition
    if definition and definition.every_s is not None:
        return definition.every_s
    return None if definition and definition.mutates else every_s


def message_of(track: CheckTrack, every_s: float) -> str | None:
    """Return the latest result's message; a red check that no round repeats says how it is run again."""
    message = track.latest.message if track.latest else None
    if message is None or track.status not in _RED or interval_s(track, every_s) is not None:
        return message
    return f"{message}; it runs once per session: r runs it again"


def _row(track: CheckTrack, now: datetime, every_s: float, past: tuple[Status, ...]) -> CheckRow:
    latest = track.latest
    measured = latest is not None and latest.status is not Status.SKIPPED
    age_s = (now - track.finished_at).total_seconds() if track.finished_at else None
    flags = tuple(flag for flag in ("critical", "advisory", "muted", "flaky", "stalled") if track.has(flag))
    return CheckRow(
        id=track.id,
        title=track.title,
        kind=track.kind,
        status=track.status,
        running=track.running_since is not None,
        past=past[-room:] if (room := OUTCOMES - 1 - len(track.history)) > 0 else (),
        outcomes=tuple(outcome.status for outcome in track.history[-OUTCOMES:]),
        latency_ms=latest.duration_ms if latest and measured else None,
        age_s=age_s,
        stale=is_stale(age_s, interval_s(track, every_s)),
        since=track.status_since,
        streak=track.streak,
        message=message_of(track, every_s),
        owner=(latest.owner if latest else None) or (track.definition.owner if track.definition else None),
        flags=flags,
    )


def _matches(track: CheckTrack, needle: str) -> bool:
    needle_folded = needle.casefold()
    return not needle_folded or needle_folded in track.title.casefold() or needle_folded in track.id.casefold()


def _sorted(rows: Sequence[CheckRow], sort: CheckSort) -> list[CheckRow]:
    """Sort stably, so that rows with equal keys stay in the order of the files."""
    if sort == "name":
        return sorted(rows, key=lambda row: row.title.casefold())
    if sort == "latency":
        return sorted(rows, key=lambda row: -(row.latency_ms if row.latency_ms is not None else -1))
    if sort == "age":
        return sorted(rows, key=lambda row: -(row.age_s if row.age_s is not None else float("inf")))
    return sorted(rows, key=_weight)


def _weight(row: CheckRow) -> tuple[bool, float]:
    weight = _WEIGHT[row.status] if row.status else _WAITING_WEIGHT
    return (row.kind != "smoke", weight)
