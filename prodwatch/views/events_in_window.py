"""Changes in a window: deployments, stacks, alarms, new errors and metrics, and the sources that could not be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec
from msgspec.structs import replace

from prodwatch.model.identity import HOME, AlarmId, GroupId, Place
from prodwatch.model.signal import NO_HISTORY, UNREADABLE, AlarmState, ReleaseEvent, SourcePhase
from prodwatch.store.store import Store
from prodwatch.text.units import format_age, format_value
from prodwatch.views.alarm_and_error_rows import signature_rows
from prodwatch.views.release import version_label
from prodwatch.views.time_window import Window, named_length
from prodwatch.views.timeline import describe
from prodwatch.views.window_comparison import MetricComparison, compare_windows

Kind = Literal["deployment", "stack", "traffic", "alarm", "errors", "figure", "check"]

_PARTS = {"release": "deployments and stacks", "alarms": "alarms", "logs": "log lines", "metrics": "metrics"}
"""Source → the kind of change it reports."""
_WRONG = ("fail", "stop", "rollback", "rolled back", "revert", "delete")
_WEIGHT: dict[Kind, int] = {
    "alarm": 0,
    "deployment": 1,
    "check": 2,
    "errors": 3,
    "figure": 4,
    "stack": 5,
    "traffic": 6,
}
_NAMED_UNCOMPARED = 6
"""Metrics without a comparison that are named; the rest is counted."""
MAX_ERRORS = 20
"""New error signatures listed one by one; the rest is only counted."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change."""

    kind: Kind
    subject: str
    """Subject of the change: a deployment, an alarm, an error signature, a metric's label."""
    place: Place = HOME
    """Account and region of the subject."""
    group: GroupId | None = None
    """Log group of a new error."""
    at: datetime | None
    """When it was last seen; None for a metric."""
    text: str
    bad: bool
    """Whether it is bad news for production."""
    count: int = 1
    sample: str | None = None
    """An example message, for new errors."""


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """All known changes, the most important first."""

    rows: tuple[Change, ...]
    unseen: tuple[str, ...]
    """Sources that could not be read: `alarms (needs cloudwatch:DescribeAlarms)`."""
    reading: tuple[str, ...]
    """Sources that are not read completely yet."""
    uncompared: tuple[str, ...] = ()
    """Metrics without a value on one of the two sides, by reason: `errors, p95 (nothing in the hour before)`."""

    @property
    def summary(self) -> str:
        """Return all changes as one sentence, with what was not read or is still being read."""
        parts = _counted(self.rows)
        text = ", ".join(parts) if parts else "no change that can be seen"
        more = [f"not read: {'; '.join(self.unseen)}"] if self.unseen else []
        more += [f"still reading {', '.join(self.reading)}"] if self.reading else []
        more += [f"not compared: {'; '.join(self.uncompared)}"] if self.uncompared else []
        return " · ".join([text, *more])


def changes(store: Store, window: Window, now: datetime, *, better: Mapping[str, str] | None = None) -> Changes:
    """Return the changes in `window` that the store knows at `now`."""
    events = sorted((event for event in store.release.events if window.has(event.at, now)), key=lambda event: event.at)
    comparisons = compare_windows(store, window, now, better=better)
    rows = [
        *_deployments(store, (event for event in events if event.source in {"codedeploy", "appconfig"})),
        *_stacks(store, (event for event in events if event.source == "cloudformation")),
        *_traffic(store, (event for event in events if event.source == "lambda")),
        *_alarms(store, [event for event in events if event.source == "alarm"], window),
        *_checks(event for event in events if event.source == "check"),
        *_errors(store, window, now),
        *(_figure(comparison, window, now) for comparison in comparisons if _is_visible(comparison)),
    ]
    earliest = datetime.fromtimestamp(0, UTC)
    rows.sort(key=lambda row: (not row.bad, _WEIGHT[row.kind], -(row.at or earliest).timestamp()))
    return Changes(
        rows=tuple(rows),
        unseen=_unseen(store),
        reading=_reading(store),
        uncompared=_uncompared(comparisons, window.named(now)),
    )


def _deployments(store: Store, events: Iterable[ReleaseEvent]) -> Iterable[Change]:
    for (subject, place), own_events in _by_subject(events).items():
        last = own_events[-1]
        pair = next(
            ((event.from_, event.to) for event in own_events if _is_version(event.from_) and _is_version(event.to)),
            None,
        )
        versions = f" {version_label(pair[0])} → {version_label(pair[1])}" if pair else ""
        back = any("rollback" in event.what for event in own_events)
        outcome = _outcome(last)
        detail = next((event.detail for event in reversed(own_events) if event.detail and not back), None)
        yield Change(
            kind="deployment",
            subject=subject,
            at=last.at,
            text=f"{'rollback' if back else 'deployment'}{versions}: {outcome}"
            + (f": {detail}" if detail else "")
            + f" ({store.release.subject_of(last)})",
            place=place,
            bad=back or any(word in outcome.casefold() for word in _WRONG),
        )


