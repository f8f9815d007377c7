"""Runs checks in an event loop with signal handling: the first signal ends with cleanup, the second at once."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from prodwatch.cli.options import Common
from prodwatch.cli.stderr import say
from prodwatch.model.check import CheckDefinition
from prodwatch.model.environment import DemoTarget
from prodwatch.model.event import RunEvent
from prodwatch.model.result import RunResult
from prodwatch.session.engine import open_engine

if TYPE_CHECKING:
    from prodwatch.runner import RunOptions
    from prodwatch.settings import Project


def run_to_end(
    project: Project,
    chosen: Sequence[CheckDefinition],
    options: RunOptions,
    common: Common,
    *,
    listener: Callable[[RunEvent], None],
) -> RunResult:
    """Run the checks and return the result, also after an interruption; raises ProdwatchError."""
    # A run creates little cyclic garbage and the process ends soon: frequent collections only cost time.
    gc.set_threshold(100_000, 50, 100)

    async def main() -> RunResult:
        async with open_engine(project, listener=listener, demo=demo_target(project, common)) as engine:
            task = asyncio.create_task(engine.runner.run(chosen, options))
            with_signals(task)
            return await task

    return asyncio.run(main())


def with_signals(task: asyncio.Task[RunResult]) -> None:
    """Cancel the run on Ctrl-C, SIGTERM and SIGHUP: the first runs the cleanups, the second abandons them."""
    from prodwatch.runner import TERMINATED

    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        say("interrupted: cleaning up; press Ctrl-C again to abandon the cleanup and list what is left")
        task.cancel()

    loop.add_signal_handler(signal.SIGINT, interrupt)
    loop.add_signal_handler(signal.SIGTERM, task.cancel, TERMINATED)
    if hasattr(signal, "SIGHUP"):
        loop.add_signal_handler(signal.SIGHUP, task.cancel, TERMINATED)


def demo_target(project: Project, common: Common) -> DemoTarget | None:
    """Return the environment's demo with `--at` applied; None for an environment without `[demo]`."""
    target = project.environment.demo
    if target is None or common.at is None:
        return target
    return replace(target, at=common.at)
