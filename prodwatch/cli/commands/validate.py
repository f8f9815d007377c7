"""`prodwatch validate`: checks files without network access; with --online, also resolves values in AWS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from prodwatch.cli import stdout
from prodwatch.cli.options import Common, common_options
from prodwatch.cli.project import load
from prodwatch.errors import ConfigurationError, Problem
from prodwatch.model.exit_code import ExitCode

if TYPE_CHECKING:
    from prodwatch.settings import Project


@click.command()
@click.option("--online", is_flag=True, help="Also resolve stacks, secrets and identity in AWS; reads only.")
@common_options
def command(common: Common, *, online: bool) -> int:
    """Check every file without network access.

    Prints every problem as file:line:column, then their number, and exits 2; without problems, prints a summary and
    exits 0.
    """
    from prodwatch.cli.stderr import problems, say

    try:
        project = load(common)
    except ConfigurationError as caught:
        if common.debug:
            raise
        problems(caught.problems)
        say(_total(caught.problems))
        return ExitCode.USAGE
    for sentence in _unknown_services(project):
        say(f"note: {sentence}")
    files = len({check.source.file for check in project.checks})
    checks = len(project.checks)
    stdout.text(f"{project.environment.name}: {_count(checks, 'check')} in {_count(files, 'file')}, no problems found")
    if online:
        return _resolve(project, common)
    return 0


def _unknown_services(project: Project) -> list[str]:
    """Return one sentence per step of type `aws` whose service AWS's SDK does not have."""
    asked = {
        (str(step.source), str(step.params["service"]))
        for check in project.checks
        for step in (*check.steps, *check.cleanup)
        if step.type == "aws" and "${" not in str(step.params.get("service", "${"))
    }
    if not asked:
        return []
    from difflib import get_close_matches

    from prodwatch.aws.iam_actions import reference

    known = reference()
    sentences = []
    for place, service in sorted(asked):
        if service not in known.services:
            near = get_close_matches(service, known.services, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            sentences.append(f'{place}: botocore of {known.read} has no service "{service}"{hint}')
    return sentences


def _resolve(project: Project, common: Common) -> int:
    """Print one line per account, stack and secret; the exit code."""
    import asyncio
    import os

    from prodwatch.access.resolve_online_values import Resolution, resolve_online
    from prodwatch.cli.run_with_signals import announced_demo
    from prodwatch.session.engine import open_engine
    from prodwatch.text.sanitize import sanitize_line

    async def resolve() -> list[Resolution]:
        async with open_engine(project, demo=announced_demo(project, common)) as engine:
            return await resolve_online(project, engine.environment, engine.aws, os.environ)

    resolutions = asyncio.run(resolve())
    for each in resolutions:
        stdout.text(f"{'✔' if each.ok else '✘'} {sanitize_line(each.message)}")
    failed = sum(not each.ok for each in resolutions)
    stdout.text(f"{_count(len(resolutions), 'value')} read from AWS, {failed or 'none'} failed")
    return ExitCode.ERROR if failed else ExitCode.OK


def _total(found: Sequence[Problem]) -> str:
    files = {each.position.file for each in found if each.position is not None}
    return _count(len(found), "problem") + (f" in {_count(len(files), 'file')}" if files else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
