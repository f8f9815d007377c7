"""What changed in a window: deployments, stacks, alarms, new errors, figures; and what nobody can see of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec

from prodwatch.model.signal import NO_HISTORY, ReleaseEvent, SourcePhase
from prodwatch.store.store import Store
from prodwatch.text.units import format_value
from prodwatch.views.release import version_label
from prodwatch.views.timeline import describe
from prodwatch.views.window import Window
from prodwatch.views.window_comparison import MetricComparison, compare_windows

Kind = Literal["deployment", "stack", "traffic", "alarm", "errors", "figure", "check"]

_UNREADABLE = frozenset((SourcePhase.DENIED, SourcePhase.EXPIRED, SourcePhase.FAILED, SourcePhase.STOPPED))
_PARTS = {"release": "deployments and stacks", "alarms": "alarms", "logs": "log lines", "metrics": "metrics"}
"""Sources a change would be seen by, as people call what they tell."""
_WRONG = ("fail", "stop", "rollback", "rolled back", "delete")
_WEIGHT: dict[Kind, int] = {
    "alarm": 0,
    "deployment": 1,
    "check": 2,
    "errors": 3,
    "figure": 4,
    "stack": 5,
    "traffic": 6,
}
MAX_ERRORS = 20
"""New shapes of error lines told one by one; the rest is in the count."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is different from before."""

    kind: Kind
    subject: str
    """What opening it leads to: a deployment, an alarm, a shape of error lines, a figure's label."""
    at: datetime | None
    """When it was seen last, None for a figure."""
    text: str
    bad: bool
    """It speaks against production."""
    count: int = 1
    sample: str | None = None
    """Of new errors: one of their messages."""


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """Everything known to have changed, what matters most first."""

    rows: tuple[Change, ...]
    unseen: tuple[str, ...]
    """What could not be looked at: `alarms: not allowed, needs cloudwatch:DescribeAlarms`."""
    reading: tuple[str, ...]
    """What has not been read to its end yet."""

    @property
    def summary(self) -> str:
        """Return it all as one sentence; silence is only told of what was read."""
        parts = _counted(self.rows)
        told = ", ".join(parts) if parts else "nothing that can be seen"
        more = [f"not seen: {'; '.join(self.unseen)}"] if self.unseen else []
        more += [f"still reading {', '.join(self.reading)}"] if self.reading else []
        return " · ".join([told, *more])


def changes(store: Store, window: Window, now: datetime, *, better: Mapping[str, str] | None = None) -> Changes:
    """Return what changed in `window`, as far as the store knows at `now`."""
    events = sorted((each for each in store.release.events if window.has(each.at, now)), key=lambda each: each.at)
    rows = [
        *_deployments(each for each in events if each.source == "codedeploy"),
        *_stacks(each for each in events if each.source == "cloudformation"),
        *_traffic(each for each in events if each.source == "lambda"),
        *_alarms(store, [each for each in events if each.source == "alarm"], window),
        *_checks(each for each in events if each.source == "check"),
        *_errors(store, window, now),
        *(
            _figure(each, window, now)
            for each in compare_windows(store, window, now, better=better)
            if _can_be_told(each)
        ),
    ]
    earliest = datetime.fromtimestamp(0, UTC)
    rows.sort(key=lambda row: (not row.bad, _WEIGHT[row.kind], -(row.at or earliest).timestamp()))
    return Changes(rows=tuple(rows), unseen=_unseen(store), reading=_reading(store))


def _deployments(events: Iterable[ReleaseEvent]) -> Iterable[Change]:
    for subject, told in _by_subject(events).items():
        last = told[-1]
        pair = next(((each.from_, each.to) for each in told if _is_version(each.from_) and _is_version(each.to)), None)
        versions = f" {version_label(pair[0])} → {version_label(pair[1])}" if pair else ""
        back = any("rollback" in each.what for each in told)
        outcome = _outcome(last)
        detail = next((each.detail for each in reversed(told) if each.detail and not back), None)
        yield Change(
            kind="deployment",
            subject=subject,
            at=last.at,
            text=f"{'rollback' if back else 'deployment'}{versions}: {outcome}"
            + (f": {detail}" if detail else "")
            + f" ({subject})",
            bad=back or any(word in outcome.casefold() for word in _WRONG),
        )


def _outcome(event: ReleaseEvent) -> str:
    for word in ("deployment ", "rollback "):
        if event.what.startswith(word):
            return event.what.removeprefix(word)
    return (event.to or event.what) if event.what in {"status", "state"} else event.what


def _is_version(text: str | None) -> bool:
    return text is not None and text.isdigit()


def _stacks(events: Iterable[ReleaseEvent]) -> Iterable[Change]:
    by_stack: dict[str, list[ReleaseEvent]] = {}
    for each in events:
        by_stack.setdefault(each.subject.partition("/")[0], []).append(each)
    for stack, told in by_stack.items():
        own = [each for each in told if each.subject in {stack, f"{stack}/{stack}"}]
        resources = {each.subject for each in told} - {stack, f"{stack}/{stack}"}
        status = (own or told)[-1].what if (own or told)[-1].what != "status" else str((own or told)[-1].to)
        moved = f", {len(resources)} {'resource' if len(resources) == 1 else 'resources'}" if resources else ""
        failed = next((each.detail for each in told if "FAILED" in each.what and each.detail), None)
        yield Change(
            kind="stack",
            subject=told[-1].subject,
            at=told[-1].at,
            text=f"stack {stack}: {status}{moved}" + (f": {failed}" if failed else ""),
            bad=any(word in status.casefold() for word in _WRONG),
        )


