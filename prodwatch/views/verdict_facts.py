"""The facts of a dashboard's verdict, gathered from the store once so that every sentence speaks of one moment."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from prodwatch.judge.facts import CheckFact, Facts, SignalFact, SourceFact, WindowFact, check_fact, signal_fact
from prodwatch.judge.signals import alarm_signal
from prodwatch.model.release import has_two_versions, is_serving, present_releases, release_id
from prodwatch.model.signal import ReleaseState, SourceStatus
from prodwatch.model.status import Status
from prodwatch.store.check_history import CheckTrack
from prodwatch.store.store import Store
from prodwatch.views.checks import interval_s, message_of
from prodwatch.views.events_in_window import Changes
from prodwatch.views.time_window import Window

LAST_ROUNDS = 10
"""Rounds over which the share of failed ones is counted."""
_INCIDENTS = frozenset(("alarm", "deployment"))


def session_facts(
    store: Store, now: datetime, *, every_s: float, window: Window | None = None, changed: Changes | None = None
) -> Facts:
    """Return the facts at `now`.

    `every_s` holds for checks that do not say how often they run. With `window`, triage, `changed` is what changed in
    it, and production is asked about instead of a release.
    """
    return Facts(
        mode="session",
        checks=tuple(_check(each, now, every_s) for each in store.checks.tracks.values()),
        defined=store.checks.defined or bool(store.checks.tracks),
        signals=_signals(store),
        sources=tuple(_source(each, now) for each in store.sources.values()),
        releases=present_releases(store.release.all_states, now),
        not_compared=_not_compared(store, now) if window is None else (),
        comparisons=store.comparisons if window is None else (),
        signatures=store.compared_signatures if window is None else (),
        coverage=store.coverage if window is None else None,
        window=None if window is None or changed is None else _window(window, changed),
    )


def _not_compared(store: Store, now: datetime) -> tuple[ReleaseState, ...]:
    """Return the releases whose new version gets traffic that nothing has looked at."""
    return tuple(
        each
        for each in present_releases(store.release.states.values(), now)
        if each.id in store.compared_functions
        and has_two_versions(each)
        and is_serving(each)
        and release_id(each) not in store.compared_releases
    )


def _check(track: CheckTrack, now: datetime, every_s: float) -> CheckFact:
    # A round started by hand flags what the chosen checks need as supporting; a defined smoke check counts even so.
    supporting = track.kind != "smoke" or (track.definition is None and track.has("supporting"))
    outcomes = track.history[-LAST_ROUNDS:]
    failed = sum(each.status is Status.FAIL for each in outcomes)
    latest = check_fact(track.latest) if track.latest else CheckFact(id=track.id, title=track.title, status=None)
    return replace(
        latest,
        message=message_of(track, every_s),
        advisory=track.has("advisory"),
        critical=track.has("critical"),
        supporting=supporting,
        streak=track.streak,
        failed_share=failed / LAST_ROUNDS if len(outcomes) == LAST_ROUNDS else None,
        status_since=track.status_since,
        age_s=(now - track.finished_at).total_seconds() if track.finished_at else None,
        every_s=interval_s(track, every_s),
    )


def _signals(store: Store) -> tuple[SignalFact, ...]:
    """Return the signals as last evaluated, and the alarms whose state is known although none was evaluated."""
    evaluated = [each for results in store.signals.values() for each in results]
    known = {each.id for each in evaluated if each.kind == "alarm"}
    states = [alarm_signal(each, gate=each.gate, without_data=Status.SKIPPED) for each in store.release.alarms.values()]
    return tuple(signal_fact(each) for each in (*evaluated, *(each for each in states if each.id not in known)))


def _source(status: SourceStatus, now: datetime) -> SourceFact:
    return SourceFact(
        name=status.source,
        phase=status.phase,
        age_s=(now - status.fresh_at).total_seconds() if status.fresh_at else None,
        unread=status.unread,
        message=status.message,
        action=status.action,
        retry_in_s=(status.retry_at - now).total_seconds() if status.retry_at else None,
    )


def _window(window: Window, changed: Changes) -> WindowFact:
    bad = [each for each in changed.rows if each.bad]
    return WindowFact(
        ended=window.is_past,
        incidents=tuple(each.text for each in bad if each.kind in _INCIDENTS),
        worse_figures=tuple(each.text for each in bad if each.kind == "figure"),
        other_trouble=tuple(each.text for each in bad if each.kind != "figure" and each.kind not in _INCIDENTS),
        unseen=changed.unseen,
        reading=changed.reading,
    )
