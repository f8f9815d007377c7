"""Why a run stops before everything ran, and what that makes of the checks it cuts off."""

from __future__ import annotations

from enum import StrEnum

from prodwatch.model.status import Reason, Status
from prodwatch.runner.step.conclusion import Conclusion


class StopCause(StrEnum):
    """The causes of an early end."""

    INTERRUPTED = "interrupted"
    DEADLINE = "deadline"
    FAIL_FAST = "fail-fast"


class StopSignal:
    """Set once; the first cause counts."""

    def __init__(self) -> None:
        self.why: StopCause | None = None
        self.abandon = False
        """Interrupted a second time: cleanups are given up too."""
        self._detail = ""

    def set(self, why: StopCause, detail: str = "") -> None:
        """Stop the run."""
        if self.why is None:
            self.why, self._detail = why, detail

    def conclusion(self, *, begun: bool) -> Conclusion:
        """Return the outcome of a check that was cut off, or never begun."""
        if self.why is StopCause.FAIL_FAST:
            return Conclusion(Status.SKIPPED, Reason.LIMIT, f"not run: --fail-fast ended the run after {self._detail}")
        if self.why is StopCause.DEADLINE:
            what = "was cut off" if begun else "had not begun"
            return Conclusion(
                Status.INCONCLUSIVE, Reason.DEADLINE, f"it {what} when the run's deadline of {self._detail} came"
            )
        if begun:
            return Conclusion(Status.INCONCLUSIVE, Reason.INTERRUPTED, "the run was interrupted while it was measured")
        return Conclusion(Status.SKIPPED, Reason.INTERRUPTED, "not run: the run was interrupted before")
