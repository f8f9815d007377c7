"""Two themes of our own, and what every other theme needs to know of our tokens."""

from __future__ import annotations

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
"""Our tokens and whose value they take in themes that do not know them."""


def with_our_tokens(variables: dict[str, str]) -> dict[str, str]:
    """Return a theme's variables with ours among them."""
    return {**{ours: variables[theirs] for ours, theirs in FALLBACKS.items()}, **variables}
