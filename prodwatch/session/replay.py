"""Feeds recorded evidence to a store and to the comparison of versions, as the session did that received it."""

from __future__ import annotations

from prodwatch.model.environment import Compare, Environment
from prodwatch.model.evidence import (
    CheckReported,
    ChecksDefined,
    Compared,
    Concluded,
    Delivered,
    Evidence,
    FunctionsWatched,
    GateLooked,
    GateOpened,
    Judged,
    LastWeekRead,
    Looked,
    Marked,
    NoticeAdded,
    Opened,
    SourceForgotten,
    Stalled,
    TraceFetched,
    UsageCounted,
)
from prodwatch.session.release_comparison import ReleaseComparisons
from prodwatch.store.store import Store

Stored = (
    Delivered
    | CheckReported
    | ChecksDefined
    | SourceForgotten
    | TraceFetched
    | Marked
    | NoticeAdded
    | UsageCounted
    | Stalled
)
"""Evidence that enters a store as it is."""


class Replay:
    """Applies evidence to a store, whose clock has to show the time at which each value was received."""

    def __init__(self, store: Store, *, compares: bool, limits: Compare | None = None) -> None:
        """With `compares` the versions are compared again, by `limits` or those recorded; without, as was recorded."""
        self._store = store
        self._compares = compares
        self._limits = limits
        self._comparisons: ReleaseComparisons | None = None

    def feed(self, evidence: Evidence) -> None:
        """Apply the next value."""
        match evidence:
            case Opened():
                self._open(evidence.environment)
            case Compared():
                if not self._compares:
                    self._store.set_comparisons(evidence.comparisons, evidence.signatures, evidence.coverage)
            case Judged():
                self._store.set_verdict(evidence.verdict)
            case FunctionsWatched() | Looked() | LastWeekRead():
                if self._compares and self._comparisons is not None:
                    _compare(self._comparisons, evidence)
            case GateOpened() | GateLooked() | Concluded():
                pass  # of the gate and of the document, which a store does not hold
            case _:
                _store(self._store, evidence)

    def _open(self, environment: Environment) -> None:
        limits = self._limits or environment.compare
        functions = len(environment.functions)
        self._comparisons = ReleaseComparisons(self._store, limits, functions, baseline=environment.release.baseline)


def _compare(comparisons: ReleaseComparisons, evidence: FunctionsWatched | Looked | LastWeekRead) -> None:
    match evidence:
        case FunctionsWatched():
            comparisons.watch(evidence.functions)
        case Looked():
            comparisons.update(evidence.at)
        case LastWeekRead():
            comparisons.add_last_week(evidence.release, evidence.minutes)


def _store(store: Store, evidence: Stored) -> None:
    match evidence:
        case Delivered():
            store.apply(evidence.batch)
        case CheckReported():
            store.apply_event(evidence.event)
        case ChecksDefined():
            store.define(evidence.checks)
        case SourceForgotten():
            store.forget_source(evidence.source)
        case TraceFetched():
            store.add_trace(evidence.trace)
        case Marked():
            store.add_mark(evidence.event)
        case NoticeAdded():
            store.notice(evidence.notice)
        case UsageCounted():
            store.set_usage(evidence.usage)
        case Stalled():
            store.set_slow(evidence.slow_ms)
