"""`prodwatch doctor`: reports what works from this machine, with these credentials, for these files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from prodwatch.cli.options import Common, common_options

if TYPE_CHECKING:
    from prodwatch.access.doctor.findings import Finding
    from prodwatch.model.environment import FunctionTarget
    from prodwatch.settings import Project


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--allow-writes", is_flag=True, help="Also test what mutating checks of a protected environment need.")
@common_options
def command(common: Common, *, as_json: bool, allow_writes: bool) -> int:
    """Report what works from this machine, and what each missing thing disables.

    Tests every permission with one cheap read; changes nothing and invokes no function. Exits 0, or 3 when something
    these files need is missing or could not be determined. Also works without a project.
    """
    import asyncio

    from prodwatch.cli import stdout
    from prodwatch.cli.doctor.local_machine_findings import unicode_output
    from prodwatch.cli.doctor.output import as_json as report
    from prodwatch.cli.doctor.output import as_text, exit_code
    from prodwatch.cli.live.colour import style
    from prodwatch.cli.project import load_or_empty

    project = load_or_empty(common, without=True)
    findings = asyncio.run(_examine(project, common, allow_writes=allow_writes or not project.environment.protected))
    if as_json:
        stdout.write(report(project.environment.name, findings))
    else:
        lines = as_text(findings, style(no_color=common.no_color), unicode=unicode_output())
        stdout.painted("\n".join(lines))
    return exit_code(findings)


async def _examine(project: Project, common: Common, *, allow_writes: bool) -> list[Finding]:
    import os

    from prodwatch.access.doctor.aws_findings import examine_aws
    from prodwatch.access.doctor.findings import Finding
    from prodwatch.cli.doctor.local_machine_findings import machine
    from prodwatch.cli.run_with_signals import announced_demo
    from prodwatch.errors import ProdwatchError
    from prodwatch.session.engine import open_engine
    from prodwatch.session.function_log_groups import find_function_groups

    findings: list[Finding] = []
    try:
        async with open_engine(project, demo=announced_demo(project, common)) as engine:

            async def read_functions() -> tuple[FunctionTarget, ...]:
                # A finding names the permission when the settings of a function cannot be read.
                return (await find_function_groups(engine, warn=lambda _: None)).functions

            findings += await examine_aws(
                project,
                engine.environment,
                engine.aws,
                engine.clock,
                os.environ,
                read_functions=read_functions,
                allow_writes=allow_writes,
            )
    except ProdwatchError as caught:
        findings.append(Finding(area="identity", state="problem", message=str(caught), disables=("everything on AWS",)))
    return [*findings, *machine(project, os.environ)]