def _outcome(event: ReleaseEvent) -> str:
    for word in ("deployment ", "rollback "):
        if event.what.startswith(word):
            return event.what.removeprefix(word)
    return (event.to or event.what) if event.what in {"status", "state"} else event.what


def _is_version(text: str | None) -> bool:
    return text is not None and text.isdigit()


def _stacks(store: Store, events: Iterable[ReleaseEvent]) -> Iterable[Change]:
    by_stack: dict[tuple[str, Place], list[ReleaseEvent]] = {}
    for event in events:
        by_stack.setdefault((event.owner, event.place), []).append(event)
    for (stack, place), stack_events in by_stack.items():
        own = [event for event in stack_events if event.subject in {stack, f"{stack}/{stack}"}]
        resources = {event.subject for event in stack_events} - {stack, f"{stack}/{stack}"}
        status = (
            (own or stack_events)[-1].what
            if (own or stack_events)[-1].what != "status"
            else str((own or stack_events)[-1].to)
        )
        name = store.release.subject_of(replace(stack_events[-1], subject=stack))
        moved = f", {len(resources)} {'resource' if len(resources) == 1 else 'resources'}" if resources else ""
        failed = next((event.detail for event in stack_events if "FAILED" in event.what and event.detail), None)
        yield Change(
            kind="stack",
            subject=stack_events[-1].subject,
            at=stack_events[-1].at,
            text=f"stack {name}: {status}{moved}" + (f": {failed}" if failed else ""),
            place=place,
            bad=any(word in status.casefold() for word in _WRONG),
        )


def _traffic(store: Store, events: Iterable[ReleaseEvent]) -> Iterable[Change]:
    for (subject, place), own_events in _by_subject(events).items():
        yield Change(
            kind="traffic",
            subject=subject,
            place=place,
            at=own_events[-1].at,
            text=f"{store.release.subject_of(own_events[-1])}: {describe(own_events[-1])}",
            bad=False,
        )


def _alarms(store: Store, events: Sequence[ReleaseEvent], window: Window) -> Iterable[Change]:
    fired: dict[AlarmId, list[ReleaseEvent]] = {}
    for event in events:
        if event.to == "ALARM":
            fired.setdefault(AlarmId(event.subject, event.place), []).append(event)
    alarms = store.release.alarms
    firing = {id_: alarm for id_, alarm in alarms.items() if alarm.state == "ALARM"}
    for id_ in dict.fromkeys([*fired, *firing]):
        fired_events, state = fired.get(id_, []), firing.get(id_)
        alarm, name = alarms.get(id_), store.release.alarm_name(id_)
        if not fired_events and state and state.since and state.since < window.start:
            text = f"alarm {name} has been firing since before the window"
        else:
            times = f"fired {len(fired_events)} times" if len(fired_events) > 1 else "fired"
            text = f"alarm {name} {times}, {_alarm_outcome(alarm, window)}"
        yield Change(
            kind="alarm",
            subject=id_.name,
            place=id_.place,
            at=fired_events[-1].at if fired_events else (state.since if state else None),
            text=text + (f": {state.reason}" if state and state.reason else ""),
            bad=alarm is None or alarm.gate,
        )


def _alarm_outcome(alarm: AlarmState | None, window: Window) -> str:
    """Return the state of an alarm that fired in the window: now, or at the end of a past window."""
    end = "at the end" if window.is_past else "now"
    if alarm is not None and alarm.state == "ALARM":
        return f"still firing {end}"
    return "OK again" if alarm is not None and alarm.state == "OK" else f"not firing {end}"


def _checks(events: Iterable[ReleaseEvent]) -> Iterable[Change]:
    for (subject, _), own_events in _by_subject(event for event in events if event.from_ is not None).items():
        last = own_events[-1]
        if last.to in {"fail", "error"} or len(own_events) > 1:
            yield Change(
                kind="check",
                subject=subject,
                at=last.at,
                text=f"check {subject}: {describe(last)}" + (f": {last.detail}" if last.detail else ""),
                bad=last.to in {"fail", "error"},
            )


def _errors(store: Store, window: Window, now: datetime) -> Iterable[Change]:
    end_ms = window.until(now).timestamp() * 1000
    new = [
        row.signature
        for row in signature_rows(store, now, since=window.start).rows
        if row.new and row.signature.first_ms <= end_ms
    ]
    new.sort(key=lambda signature: -signature.count)
    groups_of_shape = Counter(signature.shape for signature in new)
    for signature in new[:MAX_ERRORS]:
        group = signature.group
        where = f" in {group.short_name}" if groups_of_shape[signature.shape] > 1 else ""
        where += store.logs.names.suffix(group.name, group.place)
        first = datetime.fromtimestamp(signature.first_ms / 1000, UTC)
        yield Change(
            kind="errors",
            subject=signature.shape,
            place=group.place,
            group=group,
            at=first,
            text=f"new error{where}, {signature.count:,}×: {signature.sample}",
            bad=True,
            sample=signature.sample,
        )
    if len(new) > MAX_ERRORS:
        rest = len(new) - MAX_ERRORS
        yield Change(kind="errors", subject="", at=None, text=f"{rest} more new errors", bad=True, count=rest)


