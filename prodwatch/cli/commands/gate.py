"""`prodwatch gate`: watches a release until its bake ends, and exits by the verdict."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, NamedTuple

import click

from prodwatch.cli.duration_parameter import DurationParameter
from prodwatch.cli.options import Common, common_options
from prodwatch.cli.recording_options import Recording, recording_options
from prodwatch.cli.result_outputs import Outputs, output_options
from prodwatch.cli.stderr import note
from prodwatch.errors import ConfigurationError, NothingSelectedError
from prodwatch.model.exit_code import ExitCode

if TYPE_CHECKING:
    from prodwatch.cli.run_with_signals import RunSignals
    from prodwatch.model.result import RunResult, Verdict
    from prodwatch.session.gate import GateOptions, GateState
    from prodwatch.session.session_history import RoundTally
    from prodwatch.settings import Project

_USUAL_WEIGHT = 10.0
"""Percent of the traffic that CodeDeploy's canary configurations shift first."""
_BY_NAME = {"pass": ExitCode.OK, "fail": ExitCode.FAIL}


@click.command()
@click.option("-k", "expression", metavar="EXPR", help='Only checks whose name matches: "orders and not slow".')
@click.option(
    "-t",
    "--tag",
    "tags",
    multiple=True,
    metavar="TAG",
    help='Only checks with one of these tags; "!TAG" excludes. Repeatable.',
)
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
@click.option(
    "--skip-verification",
    metavar="REASON",
    help="Measure nothing: the verdict is inconclusive with this reason, and the exit code 0.",
)
@click.option(
    "--plan",
    is_flag=True,
    help="Before the shift: state which harm the bake would find and how soon, from the last hour's traffic, and exit.",
)
@click.option(
    "--weight",
    type=click.FloatRange(0, 99, min_open=True),
    metavar="PERCENT",
    help="With --plan: share of the traffic that the new version gets, 10 unless given.",
)
@click.option(
    "--set",
    "set_values",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set a key of [compare] or [rounds], such as compare.errors.ratio=3. Repeatable.",
)
@click.option(
    "--replay",
    type=click.Path(path_type=Path, exists=True),
    metavar="FILE",
    help="Judge a recording, or each in a folder, instead of a live release; calls nothing.",
)
@click.option(
    "--from",
    "from_",
    metavar="T",
    help="With --to: judge a window that is over, from what AWS still has of it; 1h, 14:05 or RFC 3339.",
)
@click.option("--to", metavar="T", help="With --from: end of the window. Nothing after it is read.")
@recording_options
@common_options
def command(
    common: Common,
    *,
    outputs: Outputs,
    expression: str | None,
    tags: tuple[str, ...],
    for_: float | None,
    until_deployed: bool,
    releases: tuple[str, ...],
    allow_writes: bool,
    strict: bool,
    report_only: bool,
    on_inconclusive: str | None,
    skip_verification: str | None,
    plan: bool,
    weight: float | None,
    set_values: tuple[str, ...],
    replay: Path | None,
    from_: str | None,
    to: str | None,
    recording: Recording,
) -> int:
    """Watch one release until its bake ends and report the verdict.

    It fails as soon as the evidence suffices, and never passes early. Exit codes are those of `check`.
    """
    exit_code_of = _ExitRule(report_only or skip_verification is not None, on_inconclusive)
    if skip_verification is not None and not skip_verification.strip():
        raise click.UsageError("--skip-verification needs a reason, such as --skip-verification 'AWS incident 123'")
    if weight is not None and not plan:
        raise click.UsageError("--weight needs --plan")
    if common.no_color:
        outputs.color = False
    if from_ is not None or to is not None:
        others = (plan, recording.path, expression, tags, for_, until_deployed, allow_writes, skip_verification, replay)
        _require_window(from_, to, is_alone=not any(others))
        return _past(common, outputs, (from_, to), set_values, releases, exit_code_of, strict=strict)
    if replay is not None:
        if plan or recording.path is not None or expression or tags or allow_writes or skip_verification:
            raise click.UsageError(
                "--replay judges what was recorded: leave out --plan, --record, -k, -t, --allow-writes and "
                "--skip-verification"
            )
        asked = _ReplayRequest(set_values, for_, releases, until_deployed=until_deployed, strict=strict)
        return _replay(replay, asked, outputs, exit_code_of)
    if plan:
        chosen = (expression, tags, until_deployed, releases, allow_writes, strict, report_only, on_inconclusive)
        if any(chosen) or skip_verification or recording.path is not None:
            raise click.UsageError("--plan gives no verdict; only --for, --weight, --set and --json go with it")
        return _plan(common, outputs, for_, weight or _USUAL_WEIGHT, set_values)
    from prodwatch.cli.run_with_signals import RunSignals
    from prodwatch.session.gate import GateOptions
    from prodwatch.session.history import is_kept, keep
    from prodwatch.session.session_history import RoundTally
    from prodwatch.views.history_entry import entry_of

    outputs.prepare()
    project = _with_values(_project(common, expression, tags), set_values)
    kept = is_kept(project, os.environ)
    options = GateOptions(
        bake_s=for_ or project.environment.rounds.bake_s,
        until_deployed=until_deployed,
        versions=_versions(releases, project),
        strict=strict,
        skip_verification=skip_verification,
    )
    tally = RoundTally()
    with RunSignals() as signals:
        result = _run(project, options, outputs, common, tally, signals, recording, allow_writes=allow_writes)
        outputs.show_past(project, kept=kept)
        code = outputs.deliver(result)
        if kept:
            keep(project, entry_of(result, rounds=tally.rounds), warn=note)
    return exit_code_of(result.verdict, code)


