"""`prodwatch validate`: lint without network; with --online, resolve what only AWS can answer."""

from __future__ import annotations

import click

from prodwatch.cli import stdout
from prodwatch.cli.options import Common, common_options
from prodwatch.cli.project import load


@click.command()
@click.option("--online", is_flag=True, help="Also resolve stacks, secrets and the identity; reads only.")
@common_options
def command(common: Common, *, online: bool) -> int:
    """Check every file without touching the network.

    Prints every problem as file:line:column and exits 2, or says what it read and exits 0.
    """
    project = load(common)
    files = len({check.source.file for check in project.checks})
    checks = len(project.checks)
    stdout.text(f"{project.environment.name}: {_count(checks, 'check')} in {_count(files, 'file')}, no problem found")
    if online:
        from prodwatch.cli.validate_online import resolve_online

        return resolve_online(project, common)
    return 0


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
