"""`prodwatch cleanup`: finishes the cleanups of a killed run from its journal, in that run's environment only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from prodwatch.cli import stdout
from prodwatch.cli.options import ArgumentsCommand, Common, common_options
from prodwatch.cli.result_outputs import Outputs, output_options

if TYPE_CHECKING:
    from prodwatch.model.result import RunResult


@click.command(cls=ArgumentsCommand)
@click.argument("run", required=False)
@click.option("--forget", is_flag=True, help="Remove the journal of RUN without cleaning up.")
@output_options
@common_options
def command(common: Common, *, run: str | None, forget: bool, outputs: Outputs) -> int:
    """Finish the cleanups of RUN in its environment; without RUN, list the runs with unfinished cleanups.

    Before RUN write --json=FILE, with the equals sign.
    """
    if run is None:
        if forget or outputs.chosen:
            raise click.UsageError("RUN is missing; `prodwatch cleanup` without options lists the runs")
        return _list()
    if forget:
        return _forget(run)
    import asyncio

    from prodwatch.cli.project import load
    from prodwatch.cli.run_with_signals import RunSignals, demo_target, under_signals
    from prodwatch.runner import RunOptions
    from prodwatch.session.engine import host_name, open_engine

    project = load(_where_it_ran(common, run))
    outputs.prepare()

    async def main(signals: RunSignals) -> RunResult:
        async with open_engine(project, demo=demo_target(project, common)) as engine:
            options = RunOptions(host=host_name(), allow_writes=True)
            return await under_signals(engine.runner.clean_up(run, options), signals)

    with RunSignals() as signals:
        return outputs.deliver(asyncio.run(main(signals)))


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
    if not root.is_dir():
        # A project that has moved since is searched as usual: from the working directory, or in --root.
        return replace(common, env=ran.environment)
    if common.root is not None and common.root.resolve() != root.resolve():
        raise ConfigurationError(
            f"run {run} ran in the project {root}, so its cleanup runs there; leave --root {common.root} out"
        )
    return replace(common, env=ran.environment, root=root)


def _forget(run: str) -> int:
    from prodwatch.cli.stderr import say
    from prodwatch.model.exit_code import ExitCode
    from prodwatch.runner import forget_journal
    from prodwatch.settings.user_folders import state_dir

    sent = forget_journal(state_dir(), run)
    for mutation in sent:
        details = ", ".join(f"{name} {value}" for name, value in mutation.details.items())
        say(f"not cleaned up: step {mutation.step}: {mutation.what} {details}")
    say(f"the journal of run {run} is removed")
    return ExitCode.OK


def _list() -> int:
    from prodwatch.cli.stderr import say
    from prodwatch.model.exit_code import ExitCode
    from prodwatch.runner import unfinished_journals, unreadable_journals
    from prodwatch.settings.user_folders import state_dir

    journals, unreadable = unfinished_journals(state_dir()), unreadable_journals(state_dir())
    for journal in journals:
        checks = ", ".join(dict.fromkeys(unfinished.entry.check for unfinished in journal.unfinished))
        stdout.text(
            f"{journal.run.run_id}  {journal.run.environment}  {journal.run.root}  {checks or 'nothing to clean up'}"
        )
    for path in unreadable:
        stdout.text(f"{path.stem}  its journal cannot be read: {path}")
    if not journals and not unreadable:
        say("no unfinished cleanups on this machine")
    return ExitCode.OK
