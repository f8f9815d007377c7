"""The signals of one run: metrics and alarms that gate, read once while the checks run."""

from __future__ import annotations

import asyncio
import logging

from prodwatch.model.result import SignalResult
from prodwatch.model.status import Reason
from prodwatch.runner.step.run_context import RunContext
from prodwatch.runner.step.stop_reason import StopSignal
from prodwatch.sources.read_signals import read_signals, unread_signals
from prodwatch.text.sanitize import sanitize_line

_LOG = logging.getLogger(__name__)


class SignalReading:
    """One reading; `wait` for it, `cancel` it, and take its `results` when it is not `busy` any more."""

    def __init__(self, context: RunContext, stop: StopSignal) -> None:
        self._environment = context.environment
        self._stop = stop
        self._task = asyncio.create_task(
            read_signals(
                context.environment,
                context.aws,
                clock=context.clock,
                clean=lambda text: sanitize_line(context.redactor.text(text)),
            )
        )

    @property
    def busy(self) -> bool:
        """Whether it is still being read."""
        return not self._task.done()

    async def wait(self) -> None:
        """Wait until it is read or cancelled; cancelling the wait does not cancel the reading."""
        await asyncio.wait((self._task,))

    def cancel(self) -> None:
        """End it early: every signal is inconclusive then."""
        self._task.cancel()

    def results(self) -> tuple[SignalResult, ...]:
        """Return the signals; all are inconclusive after a stop of the run or a bug, with the reason."""
        if not self._task.cancelled():
            problem = self._task.exception()
            if problem is None:
                return self._task.result()
            # A bug, or a response that is not the operation's document, must not take the checks' results with it.
            _LOG.error("signals could not be read", exc_info=problem)
            message = f"the signals could not be read because of a bug in prodwatch ({type(problem).__name__})"
            return unread_signals(self._environment, message, Reason.INTERNAL)
        cut = self._stop.conclusion(begun=True)
        assert cut.reason is not None
        return unread_signals(self._environment, str(cut.message), cut.reason)
