"""Colours of the plain terminal, disabled for pipes and by NO_COLOR; colour never carries a meaning alone."""

from __future__ import annotations

import os
import sys
from typing import TextIO

RED, YELLOW, GREEN, MAGENTA, CYAN, DIM, BOLD = "31", "33", "32", "35", "36", "2", "1"


class Style:
    """Paints texts, or returns them unchanged."""

    def __init__(self, *, color: bool) -> None:
        self.color = color

    def paint(self, text: str, code: str | None) -> str:
        """Return `text` in a colour."""
        return f"\x1b[{code}m{text}\x1b[0m" if self.color and code and text else text


def style(*, no_color: bool, stream: TextIO | None = None) -> Style:
    """Return the style for a stream (default: stdout), NO_COLOR, FORCE_COLOR and TERM."""
    if no_color or os.environ.get("NO_COLOR"):
        return Style(color=False)
    if os.environ.get("FORCE_COLOR"):
        return Style(color=True)
    return Style(color=(stream or sys.stdout).isatty() and os.environ.get("TERM", "") not in {"", "dumb"})
