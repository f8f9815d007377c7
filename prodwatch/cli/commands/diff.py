"""`prodwatch diff`: two runs side by side."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

import click

from prodwatch.cli import stdout
from prodwatch.cli.live.time_options import local_stamp, utc_option, zone_of
from prodwatch.cli.options import Common, common_options
from prodwatch.cli.past_runs import RunParameter, find_run, project_history
from prodwatch.errors import ConfigurationError
from prodwatch.model.exit_code import ExitCode

if TYPE_CHECKING:
    from prodwatch.model.history import PastRun, RunEntry
    from prodwatch.store.history.history import History
    from prodwatch.views.run_difference import ItemChange, RunDifference


@click.command()
@click.argument("a", type=RunParameter())
@click.argument("b", type=RunParameter())
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@utc_option
@common_options
def command(common: Common, *, a: str, b: str, as_json: bool, utc: bool) -> int:
    """Compare run A with run B: what turned red or green, became slower, appeared or vanished in B.

    A and B are run ids of the history or the beginning of one, `latest`, `previous`, or files that --json wrote.
    Exit codes: 0 nothing is worse, 1 something is red in B that was not red in A, or was green in A and is not in B;
    slower alone is 0.
    """
    from prodwatch.views.run_difference import difference

    entries = list(_entries(common, (a, b)))
    found = difference(*entries)
    if as_json:
        import msgspec

        stdout.write(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    else:
        for line in _lines(found, zone_of({"utc": utc})):
            stdout.text(line)
    return ExitCode.FAIL if found.is_worse else ExitCode.OK


def _entries(common: Common, names: tuple[str, ...]) -> Iterator[RunEntry]:
    """Yield the run of each name; the project is loaded only when one is not a file."""
    history: History | None = None
    for name in names:
        if Path(name).is_file():
            yield _read(Path(name))
            continue
        if "/" in name or name.endswith(".json"):
            raise ConfigurationError(f"{name}: the file does not exist")
        if history is None:
            _, history = project_history(common)
        run_id = find_run(history, name)
        entry = None if run_id is None else history.entry(run_id)
        if entry is None:
            raise ConfigurationError(f'the history has no run "{name}"; prodwatch history lists them')
        yield entry


def _read(path: Path) -> RunEntry:
    import msgspec

    from prodwatch.report.json import decode
    from prodwatch.views.history_entry import entry_of

    try:
        return entry_of(decode(path.read_bytes()))
    except (msgspec.DecodeError, UnicodeDecodeError) as caught:
        raise ConfigurationError(f"{path}: not a result that --json wrote: {caught}") from None


def _lines(found: RunDifference, zone: tzinfo | None) -> Iterator[str]:
    from prodwatch.views.run_difference import SLOWER_MS, SLOWER_RATIO

    yield _run_line("A", found.a, zone)
    yield _run_line("B", found.b, zone)
    for notice in found.notices:
        yield f"note  {notice}"
    for head, changes in (
        ("turned red", found.turned_red),
        ("turned green", found.turned_green),
        (f"slower, by {SLOWER_RATIO:g} times and {SLOWER_MS} ms or more", found.slower),
        ("appeared", found.appeared),
        ("vanished", found.vanished),
        ("changed otherwise", found.changed),
    ):
        if changes:
            yield ""
            yield head
            for change in changes:
                yield f"  {_change_line(change, slower=changes is found.slower)}"
    yield ""
    yield f"unchanged: {found.unchanged}"


def _run_line(letter: str, run: PastRun, zone: tzinfo | None) -> str:
    from prodwatch.views.release import version_label

    version = f"  {version_label(run.release.version)}" if run.release and run.release.version else ""
    verdict = f"{run.status.upper()}  {run.reason}"
    ended = local_stamp(run.ended_at, zone)
    return f"{letter}  {run.id}  {ended}  {run.environment}  {run.mode}{version}  {verdict}"


def _change_line(change: ItemChange, *, slower: bool) -> str:
    from prodwatch.text.units import format_ms
    from prodwatch.views.status_style import STATES

    name = change.id if change.kind == "check" else f"{change.kind} {change.id}"
    if slower and change.before_ms is not None and change.after_ms is not None:
        return f"{name}  {format_ms(change.before_ms)} → {format_ms(change.after_ms)}"
    words = [STATES[each].word for each in (change.before, change.after) if each is not None]
    return f"{name}  {' → '.join(words)}{f'  {change.message}' if change.message else ''}"
