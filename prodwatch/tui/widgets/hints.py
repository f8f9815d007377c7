"""The bottom line: at most eight keys that work here, under the names the user gave them."""

from __future__ import annotations

from collections.abc import Sequence

from textual.binding import Binding

from prodwatch.tui.line import Line, Piece, width_of
from prodwatch.tui.widgets.bar import Bar
from prodwatch.views.states import Tone

MOST = 8
_WEIGHTS = ("list.open", "view.back", "view.filter", "check.rerun", "view.pause", "app.help", "app.palette", "app.quit")
"""Binding ids in the order shown; other visible bindings come between `check.rerun` and `view.pause`."""
_TYPING = [("enter", "keep"), ("esc", "as before"), ("up", "earlier ones")]


class Hints(Bar):
    """Reads the bindings that are active now, so remapped keys and other focus show at once."""

    def lines(self, width: int) -> Sequence[Line]:
        """Return the line."""
        pieces: list[Piece] = []
        for key, label in self._keys():
            addition: list[Piece] = [(f" {key}", Tone.ACCENT), (f" {label} ", Tone.DIM)]
            if width_of(pieces) + width_of(addition) > width:
                break
            pieces.extend(addition)
        return (pieces,)

    def _keys(self) -> list[tuple[str, str]]:
        if self.screen.query("FilterBar.-open"):
            return _TYPING
        shown: dict[str, tuple[Binding, str]] = {}
        for active in self.screen.active_bindings.values():
            if active.binding.show and active.enabled:
                shown.setdefault(
                    active.binding.id or active.binding.action, (active.binding, active.binding.description)
                )
        middle = _WEIGHTS.index("check.rerun") + 0.5
        ordered = sorted(shown.items(), key=lambda item: _WEIGHTS.index(item[0]) if item[0] in _WEIGHTS else middle)
        screens = ("1-5", "screens")
        keys = [(self.app.get_key_display(binding), label) for _, (binding, label) in ordered]
        keys.insert(max(0, len(keys) - 3), screens)
        return keys[: MOST + 1]
