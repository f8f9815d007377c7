"""Breadcrumb: the names of the open layers, outermost first."""

from __future__ import annotations

from collections.abc import Sequence

from textual.screen import Screen

from prodwatch.text.cell_width import clip
from prodwatch.tui.styled_line import Line, Piece, safe, spread, width_of
from prodwatch.tui.widget_context import WidgetContext
from prodwatch.tui.widgets.static_lines import StaticLines
from prodwatch.views.status_style import Tone


class Breadcrumb(StaticLines):
    """The open layers on the left; subclasses add text about the current layer on the right."""

    def __init__(self, context: WidgetContext) -> None:
        super().__init__(context, id="breadcrumb")

    def right(self) -> Sequence[Piece]:
        """Return the text at the right end."""
        return ()

    def lines(self, width: int) -> Sequence[Line]:
        """Return the line."""
        right = self.right()
        path = breadcrumb_line(layer_names(self.screen), max(10, width - width_of(right) - 2), self.context)
        return (spread([(" ", Tone.PLAIN), *path], right, width),)


def layer_names(screen: Screen[object]) -> list[str]:
    """Return the names of the layers up to `screen`, outermost first."""
    names: list[str] = []
    for layer in screen.app.screen_stack:
        name = getattr(layer, "layer_name", "")
        if name:
            names.append(safe(name))
        if layer is screen:
            break
    return names


def breadcrumb_line(names: list[str], room: int, context: WidgetContext) -> Line:
    """Return the names in at most `room` cells: the last one stays, the first ones become an ellipsis."""
    sign = " > " if context.preferences.ascii else " › "
    for first in range(len(names)):
        before = names[first:-1] if first == 0 else ["…", *names[first:-1]]
        pieces: list[Piece] = [("".join(f"{name}{sign}" for name in before), Tone.DIM), (names[-1], Tone.STRONG)]
        if width_of(pieces) <= room:
            return pieces
    return ((clip(names[-1], room), Tone.STRONG),) if names else ()
