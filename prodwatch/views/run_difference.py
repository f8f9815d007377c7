"""Two runs side by side: what turned red or green, became slower, appeared or vanished."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from prodwatch.judge.facts import SUPPORTING
from prodwatch.model.history import OutcomeKind, PastOutcome, PastRun, RunEntry
from prodwatch.model.status import Status
from prodwatch.views.history import GREEN, MEASURED, median_ms

SLOWER_RATIO = 1.5
"""Ratio of the durations from which a check is slower."""
SLOWER_MS = 100
"""Difference of the durations in ms from which a check is slower."""


_RED = frozenset((Status.FAIL, Status.ERROR, Status.INCONCLUSIVE))


class ItemChange(msgspec.Struct, frozen=True, kw_only=True):
    """One check, signal, comparison or signature that differs."""

    kind: OutcomeKind
    id: str
    title: str
    before: Status | None
    """None when the first run does not have it."""
    after: Status | None
    """None when the second run does not have it."""
    before_ms: int | None
    """Duration in the first run, the median of several rounds; None without a measurement."""
    after_ms: int | None
    message: str | None
    """Message of the second run."""


class RunDifference(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that differs between two runs; an item may be in `slower` and in one other list.

    Diagnostics that ran only because another check was not green are left out.
    """

    schema: str = "prodwatch.diff/1"
    a: PastRun
    b: PastRun
    turned_red: tuple[ItemChange, ...]
    """Green in the first run; failed, in error or inconclusive in the second."""
    turned_green: tuple[ItemChange, ...]
    """Failed, in error or inconclusive in the first run; green in the second."""
    slower: tuple[ItemChange, ...]
    """Measured in both runs, and longer in the second by the ratio and the difference above."""
    appeared: tuple[ItemChange, ...]
    """In the second run only."""
    vanished: tuple[ItemChange, ...]
    """In the first run only."""
    changed: tuple[ItemChange, ...]
    """Any other change of the status."""
    unchanged: int
    """Items with the same status in both runs."""
    notices: tuple[str, ...] = ()
    """Reasons to doubt that the two runs can be compared."""

    @property
    def is_worse(self) -> bool:
        """Whether anything is red in the second run that was not red in the first, or was green and is not any more."""
        differing = (*self.turned_red, *self.appeared, *self.vanished, *self.changed)
        return any(
            (_is_red(each.after) and not _is_red(each.before)) or (each.before in GREEN and each.after not in GREEN)
            for each in differing
        )


def difference(a: RunEntry, b: RunEntry) -> RunDifference:
    """Return the difference from run `a` to run `b`."""
    before, after = _by_key(a), _by_key(b)
    changes = [_change(before.get(key), after.get(key)) for key in dict.fromkeys((*after, *before))]

    def of(name: str) -> tuple[ItemChange, ...]:
        return tuple(each for each in changes if _list_of(each.before, each.after) == name)

    return RunDifference(
        a=a.run,
        b=b.run,
        turned_red=of("turned_red"),
        turned_green=of("turned_green"),
        slower=tuple(filter(_is_slower, changes)),
        appeared=of("appeared"),
        vanished=of("vanished"),
        changed=of("changed"),
        unchanged=sum(each.before is each.after for each in changes),
        notices=tuple(_doubts(a.run, b.run)),
    )


def _by_key(entry: RunEntry) -> dict[tuple[str, str], PastOutcome]:
    # A diagnostic that ran only because another check was red vanishes when that one is green again.
    return {(each.kind, each.id): each for each in entry.outcomes if SUPPORTING not in each.flags}


def _change(old: PastOutcome | None, new: PastOutcome | None) -> ItemChange:
    either = new or old
    assert either is not None
    return ItemChange(
        kind=either.kind,
        id=either.id,
        title=either.title,
        before=old.status if old else None,
        after=new.status if new else None,
        before_ms=median_ms(old) if old else None,
        after_ms=median_ms(new) if new else None,
        message=new.message if new else None,
    )


def _list_of(before: Status | None, after: Status | None) -> str | None:
    if before is after:
        return None
    if before is None:
        return "appeared"
    if after is None:
        return "vanished"
    if before in GREEN and _is_red(after):
        return "turned_red"
    if _is_red(before) and after in GREEN:
        return "turned_green"
    return "changed"


def _is_red(status: Status | None) -> bool:
    return status in _RED


def _is_slower(change: ItemChange) -> bool:
    if {change.before, change.after} - MEASURED or change.before_ms is None or change.after_ms is None:
        return False
    return change.after_ms >= max(change.before_ms * SLOWER_RATIO, change.before_ms + SLOWER_MS)


def _doubts(a: PastRun, b: PastRun) -> Iterable[str]:
    if a.environment != b.environment:
        yield f"the runs are of different environments: {a.environment} and {b.environment}"
    if a.mode != b.mode:
        yield f"the runs are of different kinds: {a.mode} and {b.mode}"
    if a.shard != b.shard:
        yield "the runs are different shards, or one of them is a whole run"
    for run in (a, b):
        if run.status == "aborted":
            yield f"run {run.id} was interrupted"
    if a.id == b.id:
        yield "A and B are the same run"
    elif a.ended_at > b.started_at:
        yield f"run {a.id} ended after run {b.id} began"
