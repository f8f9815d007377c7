"""One log line as columns that give way, with its level as word and colour."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

from prodwatch.model.signal import Level, LogRecord
from prodwatch.text.units import format_age
from prodwatch.tui.line import Line, Piece, pad
from prodwatch.views.release import version_label
from prodwatch.views.states import Tone

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
_SHORT = {Level.PLATFORM: "AWS", Level.UNKNOWN: "-"}


def time_text(timestamp_ms: int, zone: tzinfo | None = UTC) -> str:
    """Return the time of day to the millisecond."""
    at = datetime.fromtimestamp(timestamp_ms / 1000, UTC).astimezone(zone)
    return f"{at:%H:%M:%S}.{timestamp_ms % 1000:03}"


def group_name(group: str) -> str:
    """Return the part of a log group's name that tells it from the others: `/aws/lambda/x` is `x`."""
    return group.rsplit("/", 1)[-1]


def log_line(record: LogRecord, width: int, zone: tzinfo | None = UTC, *, groups: bool = True) -> Line:
    """Return the line; narrow screens lose milliseconds, then version, then the group."""
    tone = LEVEL_TONES[record.level]
    time = time_text(record.timestamp_ms, zone)
    pieces: list[Piece] = [
        (time if width >= 90 else time[:8], Tone.DIM),
        (f" {pad(_SHORT.get(record.level, record.level), 5)} ", tone),
    ]
    if groups and width >= 70:
        pieces.append((pad(group_name(record.group), 12 if width < 140 else 18) + " ", Tone.DIM))
    if width >= 100:
        pieces.append((pad(version_label(record.version) if record.version else "", 5), Tone.OLD))
    if record.late_ms:
        pieces.append((f"late {format_age(record.late_ms / 1000)} ", Tone.WARN))
    body = tone if tone in {Tone.BAD, Tone.WARN, Tone.DIM} else Tone.PLAIN
    pieces.append((record.message, body))
    return pieces
