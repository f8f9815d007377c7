"""What a verdict rests on, gathered from the store once so that every sentence speaks of the same moment."""

from __future__ import annotations

from datetime import datetime

import msgspec

from prodwatch.model.release import UNDER_WAY, WENT_WRONG, current_release
from prodwatch.model.signal import AlarmState, ReleasePhase, ReleaseState, SourcePhase, SourceStatus
from prodwatch.model.status import Status
from prodwatch.store.check_results import CheckTrack
from prodwatch.store.store import Store
from prodwatch.views.checks import is_stale
from prodwatch.views.evidence import clock_text, requests_on

_EVIDENCE = frozenset(("alarms", "release", "metrics", "logs", "session"))
"""Sources whose silence would look like good news."""
_OLD_EVIDENCE_S = 300.0
"""Alarms, release and metrics are asked every minute or more often; what is older says nothing about now."""
_UNREADABLE = frozenset((SourcePhase.DENIED, SourcePhase.EXPIRED, SourcePhase.FAILED, SourcePhase.STOPPED))


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    defined: bool
    required: tuple[CheckTrack, ...]
    stale: tuple[CheckTrack, ...]
    firing: tuple[AlarmState, ...]
    blind: tuple[SourceStatus, ...]
    """Sources of evidence that cannot be read, or not as a whole."""
    unread: tuple[str, ...]
    """Sources of evidence that have not answered yet."""
    old: tuple[SourceStatus, ...]
    """Sources of evidence whose last answer is too old to speak of now."""
    release: ReleaseState | None
    beside: tuple[ReleaseState, ...]
    """Releases of other functions that went wrong while this one is under way."""
    requests: str | None
    now: datetime
    every_s: float
    triage: bool
    """Production is asked about, not a release: nobody is told to roll back."""

    def having(self, *statuses: Status) -> tuple[CheckTrack, ...]:
        """Return required checks with one of these statuses, old results left out."""
        return tuple(track for track in self.required if track.status in statuses and track not in self.stale)

    @property
    def unmeasured(self) -> tuple[CheckTrack, ...]:
        """Return required checks no round of which has finished."""
        return tuple(track for track in self.required if track.status is None)


def facts_of(store: Store, now: datetime, every_s: float, *, triage: bool) -> Facts:
    """Return the facts at `now`; with `triage` production is asked about, not a release."""
    required = tuple(
        track
        for track in store.checks.tracks.values()
        if track.kind == "smoke" and not track.has("advisory") and not track.has("muted")
    )
    evidence = [each for name, each in store.sources.items() if name.partition(":")[0] in _EVIDENCE]
    release = current_release(store.release.states.values())
    return Facts(
        defined=store.checks.defined or bool(required),
        required=required,
        stale=tuple(track for track in required if is_stale(track, now, every_s)),
        firing=tuple(alarm for alarm in store.release.alarms.values() if alarm.gate and alarm.state == "ALARM"),
        blind=tuple(each for each in evidence if each.phase in _UNREADABLE or each.unread),
        unread=tuple(each.source for each in evidence if _is_unread(each)),
        old=tuple(each for each in evidence if _is_old(each, now)),
        release=release,
        beside=tuple(each for each in store.release.states.values() if _is_beside(each, release)),
        requests=None if triage else requests_on(store, release),
        now=now,
        every_s=every_s,
        triage=triage,
    )


def _is_unread(status: SourceStatus) -> bool:
    """Tell whether a source has never answered: not yet, or because AWS let nobody in so far."""
    return status.phase is SourcePhase.STARTING or (status.phase is SourcePhase.THROTTLED and status.fresh_at is None)


def _is_beside(state: ReleaseState, main: ReleaseState | None) -> bool:
    return main is not None and main.phase in UNDER_WAY and state.phase in WENT_WRONG


def _is_old(status: SourceStatus, now: datetime) -> bool:
    """Tell whether a source's last answer is old; log lines say so in their own panel, as a busy group lags."""
    if status.fresh_at is None or status.source.startswith("logs") or status.phase in _UNREADABLE:
        return False
    return (now - status.fresh_at).total_seconds() > _OLD_EVIDENCE_S


def blindness(status: SourceStatus) -> str:
    """Return which evidence is missing, and why."""
    if status.unread:
        return f"{status.source} cannot be read as a whole: {'; '.join(status.unread)}"
    return f"{status.source} cannot be read: {_why(status)}"


def _why(status: SourceStatus) -> str:
    told = status.message or str(status.phase)
    return f"{told} (needs {status.action})" if status.action and status.action not in told else told


def next_shift(facts: Facts) -> str | None:
    """Say what the release does next, None when it does nothing or nobody asked about it."""
    release = facts.release
    if release is None or release.phase not in UNDER_WAY:
        return None
    if release.next_shift_at is not None:
        left_s = (release.next_shift_at - facts.now).total_seconds()
        return f"next shift in {clock_text(left_s)}" if left_s > 0 else "the next shift is due"
    if release.phase is ReleasePhase.BAKING:
        return "all traffic is on the new version while it bakes"
    return None
