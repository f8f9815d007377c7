"""The facts of a verdict, sorted by how they count."""

from __future__ import annotations

from prodwatch.judge.facts import CheckFact, Facts, SignalFact
from prodwatch.judge.freshness import is_stale_check
from prodwatch.model.comparison import ComparisonResult, SignatureResult
from prodwatch.model.release import first_release
from prodwatch.model.signal import ReleasePhase
from prodwatch.model.status import Status


class Evidence:
    """Checks, signals and the main release, each by how it counts."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.selected = tuple(each for each in facts.checks if not each.supporting)
        self.gating = tuple(each for each in self.selected if not each.advisory)
        self.counted = self.gating or self.selected
        """Advisory checks alone never gate, but one of them must have been measured."""
        session = facts.mode != "run"
        self.stale = tuple(each for each in self.counted if session and is_stale_check(each))
        self.fresh = tuple(each for each in self.counted if not (session and is_stale_check(each)))
        main = first_release(facts.releases) if facts.window is None else None
        self.release = main if main is not None and main.phase is not ReleasePhase.NONE else None

        self.comparisons = tuple(each for each in facts.comparisons if each.gate)
        self.signatures = tuple(each for each in facts.signatures if each.gate)
        functions = {each.function for each in facts.comparisons} | {each.function for each in facts.signatures}
        self._several = len(functions) > 1

    def gating_with(self, *statuses: Status) -> tuple[CheckFact, ...]:
        """Return the fresh checks that gate and have one of these statuses."""
        return tuple(each for each in self.fresh if not each.advisory and status_of(each) in statuses)

    def signals_with(self, status: Status) -> tuple[SignalFact, ...]:
        """Return the signals that gate and have this status."""
        return tuple(each for each in self.facts.signals if each.gate and each.status is status)

    def sentence(self, result: ComparisonResult | SignatureResult) -> str:
        """Return the message of a comparison or signature, after its function where there are several."""
        return f"{result.function}: {result.message}" if self._several and result.function else result.message

    @property
    def unmeasured(self) -> tuple[CheckFact, ...]:
        """Return the checks of which no round has finished."""
        return tuple(each for each in self.counted if each.status is None)


def status_of(check: CheckFact) -> Status | None:
    """Return the status by which a check counts: a muted one counts as skipped, whatever it measured before."""
    return Status.SKIPPED if check.muted and check.status is not None else check.status
