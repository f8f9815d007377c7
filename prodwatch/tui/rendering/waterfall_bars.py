"""Bars of a waterfall in eighths of a cell, drawn with block characters or ASCII."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prodwatch.text.cell_width import clip
from prodwatch.text.units import format_ms
from prodwatch.tui.styled_line import Line, Piece, cells, clip_line, pad, safe
from prodwatch.views.status_style import Tone
from prodwatch.views.waterfall import EIGHTHS, Bar, BarState

_LEFT = " ▏▎▍▌▋▊▉█"
_TONES: dict[BarState, Tone] = {
    "ok": Tone.PLAIN,
    "fault": Tone.BAD,
    "error": Tone.WARN,
    "throttle": Tone.WARN,
}
NAME_SHARE = 0.3
LABEL_CELLS = 9


def bar_text(x0: int, x1: int, width: int, *, ascii_only: bool = False) -> str:
    """Return the bar from `x0` to `x1` eighths in `width` cells."""
    first, last = x0 // EIGHTHS, (x1 - 1) // EIGHTHS
    if ascii_only:
        return (" " * first + "#" * (last - first + 1)).ljust(width)[:width]
    out = [" "] * width
    for cell in range(first, min(last, width - 1) + 1):
        low = max(x0 - cell * EIGHTHS, 0)
        high = min(x1 - cell * EIGHTHS, EIGHTHS)
        out[cell] = _block(low, high)
    return "".join(out)


def _block(low: int, high: int) -> str:
    """Return the character nearest to a cell filled from `low` to `high` eighths.

    Unicode has all eighths from the left, but only a half and an eighth from the right.
    """
    if low == 0:
        return _LEFT[high]
    if high == EIGHTHS:
        return "█" if low <= 2 else ("▐" if low <= 5 else "▕")
    return _LEFT[max(1, high - low)] if low < EIGHTHS // 2 else "▐"


def picture_width(width: int) -> int:
    """Return how many of `width` cells a waterfall's bars get."""
    return max(8, width - name_width(width) - LABEL_CELLS - 3)


def name_width(width: int) -> int:
    """Return how many of `width` cells the names get."""
    return min(34, max(10, int(width * NAME_SHARE)))


def bar_line(bar: Bar, width: int, *, ascii_only: bool = False) -> Line:
    """Return one row of a waterfall: name, remarks, bar and duration."""
    names, picture = name_width(width), picture_width(width)
    tone = _TONES[bar.state]
    title = Tone.STRONG if bar.critical else Tone.PLAIN
    name: list[Piece] = [
        (clip(_indent(bar.depth, names) + safe(bar.name), names), tone if bar.state != "ok" else title)
    ]
    used = cells(name[0][0])
    room = names - used
    for text, text_tone in ((_remark(bar), Tone.WARN), (bar.note, Tone.DIM if bar.state == "ok" else tone)):
        if text and room > 4:
            name.append((clip(f" {text}", room), text_tone))
            room -= cells(name[-1][0])
    drawn = bar_text(bar.x0, bar.x1, picture, ascii_only=ascii_only)
    return clip_line(
        [
            *name,
            (" " * room, Tone.PLAIN),
            _edge(bar, ascii_only=ascii_only),
            (drawn, tone if bar.state != "ok" else (Tone.ACCENT if bar.critical else Tone.DIM)),
            (pad(format_ms(bar.duration_s * 1000) + ("…" if bar.open else ""), LABEL_CELLS, right=True), Tone.PLAIN),
        ],
        width,
    )


def _indent(depth: int, room: int) -> str:
    """Return the indent of a name; limited for deep spans, with the depth as a number."""
    most = room // 3
    return " " * depth if depth <= most else f"{' ' * (most - 4)}{depth:>3} "


def _edge(bar: Bar, *, ascii_only: bool) -> Piece:
    """Return the left edge of the picture, with a mark on the bottleneck."""
    if bar.slowest:
        return ("*|" if ascii_only else "◆▏", Tone.WARN)
    return (" |" if ascii_only else " ▏", Tone.DIM)


def _remark(bar: Bar) -> str:
    parts = []
    if bar.open:
        parts.append("open")
    if bar.skewed:
        parts.append("clock skew")
    if bar.orphan:
        parts.append("parent missing")
    return ", ".join(parts)


def phase_lines(bars: Iterable[Bar], width: int, *, ascii_only: bool = False) -> Sequence[Line]:
    """Return one line per phase of a request; `width` is the whole line's."""
    names, label = 9, 9
    picture = phase_width(width)
    return [
        (
            (pad(bar.name, names), Tone.PLAIN),
            (pad(format_ms(bar.duration_s * 1000), label, right=True), Tone.PLAIN),
            (" |" if ascii_only else " ▏", Tone.DIM),
            (bar_text(bar.x0, bar.x1, picture, ascii_only=ascii_only), Tone.ACCENT),
        )
        for bar in bars
    ]


def phase_width(width: int) -> int:
    """Return how many of `width` cells the bars of phases get."""
    return max(8, width - 9 - 9 - 2)
