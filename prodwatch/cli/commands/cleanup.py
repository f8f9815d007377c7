"""`prodwatch cleanup`: finishes the cleanups of a killed run from its journal, in that run's environment only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from prodwatch.cli import stdout
from prodwatch.cli.options import Common, common_options
from prodwatch.cli.result_outputs import Outputs, output_options

if TYPE_CHECKING:
    from prodwatch.model.result import RunResult


@click.command()
@click.argument("run", required=False)
@output_options
@common_options
def command(common: Common, *, run: str | None, outputs: Outputs) -> int:
    """Finish the cleanups of RUN in its environment; without RUN, list the runs with unfinished cleanups."""
    if run is None:
        return _list()
    import asyncio

    from prodwatch.cli.event_loop import demo_target, with_signals
    from prodwatch.cli.project import load
    from prodwatch.runner import RunOptions
    from prodwatch.session.engine import host_name, open_engine

    project = load(_where_it_ran(common, run))
    outputs.prepare()

    async def main() -> RunResult:
        async with open_engine(project, demo=demo_target(project, common)) as engine:
            options = RunOptions(host=host_name(), allow_writes=True)
            task = asyncio.create_task(engine.runner.clean_up(run, options))
            with_signals(task)
            return await task

    return outputs.deliver(asyncio.run(main()))


def _where_it_ran(common: Common, run: str) -> Common:
    """Return `common` for the journal's environment and root. Raises ConfigurationError when `common` names others."""
    from pathlib import Path

    from msgspec.structs import replace

    from prodwatch.errors import ConfigurationError
    from prodwatch.runner import find_journal
    from prodwatch.settings.user_folders import state_dir

    ran = find_journal(state_dir(), run).run
    if common.env not in {None, ran.environment}:
        raise ConfigurationError(
            f'run {run} ran in environment "{ran.environment}", so its cleanup runs there; leave --env {common.env} out'
        )
    root = Path(ran.root)
    # A project that has moved since is searched as usual: from the working directory, or in --root.
    return replace(common, env=ran.environment, root=common.root or (root if root.is_dir() else None))


def _list() -> int:
    from prodwatch.cli.stderr import say
    from prodwatch.model.exit_code import ExitCode
    from prodwatch.runner import unfinished_journals
    from prodwatch.settings.user_folders import state_dir

    journals = unfinished_journals(state_dir())
    for journal in journals:
        checks = ", ".join(dict.fromkeys(unfinished.entry.check for unfinished in journal.unfinished))
        stdout.text(
            f"{journal.run.run_id}  {journal.run.environment}  {journal.run.root}  {checks or 'nothing to clean up'}"
        )
    if not journals:
        say("no unfinished cleanups on this machine")
    return ExitCode.OK
