"""`prodwatch list`: the checks that would run, in the order of the report."""

from __future__ import annotations

from typing import Any

import click

from prodwatch.cli import stdout
from prodwatch.cli.near_checks import empty_selection_hint
from prodwatch.cli.options import Common, common_options
from prodwatch.cli.project import load
from prodwatch.cli.selection_options import matcher, selection, selection_options


@click.command()
@selection_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@common_options
def command(
    common: Common, *, expression: str | None, tags: tuple[str, ...], kind: Any, shard: str | None, as_json: bool
) -> int:
    """List the checks that would run.

    Without --kind: smoke checks, each with the diagnostics it would start.
    """
    from prodwatch.model.exit_code import ExitCode
    from prodwatch.runner.schedule.selection import select

    criteria = selection(expression, tags, kind, shard)
    project = load(common, quiet=as_json, selected=matcher(criteria))
    chosen = select(project.checks, criteria, project.environment.name)
    if as_json:
        import msgspec

        rows = [
            {
                "id": check.id,
                "title": check.title,
                "kind": check.kind,
                "type": check.type,
                "tags": check.tags,
                "mutates": check.mutates,
                "diagnose": check.diagnose,
                "source": check.source,
            }
            for check in chosen
        ]
        stdout.write(msgspec.json.format(msgspec.json.encode(rows), indent=2) + b"\n")
    else:
        width = max((len(check.id) for check in chosen), default=0)
        for check in chosen:
            marks = [mark for mark, on in (("mutates", check.mutates), ("critical", check.critical)) if on]
            marks += [f"→ {name}" for name in check.diagnose]
            stdout.text(f"{check.id:<{width}}  {check.kind:<10}  {check.type:<8}  {'  '.join(marks)}".rstrip())
    if not chosen:
        from prodwatch.cli.stderr import error

        error(empty_selection_hint(project, criteria) or "no check is selected")
        return ExitCode.NOTHING_SELECTED
    return ExitCode.OK
