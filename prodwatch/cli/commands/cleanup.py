"""`prodwatch cleanup`: finishes from its journal what a killed run could not clean up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from prodwatch.cli import stdout
from prodwatch.cli.options import Common, common_options
from prodwatch.cli.outputs import Outputs, output_options

if TYPE_CHECKING:
    from prodwatch.model.result import RunResult


@click.command()
@click.argument("run", required=False)
@output_options
@common_options
def command(common: Common, *, run: str | None, outputs: Outputs) -> int:
    """Finish the cleanups of RUN; without RUN, list the runs that left something behind on this machine."""
    if run is None:
        return _list()
    import asyncio

    from prodwatch.cli.engine import host_name, open_engine
    from prodwatch.cli.project import load
    from prodwatch.cli.running import demo_target, with_signals
    from prodwatch.runner import RunOptions

    project = load(common)
    outputs.prepare()

    async def main() -> RunResult:
        async with open_engine(project, demo=demo_target(project, common)) as engine:
            options = RunOptions(host=host_name(), allow_writes=True)
            task = asyncio.create_task(engine.runner.clean_up(run, options))
            with_signals(task)
            return await task

    return outputs.deliver(asyncio.run(main()))


def _list() -> int:
    from prodwatch.cli.engine import state_dir
    from prodwatch.cli.exits import ExitCode
    from prodwatch.cli.talk import say
    from prodwatch.runner import left_behind

    found = left_behind(state_dir())
    for each in found:
        checks = ", ".join(dict.fromkeys(unfinished.entry.check for unfinished in each.unfinished))
        stdout.text(f"{each.run.run_id}  {each.run.environment}  {each.run.root}  {checks or 'nothing to clean'}")
    if not found:
        say("no run left anything behind on this machine")
    return ExitCode.OK
