"""Is production good, in words a tired person can act on. Green only where everything was measured, and lately."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from prodwatch.model.result import VerdictStatus
from prodwatch.model.signal import AlarmState, ReleasePhase, ReleaseState, SourcePhase, SourceStatus
from prodwatch.model.status import Status
from prodwatch.store.checks import CheckTrack
from prodwatch.store.store import Store
from prodwatch.text.units import format_age
from prodwatch.views.checks import is_stale
from prodwatch.views.release import UNDER_WAY, WENT_WRONG, main_release, version_label

REQUIRED_BEFORE_THREE = 5
"""Above so many required checks a third red round is asked for before advice is given."""

_READ_ONLY_TYPES = frozenset(("alarm", "metric", "logs", "traces", "release", "stack"))
"""Checks of these types repeat what other panels show; a check that tried something out says more."""
_EVIDENCE = frozenset(("alarms", "release", "session"))
"""Sources whose silence would look like good news."""
_UNREADABLE = frozenset((SourcePhase.DENIED, SourcePhase.EXPIRED, SourcePhase.FAILED, SourcePhase.STOPPED))


class VerdictLine(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict as the first thing people read."""

    status: VerdictStatus
    title: str
    """`FAIL · roll back`, `PASS · so far`, `WAITING`."""
    since: datetime | None
    reasons: tuple[str, ...]
    """Most important first; each a sentence."""
    evidence: str | None
    """How much it rests on."""
    outlook: str | None
    """What happens next."""


class _Facts(msgspec.Struct, frozen=True, kw_only=True):
    defined: bool
    required: tuple[CheckTrack, ...]
    stale: tuple[CheckTrack, ...]
    firing: tuple[AlarmState, ...]
    blind: tuple[SourceStatus, ...]
    """Sources of evidence that cannot be read."""
    release: ReleaseState | None
    now: datetime

    def having(self, *statuses: Status) -> tuple[CheckTrack, ...]:
        return tuple(track for track in self.required if track.status in statuses and track not in self.stale)

    @property
    def unmeasured(self) -> tuple[CheckTrack, ...]:
        return tuple(track for track in self.required if track.status is None)


def verdict_line(store: Store, now: datetime, *, every_s: float = 30.0) -> VerdictLine:
    """Return the verdict at `now`: the judge's when it has spoken, else what checks, alarms and release say."""
    if store.verdict is not None:
        given = store.verdict
        blocking = tuple(f"{each.id}: {each.message or each.status}" for each in given.verdict.blocking)
        return VerdictLine(
            status=given.verdict.status,
            title=_WORDS[given.verdict.status],
            since=given.since,
            reasons=(given.verdict.reason, *blocking),
            evidence=None,
            outlook=None,
        )
    required = tuple(
        track
        for track in store.checks.tracks.values()
        if track.kind == "smoke" and not track.has("advisory") and not track.has("muted")
    )
    facts = _Facts(
        defined=store.checks.defined or bool(required),
        required=required,
        stale=tuple(track for track in required if is_stale(track, now, every_s)),
        firing=tuple(alarm for alarm in store.release.alarms.values() if alarm.gate and alarm.state == "ALARM"),
        blind=tuple(each for name, each in store.sources.items() if name in _EVIDENCE and each.phase in _UNREADABLE),
        release=main_release(store.release.states.values()),
        now=now,
    )
    return _judged(facts)


_WORDS: dict[VerdictStatus, str] = {
    "pass": "PASS",
    "degraded": "WARN",
    "fail": "FAIL",
    "error": "ERROR",
    "inconclusive": "UNSURE",
    "empty": "EMPTY",
    "aborted": "ABORTED",
}


def _judged(facts: _Facts) -> VerdictLine:
    return next(line for rule in _RULES if (line := rule(facts)) is not None)


def _cannot_start(facts: _Facts) -> VerdictLine | None:
    broken = [each for each in facts.blind if each.source == "session"]
    if not broken or len(facts.unmeasured) < len(facts.required):
        return None
    reason = broken[0].message or "the session could not be started"
    return _line(facts, "error", "ERROR · could not verify", (reason,))


