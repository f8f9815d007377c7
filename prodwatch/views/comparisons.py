"""Comparisons of the versions of every release as rows, and the status of an error signature in words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from prodwatch.judge.comparison.metric_comparison import format_metric
from prodwatch.judge.comparison.version_comparison import format_percent
from prodwatch.model.comparison import Basis, ComparedVersion, ComparisonKind, ComparisonResult, SignatureResult
from prodwatch.model.release import UNDER_WAY, present_releases
from prodwatch.model.signal import UNREADABLE, ReleasePhase, ReleaseState, SourcePhase
from prodwatch.model.status import WORST_FIRST, Status
from prodwatch.store.store import Store
from prodwatch.text.units import format_ms
from prodwatch.views.panel_freshness import freshness
from prodwatch.views.release import version_label, without_release
from prodwatch.views.status_style import STATES, WAITING, State

_SIGNALS: dict[ComparisonKind, str] = {
    "errors": "errors",
    "error_lines": "error lines",
    "client_errors": "4xx answers",
    "latency": "latency p95",
    "metric": "metric",
}
_BASES: dict[Basis, str] = {"requests": "", "counts": " (by count)", "before/after": " (before/after)"}
_SHOWN = "p95"
_HIGHEST_SHOWN = 10_000
"""Evidence above this number is abbreviated: it says no more."""
_ONE_DIGIT = 10
"""Evidence below this number has one digit after the point."""


class ComparisonRow(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison, or the cold starts of one function."""

    id: str
    function: str
    signal: str
    """`errors`, `latency p95`, `cold starts`."""
    old: str
    new: str
    effect: str
    """Difference with its interval; empty when there is none."""
    evidence: str
    """Number of times that the counts are likelier under harm."""
    threshold: str
    """Evidence that a failure takes."""
    filled: float | None
    """Share of the evidence that a failure takes, on a logarithmic scale, 0 to 1; None without evidence."""
    needed: str
    """Further requests of the new version until harm could be excluded."""
    state: State | None
    """None: a row that is not judged."""
    gates: bool
    note: str
    """Why it does not count, or further figures."""


class Comparisons(msgspec.Struct, frozen=True, kw_only=True):
    """The table of a moment."""

    rows: tuple[ComparisonRow, ...]
    old_version: str | None
    """None where the functions have different versions."""
    new_version: str | None
    empty: str
    """Why there are no rows."""
    partial: str | None
    """Which evidence cannot be read; None when all can."""
    worse: int
    """Comparisons by which the new version is worse, those that never fail a release included."""
    compared_up_to: datetime | None
    """End of the last batch in which both versions served."""


def comparisons(store: Store, now: datetime) -> Comparisons:
    """Return the comparisons as of `now`, by function: the one with the worst result first, then as released."""
    results = _by_function(store.comparisons)
    several = len({each.function for each in results}) > 1
    rows: list[ComparisonRow] = []
    for each in results:
        rows.append(_row(each, several=several))
        if each.kind == "latency":
            rows.append(_cold_starts(each, several=several))
    versions = {(each.baseline.version, each.canary.version) for each in results}
    old, new = versions.pop() if len(versions) == 1 else (None, None)
    ends = [each.last_end_ms for each in results if each.last_end_ms is not None]
    return Comparisons(
        rows=tuple(rows),
        old_version=old,
        new_version=new,
        empty=_empty(store, now),
        partial=_partial(store, now),
        worse=sum(each.status in {Status.FAIL, Status.DEGRADED} for each in results),
        compared_up_to=datetime.fromtimestamp(max(ends) / 1000, UTC) if ends else None,
    )


def signature_title(signature: SignatureResult) -> str:
    """Return its id, its function, and `bound to v42` or the like."""
    return f"{signature.id} {signature.function} {signature_standing(signature)}"


def signature_standing(signature: SignatureResult) -> str:
    """Return `bound to v42`, `listed only`, or until when and why it is accepted."""
    if signature.accepted is not None:
        return f"accepted {signature.accepted}"
    return f"bound to {version_label(signature.version)}" if signature.status is Status.FAIL else "listed only"


def unproven(results: Sequence[ComparisonResult]) -> str | None:
    """Return what the comparisons that gate have not proven, in one sentence; None when all of them exclude harm."""
    left = [each for each in results if each.gate and each.status is not Status.PASS]
    if not left:
        return None
    several = len({each.function for each in results}) > 1
    errors = [each for each in left if each.kind == "errors"] or left
    worst = max(errors, key=lambda each: math.inf if each.requests_needed is None else each.requests_needed)
    name = f"{worst.function}: " if several and worst.function else ""
    if not worst.canary.requests:
        text = f"versions are not compared yet: {worst.message}"
    elif worst.advisory is not None:
        text = f"harm not excluded: {worst.message}"
    elif worst.requests_needed:
        warm = "warm " if worst.kind == "latency" else ""
        text = f"harm not excluded yet: {worst.requests_needed:,} more {warm}requests"
    else:
        text = f"harm not excluded yet: {worst.message}"
    more = len({each.function for each in errors}) - 1
    return f"{name}{text}{f', and {more} more functions' if more > 1 else ', and 1 more function' if more else ''}"


