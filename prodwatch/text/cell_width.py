"""Width of text in terminal cells, by the Unicode tables of the wcwidth library; cutting and padding to a width.

Text must be sanitised: control characters count as zero cells. wcwidth is imported for the first text with other
characters than those known to be narrow, because its import takes 10 ms.
"""

from __future__ import annotations

from functools import lru_cache

_RANGES = (range(0x20, 0x7F), range(0xA1, 0xAD), range(0xAE, 0x100), range(0x2500, 0x25A0))
NARROW = frozenset(chr(code) for codes in _RANGES for code in codes).union("–—‘’“”•…●")
"""Characters of one cell: ASCII, Latin-1, box drawing, and those of prodwatch's own messages."""
_CACHED_CHARS = 512
"""Length from which texts are not cached: they are rare and would fill the cache."""


def width(text: str) -> int:
    """Return the width of `text` in cells: two for a wide character, none for a combining mark."""
    if text.isascii() or NARROW.issuperset(text):
        return len(text)
    return _measured(text) if len(text) < _CACHED_CHARS else _measured.__wrapped__(text)


def cut(text: str, cells: int) -> str:
    """Return the beginning of `text` that fits into `cells` cells; characters keep their combining marks."""
    text = _head(text, cells)
    if text.isascii() or NARROW.issuperset(text):
        return text[: max(0, cells)]
    from wcwidth import iter_graphemes

    end, room = 0, cells
    for grapheme in iter_graphemes(text):
        room -= width(grapheme)
        if room < 0:
            break
        end += len(grapheme)
    return text[:end]


def clip(text: str, cells: int) -> str:
    """Return `text` in at most `cells` cells; a shortened text ends in an ellipsis."""
    if cells <= 0:
        return ""
    head = _head(text, cells)
    if len(head) == len(text) and width(text) <= cells:
        return text
    return f"{cut(head, cells - 1).rstrip()}…"


def clip_middle(text: str, cells: int) -> str:
    """Return `text` in at most `cells` cells; a shortened one keeps its beginning and its end."""
    if cells < 3 or width(text) <= cells:
        return clip(text, cells)
    end_cells = (cells - 1) // 2
    end = cut(text[::-1], end_cells)[::-1]
    return f"{cut(text, cells - 1 - width(end)).rstrip()}…{end.lstrip()}"


def fitted(text: str, cells: int) -> str:
    """Return `text` in exactly `cells` cells: padded with spaces, or shortened with an ellipsis."""
    clipped = clip(text, cells)
    return clipped + " " * (cells - width(clipped))


def _head(text: str, cells: int) -> str:
    """Return the part of `text` that can matter for `cells` cells: measuring a megabyte takes seconds."""
    return text[: 4 * max(0, cells) + 64]


@lru_cache(4096)
def _measured(text: str) -> int:
    from wcwidth import width as cells_of

    return cells_of(text, control_codes="ignore")