def _nothing_known(facts: _Facts) -> VerdictLine | None:
    if not facts.defined:
        reason = "the checks have not been read yet"
    elif not facts.required:
        reason = "no checks are selected, so nothing proves that production works"
    elif len(facts.unmeasured) == len(facts.required):
        reason = "no checks have finished yet"
    else:
        return None
    return _line(facts, "inconclusive", "WAITING", (reason,))


def _unsure(facts: _Facts) -> VerdictLine | None:
    broken = facts.having(Status.ERROR)
    if broken:
        return _line(facts, "error", "ERROR · could not verify", _sentences(broken), broken)
    unsure = facts.having(Status.INCONCLUSIVE)
    if unsure:
        return _line(facts, "inconclusive", "UNSURE · too little evidence", _sentences(unsure), unsure)
    skipped = tuple(track for track in facts.having(Status.SKIPPED) if track.has("critical"))
    if skipped:
        return _line(facts, "inconclusive", "UNSURE · a critical check was skipped", _sentences(skipped), skipped)
    return None


def _unfinished(facts: _Facts) -> VerdictLine | None:
    if not facts.unmeasured:
        return None
    done = len(facts.required) - len(facts.unmeasured)
    text = f"{done} of {len(facts.required)} checks have finished, none red; not yet: {_names(facts.unmeasured)}"
    return _line(facts, "inconclusive", "WAITING", (text,))


def _blind(facts: _Facts) -> VerdictLine | None:
    if not facts.blind:
        return None
    texts = tuple(f"{each.source} cannot be read: {each.message or each.phase}" for each in facts.blind)
    return _line(facts, "inconclusive", "UNSURE · not everything can be seen", texts)


def _failing(facts: _Facts) -> VerdictLine | None:
    failing = facts.having(Status.FAIL)
    if not failing and not facts.firing:
        return None
    alarms = tuple(f"alarm {each.name} is firing{f': {each.reason}' if each.reason else ''}" for each in facts.firing)
    release = facts.release
    settled = facts.firing or any(_red_enough(track, len(facts.required)) for track in failing)
    if release and release.phase in UNDER_WAY and release.version:
        advice = "roll back" if settled else "one more red round decides"
    elif release and release.phase in WENT_WRONG:
        advice = f"{version_label(release.version)} {release.phase}"
    else:
        advice = "production is not healthy"
    broken = facts.having(Status.ERROR)
    more = (f"{len(broken)} more could not be measured: {_names(broken)}",) if broken else ()
    reasons = (*_sentences(failing), *alarms, *more)
    since = min(
        [track.status_since for track in failing if track.status_since]
        + [alarm.since for alarm in facts.firing if alarm.since],
        default=None,
    )
    return VerdictLine(
        status="fail",
        title=f"FAIL · {advice}",
        since=since,
        reasons=reasons,
        evidence=_rounds(failing),
        outlook=_outlook(facts),
    )


def _went_wrong(facts: _Facts) -> VerdictLine | None:
    release = facts.release
    if release is None or release.phase not in WENT_WRONG:
        return None
    new, old = version_label(release.version), version_label(release.previous)
    cause = f": {release.cause}" if release.cause else ""
    passing = facts.having(Status.PASS, Status.DEGRADED)
    healthy = bool(facts.required) and len(passing) == len(facts.required)
    state = (
        f"all {len(passing)} checks pass again, production answers on {old}"
        if healthy
        else f"{len(passing)} of {len(facts.required)} checks pass now"
    )
    status: VerdictStatus = "degraded" if healthy else "inconclusive"
    return _line(
        facts, status, f"{str(release.phase).upper()} · {new} is out", (f"{new} {release.phase}{cause}", state)
    )


def _stale(facts: _Facts) -> VerdictLine | None:
    if not facts.stale:
        return None
    newest = max((track.finished_at for track in facts.stale if track.finished_at), default=facts.now)
    age = format_age((facts.now - newest).total_seconds())
    return _line(
        facts,
        "inconclusive",
        "STALE",
        (f"{_names(facts.stale)}: the last result is {age} old, so it says nothing about now",),
    )


