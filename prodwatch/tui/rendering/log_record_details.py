"""One log line in detail: full message, ids, report figures and indented JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from textwrap import wrap

from prodwatch.model.identity import unique_name
from prodwatch.model.signal import LogRecord
from prodwatch.text.units import format_age
from prodwatch.tui.rendering.log_line import LEVEL_TONES, time_text
from prodwatch.tui.styled_line import Line, pad, safe
from prodwatch.views.check_detail import pretty
from prodwatch.views.release import version_label
from prodwatch.views.status_style import Tone

LABEL = 10
MESSAGE_CHARS = 8_000
"""Characters of a message that are shown: several screens."""


def record_lines(record: LogRecord, width: int, zone: tzinfo | None, *, own: bool = False) -> Sequence[Line]:
    """Return the opened line for `width` cells; `own` is one that was written for a request of prodwatch's own."""
    tone = LEVEL_TONES[record.level]
    lines: list[Line] = [((time_text(record.timestamp_ms, zone), Tone.STRONG), (f"  {record.level}", tone))]
    for part in record.message[:MESSAGE_CHARS].split("⏎"):
        lines += [((piece, Tone.PLAIN),) for piece in wrap(safe(part), max(20, width), drop_whitespace=False)] or [()]
    if len(record.message) > MESSAGE_CHARS:
        more = f"… and {len(record.message) - MESSAGE_CHARS:,} more characters; y copies them all"
        lines.append(((more, Tone.DIM),))
    lines += [
        (),
        *_labelled("group", unique_name(record.group, record.place)),
        *_labelled("stream", record.stream),
        *_labelled("version", version_label(record.version) if record.version else ""),
        *_labelled("request", record.request_id or ""),
        *_labelled("trace", record.trace_id or ""),
        *_labelled("sent by", "prodwatch's own check" if own else ""),
    ]
    if record.ingested_ms:
        delay = format_age(max(0, record.ingested_ms - record.timestamp_ms) / 1000)
        lines += _labelled("ingested", f"{delay} after the event")
    if record.late_ms:
        late = format_age(record.late_ms / 1000)
        lines.append(((pad("late", LABEL), Tone.DIM), (f"{late} after newer lines of its group", Tone.WARN)))
    if record.report:
        lines += [(), *_report(record)]
    if record.fields:
        lines += [(), *(((text, Tone.PLAIN),) for text in pretty(record.fields))]
    return lines


def _labelled(label: str, value: str) -> list[Line]:
    return [((pad(label, LABEL), Tone.DIM), (value, Tone.PLAIN))] if value else []


def _report(record: LogRecord) -> list[Line]:
    report = record.report
    if report is None:
        return []
    start = f"{report.init_ms:.0f} ms" if report.init_ms is not None else "no, warm instance"
    return [
        *_labelled("duration", f"{report.duration_ms:.1f} ms, billed {report.billed_ms:.0f} ms"),
        *_labelled("memory", f"{report.used_mb} of {report.memory_mb} MB"),
        *_labelled("cold start", start),
        *_labelled("ended", report.status or "ok"),
    ]
