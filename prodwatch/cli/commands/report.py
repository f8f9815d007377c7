"""`prodwatch report`: a recording or a result as one HTML page, or as a note in Markdown."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from prodwatch.cli import stdout
from prodwatch.cli.stderr import note
from prodwatch.errors import ConfigurationError
from prodwatch.model.exit_code import ExitCode

if TYPE_CHECKING:
    from prodwatch.report.run_report import RunReport


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write to this file, readable by its owner only.  [default: stdout]",
)
@click.option("--md", "markdown", is_flag=True, help="Write a hand-over note in Markdown, at most 4,000 characters.")
def command(file: Path, *, output: Path | None, markdown: bool) -> int:
    """Write a run as one self-contained HTML page: the verdict, why, and the evidence.

    FILE is a recording, or a result that `check --json` or `gate --json` wrote. The page has no script and loads
    nothing; it has at most 5 MB and counts what it leaves out.
    Exit codes: 0 written, whatever the verdict is; 1 written from a damaged or unfinished recording, as far as it is
    whole; 2 not such a file, or the output cannot be written.
    """
    if output is None and not markdown and sys.stdout is not None and sys.stdout.isatty():
        raise click.UsageError(
            "the page is HTML: name a file with -o, or redirect stdout; --md writes a note to read here"
        )
    report = _read(file)
    if output is not None and output.exists() and output.samefile(file):
        raise ConfigurationError(f"{output}: is the file that is read; name another output")
    if markdown:
        from prodwatch.report.hand_over import hand_over

        document = hand_over(report).encode("utf-8", "surrogateescape")
    else:
        from prodwatch.report.page import render

        document = render(report)
    _write(document, output)
    for warning in report.warnings:
        note(f"{file}: {warning}")
    return int(ExitCode.FAIL if report.warnings else ExitCode.OK)


def _read(file: Path) -> RunReport:
    """Return the report of a file. Raises ConfigurationError for one that is neither a recording nor a result."""
    import msgspec

    from prodwatch.report.json import decode
    from prodwatch.report.run_report import RunReport
    from prodwatch.store.recording.reader import is_session_file

    if is_session_file(file):
        return _read_recording(file)
    try:
        result = decode(file.read_bytes())
    except (msgspec.DecodeError, UnicodeDecodeError) as caught:
        raise ConfigurationError(
            f"{file}: neither a recording nor a result that check --json or gate --json wrote: {caught}"
        ) from None
    except OSError as caught:
        raise ConfigurationError(f"{file}: cannot be read: {caught.strerror}") from None
    recording = result.recording
    return RunReport(source=file.name, result=result, digest=None if recording is msgspec.UNSET else recording.digest)


def _read_recording(file: Path) -> RunReport:
    from prodwatch.cli.gate_replays import open_recording
    from prodwatch.session.run_report import report_of_recording
    from prodwatch.store.recording.frames import DamagedFrameError

    with open_recording(file) as opened:
        try:
            return report_of_recording(opened)
        except DamagedFrameError as damage:
            raise ConfigurationError(f"{file}: no event can be read: {damage}") from None


def _write(document: bytes, output: Path | None) -> None:
    if output is None:
        stdout.write(document)
        return
    try:
        stdout.write_file(output, document, mode=0o600)
    except OSError as caught:
        raise ConfigurationError(f"{output}: cannot be written: {caught.strerror}") from None
