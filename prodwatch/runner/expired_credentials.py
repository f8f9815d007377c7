"""Moves the advice on how to renew expired credentials from each check into one notice of the run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from msgspec.structs import replace

from prodwatch.model.event import CheckFinished, RunEvent
from prodwatch.model.result import AttemptResult, CheckResult, Notice, SignalResult, StepResult
from prodwatch.model.status import Reason

_CODE = Reason.EXPIRED_CREDENTIALS.value
_SENTENCE = re.compile(r"\bexpired\b[^;]*(?P<advice>; .+?)(?= \(\d+ attempts? in |$)", re.DOTALL)


class RenewalAdvice:
    """Moves the advice of each message about expired credentials into a notice of the run."""

    def __init__(self, notice: Callable[[str, str], None]) -> None:
        self._notice = notice
        self._known: set[str] = set()
        """Advice moved so far, with the semicolon before it."""

    def listener(self, listener: Callable[[RunEvent], None]) -> Callable[[RunEvent], None]:
        """Return a listener that passes every event on, finished checks without the advice."""

        def passed_on(event: RunEvent) -> None:
            listener(CheckFinished(result=self.check(event.result)) if isinstance(event, CheckFinished) else event)

        return passed_on

    def check(self, result: CheckResult) -> CheckResult:
        """Return a check's result without the advice, its steps and diagnostics likewise."""
        steps = (*result.steps, *result.cleanup)
        for reason, message in [(result.reason_code, result.message), *((s.reason_code, s.message) for s in steps)]:
            self._learn(reason, message)
        diagnosed_by = tuple(map(self.check, result.diagnosed_by))
        if not self._known:
            return result
        return replace(
            result,
            message=self.short(result.message),
            attempts=self._attempts(result),
            steps=tuple(map(self._step, result.steps)),
            cleanup=tuple(map(self._step, result.cleanup)),
            diagnosed_by=diagnosed_by,
        )

    def _step(self, result: StepResult) -> StepResult:
        return replace(result, message=self.short(result.message), attempts=self._attempts(result))

    def _attempts(self, result: CheckResult | StepResult) -> tuple[AttemptResult, ...]:
        return tuple(replace(each, message=self.short(each.message)) for each in result.attempts)

    def signal(self, result: SignalResult) -> SignalResult:
        """Return a signal's result without the advice."""
        self._learn(result.reason_code, result.message)
        return replace(result, message=self.short(result.message)) if self._known else result

    def notices(self, notices: Iterable[Notice]) -> tuple[Notice, ...]:
        """Return the run's notices: the advice has its own, and no other repeats it."""
        return tuple(
            each if each.code == _CODE else replace(each, message=self.short(each.message)) for each in notices
        )

    def _learn(self, reason: Reason | None, message: str | None) -> None:
        match = _SENTENCE.search(message) if message is not None and reason is Reason.EXPIRED_CREDENTIALS else None
        if match is not None and match["advice"] not in self._known:
            self._known.add(match["advice"])
            self._notice(_CODE, f"the AWS credentials have expired{match['advice']}")

    def short(self, message: str | None) -> str | None:
        """Return a message without the advice that is a notice by now; None stays None."""
        if message is not None:
            for advice in self._known:
                message = message.replace(advice, "")
        return message
