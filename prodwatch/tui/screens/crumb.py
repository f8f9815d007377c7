"""The line that says where one is: each layer's name, the way back in reading order."""

from __future__ import annotations

from collections.abc import Sequence

from prodwatch.tui.deck import Deck
from prodwatch.tui.line import Line, Piece, spread
from prodwatch.tui.screens.base import DashScreen
from prodwatch.tui.widgets.bar import Bar
from prodwatch.views.states import Tone


class Crumb(Bar):
    """Subclasses add what belongs to the layer on the right."""

    def __init__(self, deck: Deck) -> None:
        super().__init__(deck, id="crumb")

    def right(self) -> Sequence[Piece]:
        """Return what stands at the right end."""
        return ()

    def lines(self, width: int) -> Sequence[Line]:
        """Return the line."""
        names = [screen.crumb for screen in self.app.screen_stack if isinstance(screen, DashScreen)]
        sign = " > " if self.deck.preferences.ascii else " › "
        left: list[Piece] = [(f" {sign.join(names[:-1])}{sign}" if names[:-1] else " ", Tone.DIM)]
        left.append((names[-1] if names else "", Tone.STRONG))
        return (spread(left, self.right(), width),)