def _require_window(from_: str | None, to: str | None, *, is_alone: bool) -> None:
    """Raise click.UsageError unless both ends are given, and no option that a window that is over cannot have."""
    if from_ is None or to is None:
        raise click.UsageError("--from and --to go together: they are the start and the end of a window that is over")
    if not is_alone:
        raise click.UsageError(
            "--from and --to judge a window that is over, without checks: leave out --plan, --record, --replay, -k, "
            "-t, --for, --until-deployed, --allow-writes and --skip-verification"
        )


def _past(
    common: Common,
    outputs: Outputs,
    times: tuple[str | None, str | None],
    set_values: tuple[str, ...],
    releases: tuple[str, ...],
    exit_code_of: _ExitRule,
    *,
    strict: bool,
) -> int:
    """Judge a window that is over. Nothing of it enters the history, which holds what was measured at its time."""
    from prodwatch.cli import gate_past
    from prodwatch.cli.project import load
    from prodwatch.cli.window_options import window_of
    from prodwatch.session.past_gate import PastGateOptions

    window = window_of(None, *times)
    assert window is not None
    outputs.prepare()
    project = _with_values(load(common), set_values)
    options = PastGateOptions(versions=_versions(releases, project), strict=strict)
    result = gate_past.run(project, common, outputs, window, options)
    return exit_code_of(result.verdict, outputs.deliver(result))


class _ExitRule(NamedTuple):
    """Exit code of a verdict by the options."""

    report_only: bool
    on_inconclusive: str | None

    def __call__(self, verdict: Verdict, code: int, /) -> int:
        """Return the exit code of a verdict, whose usual one is `code`."""
        if verdict.status == "aborted":
            return code
        if self.report_only:
            return int(ExitCode.OK)
        if verdict.status == "inconclusive" and self.on_inconclusive is not None:
            return int(_BY_NAME[self.on_inconclusive])
        return code


class _ReplayRequest(NamedTuple):
    """Options of a replay that replace what was recorded."""

    set_values: tuple[str, ...]
    bake_s: float | None
    releases: tuple[str, ...]
    until_deployed: bool
    strict: bool


def _replay(path: Path, asked: _ReplayRequest, outputs: Outputs, exit_code_of: _ExitRule) -> int:
    from prodwatch.cli.gate_replays import judge_recordings
    from prodwatch.session.gate_replay import ReplayOptions
    from prodwatch.settings.set_values import with_values

    pairs = [each.rpartition("=") for each in asked.releases]
    options = ReplayOptions(
        change=lambda environment: with_values(environment, asked.set_values),
        bake_s=asked.bake_s,
        until_deployed=asked.until_deployed or None,
        versions={name: version for name, _, version in pairs},
        strict=asked.strict or None,
    )
    return judge_recordings(path, options, outputs, exit_code_of)


