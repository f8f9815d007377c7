"""One log line as columns that are dropped on narrow screens, its level as word and colour."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo

from prodwatch.model.identity import PlaceNames, unique_name
from prodwatch.model.signal import Level, LogRecord
from prodwatch.text.units import format_age
from prodwatch.tui.styled_line import Line, Piece, pad
from prodwatch.views.check_detail import compact
from prodwatch.views.log_fields import FieldColumn, lookup
from prodwatch.views.release import version_label
from prodwatch.views.status_style import Tone

LEVEL_TONES: dict[Level, Tone] = {
    Level.FATAL: Tone.BAD,
    Level.ERROR: Tone.BAD,
    Level.WARN: Tone.WARN,
    Level.INFO: Tone.PLAIN,
    Level.DEBUG: Tone.DIM,
    Level.TRACE: Tone.DIM,
    Level.PLATFORM: Tone.DIM,
    Level.UNKNOWN: Tone.PLAIN,
}
MILLIS_FROM, GROUP_FROM, VERSION_FROM, WIDE_GROUP_FROM = 90, 70, 100, 140
"""Line widths from which each column is shown."""
LEAD_CELLS, MESSAGE_CELLS = 28, 20
"""Approximate cells before the field columns, and fewest cells of the message."""
ALONE = PlaceNames()
"""Names of groups of which none has a namesake."""
_SHORT = {Level.PLATFORM: "AWS", Level.UNKNOWN: "-"}


def time_text(timestamp_ms: int, zone: tzinfo | None = UTC) -> str:
    """Return the time of day to the millisecond."""
    at = datetime.fromtimestamp(timestamp_ms / 1000, UTC).astimezone(zone)
    return f"{at:%H:%M:%S}.{timestamp_ms % 1000:03}"


def plain_line(record: LogRecord) -> str:
    """Return the line as text for the clipboard: time in UTC, level, group, message."""
    at = datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)
    time = f"{at:%Y-%m-%dT%H:%M:%S}.{record.timestamp_ms % 1000:03}Z"
    return f"{time} {record.level} {unique_name(record.group, record.place)} {record.message}"


def log_line(
    record: LogRecord,
    width: int,
    zone: tzinfo | None = UTC,
    *,
    groups: bool = True,
    names: PlaceNames = ALONE,
    columns: Sequence[FieldColumn] = (),
) -> Line:
    """Return the line; narrow screens lose milliseconds, then version, then the group.

    `names` are those of all groups.
    `columns` come before the message; the message of a line without any of these fields starts in their place.
    """
    tone = LEVEL_TONES[record.level]
    time = time_text(record.timestamp_ms, zone)
    pieces: list[Piece] = [
        (time if width >= MILLIS_FROM else time[:8], Tone.DIM),
        (f" {pad(_SHORT.get(record.level, record.level), 5)} ", tone),
    ]
    if groups and width >= GROUP_FROM:
        group = record.group_id
        name = group.short_name + names.suffix(group.name, group.place)
        pieces.append((pad(name, _group_width(width) + names.longest) + " ", Tone.DIM))
    if width >= VERSION_FROM:
        pieces.append((pad(version_label(record.version) if record.version else "", 5), Tone.OLD))
    body = tone if tone in {Tone.BAD, Tone.WARN, Tone.DIM} else Tone.PLAIN
    cells = _cells(record, _fitting(columns, width), Tone.PLAIN if body is not Tone.DIM else Tone.DIM)
    pieces += cells
    if cells and body is Tone.PLAIN and record.message.startswith("{"):
        body = Tone.DIM  # the message repeats the columns as JSON
    if record.late_ms:
        pieces.append((f"late {format_age(record.late_ms / 1000)} ", Tone.WARN))
    if record.kind == "dropped":
        pieces.append(("lines lost ", Tone.BAD))
    pieces.append((record.message, body))
    return pieces


def log_head(width: int, columns: Sequence[FieldColumn], names: PlaceNames = ALONE) -> Line:
    """Return the column titles."""
    lead = 13 if width >= MILLIS_FROM else 9
    titles = pad("time", lead) + pad("level", 6)
    if width >= GROUP_FROM:
        titles += pad("group", _group_width(width) + names.longest + 1)
    if width >= VERSION_FROM:
        titles += pad("vers", 5)
    titles += "".join(pad(column.name, column.width, right=column.right) + "  " for column in _fitting(columns, width))
    return ((f"{titles}message", Tone.HEAD),)


def _fitting(columns: Sequence[FieldColumn], width: int) -> Sequence[FieldColumn]:
    """Return the first columns that leave enough room for the message."""
    room = width - LEAD_CELLS - MESSAGE_CELLS
    for count, column in enumerate(columns):
        room -= column.width + 2
        if room < 0:
            return columns[: max(1, count)]
    return columns


def _group_width(width: int) -> int:
    return 12 if width < WIDE_GROUP_FROM else 18


def _cells(record: LogRecord, columns: Sequence[FieldColumn], tone: Tone) -> list[Piece]:
    values = [lookup(record.fields, column.name) for column in columns]
    if all(value is None for value in values):
        return []
    return [
        (pad(compact(value), column.width, right=column.right) + "  ", tone)
        for column, value in zip(columns, values, strict=True)
    ]