def _is_visible(comparison: MetricComparison) -> bool:
    """Return whether a metric changed enough to be a change."""
    return comparison.ceased_s is not None or comparison.notable


def _figure(comparison: MetricComparison, window: Window, now: datetime) -> Change:
    before, within = format_value(comparison.before, comparison.unit), format_value(comparison.within, comparison.unit)
    named = named_length(comparison.before_s) if comparison.before is not None else window.named(now)
    if comparison.ceased_s is not None:
        what = "no requests" if comparison.traffic else "no values"
        text = (
            f"{comparison.label}: {what} for {format_age(comparison.ceased_s)}, "
            f"{format_value(comparison.usual, comparison.unit)} before that"
        )
        return Change(kind="figure", subject=comparison.label, at=None, text=text, bad=comparison.worse)
    change = comparison.change
    moved = "" if change is None or comparison.unit == "Percent" else f" ({change * 100:+.0f} %)"
    week = (
        f", {format_value(comparison.week_ago, comparison.unit)} a week ago" if comparison.week_ago is not None else ""
    )
    return Change(
        kind="figure",
        subject=comparison.label,
        at=None,
        text=f"{comparison.label} {within} against {before} in the {named} before{moved}{week}",
        bad=comparison.worse,
    )


def _uncompared(comparisons: Iterable[MetricComparison], named: str) -> tuple[str, ...]:
    """Return the metrics without a comparison, because one side has too few values, by reason."""
    by_reason: dict[str, list[str]] = {}
    for comparison in comparisons:
        if comparison.ceased_s is not None:
            continue
        if comparison.within is None:
            reason = f"too few values in the {named}"
        elif comparison.before is None:
            reason = f"too few values in the {named} before"
        elif comparison.traffic and not comparison.within and not comparison.before:
            reason = f"no requests in the {named}, nor in the {named_length(comparison.before_s)} before"
        else:
            continue
        by_reason.setdefault(reason, []).append(comparison.label)
    return tuple(f"{_some(labels)} ({reason})" for reason, labels in by_reason.items())


def _some(labels: Sequence[str]) -> str:
    more = len(labels) - _NAMED_UNCOMPARED
    return ", ".join(labels[:_NAMED_UNCOMPARED]) + (f" and {more} more" if more > 0 else "")


def _unseen(store: Store) -> tuple[str, ...]:
    unseen = []
    for source, part in _PARTS.items():
        statuses = [status for name, status in store.sources.items() if name == source or name.startswith(f"{source}:")]
        broken = [status for status in statuses if status.phase in UNREADABLE]
        parts = dict.fromkeys(sentence for status in statuses for sentence in status.unread)
        # What does not exist may be misspelt.
        parts |= dict.fromkeys(
            f"{status.source}: {status.message or status.phase}"
            for status in statuses
            if status.phase is SourcePhase.WAITING
        )
        if not statuses:
            unseen.append(f"{part} are not watched")
        elif broken:
            needs = f"needs {broken[0].action}" if broken[0].action else str(broken[0].phase)
            unseen.append(f"{part} ({needs})")
        elif any(NO_HISTORY in status.notes for status in statuses):
            unseen.append(f"alarms that fired and are OK again ({NO_HISTORY})")
        elif parts:
            unseen.append(f"{part} in part ({'; '.join(parts)})")
    session = store.sources.get("session")
    return (session.message or "the session failed",) if session and session.phase in UNREADABLE else tuple(unseen)


def _reading(store: Store) -> tuple[str, ...]:
    return tuple(
        part
        for source, part in _PARTS.items()
        if any(
            status.phase in {SourcePhase.STARTING, SourcePhase.BEHIND, SourcePhase.THROTTLED}
            for name, status in store.sources.items()
            if name == source or name.startswith(f"{source}:")
        )
    )


def _by_subject(events: Iterable[ReleaseEvent]) -> dict[tuple[str, Place], list[ReleaseEvent]]:
    by_subject: dict[tuple[str, Place], list[ReleaseEvent]] = {}
    for event in events:
        by_subject.setdefault((event.subject, event.place), []).append(event)
    return by_subject


_NAMES: dict[Kind, tuple[str, str]] = {
    "deployment": ("deployment", "deployments"),
    "stack": ("stack update", "stack updates"),
    "traffic": ("traffic change", "traffic changes"),
    "alarm": ("alarm", "alarms"),
    "errors": ("new error", "new errors"),
    "check": ("check changed", "checks changed"),
}


def _counted(rows: Sequence[Change]) -> list[str]:
    counts: dict[Kind, int] = {}
    for row in rows:
        counts[row.kind] = counts.get(row.kind, 0) + row.count
    parts = [f"{counts[kind]} {_NAMES[kind][counts[kind] > 1]}" for kind in _NAMES if kind in counts]
    return parts + [row.text for row in rows if row.kind == "figure" and row.bad][:2]
