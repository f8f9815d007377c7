"""Why a run stops before every check ran, and how that concludes the checks it cuts off."""

from __future__ import annotations

from enum import StrEnum

from prodwatch.model.status import Reason, Status
from prodwatch.runner.step.conclusion import Conclusion


class StopCause(StrEnum):
    """Causes of an early end."""

    INTERRUPTED = "interrupted"
    DEADLINE = "deadline"
    FAIL_FAST = "fail-fast"


class StopSignal:
    """Set once per run; the first cause counts."""

    def __init__(self) -> None:
        self.cause: StopCause | None = None
        self.abandons_cleanup = False
        """The run was interrupted a second time: cleanups end too. No other cause ends a cleanup."""
        self._detail = ""

    def set(self, cause: StopCause, detail: str = "") -> None:
        """Stop the run; `detail` is the check or the deadline that caused it."""
        if self.cause is None:
            self.cause, self._detail = cause, detail

    def conclusion(self, *, begun: bool) -> Conclusion:
        """Return the conclusion of a check that was cut off (`begun`) or never started."""
        if self.cause is StopCause.FAIL_FAST:
            return Conclusion(Status.SKIPPED, Reason.LIMIT, f"not run: --fail-fast ended the run after {self._detail}")
        if self.cause is StopCause.DEADLINE:
            progress = "was cut off" if begun else "had not started"
            return Conclusion(
                Status.INCONCLUSIVE, Reason.DEADLINE, f"it {progress} when the run's deadline of {self._detail} expired"
            )
        if begun:
            return Conclusion(Status.INCONCLUSIVE, Reason.INTERRUPTED, "the run was interrupted during this check")
        return Conclusion(Status.SKIPPED, Reason.INTERRUPTED, "not run: the run was interrupted before it started")
