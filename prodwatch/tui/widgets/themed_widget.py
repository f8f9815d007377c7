"""Base of all widgets that draw lines: turns pieces of text with tones into styled, sanitised cells."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from prodwatch.tui.styled_line import Line, safe
from prodwatch.tui.textual_private import FaultTolerant
from prodwatch.views.status_style import Tone

TONE_CLASSES = {f"tone--{tone}" for tone in (*Tone, "cursor", "cursor-blurred")}
"""Component classes that a screen needs for the tones painted on it."""

TONE_CSS = """
    & > .tone--good { color: $tone-good; }
    & > .tone--bad { color: $tone-bad; text-style: bold; }
    & > .tone--warn { color: $tone-warn; }
    & > .tone--unknown { color: $tone-unknown; }
    & > .tone--running { color: $tone-dim; }
    & > .tone--plain { color: $foreground; }
    & > .tone--dim { color: $tone-dim; }
    & > .tone--strong { color: $foreground; text-style: bold; }
    & > .tone--accent { color: $tone-accent; }
    & > .tone--head { color: $tone-dim; }
    & > .tone--old { color: $tone-dim; }
    & > .tone--new { color: $foreground; }
    & > .tone--mark { color: $tone-accent; }
    & > .tone--band { color: $border-blurred; }
    & > .tone--hit { color: $background; background: $warning; }
    & > .tone--cursor { background: $cursor; }
    & > .tone--cursor-blurred { background: $cursor-blurred; }
"""


class ThemedWidget(FaultTolerant, Widget):
    """Draws with the tones of its screen: a theme's colours are resolved once per screen, not per widget."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 -- Textual's own name
        super().__init__(id=id, classes=classes)
        self._tones: dict[str, Style] = {}

    def notify_style_update(self) -> None:
        """Forget styles when the theme or a class changed."""
        super().notify_style_update()
        self._tones.clear()

    def style_of(self, tone: str) -> Style:
        """Return the style of a tone, without a background unless the tone is one itself."""
        style = self._tones.get(tone)
        if style is None:
            full = self.screen.get_component_rich_style(f"tone--{tone}")
            if tone in {Tone.HIT, "cursor", "cursor-blurred"}:
                style = full
            else:
                style = Style(
                    color=full.color, bold=full.bold, dim=full.dim, italic=full.italic, underline=full.underline
                )
            self._tones[tone] = style
        return style

    def paint(self, line: Line, background: Style) -> Strip:
        """Return `line` as a strip; control characters are made visible first."""
        segments = []
        faded = self.has_class("-stale")
        for raw, tone in line:
            text = safe(raw)
            style = background + self.style_of(Tone.DIM if faded else tone)
            segments.append(Segment(text, style))
        # Without a width: Textual crops by its own measure, which differs for a few characters.
        return Strip(segments)
