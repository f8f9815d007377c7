"""Freshness and completeness of a panel's data, in words: loading, live, stale, throttled, denied, failed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from prodwatch.model.signal import UNREADABLE, SourcePhase, SourceStatus
from prodwatch.store.store import Store
from prodwatch.text.units import format_age
from prodwatch.views.status_style import SOURCE_STATES, State

_WORST_FIRST = (
    SourcePhase.EXPIRED,
    SourcePhase.DENIED,
    SourcePhase.FAILED,
    SourcePhase.STOPPED,
    SourcePhase.THROTTLED,
    SourcePhase.BEHIND,
    SourcePhase.STARTING,
    SourcePhase.WAITING,
    SourcePhase.IDLE,
    SourcePhase.LIVE,
)
_RANK = {phase: rank for rank, phase in enumerate(_WORST_FIRST)}
_FINE = frozenset((SourcePhase.WAITING, SourcePhase.IDLE, SourcePhase.LIVE))
_AGELESS = UNREADABLE | {SourcePhase.WAITING}
"""Phases that do not count for the age of the panel's data."""
_NOTES = 3
"""Notes that fit a panel's lower edge."""


class Freshness(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one panel's sources, summarised by the worst one."""

    phase: SourcePhase | None
    """None: no source feeds this panel."""
    state: State
    text: str
    """One line for the panel's lower edge."""
    stale: bool
    """The data on screen is out of date."""
    help: str | None
    """The problem or limit and its remedy; None without one."""
    affected: int
    """Number of sources in this phase."""
    total: int


def freshness(store: Store, source: str, now: datetime, *, stale_after_s: float = 30.0) -> Freshness:
    """Return the state of `source`; `logs` includes every `logs:<group>`."""
    statuses = [status for name, status in store.sources.items() if name == source or name.startswith(f"{source}:")]
    if not statuses:
        session = store.sources.get("session")
        if session is not None and session.phase in UNREADABLE:
            return Freshness(
                phase=session.phase,
                state=SOURCE_STATES[session.phase],
                text="not read",
                stale=True,
                help=f"{session.message or 'The session could not be started'}.".replace("..", "."),
                affected=0,
                total=0,
            )
        state = SOURCE_STATES[SourcePhase.STARTING]
        return Freshness(phase=None, state=state, text="no response yet", stale=False, help=None, affected=0, total=0)
    worst = min(statuses, key=lambda status: _RANK[status.phase])
    affected = [status for status in statuses if status.phase is worst.phase]
    fresh_at = min(
        (status.fresh_at for status in statuses if status.fresh_at and status.phase not in _AGELESS), default=None
    )
    age_s = (now - fresh_at).total_seconds() if fresh_at else None
    stale = worst.phase in UNREADABLE or (age_s is not None and age_s > stale_after_s)
    parts = [_phase_text(worst, now, age_s, stale=stale)]
    if len(affected) < len(statuses) and worst.phase not in _FINE:
        parts[0] += f" ({len(affected)} of {len(statuses)})"
    parts += [*_losses(statuses, store, source), *_notes(statuses)]
    return Freshness(
        phase=worst.phase,
        state=SOURCE_STATES[worst.phase],
        text=" · ".join(parts),
        stale=stale,
        help=_help(worst, now) or _limits(statuses),
        affected=len(affected),
        total=len(statuses),
    )


def _phase_text(status: SourceStatus, now: datetime, age_s: float | None, *, stale: bool) -> str:
    word = SOURCE_STATES[status.phase].word
    if status.phase in (SourcePhase.LIVE, SourcePhase.IDLE) and age_s is not None:
        fine = f"{age_s:.1f} s" if age_s < 10 else format_age(age_s)
        return f"stale, last read {format_age(age_s)} ago" if stale else f"fresh {fine}"
    if status.phase is SourcePhase.DENIED:
        return f"not allowed{f': needs {status.action}' if status.action else ''}"
    if status.retry_at is not None:
        return f"{word}, next try in {format_age((status.retry_at - now).total_seconds())}"
    if status.phase is SourcePhase.BEHIND and age_s is not None:
        return f"behind by {format_age(age_s)}"
    return word


def _losses(statuses: Sequence[SourceStatus], store: Store, source: str) -> list[str]:
    late = sum(status.late for status in statuses)
    sampled = sum(status.sampled for status in statuses)
    dropped = sum(status.dropped for status in statuses)
    lost = store.logs.lost if source == "logs" else 0
    left_out = "not read (cost limit)" if source == "traces" else "sampled by Live Tail"
    counts = ((late, "late"), (sampled, left_out), (dropped, "dropped"), (lost, "lost by Lambda"))
    return [f"{count:,} {word}" for count, word in counts if count]


def _notes(statuses: Sequence[SourceStatus]) -> list[str]:
    """Return the distinct notes of the sources: limits in a few words."""
    notes = list(dict.fromkeys(note for status in statuses for note in status.notes))
    further = len(notes) - _NOTES
    return [*notes[:_NOTES], f"{further} more notes"] if further > 0 else notes


def _limits(statuses: Sequence[SourceStatus]) -> str | None:
    """Return the distinct messages of the sources that have notes."""
    sentences = list(dict.fromkeys(status.message for status in statuses if status.notes and status.message))
    further = len(sentences) - _NOTES
    text = ". ".join(sentences[:_NOTES])
    if further > 0:
        text += f". {further} more sources have notes"
    return f"{text[0].upper()}{text[1:]}." if text else None


def _help(status: SourceStatus, now: datetime) -> str | None:
    if status.phase in (SourcePhase.LIVE, SourcePhase.IDLE, SourcePhase.STARTING):
        return None
    if status.phase is SourcePhase.DENIED and status.action:
        return _denied(status)
    again = f" Next try in {format_age((status.retry_at - now).total_seconds())}." if status.retry_at else ""
    return f"{status.message or SOURCE_STATES[status.phase].word}.{again}" if status.message or again else None


def _denied(status: SourceStatus) -> str:
    return f"{status.message or 'AWS denied access'}. Allow {status.action}; `prodwatch iam-policy` prints the policy."


class SourceLine(msgspec.Struct, frozen=True, kw_only=True):
    """One source; each log group is a source with its own measured freshness."""

    name: str
    """`traces`, or the log group."""
    state: State
    text: str
    detail: str
    """The problem or limit; empty without one."""


def source_lines(store: Store, now: datetime, limit: int) -> tuple[SourceLine, ...]:
    """Return up to `limit` sources, worst first, then by name."""
    ranked = sorted(store.sources.values(), key=lambda status: (_RANK[status.phase], status.source))
    return tuple(_line(status, store, now) for status in ranked[:limit])


def _line(status: SourceStatus, store: Store, now: datetime) -> SourceLine:
    age_s = (now - status.fresh_at).total_seconds() if status.fresh_at else None
    parts = [_phase_text(status, now, age_s, stale=False), *_losses([status], store, status.source)]
    return SourceLine(
        name=status.source.removeprefix("logs:"),
        state=SOURCE_STATES[status.phase],
        text=" · ".join(parts),
        detail=(_denied(status) if status.action else status.message) or "",
    )
