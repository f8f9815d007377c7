"""`prodwatch history`: past runs of this machine, and statistics of their checks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

import click

from prodwatch.cli import stdout
from prodwatch.cli.duration_parameter import DurationParameter
from prodwatch.cli.live.time_options import local_stamp, utc_option, zone_of
from prodwatch.cli.options import Common, common_options
from prodwatch.cli.past_runs import RunParameter, find_run, project_history
from prodwatch.cli.stderr import say
from prodwatch.errors import ConfigurationError

if TYPE_CHECKING:
    from prodwatch.model.history import PastOutcome, PastRun, PastSample
    from prodwatch.model.status import Status
    from prodwatch.settings import Project
    from prodwatch.store.history.history import History
    from prodwatch.views.history import CheckStatistics, HistoryDocument


@click.command()
@click.argument("name", metavar="[ID]", required=False, type=RunParameter())
@click.option("--since", type=DurationParameter(), metavar="7d", help="Only runs that ended within this time.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    metavar="N",
    show_default=True,
    help="Number of runs to list; the statistics are of all.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--prune", is_flag=True, help="Apply [history] keep and size now, and remove files set aside.")
@click.option("--forget", is_flag=True, help="Remove a run, or all outcomes of a check; without ID: all runs.")
@utc_option
@common_options
def command(
    common: Common,
    *,
    name: str | None,
    since: float | None,
    limit: int,
    as_json: bool,
    prune: bool,
    forget: bool,
    utc: bool,
) -> None:
    """Show past runs of the environment on this machine, and how often and how fast each check passed.

    ID is a run, `latest`, `previous`, or a check: then its outcomes are listed.
    """
    if sum((as_json, prune, forget)) > 1:
        raise click.UsageError("--json, --prune and --forget exclude each other")
    if prune and name is not None:
        raise click.UsageError("--prune takes no ID; --forget removes a run or a check")
    project, history = project_history(common)
    if prune:
        _prune(history)
    elif forget:
        _forget(history, project, name)
    else:
        after = None if since is None else datetime.now(UTC) - timedelta(seconds=since)
        document = _document(project, history, name, after, limit)
        if as_json:
            import msgspec

            stdout.write(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
        else:
            _print(document, history, name, zone_of({"utc": utc}))


def _prune(history: History) -> None:
    pruned = history.prune()
    for path in pruned.files:
        say(f"removed {path}")
    say(f"runs removed: {pruned.runs}")


def _forget(history: History, project: Project, name: str | None) -> None:
    if name is None:
        say(f"runs of {project.environment.name} removed: {history.forget_environment()}")
    elif (run_id := find_run(history, name)) is not None:
        history.forget_run(run_id)
        say(f"run {run_id} removed")
    elif (removed := history.forget_item(name)) > 0:
        say(f"outcomes of {name} removed: {removed}")
    else:
        raise _unknown(history, name)
    for path in history.set_aside_files():
        say(f"note: {path} may still hold them; prodwatch history --prune removes it")


def _document(
    project: Project, history: History, name: str | None, since: datetime | None, limit: int
) -> HistoryDocument:
    """Return everything, or what concerns the run or check of this name. Raises ConfigurationError for another one."""
    from prodwatch.model.history import PastSample
    from prodwatch.session.history import identity_of
    from prodwatch.views.history import HistoryDocument, statistics

    outcomes: tuple[PastSample, ...] = ()
    checks: Sequence[CheckStatistics] = ()
    run_id = None if name is None else find_run(history, name)
    entry = None if run_id is None else history.entry(run_id)
    if entry is not None:
        runs = [entry.run]
        outcomes = tuple(PastSample(entry.run.id, entry.run.ended_at, each) for each in entry.outcomes)
    elif name is not None:
        samples = list(history.samples(since, name))
        if not samples:
            raise _unknown(history, name)
        checks = statistics(samples)
        outcomes = tuple(reversed(samples[-limit:]))
        ids = {each.run_id for each in outcomes}
        runs = [each for each in history.runs(since, None) if each.id in ids]
    else:
        runs = history.runs(since, limit)
        # A signature is in few runs, and each function has many: they are in the runs.
        checks = statistics(each for each in history.samples(since) if each.outcome.kind != "signature")
    return HistoryDocument(
        project=identity_of(project).name,
        file=str(history.path),
        environment=project.environment.name,
        runs=tuple(runs),
        checks=tuple(checks),
        outcomes=outcomes,
    )


def _unknown(history: History, name: str) -> ConfigurationError:
    import difflib

    known = sorted({each.outcome.id for each in history.samples(None)})
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f' (did you mean "{near[0]}"?)' if near else "; prodwatch history lists the runs and the checks"
    return ConfigurationError(f'the history has no run and no check "{name}"{hint}')


def _print(document: HistoryDocument, history: History, name: str | None, zone: tzinfo | None) -> None:
    if not document.runs:
        say(f"no past runs of {document.environment}; prodwatch check --env {document.environment} makes one")
        return
    if name is None:
        lines = _overview(document, history.size_bytes(), zone)
    else:
        lines = _of_a_check(document, zone) if document.checks else _of_a_run(document, zone)
    for line in lines:
        stdout.text(line)


def _overview(document: HistoryDocument, size: int, zone: tzinfo | None) -> Iterator[str]:
    from prodwatch.text.units import format_bytes

    yield f"{document.environment} of {document.project} · {format_bytes(size)} in {document.file}"
    yield ""
    yield from _table(_RUN_HEAD, (_run_row(run, zone) for run in document.runs))
    yield ""
    yield from _table(_CHECK_HEAD, map(_check_row, document.checks))


def _of_a_check(document: HistoryDocument, zone: tzinfo | None) -> Iterator[str]:
    yield from _table(_CHECK_HEAD, map(_check_row, document.checks))
    yield ""
    rows = (
        (each.run_id, local_stamp(each.ended_at, zone), *_outcome_cells(each.outcome)) for each in document.outcomes
    )
    yield from _table(("run", "ended", *_OUTCOME_HEAD), rows)


def _of_a_run(document: HistoryDocument, zone: tzinfo | None) -> Iterator[str]:
    run = document.runs[0]
    yield from _table(_RUN_HEAD, [_run_row(run, zone)])
    yield run.reason
    for change in run.verdicts:
        yield f"{local_stamp(change.at, zone)}  {change.status.upper()}  {change.reason or ''}".rstrip()
    yield ""
    rows = ((_name(each.outcome), *_outcome_cells(each.outcome)) for each in document.outcomes)
    yield from _table(("check", *_OUTCOME_HEAD), rows)


_RUN_HEAD = ("run", "ended", "mode", "verdict", "version", "checks", "took")
_OUTCOME_HEAD = ("outcome", "took", "message")
_CHECK_HEAD = ("check", "last", "green", "flaky", "p50", "p95", "p99")


def _run_row(run: PastRun, zone: tzinfo | None) -> tuple[str, ...]:
    from prodwatch.text.units import format_ms
    from prodwatch.views.release import version_label

    summary = run.summary
    green = summary.passed + summary.degraded
    return (
        run.id,
        local_stamp(run.ended_at, zone),
        run.mode,
        run.status.upper(),
        version_label(run.release.version) if run.release and run.release.version else "",
        f"{green} of {summary.total} green" if summary.total else "none finished",
        format_ms(run.duration_ms),
    )


def _check_row(check: CheckStatistics) -> tuple[str, ...]:
    from prodwatch.text.units import format_ms

    rate = "not measured" if check.pass_rate is None else f"{_percent(check.pass_rate)} of {check.measured}"
    if check.not_measured and check.measured:
        rate += f", {check.not_measured} not measured"
    flaky = _percent(check.flake_rate) if check.flaky and check.flake_rate is not None else ""
    times = ("" if each is None else format_ms(each) for each in (check.p50_ms, check.p95_ms, check.p99_ms))
    return (_name(check), _signs(check.last), rate, flaky, *times)


def _outcome_cells(outcome: PastOutcome) -> tuple[str, ...]:
    from prodwatch.text.units import format_ms
    from prodwatch.views.history import median_ms
    from prodwatch.views.status_style import STATES

    state = STATES[outcome.status]
    word = f"{state.glyph} {state.word}"
    if outcome.rounds is not None:
        counts = ", ".join(f"{count} {status.value}" for status, count in outcome.rounds.counts.items())
        word += f" (rounds: {counts})"
    took = median_ms(outcome)
    return (word, "" if took is None else format_ms(took), outcome.message or "")


def _name(item: PastOutcome | CheckStatistics) -> str:
    return item.id if item.kind == "check" else f"{item.kind} {item.id}"


def _signs(outcomes: Iterable[Status]) -> str:
    from prodwatch.views.status_style import STATES

    return "".join(STATES[each].glyph for each in outcomes)


def _percent(share: float) -> str:
    # Not rounded to 100 % while anything was not green.
    shown = f"{share * 100:.1f}"
    return f"{'99.9' if shown == '100.0' and share < 1 else shown} %"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    from prodwatch.text.cell_width import width

    lines = [head, *rows]
    widths = [max(width(line[column]) for line in lines) for column in range(len(head))]
    return [
        "  ".join(cell + " " * (widths[column] - width(cell)) for column, cell in enumerate(line)).rstrip()
        for line in lines
    ]
