"""`prodwatch check`: runs the selected checks once, with progress on stderr, and exits by the verdict."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from prodwatch.cli import stderr
from prodwatch.cli.check_progress import CheckProgress
from prodwatch.cli.duration_parameter import DurationParameter
from prodwatch.cli.options import Common, common_options
from prodwatch.cli.recording_options import Recording, recording_options
from prodwatch.cli.result_outputs import Outputs, output_options
from prodwatch.cli.selection_options import matcher, selection, selection_options

if TYPE_CHECKING:
    from prodwatch.model.check import CheckDefinition
    from prodwatch.model.result import RunResult
    from prodwatch.runner import RunOptions, Selection
    from prodwatch.settings import Project


@click.command()
@selection_options
@output_options
@click.option("--failed-first", is_flag=True, help="Run the checks first that were not green last time.")
@click.option("--fail-fast", is_flag=True, help="Start no further checks after the first fail or error.")
@click.option(
    "--deadline",
    type=DurationParameter(),
    metavar="5m",
    help="Time limit for the whole run; checks it cuts off never pass.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of checks to run at the same time, instead of [limits] concurrency.",
)
@click.option("--allow-writes", is_flag=True, help="Run mutating checks even in a protected environment.")
@click.option("--strict", is_flag=True, help="Exit 1 when the verdict is degraded.")
@click.option("--allow-empty", is_flag=True, help="Exit 0 when no check is selected.")
@click.option("--dry-run", is_flag=True, help="Print every call that would be made, without sending any.")
@click.option("--no-diagnose", is_flag=True, help="Do not run diagnostics for red checks.")
@click.option("-v", "--verbose", is_flag=True, help="Write a line to stderr for each check as it ends.")
@click.option("--no-signals", is_flag=True, help="Do not read [[metric]] and [[alarm]] entries next to the checks.")
@recording_options
@common_options
def command(
    common: Common,
    *,
    outputs: Outputs,
    expression: str | None,
    tags: tuple[str, ...],
    kind: Any,
    shard: str | None,
    failed_first: bool,
    deadline: float | None,
    dry_run: bool,
    recording: Recording,
    verbose: bool,
    **flags: Any,
) -> int:
    """Run the selected checks once and report the verdict.

    Exit codes: 0 pass, 1 fail, 2 usage or configuration, 3 could not verify, 4 too little evidence, 5 nothing
    selected, 70 a bug, 130 and 143 interrupted.
    """
    from msgspec.structs import replace

    from prodwatch.cli.near_checks import empty_selection_hint
    from prodwatch.cli.project import load
    from prodwatch.runner import RunOptions, select
    from prodwatch.session.engine import ci_name, host_name
    from prodwatch.session.history import failed_last, is_kept

    if not dry_run:
        # First of all: a result file of an earlier run must not be mistaken for this one's.
        outputs.prepare()
    criteria = selection(expression, tags, kind, shard)
    project = load(common, selected=matcher(criteria))
    kept = is_kept(project, os.environ)
    red = failed_last(project, kept=kept, warn=stderr.note) if failed_first else frozenset()
    chosen_by = replace(criteria, failed_first=red)
    chosen = select(project.checks, chosen_by, project.environment.name)
    if not chosen and not select(project.checks, replace(chosen_by, shard=None), project.environment.name):
        # The whole selection is empty, not only this shard of it.
        chosen_by = replace(chosen_by, shard=None)
        if hint := empty_selection_hint(project, criteria):
            stderr.note(hint)
    options = RunOptions(
        digest=_digest(project, replace(criteria, shard=None), flags),
        deadline_s=deadline,
        shard=chosen_by.shard,
        ci=ci_name(),
        host=host_name(),
        **flags,
    )
    if common.no_color:
        outputs.color = False
    if dry_run:
        if outputs.files or outputs.github_summary or recording.path is not None:
            raise click.UsageError("--dry-run produces no result, so there is nothing to write to files; leave one out")
        from prodwatch.cli.dry_run import print_plan

        return print_plan(project, chosen, options, as_json=outputs.stdout_format == "json")
    return _run(project, chosen, options, outputs, common, recording, kept=kept, verbose=verbose)


def _digest(project: Project, criteria: Selection, flags: Mapping[str, Any]) -> str:
    """Return a digest of what the shards of one run have in common: files, environment, selection and options."""
    import hashlib

    import msgspec
    from msgspec.structs import replace

    from prodwatch import __version__
    from prodwatch.runner import select

    environment = project.environment
    parts = (
        __version__,
        # Machines may use different credentials of the same account.
        replace(environment, aws=replace(environment.aws, profile=None)),
        [each.id for each in select(project.checks, criteria, environment.name)],
        project.checks,
        project.referenced,
        {name: flags[name] for name in ("allow_writes", "no_signals")},
    )
    return hashlib.sha256(msgspec.json.encode(parts, enc_hook=str, order="sorted")).hexdigest()[:32]


def _run(
    project: Project,
    chosen: tuple[CheckDefinition, ...],
    options: RunOptions,
    outputs: Outputs,
    common: Common,
    recording: Recording,
    *,
    kept: bool,
    verbose: bool,
) -> int:
    from prodwatch.cli.run_with_signals import RunSignals, run_to_end
    from prodwatch.session.history import keep
    from prodwatch.views.history_entry import entry_of

    progress = CheckProgress([each.id for each in chosen], outputs.finished, verbose=verbose, color=outputs.color)
    if project.environment.demo is not None:
        progress.announce("starting the demo …")
    with RunSignals() as signals:
        try:
            result: RunResult = run_to_end(
                project,
                chosen,
                options,
                common,
                listener=progress,
                signals=signals,
                recording=recording,
                afterwards=outputs.read_exceptions if outputs.stdout_format is None else None,
            )
        finally:
            progress.clear()
        outputs.show_past(project, kept=kept)
        code = outputs.deliver(result)
        if kept:
            keep(project, entry_of(result), warn=stderr.note)
        return code