def _by_function(results: Sequence[ComparisonResult]) -> Sequence[ComparisonResult]:
    worst: dict[str, int] = {}
    for each in results:
        place = WORST_FIRST.index(each.status) if each.gate else len(WORST_FIRST)
        worst[each.function] = min(place, worst.get(each.function, place))
    order = {function: place for place, function in enumerate(sorted(worst, key=worst.__getitem__))}
    return sorted(results, key=lambda each: order[each.function])


def _row(result: ComparisonResult, *, several: bool) -> ComparisonRow:
    signal = _SIGNALS[result.kind] + _BASES[result.basis]
    if result.kind == "metric":
        signal = result.id
    filled = None
    if result.canary.requests:
        filled = min(1.0, max(0.0, math.log(max(1.0, result.evidence)) / math.log(max(math.e, result.needed))))
    return ComparisonRow(
        id=result.id,
        function=result.function,
        signal=f"{result.function} {signal}" if several and result.function else signal,
        old=side_value(result.baseline, result),
        new=side_value(result.canary, result),
        effect=difference_text(result),
        evidence=evidence_number(result.evidence) if filled is not None else "",
        threshold=f"of {evidence_number(result.needed)}" if filled is not None else "",
        filled=filled,
        needed=_still_needed(result),
        state=STATES[result.status] if result.canary.requests else WAITING,
        gates=result.gate,
        note=_note(result),
    )


def _note(result: ComparisonResult) -> str:
    if result.advisory is not None:
        return result.advisory
    if not result.canary.requests:
        return result.message.partition(": ")[2] or result.message
    if result.kind == "latency":
        return _quantiles(result)
    if result.kind == "metric":
        against = "before the release" if result.basis == "before/after" else "the old version"
        return f"{result.canary.requests} periods, against {against}{'' if result.gate else '; never fails a release'}"
    return "" if result.gate else "never fails a release"


def _cold_starts(result: ComparisonResult, *, several: bool) -> ComparisonRow:
    signal = "cold starts"
    return ComparisonRow(
        id=f"{result.id} cold starts",
        function=result.function,
        signal=f"{result.function} {signal}" if several and result.function else signal,
        old=f"{result.baseline.cold_starts:,}",
        new=f"{result.canary.cold_starts:,}",
        effect="",
        evidence="",
        threshold="",
        filled=None,
        needed="",
        state=None,
        gates=False,
        note="not in the latency",
    )


def side_value(side: ComparedVersion, result: ComparisonResult) -> str:
    """Return the share, p95 or metric of one side of a comparison; empty when there is none."""
    if side.value is not None:
        return format_metric(side.value, result.unit)
    if result.kind == "latency":
        return format_ms(side.quantiles_ms[_SHOWN]) if _SHOWN in side.quantiles_ms else ""
    return "" if side.share is None else format_percent(side.share)


def difference_text(result: ComparisonResult) -> str:
    """Return the difference of a comparison with its interval; empty when there is none."""
    if result.difference is None:
        return ""
    if result.kind in {"latency", "metric"}:
        return f"{result.difference * 100:+.0f} %"
    text = f"{result.difference * 100:+.1f} points"
    least = None if result.at_least is None else f"{result.at_least * 100:.1f}"
    most = None if result.at_most is None else f"{result.at_most * 100:.1f}"
    if least and most:
        return f"{text}, {least} to {most}"
    return f"{text}, at least {least}" if least else f"{text}, at most {most}" if most else text


def _still_needed(result: ComparisonResult) -> str:
    if result.status in {Status.PASS, Status.FAIL} or result.requests_needed is None:
        return ""
    return f"{result.requests_needed:,}"


def _quantiles(result: ComparisonResult) -> str:
    old, new = result.baseline.quantiles_ms, result.canary.quantiles_ms
    return ", ".join(
        f"{name} {format_ms(old[name])} → {format_ms(new[name])}" for name in new if name != _SHOWN and name in old
    )


def evidence_number(evidence: float) -> str:
    """Return evidence in as many digits as say something."""
    if evidence < 1:
        return "below 1"
    if evidence < _ONE_DIGIT and evidence != round(evidence):
        return f"{evidence:.1f}"
    return f"{evidence:,.0f}" if evidence < _HIGHEST_SHOWN else f"> {_HIGHEST_SHOWN - 1:,}"


def _under_release(store: Store, now: datetime) -> Iterable[ReleaseState]:
    return (each for each in present_releases(store.release.states.values(), now) if each.phase in UNDER_WAY)


def _empty(store: Store, now: datetime) -> str:
    present = present_releases(store.release.states.values(), now)
    released = [each for each in present if each.phase is not ReleasePhase.NONE]
    if not released:
        return without_release(store)
    if all(each.phase not in UNDER_WAY for each in released):
        return f"{version_label(released[0].version)} {released[0].phase}: versions are no longer compared"
    if all(each.previous is None for each in released):
        return "the version before this release is not known, so nothing is compared"
    return "nothing read yet"


def _partial(store: Store, now: datetime) -> str | None:
    parts = []
    for each in _under_release(store, now):
        name = f"logs:{each.group_id.key}"
        status = store.sources.get(name)
        if status is None:
            parts.append(f"{each.function}: logs not read yet")
        elif status.phase in UNREADABLE or status.phase is SourcePhase.BEHIND:
            parts.append(f"{each.function}: logs {freshness(store, name, now).text}")
        elif status.unread:
            parts.append(f"{each.function}: logs not read as a whole")
    return "; ".join(parts) or None
