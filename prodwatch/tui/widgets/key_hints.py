"""The bottom line: at most eight keys that work now, as the user mapped them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from textual.binding import Binding

from prodwatch.tui.styled_line import Line, Piece, width_of
from prodwatch.tui.widgets.static_lines import StaticLines
from prodwatch.views.status_style import Tone

MAX_HINTS = 8


class _Key(NamedTuple):
    id: str
    text: str
    label: str


_ORDER = (
    "list.open",
    "view.back",
    "view.filter",
    "check.rerun",
    "replay.next-event",
    "replay.play",
    "view.pause",
    "app.help",
    "app.palette",
    "app.quit",
)
"""Binding ids in the order shown; other visible bindings come after `check.rerun`."""
_KEPT = {
    "app.quit": 9,
    "app.help": 8,
    "list.open": 7,
    "view.back": 6,
    "view.filter": 5,
    "check.rerun": 5,
    "replay.play": 7,
    "replay.next-event": 6,
    "app.palette": 4,
    "screens": 3,
}
"""Binding id → priority when the line is too narrow; higher ones stay."""
_SCREENS = _Key("screens", "1-5", "screens")
_TYPING = (_Key("", "enter", "apply"), _Key("", "esc", "cancel"), _Key("", "up", "history"))


class KeyHints(StaticLines):
    """Reads the active bindings, so that remapped keys and a changed focus are shown at once."""

    def lines(self, width: int) -> Sequence[Line]:
        """Return the line; on narrow screens keys are dropped by priority."""
        keys = self._keys()
        while len(keys) > MAX_HINTS + 1 or (len(keys) > 1 and width_of(_pieces(keys)) > width):
            keys.remove(min(keys, key=lambda key: _KEPT.get(key.id, 0)))
        return (_pieces(keys),)

    def _keys(self) -> list[_Key]:
        if self.screen.query("FilterBar.-open"):
            return list(_TYPING)
        shown: dict[str, Binding] = {}
        for active in self.screen.active_bindings.values():
            useless = self.context.replay is not None and active.binding.id == "check.rerun"
            if active.binding.show and active.enabled and not useless:
                shown.setdefault(active.binding.id or active.binding.action, active.binding)
        middle = _ORDER.index("check.rerun") + 0.5
        ordered = sorted(shown, key=lambda binding_id: _ORDER.index(binding_id) if binding_id in _ORDER else middle)
        keys = [
            _Key(binding_id, self.app.get_key_display(shown[binding_id]), shown[binding_id].description)
            for binding_id in ordered
        ]
        keys.insert(max(0, len(keys) - 3), _SCREENS)
        return keys


def _pieces(keys: Sequence[_Key]) -> list[Piece]:
    return [piece for key in keys for piece in ((f" {key.text}", Tone.ACCENT), (f" {key.label} ", Tone.DIM))]