def _traffic(events: Iterable[ReleaseEvent]) -> Iterable[Change]:
    for subject, told in _by_subject(events).items():
        yield Change(
            kind="traffic", subject=subject, at=told[-1].at, text=f"{subject}: {describe(told[-1])}", bad=False
        )


def _alarms(store: Store, events: Sequence[ReleaseEvent], window: Window) -> Iterable[Change]:
    fired = _by_subject(each for each in events if each.to == "ALARM")
    firing = {name: each for name, each in store.release.alarms.items() if each.state == "ALARM"}
    for name in dict.fromkeys([*fired, *firing]):
        told, state = fired.get(name, []), firing.get(name)
        known = store.release.alarms.get(name)
        if not told and state and state.since and state.since < window.start:
            text = f"alarm {name} has been firing since before"
        else:
            times = f"fired {len(told)} times" if len(told) > 1 else "fired"
            end = "at its end" if window.is_past else "now"
            text = f"alarm {name} {times}, {f'still firing {end}' if state else f'quiet {end}'}"
        yield Change(
            kind="alarm",
            subject=name,
            at=told[-1].at if told else (state.since if state else None),
            text=text + (f": {state.reason}" if state and state.reason else ""),
            bad=known is None or known.gate,
        )


def _checks(events: Iterable[ReleaseEvent]) -> Iterable[Change]:
    for subject, told in _by_subject(events).items():
        last = told[-1]
        if last.to in {"fail", "error"} or len(told) > 1:
            yield Change(
                kind="check",
                subject=subject,
                at=last.at,
                text=f"check {subject}: {describe(last)}" + (f": {last.detail}" if last.detail else ""),
                bad=last.to in {"fail", "error"},
            )


def _errors(store: Store, window: Window, now: datetime) -> Iterable[Change]:
    start_ms, end_ms = window.start.timestamp() * 1000, window.until(now).timestamp() * 1000
    new = [each for each in store.signatures.signatures.values() if start_ms <= each.first_ms <= end_ms]
    new.sort(key=lambda each: -each.count)
    for each in new[:MAX_ERRORS]:
        first = datetime.fromtimestamp(each.first_ms / 1000, UTC)
        yield Change(
            kind="errors",
            subject=each.shape,
            at=first,
            text=f"new error, {each.count:,}×: {each.sample}",
            bad=True,
            sample=each.sample,
        )
    if len(new) > MAX_ERRORS:
        rest = len(new) - MAX_ERRORS
        yield Change(kind="errors", subject="", at=None, text=f"{rest} more new errors", bad=True, count=rest)


def _can_be_told(each: MetricComparison) -> bool:
    """Tell whether a figure moved, and so much that it shows in the digits told."""
    return each.ceased or (
        each.notable and format_value(each.before, each.unit) != format_value(each.within, each.unit)
    )


def _figure(each: MetricComparison, window: Window, now: datetime) -> Change:
    before, within = format_value(each.before, each.unit), format_value(each.within, each.unit)
    if each.ceased:
        text = f"{each.label}: nothing is measured any more, against {before} in the {window.named(now)} before"
        return Change(kind="figure", subject=each.label, at=None, text=text, bad=each.worse)
    change = each.change
    moved = "" if change is None or each.unit == "Percent" else f" ({change * 100:+.0f} %)"
    week = f", {format_value(each.week_ago, each.unit)} a week ago" if each.week_ago is not None else ""
    return Change(
        kind="figure",
        subject=each.label,
        at=None,
        text=f"{each.label} {within} against {before} in the {window.named(now)} before{moved}{week}",
        bad=each.worse,
    )


def _unseen(store: Store) -> tuple[str, ...]:
    told = []
    for source, part in _PARTS.items():
        statuses = [each for name, each in store.sources.items() if name == source or name.startswith(f"{source}:")]
        broken = [each for each in statuses if each.phase in _UNREADABLE]
        parts = dict.fromkeys(sentence for each in statuses for sentence in each.unread)
        if not statuses:
            told.append(f"{part} are not watched")
        elif broken:
            needs = f"needs {broken[0].action}" if broken[0].action else str(broken[0].phase)
            told.append(f"{part} ({needs})")
        elif any(NO_HISTORY in each.notes for each in statuses):
            told.append(f"alarms that fired and are quiet again ({NO_HISTORY})")
        elif parts:
            told.append(f"{part} in part ({'; '.join(parts)})")
    session = store.sources.get("session")
    return (session.message or "the session failed",) if session and session.phase in _UNREADABLE else tuple(told)


def _reading(store: Store) -> tuple[str, ...]:
    return tuple(
        part
        for source, part in _PARTS.items()
        if any(
            each.phase in {SourcePhase.STARTING, SourcePhase.BEHIND, SourcePhase.THROTTLED}
            for name, each in store.sources.items()
            if name == source or name.startswith(f"{source}:")
        )
    )


def _by_subject(events: Iterable[ReleaseEvent]) -> dict[str, list[ReleaseEvent]]:
    found: dict[str, list[ReleaseEvent]] = {}
    for each in events:
        found.setdefault(each.subject, []).append(each)
    return found


_NAMES: dict[Kind, tuple[str, str]] = {
    "deployment": ("deployment", "deployments"),
    "stack": ("stack update", "stack updates"),
    "traffic": ("change of traffic", "changes of traffic"),
    "alarm": ("alarm", "alarms"),
    "errors": ("new error", "new errors"),
    "check": ("check changed", "checks changed"),
}


def _counted(rows: Sequence[Change]) -> list[str]:
    counts: dict[Kind, int] = {}
    for each in rows:
        counts[each.kind] = counts.get(each.kind, 0) + each.count
    told = [f"{counts[kind]} {_NAMES[kind][counts[kind] > 1]}" for kind in _NAMES if kind in counts]
    return told + [each.text for each in rows if each.kind == "figure" and each.bad][:2]
