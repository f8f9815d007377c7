"""The line that says where one is, and on the right what belongs to the layer."""

from __future__ import annotations

from collections.abc import Sequence

from prodwatch.tui.styled_line import Line, Piece, spread, width_of
from prodwatch.tui.widget_context import Deck
from prodwatch.tui.widgets.fixed_line import Bar
from prodwatch.tui.widgets.layer_path import layers, trail
from prodwatch.views.status_style import Tone


class Crumb(Bar):
    """Subclasses add what belongs to the layer on the right."""

    def __init__(self, deck: Deck) -> None:
        super().__init__(deck, id="crumb")

    def right(self) -> Sequence[Piece]:
        """Return what stands at the right end."""
        return ()

    def lines(self, width: int) -> Sequence[Line]:
        """Return the line."""
        right = self.right()
        where = trail(layers(self.screen), max(10, width - width_of(right) - 2), self.deck)
        return (spread([(" ", Tone.PLAIN), *where], right, width),)
