"""Where one is: each layer's name, the way back in reading order; the far end gives way first."""

from __future__ import annotations

from textual.screen import Screen

from prodwatch.tui.styled_line import Line, Piece, clip, safe, width_of
from prodwatch.tui.widget_context import Deck
from prodwatch.views.status_style import Tone


def layers(screen: Screen[object]) -> list[str]:
    """Return the names of the layers up to `screen`, outermost first."""
    names: list[str] = []
    for each in screen.app.screen_stack:
        name = getattr(each, "crumb", "")
        if name:
            names.append(safe(name))
        if each is screen:
            break
    return names


def trail(names: list[str], room: int, deck: Deck) -> Line:
    """Return the names in at most `room` cells: the last one stays, the first ones become an ellipsis."""
    sign = " > " if deck.preferences.ascii else " › "
    for first in range(len(names)):
        before = names[first:-1] if first == 0 else ["…", *names[first:-1]]
        pieces: list[Piece] = [("".join(f"{name}{sign}" for name in before), Tone.DIM), (names[-1], Tone.STRONG)]
        if width_of(pieces) <= room:
            return pieces
    return ((clip(names[-1], room), Tone.STRONG),) if names else ()
