"""Contrast is computed, not hoped for; nothing rests on colour alone."""

from __future__ import annotations

from typing import Any

import pytest
from rich.color import Color as RichColor
from rich.color import ColorSystem
from textual.color import Color
from textual.theme import BUILTIN_THEMES

from prodwatch.tui.preferences import Preferences
from prodwatch.tui.themes import DARK, FALLBACKS, LIGHT, THEMES, with_our_tokens
from prodwatch.tui.themes import contrast as color_contrast
from prodwatch.views.status_style import Tone
from tests.support.examples import slow_but

READABLE = 4.5
"""WCAG AA for text."""
STATUS_TONES = (Tone.GOOD, Tone.BAD, Tone.WARN, Tone.UNKNOWN)


def luminance(color: RichColor) -> float:
    triplet = color.get_truecolor()
    parts = [value / 255 for value in triplet]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: RichColor, other: RichColor) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
async def test_every_tone_is_readable_on_background_and_cursor(run: Any, theme: Any) -> None:
    async with run(preferences=Preferences(fps=0, theme=theme.name)) as bench:
        grid = bench.app.screen.query_one("#checks")
        background = RichColor.parse(theme.background)
        for tone in Tone:
            if tone in {Tone.BAND, Tone.HIT}:
                continue
            color = grid.style_of(tone).color
            assert color is not None
            assert contrast(color, background) >= READABLE, tone
            for cursor in ("cursor", "cursor-blurred"):
                behind = grid.style_of(cursor).bgcolor
                least = READABLE if tone in {Tone.PLAIN, Tone.STRONG} else 3.0
                assert contrast(color, behind) >= least, (tone, cursor)


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_sixteen_colours_still_tell_statuses_cursor_and_background_apart(theme: Any) -> None:
    def number(token: str) -> int | None:
        value = theme.variables.get(token) or getattr(theme, token)
        return RichColor.parse(value).downgrade(ColorSystem.STANDARD).number

    background = number("background")
    for token in ("foreground", "tone-good", "tone-bad", "tone-warn", "tone-unknown", "tone-dim", "border-blurred"):
        assert number(token) != background, token
    assert number("cursor") != background
    assert number("foreground") != number("cursor")


def test_both_themes_know_the_same_tokens_and_so_do_the_fallbacks() -> None:
    assert DARK.variables.keys() == LIGHT.variables.keys()
    assert FALLBACKS.keys() <= DARK.variables.keys()
    assert {f"tone-{tone}" for tone in STATUS_TONES} <= FALLBACKS.keys()


def test_every_theme_of_textuals_is_readable() -> None:
    """Contrast of what is written, on the background and under the cursor, in all of them."""
    checked = 0
    for name, theme in BUILTIN_THEMES.items():
        found = with_our_tokens(theme.to_color_system().generate())
        background = Color.parse(found["background"])
        if background.ansi is not None:
            assert name.startswith("ansi-")
            continue
        checked += 1
        for token in ("foreground", *(f"tone-{tone}" for tone in (*STATUS_TONES, Tone.ACCENT, Tone.DIM))):
            assert color_contrast(Color.parse(found[token]), background) >= READABLE, (name, token)
        for cursor in ("cursor", "cursor-blurred"):
            behind = Color.parse(found[cursor])
            assert color_contrast(Color.parse(found["foreground"]), behind) >= READABLE - 0.1, (name, cursor)
            assert behind != background, (name, cursor)
    assert checked >= 19


@pytest.mark.parametrize(
    "theme", slow_but(("nord", "ansi-light"), ["nord", "textual-light", "ansi-dark", "ansi-light"])
)
async def test_textuals_own_themes_work(run: Any, theme: str) -> None:
    async with run(preferences=Preferences(fps=0, theme=theme)) as bench:
        assert bench.app.theme == theme
        await bench.sees("FAIL · roll back")


async def test_an_unknown_theme_is_ours(run: Any) -> None:
    async with run(preferences=Preferences(fps=0, theme="no such theme")) as bench:
        assert bench.app.theme == "prodwatch-dark"


async def test_no_color_keeps_every_word(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with run() as bench:
        assert bench.app.no_color
        for words in ("✘ FAIL", "! WARN", "✔ PASS", "✘ ALARM", "NEW"):
            await bench.sees(words)


async def test_t_goes_from_dark_to_light(run: Any) -> None:
    async with run(keys=["T"]) as bench:
        assert bench.app.theme == "prodwatch-light"
