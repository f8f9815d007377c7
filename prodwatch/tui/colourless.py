"""With NO_COLOR not one colour reaches the terminal: bold, reverse and underline are all that is left."""

from __future__ import annotations

from functools import lru_cache

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter


@lru_cache(1024)
def without_colour(style: Style) -> Style:
    """Return what is left of a style: Textual's own filter would paint its colours as greys."""
    return Style(
        bold=style.bold,
        dim=style.dim,
        italic=style.italic,
        underline=style.underline,
        reverse=style.reverse,
        strike=style.strike,
        link=style.link,
        meta=style.meta or None,
    )


class Colourless(LineFilter):
    """Takes every colour out of a line."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the same text in the terminal's own colours."""
        del background
        return [
            Segment(text, None if style is None else without_colour(style), control)
            for text, style, control in segments
        ]
