"""Is production good, in words a tired person can act on. Green only where everything was measured, and lately."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from prodwatch.model.release import UNDER_WAY, WENT_WRONG
from prodwatch.model.result import VerdictStatus
from prodwatch.model.status import Reason, Status
from prodwatch.store.check_results import CheckTrack
from prodwatch.store.store import Store
from prodwatch.text.units import format_age
from prodwatch.views.evidence import certainty
from prodwatch.views.release import version_label
from prodwatch.views.triage import changes
from prodwatch.views.verdict_facts import Facts, blindness, facts_of, next_shift
from prodwatch.views.window import Window

REQUIRED_BEFORE_THREE = 5
"""Above so many required checks a third red round is asked for before advice is given."""

_READ_ONLY_TYPES = frozenset(("alarm", "metric", "logs", "traces", "release", "stack"))
"""Checks of these types repeat what other panels show; a check that tried something out says more."""


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


def verdict_line(
    store: Store,
    now: datetime,
    *,
    every_s: float = 30.0,
    window: Window | None = None,
    better: Mapping[str, str] | None = None,
) -> VerdictLine:
    """Return the verdict at `now`: the judge's when it has spoken, else what checks, alarms and release say.

    With a window it speaks of production instead of the release; of a window that has ended it is never green, as
    nobody ran the checks then. `better` names metrics whose file says `lower` or `higher`.
    """
    if window is not None and window.is_past:
        return _looking_back(store, window, now, better)
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
    line = _judged(facts_of(store, now, every_s, triage=window is not None))
    return line if window is None else _with_changes(line, store, window, now, better)


def _with_changes(
    line: VerdictLine, store: Store, window: Window, now: datetime, better: Mapping[str, str] | None
) -> VerdictLine:
    """Add what changed; figures that got worse are no clean bill of health, whatever the checks say."""
    found = changes(store, window, now, better=better)
    reasons = (line.reasons[0], f"what changed: {found.summary}", *line.reasons[1:])
    if line.status == "pass" and any(each.bad and each.kind == "figure" for each in found.rows):
        return replace(line, status="degraded", title="WARN · checks pass, figures got worse", reasons=reasons)
    return replace(line, reasons=reasons)


def _looking_back(store: Store, window: Window, now: datetime, better: Mapping[str, str] | None) -> VerdictLine:
    """Say what is known of a window that has ended: trouble when some was seen, else that nothing proves health."""
    found = changes(store, window, now, better=better)
    told = tuple(each.text for each in found.rows if each.bad)
    alarms = sum(each.bad and each.kind in {"alarm", "deployment"} for each in found.rows)
    status: VerdictStatus = "inconclusive"
    if found.reading or not store.sources:
        title = "WAITING · reading the window"
    elif alarms:
        status, title = "fail", "NOT HEALTHY THEN"
    elif told:
        status, title = "degraded", "TROUBLE THEN"
    elif found.unseen:
        title = "UNSURE · not everything can be seen"
    else:
        title = "NO TROUBLE SEEN"
    part = found.unseen or found.reading
    calm = "what could be seen shows no trouble" if part else "no alarm fired and no new error was seen"
    first = told[:1] or (calm,) if store.sources else ("nothing read yet",)
    return VerdictLine(
        status=status,
        title=title,
        since=None,
        reasons=(*first, f"what changed: {found.summary}", *told[1:]),
        evidence="checks are not judged as of then: they speak only of the present",
        outlook="the window has ended, it stands still",
    )


_WORDS: dict[VerdictStatus, str] = {
    "pass": "PASS",
    "degraded": "WARN",
    "fail": "FAIL",
    "error": "ERROR",
    "inconclusive": "UNSURE",
    "empty": "EMPTY",
    "aborted": "ABORTED",
}


def _judged(facts: Facts) -> VerdictLine:
    return next(line for rule in _RULES if (line := rule(facts)) is not None)


def _cannot_start(facts: Facts) -> VerdictLine | None:
    broken = [each for each in facts.blind if each.source == "session"]
    if not broken or len(facts.unmeasured) < len(facts.required):
        return None
    reason = broken[0].message or "the session could not be started"
    return _line(
        facts, "error", "ERROR · could not verify", (reason,), outlook="nothing is measured until it can start"
    )


def _nothing_known(facts: Facts) -> VerdictLine | None:
    if not facts.defined:
        return _line(facts, "inconclusive", "WAITING", ("the checks have not been read yet",))
    if not facts.required:
        reason = "no checks are selected, so nothing proves that production works"
        advice = "write one under checks/; prodwatch schema checks prints its keys"
        return _line(facts, "inconclusive", "UNSURE · nothing is measured", (reason,), outlook=advice)
    if len(facts.unmeasured) == len(facts.required):
        count = len(facts.required)
        waiting = "the first round of 1 check" if count == 1 else f"the first round of {count} checks"
        return _line(
            facts, "inconclusive", "WAITING", ("no checks have finished yet",), outlook=f"{waiting} is running"
        )
    return None


def _unsure(facts: Facts) -> VerdictLine | None:
    broken = facts.having(Status.ERROR)
    if broken:
        return _line(facts, "error", "ERROR · could not verify", _sentences(broken), broken, outlook=_again(facts))
    unsure = facts.having(Status.INCONCLUSIVE)
    if unsure:
        return _line(facts, "inconclusive", _unsure_title(unsure), _sentences(unsure), unsure, outlook=_again(facts))
    skipped = tuple(track for track in facts.having(Status.SKIPPED) if track.has("critical"))
    if skipped:
        return _line(facts, "inconclusive", "UNSURE · a critical check was skipped", _sentences(skipped), skipped)
    return None


def _unfinished(facts: Facts) -> VerdictLine | None:
    if not facts.unmeasured:
        return None
    done = len(facts.required) - len(facts.unmeasured)
    text = f"{done} of {len(facts.required)} checks have finished, none red; not yet: {_names(facts.unmeasured)}"
    return _line(facts, "inconclusive", "WAITING", (text,), outlook=_again(facts))


def _unsure_title(tracks: Sequence[CheckTrack]) -> str:
    reasons = {track.latest.reason_code for track in tracks if track.latest}
    if reasons == {Reason.VERSION_MISMATCH}:
        return "UNSURE · another version answered"
    return "UNSURE · too little evidence"


def _blind(facts: Facts) -> VerdictLine | None:
    if not facts.blind:
        return None
    texts = [blindness(each) for each in facts.blind]
    passing = len(facts.having(Status.PASS, Status.DEGRADED))
    retry_at = min((each.retry_at for each in facts.blind if each.retry_at), default=None)
    left_s = (retry_at - facts.now).total_seconds() if retry_at else 0.0
    return _line(
        facts,
        "inconclusive",
        "UNSURE · not everything can be seen",
        (*texts, f"{passing} of {len(facts.required)} checks pass"),
        outlook=f"next try in {format_age(left_s)}" if left_s > 0 else _again(facts),
    )


def _not_yet_seen(facts: Facts) -> VerdictLine | None:
    """Say that the checks alone do not decide while alarms, release or metrics have not been read once."""
    if not facts.unread:
        return None
    passing = len(facts.having(Status.PASS, Status.DEGRADED))
    text = f"{passing} of {len(facts.required)} checks pass; not read yet: {', '.join(facts.unread)}"
    return _line(facts, "inconclusive", "WAITING", (text,), outlook=_again(facts))


def _not_lately_seen(facts: Facts) -> VerdictLine | None:
    if not facts.old:
        return None
    oldest = min((each.fresh_at for each in facts.old if each.fresh_at), default=facts.now)
    age = format_age((facts.now - oldest).total_seconds())
    text = f"{', '.join(each.source for each in facts.old)}: last read {age} ago, so nothing is known of now"
    return _line(facts, "inconclusive", "STALE", (text,), outlook=_again(facts))


def _failing(facts: Facts) -> VerdictLine | None:
    failing = facts.having(Status.FAIL)
    if not failing and not facts.firing:
        return None
    alarms = tuple(f"alarm {each.name} is firing{f': {each.reason}' if each.reason else ''}" for each in facts.firing)
    release = facts.release
    settled = facts.firing or any(_red_enough(track, len(facts.required)) for track in failing)
    if facts.triage:
        advice = "production is not healthy"
    elif release and release.phase in UNDER_WAY and release.version:
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


def _went_wrong(facts: Facts) -> VerdictLine | None:
    release = facts.release
    if release is None or release.phase not in WENT_WRONG or facts.triage:
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


def _half_undone(facts: Facts) -> VerdictLine | None:
    """Say that one function's release is out while another's goes on: together they are what nobody tried."""
    if not facts.beside or facts.triage:
        return None
    first = facts.beside[0]
    causes = (
        f"{each.function}: {version_label(each.version)} {each.phase}{f': {each.cause}' if each.cause else ''}"
        for each in facts.beside
    )
    passing = len(facts.having(Status.PASS, Status.DEGRADED))
    title = f"WARN · {first.function} {version_label(first.version)} {first.phase}"
    checks = f"{passing} of {len(facts.required)} checks pass while the release of other functions goes on"
    return _line(facts, "degraded", title, (*causes, checks), outlook=_outlook(facts))


def _stale(facts: Facts) -> VerdictLine | None:
    if not facts.stale:
        return None
    newest = max((track.finished_at for track in facts.stale if track.finished_at), default=facts.now)
    age = format_age((facts.now - newest).total_seconds())
    return _line(
        facts,
        "inconclusive",
        "STALE",
        (f"{_names(facts.stale)}: the last result is {age} old, so it says nothing about now",),
        outlook=_again(facts),
    )


def _all_skipped(facts: Facts) -> VerdictLine | None:
    if facts.having(Status.PASS, Status.DEGRADED):
        return None
    skipped = facts.having(Status.SKIPPED)
    reasons = (f"all {len(skipped)} checks were skipped", *_sentences(skipped))
    return _line(facts, "inconclusive", "UNSURE · nothing was measured", reasons)


def _green(facts: Facts) -> VerdictLine:
    degraded, skipped = facts.having(Status.DEGRADED), facts.having(Status.SKIPPED)
    passed = facts.having(Status.PASS)
    release = None if facts.triage else facts.release
    moving = release is not None and release.phase in UNDER_WAY
    title = "so far" if moving else ("production is healthy" if release is None else str(release.phase))
    left_out = f", {len(skipped)} skipped" if skipped else ""
    if degraded:
        counted = f"{len(passed)} of {len(facts.required)} checks pass{left_out}"
        return _line(
            facts, "degraded", f"WARN · {title}", (*_sentences(degraded), counted), degraded, outlook=_outlook(facts)
        )
    reason = f"all {len(passed)} checks that ran pass{left_out}" if skipped else f"all {len(passed)} checks pass"
    return VerdictLine(
        status="pass",
        title=f"PASS · {title}",
        since=max((track.status_since for track in passed if track.status_since), default=None),
        reasons=(reason,),
        evidence="; ".join(filter(None, (certainty(min(track.streak for track in passed)), facts.requests))),
        outlook=_outlook(facts),
    )


_RULES = (
    _failing,
    _went_wrong,
    _cannot_start,
    _nothing_known,
    _stale,
    _unsure,
    _unfinished,
    _blind,
    _not_yet_seen,
    _not_lately_seen,
    _all_skipped,
    _half_undone,
    _green,
)
"""Asked in this order; the first that knows something speaks, and the last always does."""


def _line(
    facts: Facts,
    status: VerdictStatus,
    title: str,
    reasons: tuple[str, ...],
    tracks: Sequence[CheckTrack] = (),
    *,
    outlook: str | None = None,
) -> VerdictLine:
    since = min((track.status_since for track in tracks if track.status_since), default=None)
    next_ = " · ".join(filter(None, (outlook, next_shift(facts) if outlook != next_shift(facts) else None)))
    return VerdictLine(
        status=status, title=title, since=since, reasons=reasons, evidence=_rounds(tracks), outlook=next_ or None
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


def _again(facts: Facts) -> str:
    return f"looked at again every {format_age(facts.every_s)}"


def _outlook(facts: Facts) -> str:
    return next_shift(facts) or _again(facts)
