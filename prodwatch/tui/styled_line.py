"""Styled lines: pieces of text with a tone each, and table columns that are dropped on narrow screens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from prodwatch.text.cell_width import clip, clip_middle, cut, fitted
from prodwatch.text.cell_width import width as text_width
from prodwatch.text.sanitize import sanitize_line
from prodwatch.views.status_style import Tone

Piece = tuple[str, Tone]
Line = Sequence[Piece]

BLANK: Line = ()
LIMIT_CELLS = 10_000
MEASURED_CHARS = 2_000
"""No terminal is wider; measuring a megabyte would take seconds."""


def safe(text: str) -> str:
    """Return `text` as one line that cannot steer the terminal, whatever the caller was given."""
    return text if len(text) <= LIMIT_CELLS and text.isprintable() else sanitize_line(text, limit=LIMIT_CELLS)


def cells(text: str) -> int:
    """Return how many terminal cells `text` takes; of a very long one, how many its beginning takes."""
    return text_width(text[:MEASURED_CHARS])


def width_of(line: Line) -> int:
    """Return how many cells `line` takes."""
    return sum(cells(text) for text, _ in line)


def pad(text: str, width: int, *, right: bool = False) -> str:
    """Return `text` in exactly `width` cells."""
    if not right:
        return fitted(safe(text), width)
    clipped = clip(safe(text), width)
    return " " * (width - cells(clipped)) + clipped


def clip_line(line: Line, width: int) -> Line:
    """Return `line` in at most `width` cells."""
    out: list[Piece] = []
    left = width
    for text, tone in line:
        size = cells(text)
        if size > left:
            out.append((clip(text, left), tone))
            break
        out.append((text, tone))
        left -= size
    return out


def wrap_line(line: Line, width: int) -> list[Line]:
    """Return `line` as one or more lines of at most `width` cells; nothing is left out."""
    if width < 2 or width_of([(safe(text), tone) for text, tone in line]) <= width:
        return [line]
    lines: list[Line] = []
    out: list[Piece] = []
    left = width
    for raw, tone in line:
        text = safe(raw)
        while text:
            taken = text if cells(text) <= left else cut(text, left).rstrip(" ")
            if not taken and not out:
                taken = text[:1]
            if taken:
                out.append((taken, tone))
                left -= cells(taken)
                text = text[len(taken) :]
            if text:
                lines.append(out)
                out, left = [], width
                text = text.lstrip(" ")
    if out:
        lines.append(out)
    return lines


def wrap_words(line: Line, width: int) -> list[Line]:
    """Return a sentence, which is one piece, in lines broken between words; lines of several pieces as they are."""
    if len(line) != 1 or width < 2 or width_of(line) <= width:
        return [line]
    from textwrap import wrap

    text, tone = line[0]
    return [((part, tone),) for part in wrap(safe(text), width)]


def spread(left: Line, right: Line, width: int) -> Line:
    """Return `left` and `right` at the two ends of `width` cells; `left` gives way."""
    room = width - width_of(right)
    if room <= 0:
        return clip_line(right, width)
    clipped = clip_line(left, room)
    return (*clipped, (" " * (room - width_of(clipped)), Tone.PLAIN), *right)


class Column(NamedTuple):
    """One column of a table."""

    name: str
    title: str
    width: int
    """Minimum width in cells."""
    grow: int = 0
    """Share of the space left over."""
    right: bool = False
    drop: int = 0
    """0: always shown; otherwise the order of being dropped on narrow screens, highest first."""
    keep_end: bool = False
    """Whether a text that is too long loses its middle: its end tells it from others."""


class Fitted(NamedTuple):
    """A column with its actual width."""

    column: Column
    width: int


def fit(columns: Sequence[Column], width: int, gap: int = 1) -> tuple[Fitted, ...]:
    """Return the columns that find room in `width` cells, in order, spare cells given to those that grow."""
    kept = list(columns)
    while _needed(kept, gap) > width:
        optional = [column for column in kept if column.drop]
        if not optional:
            break
        kept.remove(max(optional, key=lambda column: column.drop))
    spare = max(0, width - _needed(kept, gap))
    shares = sum(column.grow for column in kept)
    fitted = [Fitted(column, column.width + (spare * column.grow // shares if shares else 0)) for column in kept]
    rest = width - sum(column.width for column in fitted) - gap * (len(fitted) - 1)
    growing = [index for index, column in enumerate(fitted) if column.column.grow]
    if rest and growing:
        last = growing[-1]
        fitted[last] = fitted[last]._replace(width=max(1, fitted[last].width + rest))
    return tuple(fitted)


def longest(names: Iterable[str]) -> int:
    """Return the cells of the longest name, 0 without any."""
    return max(map(cells, names), default=0)


def named_column(column: Column, longest: int, width: int) -> Column:
    """Return a column of a table of `width` cells, in which names that end in account and region take `longest` cells.

    It is as wide as they need, up to a third of the table, and wider names lose their middle. For 0 it is `column`.
    """
    if not longest:
        return column
    return column._replace(width=max(column.width, min(longest, width // 3)), keep_end=True)


def _needed(columns: Sequence[Column], gap: int) -> int:
    return sum(column.width for column in columns) + gap * max(0, len(columns) - 1)


def row(fitted: Sequence[Fitted], values: Mapping[str, Piece | Line], gap: int = 1) -> Line:
    """Return one table row; a value is one piece or several."""
    out: list[Piece] = []
    for index, (column, width) in enumerate(fitted):
        if index:
            out.append((" " * gap, Tone.PLAIN))
        value = values.get(column.name, ())
        if len(value) == 2 and isinstance(value[0], str):
            text, tone = value
            shown = clip_middle(safe(value[0]), width) if column.keep_end else text
            out.append((pad(shown, width, right=column.right), tone))  # type: ignore[arg-type] # a piece, by the test above
        else:
            pieces = clip_line(value, width)  # type: ignore[arg-type] # a line, by the test above
            fill = (" " * (width - width_of(pieces)), Tone.PLAIN)
            out.extend((fill, *pieces) if column.right else (*pieces, fill))
    return out


def head(fitted: Sequence[Fitted], gap: int = 1) -> Line:
    """Return the row of column titles."""
    return row(fitted, {column.column.name: (column.column.title, Tone.HEAD) for column in fitted}, gap)


def text_of(line: Line) -> str:
    """Return the line as plain text."""
    return "".join(text for text, _ in line)
