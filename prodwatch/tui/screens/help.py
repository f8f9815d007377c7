"""Help: the focused panel, the keys that work now, symbols, sources and notices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import wrap

from textual.widget import Widget

from prodwatch.tui.screens.base import DashboardScreen
from prodwatch.tui.styled_line import Line, pad, safe
from prodwatch.tui.widget_context import WidgetContext
from prodwatch.tui.widgets.breadcrumb import Breadcrumb
from prodwatch.tui.widgets.panel import Panel
from prodwatch.tui.widgets.text_panel import TextPanel
from prodwatch.views.panel_freshness import source_lines
from prodwatch.views.status_style import RUNNING, STATES, WAITING, Tone

KEY_CELLS, NAME_CELLS = 14, 26
MAX_SOURCES = 100
_MEANINGS = {
    "FAIL": "measured: an assertion is false, or the target refused",
    "ERROR": "not measured: credentials, permission or network",
    "UNSURE": "inconclusive: too little evidence",
    "WARN": "degraded: measured, a warn assertion is false",
    "PASS": "measured: every assertion is true",
    "SKIP": "not run; open the check for the reason",
    "WAIT": "no round has finished yet",
    "RUN": "the first round is running",
}


class HelpScreen(DashboardScreen):
    """Reads the bindings of the screen below, so remapped keys are shown as the user mapped them."""

    LAYER_NAME = "help"
    HAS_BREADCRUMB = True
    AUTO_FOCUS = "#help"

    def __init__(self, context: WidgetContext, below: DashboardScreen) -> None:
        super().__init__(context)
        focused = below.focused if isinstance(below.focused, Panel) else None
        self._about = focused.about if focused else ""
        self._name = (focused.TITLE or below.layer_name) if focused else ""
        bindings = {active.binding.id: active for active in below.active_bindings.values() if active.binding.id}
        self._keys = [
            (below.app.get_key_display(active.binding), binding_id or "", active.binding.description)
            for binding_id, active in bindings.items()
        ]

    def body(self) -> Iterable[Widget]:
        """Yield one text."""
        yield Breadcrumb(self.context)
        yield TextPanel(self.context, self._text, title="Help", id="help")

    def _text(self, width: int) -> Sequence[Line]:
        lines: list[Line] = []
        if self._about:
            lines.append(((self._name or "This panel", Tone.STRONG),))
            lines += [((part, Tone.PLAIN),) for part in wrap(self._about, max(20, width - 2))]
            lines.append(())
        lines.append((("Keys that work here", Tone.STRONG), ("   remap them by the id on the right", Tone.DIM)))
        for key, binding_id, label in self._keys:
            lines.append(
                ((pad(key, KEY_CELLS), Tone.ACCENT), (pad(label, NAME_CELLS), Tone.PLAIN), (binding_id, Tone.DIM))
            )
        lines += [(), (("Symbols", Tone.STRONG),)]
        for state in (*STATES.values(), WAITING, RUNNING):
            sign = f"{self.context.glyph(state)} {state.word}"
            lines.append(((pad(sign, KEY_CELLS), state.tone), (_MEANINGS[state.word], Tone.PLAIN)))
        lines += self._sources(width)
        notices = self.context.store.notices
        if notices:
            lines += [(), (("Notices, newest first", Tone.STRONG),)]
            lines += [((notice.message, Tone.PLAIN),) for notice in reversed(notices)]
        if self.context.facts.log_file:
            lines += [(), ((f"Errors of the dashboard are logged to {self.context.facts.log_file}.", Tone.DIM),)]
        return lines

    def _sources(self, width: int) -> list[Line]:
        """Return the freshness and limits of every source; each log group is one."""
        lines: list[Line] = []
        further = len(self.context.store.sources) - MAX_SOURCES
        for source in source_lines(self.context.store, self.context.now(), MAX_SOURCES):
            lines.append(
                (
                    (f"{self.context.glyph(source.state)} ", source.state.tone),
                    (f"{pad(source.name, NAME_CELLS + KEY_CELLS - 2)} ", Tone.PLAIN),
                    (source.text, Tone.DIM if source.state.tone is Tone.GOOD else source.state.tone),
                )
            )
            lines += [((f"- {part}", Tone.PLAIN),) for part in wrap(safe(source.detail), max(20, width - 4))]
        if further > 0:
            lines.append(((f"and {further:,} more sources", Tone.DIM),))
        return [(), (("Sources, worst first", Tone.STRONG),), *lines] if lines else []
