"""`prodwatch gate --from T1 --to T2`: judges a window that is over, from what AWS still has of it."""

from __future__ import annotations

import asyncio
from random import SystemRandom
from typing import TYPE_CHECKING

from prodwatch.cli.gate_progress import GateProgress
from prodwatch.cli.run_with_signals import RunSignals, demo_target, exit_code_of
from prodwatch.cli.stderr import note
from prodwatch.clock import AwsClock
from prodwatch.runner import fresh_run_id
from prodwatch.session.engine import open_engine, require_credentials, require_secrets
from prodwatch.session.past_gate import PastGateOptions, in_window, judge_past, unread_gate

if TYPE_CHECKING:
    from prodwatch.cli.options import Common
    from prodwatch.cli.result_outputs import Outputs
    from prodwatch.model.result import RunResult
    from prodwatch.session.gate import Gate
    from prodwatch.settings import Project
    from prodwatch.views.time_window import Window


def run(project: Project, common: Common, outputs: Outputs, window: Window, options: PastGateOptions) -> RunResult:
    """Return the result, `aborted` after an interruption. Raises ProdwatchError."""
    clock, progress = AwsClock(), GateProgress(outputs)

    def document(gate: Gate) -> RunResult:
        return in_window(gate.result(fresh_run_id(clock.now(), SystemRandom())), window)

    async def judged() -> RunResult:
        async with open_engine(project, demo=demo_target(project, common), clock=clock) as engine:
            await require_credentials(engine)
            for sentence in await require_secrets(engine):
                note(sentence)
            gate = await judge_past(engine, window, clock, options, say=note, listener=progress)
            return document(gate)

    async def main(signals: RunSignals) -> RunResult:
        task = asyncio.create_task(judged())
        received: list[int] = []

        def cancel(number: int) -> None:
            received.append(number)
            task.cancel()

        signals.attach(cancel, words="interrupted")
        try:
            return await task
        except asyncio.CancelledError:
            if not received:
                raise
            gate = unread_gate(project.environment, window, options)
            gate.interrupt(int(exit_code_of(received[0])))
            await gate.run()
            return document(gate)
        finally:
            signals.detach()

    try:
        with RunSignals() as signals:
            return asyncio.run(main(signals))
    finally:
        progress.clear()
