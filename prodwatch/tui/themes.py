"""Our two themes, our colour tokens in every other theme, and the filter for NO_COLOR."""

from __future__ import annotations

from functools import lru_cache

from rich.segment import Segment
from rich.style import Style
from textual.color import Color, ColorParseError
from textual.filter import LineFilter
from textual.theme import Theme

DARK = Theme(
    name="prodwatch-dark",
    primary="#6cb6ff",
    secondary="#b083f0",
    accent="#6cb6ff",
    success="#4fb862",
    warning="#d9a02c",
    error="#f4564a",
    foreground="#cdd5de",
    background="#0e1217",
    surface="#151b23",
    panel="#1b232d",
    dark=True,
    variables={
        "border": "#6cb6ff",
        "border-blurred": "#333d49",
        "tone-good": "#5ecb75",
        "tone-bad": "#ff7b72",
        "tone-warn": "#e3b341",
        "tone-unknown": "#c297ff",
        "tone-accent": "#79c0ff",
        "tone-dim": "#8b96a3",
        "cursor": "#24415f",
        "cursor-blurred": "#1d2731",
        "scrollbar": "#333d49",
        "scrollbar-background": "#0e1217",
    },
)

LIGHT = Theme(
    name="prodwatch-light",
    primary="#0a5dc2",
    secondary="#7a3fd0",
    accent="#0a5dc2",
    success="#1a7f37",
    warning="#8a5a00",
    error="#c8201f",
    foreground="#1f2730",
    background="#fbfcfd",
    surface="#f1f4f7",
    panel="#e7ecf1",
    dark=False,
    variables={
        "border": "#0a5dc2",
        "border-blurred": "#c3cbd4",
        "tone-good": "#116329",
        "tone-bad": "#b01011",
        "tone-warn": "#7d4e00",
        "tone-unknown": "#6a2fc0",
        "tone-accent": "#0a4fa8",
        "tone-dim": "#57616c",
        "cursor": "#b7d2f0",
        "cursor-blurred": "#e6ecf3",
        "scrollbar": "#c3cbd4",
        "scrollbar-background": "#fbfcfd",
    },
)

THEMES = (DARK, LIGHT)

FALLBACKS = {
    "tone-good": "text-success",
    "tone-bad": "text-error",
    "tone-warn": "text-warning",
    "tone-unknown": "text-secondary",
    "tone-accent": "text-accent",
    "tone-dim": "text-muted",
    "cursor": "primary-muted",
    "cursor-blurred": "block-cursor-blurred-background",
}
"""Our token → the token of other themes whose value it takes."""


READABLE = 4.5
"""Contrast that WCAG level AA requires for text."""
_TEXTS = ("foreground", "tone-good", "tone-bad", "tone-warn", "tone-unknown", "tone-accent", "tone-dim")
_STEPS = 20


def with_our_tokens(variables: dict[str, str]) -> dict[str, str]:
    """Return a theme's variables with ours added, every text colour readable on the theme's background.

    Status colours of themes made for editors are too pale for text: they move towards black or white until they can be
    read. A theme that uses the terminal's own colours is left as it is, since those colours are unknown.
    """
    complete = {**{ours: variables[theirs] for ours, theirs in FALLBACKS.items()}, **variables}
    background = _parsed(complete["background"])
    if background is None or background.ansi is not None:
        return complete
    ink = Color(255, 255, 255) if background.brightness < 0.5 else Color(0, 0, 0)
    for token in _TEXTS:
        color = _parsed(complete[token], background, ink)
        if color is not None:
            complete[token] = _moved(color, ink, background, READABLE).hex
    foreground = Color.parse(complete["foreground"])
    for token in ("cursor", "cursor-blurred"):
        color = _parsed(complete[token], background, ink)
        if color is not None:
            complete[token] = _moved(color, background, foreground, READABLE).hex
    return complete


def _parsed(text: str, background: Color | None = None, ink: Color | None = None) -> Color | None:
    """Return a colour as it appears on `background`; `auto 60%` is 60 % of `ink`. None if it is not a colour."""
    if text.startswith("auto") and background is not None and ink is not None:
        share = text.partition(" ")[2].rstrip("%")
        return background.blend(ink, float(share or 100) / 100)
    try:
        color = Color.parse(text)
    except ColorParseError:
        return None
    return background.blend(color, color.a, alpha=1.0) if background is not None and color.a < 1 else color


def _moved(color: Color, towards: Color, behind: Color, least: float) -> Color:
    """Return `color` moved towards another one just far enough for the contrast `least`."""
    moved = color
    for step in range(1, _STEPS + 1):
        if contrast(moved, behind) >= least:
            break
        moved = color.blend(towards, step / _STEPS, alpha=1.0)
    return moved


def contrast(one: Color, other: Color) -> float:
    """Return the contrast of two colours as defined by WCAG, 1 to 21."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(color: Color) -> float:
    parts = [channel / 255 for channel in color.rgb]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@lru_cache(1024)
def without_colour(style: Style) -> Style:
    """Return `style` without its colours; bold, reverse, underline and the like stay."""
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


class NoColourFilter(LineFilter):
    """Removes every colour; Textual's own filter for NO_COLOR turns colours into greys."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the same text in the terminal's own colours."""
        del background
        return [
            Segment(text, None if style is None else without_colour(style), control)
            for text, style, control in segments
        ]
