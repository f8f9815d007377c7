"""What a verdict rests on, gathered from the store once so that every sentence speaks of the same moment."""

from __future__ import annotations

from datetime import datetime

import msgspec

from prodwatch.model.signal import AlarmState, ReleaseState, SourcePhase, SourceStatus
from prodwatch.model.status import Status
from prodwatch.store.checks import CheckTrack
from prodwatch.store.store import Store
from prodwatch.views.checks import is_stale
from prodwatch.views.evidence import requests_on
from prodwatch.views.release import main_release

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
    """Sources of evidence that cannot be read."""
    unread: tuple[str, ...]
    """Sources of evidence that have not answered yet."""
    old: tuple[SourceStatus, ...]
    """Sources of evidence whose last answer is too old to speak of now."""
    release: ReleaseState | None
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
    release = main_release(store.release.states.values())
    return Facts(
        defined=store.checks.defined or bool(required),
        required=required,
        stale=tuple(track for track in required if is_stale(track, now, every_s)),
        firing=tuple(alarm for alarm in store.release.alarms.values() if alarm.gate and alarm.state == "ALARM"),
        blind=tuple(each for each in evidence if each.phase in _UNREADABLE),
        unread=tuple(each.source for each in evidence if each.phase is SourcePhase.STARTING),
        old=tuple(each for each in evidence if _is_old(each, now)),
        release=release,
        requests=None if triage else requests_on(store, release),
        now=now,
        every_s=every_s,
        triage=triage,
    )


def _is_old(status: SourceStatus, now: datetime) -> bool:
    """Tell whether a source's last answer is old; log lines say so in their own panel, as a busy group lags."""
    if status.fresh_at is None or status.source.startswith("logs") or status.phase in _UNREADABLE:
        return False
    return (now - status.fresh_at).total_seconds() > _OLD_EVIDENCE_S