def _with_values(project: Project, assignments: tuple[str, ...]) -> Project:
    """Return the project with the values of `--set`. Raises ConfigurationError."""
    if not assignments:
        return project
    from msgspec.structs import replace

    from prodwatch.settings.set_values import with_values

    return replace(project, environment=with_values(project.environment, assignments))


def _project(common: Common, expression: str | None, tags: tuple[str, ...]) -> Project:
    """Load the project with the selected checks; the others run only where a selected one refers to them."""
    from msgspec.structs import replace

    from prodwatch.cli.near_checks import empty_selection_hint
    from prodwatch.cli.project import load
    from prodwatch.cli.selection_options import matcher, selection

    if expression is None and not tags:
        return load(common)
    criteria = selection(expression, tags, None, None)
    matches = matcher(criteria)
    project = load(common, selected=matches)
    chosen = tuple(each for each in project.checks if matches(each))
    if not chosen:
        hint = empty_selection_hint(project, criteria)
        raise NothingSelectedError(hint or "-k and -t select no check; `prodwatch list` shows what there is")
    others = tuple(each for each in project.checks if not matches(each))
    return replace(project, checks=chosen, referenced=(*project.referenced, *others))


def _plan(common: Common, outputs: Outputs, for_: float | None, weight: float, set_values: tuple[str, ...]) -> int:
    from prodwatch.cli import gate_plan
    from prodwatch.cli.project import load

    gate_plan.check_outputs(outputs)
    outputs.prepare()
    project = _with_values(load(common), set_values)
    bake_s = for_ or project.environment.rounds.bake_s
    return gate_plan.run(project, common, outputs, weight=weight / 100, bake_s=bake_s)


def _versions(releases: tuple[str, ...], project: Project) -> dict[str, str]:
    """Return function → version. Raises ConfigurationError for a name that is not watched, or a missing one."""
    functions = [each.name for each in project.environment.functions]
    configurations = project.environment.release.appconfig
    versions: dict[str, str] = {}
    for each in releases:
        name, separator, version = each.rpartition("=")
        if (
            separator
            and name not in functions
            and not any(f"{name}/".startswith(f"{each}/") for each in configurations)
        ):
            raise ConfigurationError(f'--release: "{name}" is not a [[function]] of {project.environment.name}')
        if not separator and len(functions) != 1:
            raise ConfigurationError("--release needs NAME=VERSION, because the environment has several functions")
        versions[name if separator else ""] = version
    return versions


def _run(
    project: Project,
    options: GateOptions,
    outputs: Outputs,
    common: Common,
    tally: RoundTally,
    signals: RunSignals,
    recording: Recording,
    *,
    allow_writes: bool,
) -> RunResult:
    """Run the gate and return its result; its rounds are counted in `tally`."""
    from msgspec.structs import replace

    from prodwatch.cli.gate_progress import GateProgress
    from prodwatch.cli.leftovers import left_undone, unfinished
    from prodwatch.cli.recording_options import report_recording
    from prodwatch.cli.run_with_signals import announced_demo, exit_code_of
    from prodwatch.clock import AwsClock
    from prodwatch.model.result import Notice
    from prodwatch.runner import fresh_run_id
    from prodwatch.session.gate import live_gate
    from prodwatch.text.redact import Redactor

    clock, redactor = AwsClock(), Redactor()
    recorder = recording.open(clock, redactor, mode="gate", environment=project.environment)
    progress = GateProgress(outputs, recorder.sentence if recorder is not None else None)
    left_before = unfinished()

    def listen(state: GateState) -> None:
        tally.add(state.finished)
        progress(state)

    async def main() -> RunResult:
        demo = announced_demo(project, common)
        gate = live_gate(
            project,
            clock,
            options,
            allow_writes=allow_writes,
            demo=demo,
            listener=listen,
            recorder=recorder,
            redactor=redactor,
        )
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

    try:
        if recorder is not None:
            recorder.start()
        result = asyncio.run(main())
        left = (Notice(code="leftovers", message=sentence) for sentence in left_undone(left_before))
        result = replace(result, notices=(*result.notices, *left))
        return recorder.conclude(result) if recorder is not None else result
    finally:
        progress.clear()
        if recorder is not None:
            report_recording(recorder.close())
