"""`prodwatch verify`: finds damage and truncation of a session file, and judges it again."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
import msgspec

from prodwatch.cli import stdout
from prodwatch.model.exit_code import ExitCode

if TYPE_CHECKING:
    from prodwatch.model.result import Verdict
    from prodwatch.store.recording.reader import SessionFile

SCHEMA = "prodwatch.verify/1"


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def command(file: Path, *, as_json: bool) -> int:
    """Find damage and truncation of a session file by its hash chain, and judge it again.

    Exit codes: 0 whole and judged alike, 1 damaged, cut, not ended, or judged otherwise, 2 not a session file. The
    digest is that which the recording printed at its end, unless the file was written again.
    """
    from prodwatch.cli.gate_replays import open_recording

    with open_recording(file) as opened:
        report = _examine(opened)
    if as_json:
        stdout.write(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    else:
        for line in _lines(report):
            stdout.text(line)
    return int(ExitCode.OK if report.state == "whole" and not report.differs else ExitCode.FAIL)


class LastRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The last whole record of a file."""

    number: int
    """From 1."""
    frame: int
    at: datetime


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """State of a session file."""

    schema: str = SCHEMA
    file: str
    state: Literal["whole", "not ended", "damaged"]
    """`not ended`: the recorder was killed, its disk was full, or the file was cut between two frames."""
    damage: str | None
    bytes: int
    frames: int
    """Whole frames."""
    records: int
    started_at: datetime
    duration_ms: int
    last: LastRecord | None
    """None for a file without a record."""
    digest: str
    """Of the last whole frame."""
    recorded: Verdict | None
    judged: Verdict | None
    """Verdict of this version on what is whole; null where nothing can be judged."""
    differs: bool
    """Whether both verdicts are known and not equal."""


def _examine(file: SessionFile) -> Report:
    from prodwatch.errors import ConfigurationError
    from prodwatch.session.rejudge import Rejudged, judge_again

    damage = file.distrust_damage(decode=True)
    number, last = 0, None
    for frame, entries in file.by_frame():
        for entry in entries:
            number += 1
            last = LastRecord(number=number, frame=frame.number, at=entry.at)
    try:
        rejudged = judge_again(file)
    except ConfigurationError:
        rejudged = Rejudged(recorded=None, judged=None)
    state: Literal["whole", "not ended", "damaged"] = "whole" if file.is_ended else "not ended"
    if damage is not None:
        state = "damaged"
    return Report(
        file=str(file.path),
        state=state,
        damage=None if damage is None else str(damage),
        bytes=file.size,
        frames=len(file.frames),
        records=number,
        started_at=file.header.started_at,
        duration_ms=file.duration_us // 1000,
        last=last,
        digest=file.digest,
        recorded=rejudged.recorded,
        judged=rejudged.judged,
        # What a damaged file lacks would explain the difference.
        differs=state == "whole" and rejudged.differs,
    )


def _lines(report: Report) -> list[str]:
    from prodwatch.text.units import format_age, format_bytes

    length = format_age(timedelta(milliseconds=report.duration_ms).total_seconds())
    size = f"{report.records:,} records in {report.frames:,} frames, {format_bytes(report.bytes)}, {length}"
    lines = [f"{report.file}: {report.state}, {size}"]
    if report.damage is not None:
        lines.append(f"damage: {report.damage}")
    if report.state == "not ended":
        lines.append("the recorder was killed, its disk was full, or the file was cut between two frames")
    if report.state != "whole":
        last = report.last
        where = "none" if last is None else f"{last.number:,} of {last.at:%Y-%m-%d %H:%M:%S} UTC, in frame {last.frame}"
        lines.append(f"last whole record: {where}")
    lines.append(f"digest: {report.digest}")
    for title, verdict in (("recorded verdict", report.recorded), ("judged again", report.judged)):
        if verdict is not None:
            lines.append(f"{title}: {verdict.status}: {verdict.reason}")
    if report.differs:
        lines.append("the verdicts differ: the file was changed, or the rules have changed since")
    return lines
