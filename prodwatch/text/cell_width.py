"""How many cells of a terminal a text takes, and texts cut or filled to a number of cells."""

from __future__ import annotations

from unicodedata import category, east_asian_width

_NO_CELL = frozenset(("Mn", "Me", "Cf"))
"""Marks on the character before, and characters that steer without being seen."""


def width(text: str) -> int:
    """Return the cells `text` takes: two for a wide character of East Asia, none for a mark on another."""
    if text.isascii():
        return len(text)
    return sum(_cells(character) for character in text)


def fitted(text: str, cells: int) -> str:
    """Return `text` in exactly `cells` cells: filled with spaces, or cut and ended by an ellipsis."""
    taken = width(text[: 2 * cells + 64])
    if taken <= cells and len(text) <= 2 * cells + 64:
        return text + " " * (cells - taken)
    kept, room = [], cells - 1
    for character in text:
        needed = _cells(character)
        if needed > room:
            break
        kept.append(character)
        room -= needed
    return f"{''.join(kept)}…{' ' * room}" if cells > 0 else ""


def _cells(character: str) -> int:
    if category(character) in _NO_CELL:
        return 0
    return 2 if east_asian_width(character) in "WF" else 1
