"""`prodwatch gate`: watches a release until its bake ends, and exits by the verdict."""

from __future__ import annotations

import asyncio
from random import SystemRandom
from typing import TYPE_CHECKING

import click

from prodwatch.cli.duration_parameter import DurationParameter
from prodwatch.cli.options import Common, common_options
from prodwatch.cli.result_outputs import Outputs, output_options
from prodwatch.errors import ConfigurationError
from prodwatch.model.exit_code import ExitCode

if TYPE_CHECKING:
    from prodwatch.model.result import RunResult
    from prodwatch.session.gate import GateOptions
    from prodwatch.settings import Project

_BY_NAME = {"pass": ExitCode.OK, "fail": ExitCode.FAIL}


@click.command()
@output_options
@click.option(
    "--for", "for_", type=DurationParameter(), metavar="15m", help="Length of the bake, instead of [rounds] bake."
)
@click.option(
    "--until-deployed", is_flag=True, help="End the bake when the deployment has succeeded, if that is sooner."
)
@click.option(
    "--release",
    "releases",
    multiple=True,
    metavar="[NAME=]VERSION",
    help="Version that must serve; with several functions, NAME=VERSION for each.",
)
@click.option("--allow-writes", is_flag=True, help="Run mutating checks even in a protected environment.")
@click.option("--strict", is_flag=True, help="Exit 1 when the verdict is degraded.")
@click.option(
    "--report-only", is_flag=True, help="Exit 0 for every verdict; errors of usage and interruptions keep theirs."
)
@click.option(
    "--on-inconclusive",
    type=click.Choice(["pass", "fail"]),
    help="Exit code of an inconclusive verdict: 0 or 1; the verdict remains inconclusive.",
)
@common_options
def command(
    common: Common,
    *,
    outputs: Outputs,
    for_: float | None,
    until_deployed: bool,
    releases: tuple[str, ...],
    allow_writes: bool,
    strict: bool,
    report_only: bool,
    on_inconclusive: str | None,
) -> int:
    """Watch one release until its bake ends and report the verdict.

    It fails as soon as the evidence suffices, and never passes early. Exit codes are those of `check`.
    """
    from prodwatch.cli.project import load
    from prodwatch.session.gate import GateOptions

    outputs.prepare()
    project = load(common)
    options = GateOptions(
        bake_s=for_ or project.environment.rounds.bake_s,
        until_deployed=until_deployed,
        versions=_versions(releases, project),
        allow_writes=allow_writes,
        strict=strict,
    )
    if common.no_color:
        outputs.color = False
    result = _run(project, options, outputs, common)
    code = outputs.deliver(result)
    status = result.verdict.status
    if status == "aborted":
        return code
    if report_only:
        return int(ExitCode.OK)
    if status == "inconclusive" and on_inconclusive is not None:
        return int(_BY_NAME[on_inconclusive])
    return code


def _versions(releases: tuple[str, ...], project: Project) -> dict[str, str]:
    """Return function → version. Raises ConfigurationError for a name that is not watched, or a missing one."""
    functions = [each.name for each in project.environment.functions]
    versions: dict[str, str] = {}
    for each in releases:
        name, separator, version = each.rpartition("=")
        if separator and name not in functions:
            raise ConfigurationError(f'--release: "{name}" is not a [[function]] of {project.environment.name}')
        if not separator and len(functions) != 1:
            raise ConfigurationError("--release needs NAME=VERSION, because the environment has several functions")
        versions[name if separator else ""] = version
    return versions


def _run(project: Project, options: GateOptions, outputs: Outputs, common: Common) -> RunResult:
    from prodwatch.cli.gate_progress import GateProgress
    from prodwatch.cli.run_with_signals import RunSignals, demo_target, exit_code_of
    from prodwatch.clock import AwsClock
    from prodwatch.runner import fresh_run_id
    from prodwatch.session.gate import Gate

    progress = GateProgress(outputs)

    async def main() -> RunResult:
        clock = AwsClock()
        gate = Gate(project, clock, options, demo=demo_target(project, common), listener=progress)
        task = asyncio.create_task(gate.run())

        def cancel(number: int) -> None:
            gate.interrupt(int(exit_code_of(number)))
            task.cancel()

        signals.attach(cancel, words="interrupted: cleaning up")
        try:
            await task
        except asyncio.CancelledError:
            if not gate.is_interrupted:
                raise
        finally:
            signals.detach()
        return gate.result(fresh_run_id(clock.now(), SystemRandom()))

    with RunSignals() as signals:
        try:
            return asyncio.run(main())
        finally:
            progress.clear()