def _green(facts: _Facts) -> VerdictLine:
    degraded, skipped = facts.having(Status.DEGRADED), facts.having(Status.SKIPPED)
    passed = facts.having(Status.PASS)
    if not passed and not degraded:
        return _line(
            facts, "inconclusive", "UNSURE · nothing was measured", (f"all {len(skipped)} checks were skipped",)
        )
    release = facts.release
    moving = release is not None and release.phase in UNDER_WAY
    title = "so far" if moving else ("production is healthy" if release is None else str(release.phase))
    left_out = f", {len(skipped)} skipped" if skipped else ""
    if degraded:
        counted = f"{len(passed)} of {len(facts.required)} checks pass{left_out}"
        return _line(facts, "degraded", f"WARN · {title}", (*_sentences(degraded), counted), degraded)
    reason = f"all {len(passed)} checks that ran pass{left_out}" if skipped else f"all {len(passed)} checks pass"
    return VerdictLine(
        status="pass",
        title=f"PASS · {title}",
        since=max((track.status_since for track in passed if track.status_since), default=None),
        reasons=(reason,),
        evidence=certainty(min(track.streak for track in passed)),
        outlook=_outlook(facts),
    )


def certainty(greens: int) -> str:
    """Say what `greens` green rounds in a row prove of a check: the 95 % bound on its failure rate."""
    bound = 1 - 0.05 ** (1 / greens)
    times = "once" if greens == 1 else f"{greens} times in a row"
    return f"each check green {times}: its own failure rate is below {bound:.1%} with 95 % certainty".replace(
        "%", " %", 1
    )


_RULES = (_failing, _went_wrong, _cannot_start, _nothing_known, _stale, _unsure, _unfinished, _blind, _green)
"""Asked in this order; the first that knows something speaks, and the last always does."""


def _line(
    facts: _Facts, status: VerdictStatus, title: str, reasons: tuple[str, ...], tracks: Sequence[CheckTrack] = ()
) -> VerdictLine:
    since = min((track.status_since for track in tracks if track.status_since), default=None)
    return VerdictLine(
        status=status, title=title, since=since, reasons=reasons, evidence=_rounds(tracks), outlook=_outlook(facts)
    )


def _red_enough(track: CheckTrack, required: int) -> bool:
    needed = 1 if track.has("critical") else (3 if required > REQUIRED_BEFORE_THREE else 2)
    return track.streak >= needed


def _sentences(tracks: Sequence[CheckTrack]) -> tuple[str, ...]:
    ordered = sorted(tracks, key=_weight)
    return tuple(f"{track.title}: {_message(track)}" for track in ordered)


def _weight(track: CheckTrack) -> tuple[bool, bool, int]:
    """Critical ones first, then what was tried out before what was only read, then what has lasted longest."""
    kind = track.latest.type if track.latest else ""
    return (not track.has("critical"), kind in _READ_ONLY_TYPES, -track.streak)


def _message(track: CheckTrack) -> str:
    return (track.latest.message if track.latest else None) or str(track.status)


def _names(tracks: Sequence[CheckTrack]) -> str:
    shown = ", ".join(track.title for track in tracks[:3])
    return f"{shown} and {len(tracks) - 3} more" if len(tracks) > 3 else shown


def _rounds(tracks: Sequence[CheckTrack]) -> str | None:
    longest = max((track.streak for track in tracks), default=0)
    return f"{longest} {'round' if longest == 1 else 'rounds'} in a row" if longest else None


def _outlook(facts: _Facts) -> str | None:
    release = facts.release
    if release is None or release.phase not in UNDER_WAY:
        return None
    if release.next_shift_at is not None:
        left_s = (release.next_shift_at - facts.now).total_seconds()
        return f"next shift in {clock_text(left_s)}" if left_s > 0 else "the next shift is due"
    if release.phase is ReleasePhase.BAKING:
        return "all traffic is on the new version while it bakes"
    return None


def clock_text(seconds: float) -> str:
    """Return `3:12` or `1:03:12`."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"
