"""Events on one time axis: deployments, traffic, alarms, checks, verdicts and notes."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import msgspec

from prodwatch.model.identity import Place
from prodwatch.model.release import current_release
from prodwatch.model.signal import ReleaseEvent
from prodwatch.store.store import Store
from prodwatch.views.release import version_label
from prodwatch.views.status_style import Tone

LANES = ("codedeploy", "appconfig", "cloudformation", "lambda", "alarm", "check", "verdict", "mark")
LANE_NAMES = {
    "codedeploy": "deploy",
    "appconfig": "config",
    "cloudformation": "stack",
    "lambda": "traffic",
    "alarm": "alarms",
    "check": "checks",
    "verdict": "verdict",
    "mark": "notes",
}
_DEPLOYING = frozenset(("codedeploy", "appconfig", "cloudformation"))
_BAD = frozenset(("ALARM", "fail", "error", "Failed", "Stopped", "failed", "rolled back"))
_DOUBTFUL = frozenset(("degraded", "inconclusive", "INSUFFICIENT_DATA"))
_GOOD = frozenset(("OK", "pass", "Succeeded", "succeeded"))
_BAD_WORDS = re.compile(r"failed|stopped|rollback|rolls? back|revert", re.IGNORECASE)
_GOOD_WORDS = re.compile(r"succeeded|completed?\b", re.IGNORECASE)
"""Words in events of deployments and stacks that mean success."""


class TimelineRow(msgspec.Struct, frozen=True, kw_only=True):
    """One event."""

    number: int
    """Its number in the store, which identifies it."""
    at: datetime
    since_release_s: float | None
    lane: str
    subject: str
    name: str
    """The subject as shown: with account and region where several have its name."""
    place: Place
    text: str
    tone: Tone
    detail: str | None


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """Events, newest first, and their time span."""

    rows: tuple[TimelineRow, ...]
    first: datetime
    last: datetime
    started: datetime | None
    """When the main release began."""


def timeline(store: Store, now: datetime, *, needle: str = "") -> Timeline:
    """Return every event kept that matches `needle`."""
    release = current_release(store.release.states.values(), now)
    started = release.started_at if release else None
    ring = store.release.events
    numbered = [(ring.head + index, event) for index, event in enumerate(ring)]
    rows = [_row(number, event, started, store.release.subject_of(event)) for number, event in numbered]
    needle_folded = needle.casefold()
    if needle_folded:
        rows = [
            row for row in rows if needle_folded in f"{row.lane} {row.name} {row.text} {row.detail or ''}".casefold()
        ]
    rows.sort(key=lambda row: (row.at, row.number), reverse=True)
    first = rows[-1].at if rows else now - timedelta(minutes=10)
    return Timeline(rows=tuple(rows), first=min(first, now - timedelta(minutes=1)), last=now, started=started)


def _row(number: int, event: ReleaseEvent, started: datetime | None, name: str) -> TimelineRow:
    return TimelineRow(
        number=number,
        at=event.at,
        since_release_s=(event.at - started).total_seconds() if started else None,
        lane=event.source,
        subject=event.subject,
        name=name,
        place=event.place,
        text=describe(event),
        tone=tone_of(event),
        detail=event.detail,
    )


def describe(event: ReleaseEvent) -> str:
    """Return the event as text, without its subject."""
    if event.source == "mark":
        return event.to or event.detail or ""
    versions = event.source in {"lambda", "codedeploy", "appconfig"}
    parts = [part for part in (event.from_, event.to) if part]
    change = " → ".join(version_label(part) if versions else part for part in parts)
    if event.source == "lambda" and event.what.startswith("weights"):
        share = f" {event.weight * 100:.0f} %" if event.weight is not None else ""
        return f"{change}{share}" if change else event.what
    if event.source == "alarm" or event.what in {"status", "state"}:
        return change or event.what
    return f"{event.what} {change}".strip()


def tone_of(event: ReleaseEvent) -> Tone:
    """Return whether an event is good or bad news, or neither."""
    if event.source == "mark":
        return Tone.ACCENT
    if event.to in _BAD:
        return Tone.BAD
    if event.to in _DOUBTFUL:
        return Tone.WARN
    if event.source in _DEPLOYING and _BAD_WORDS.search(event.what):
        return Tone.BAD
    good = event.to in _GOOD or (event.source in _DEPLOYING and _GOOD_WORDS.search(event.what))
    return Tone.GOOD if good else Tone.PLAIN


def slot_of(at: datetime, first: datetime, last: datetime, slots: int) -> int:
    """Return the cell of a time, 0 to `slots` - 1; times outside are in the first or last cell."""
    total = (last - first).total_seconds()
    if total <= 0:
        return 0
    return min(slots - 1, max(0, int((at - first).total_seconds() / total * slots)))
