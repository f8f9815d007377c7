"""The verdict in a box: status as colour, symbol and word, the reasons as lines."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from textual.content import Content

from prodwatch.model.result import VerdictStatus
from prodwatch.text.cell_width import clip
from prodwatch.tui.styled_line import Line, safe
from prodwatch.tui.widget_context import VerdictSnapshot, WidgetContext
from prodwatch.tui.widgets.static_lines import StaticLines
from prodwatch.views.status_style import Tone

_STATUS_STYLES: dict[VerdictStatus, tuple[str, str, str]] = {
    "pass": ("✔", "+", "-good"),
    "degraded": ("!", "!", "-warn"),
    "fail": ("✘", "x", "-bad"),
    "error": ("⊘", "E", "-unknown"),
    "inconclusive": ("?", "?", "-unknown"),
    "empty": ("?", "?", "-unknown"),
    "aborted": ("■", "#", "-unknown"),
}
LINES = 2
"""Lines of the smallest box; one whose comparisons need more is higher."""


class VerdictBox(StaticLines):
    """Two to four lines: the most important reasons, then the evidence."""

    DEFAULT_CSS = """
    VerdictBox {
        border: round $border-blurred;
        border-title-style: bold;
        height: 4;
        padding: 0 1;
        &.-good { border: round $tone-good; border-title-color: $tone-good; }
        &.-warn { border: round $tone-warn; border-title-color: $tone-warn; }
        &.-bad { border: round $tone-bad; border-title-color: $tone-bad; }
        &.-unknown { border: round $tone-unknown; border-title-color: $tone-unknown; }
    }
    """

    def __init__(self, context: WidgetContext, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 -- Textual's own name
        super().__init__(context, id=id, classes=classes)
        self._shown: VerdictSnapshot | None = None

    def frame(self) -> None:
        """Follow the app's snapshot at once."""
        if self.context.snapshot is self._shown or not self.display or not self.size.width:
            return
        self._apply_status()
        lines = self.lines(self.size.width)
        if lines != self._lines:
            self._lines = lines
            self.refresh()

    def on_resize(self) -> None:
        """Show the verdict on the first paint already."""
        self._apply_status()
        super().on_resize()

    def _apply_status(self) -> None:
        """Set title, colour and lower edge for the verdict."""
        self._shown = self.context.snapshot
        verdict = self._shown.verdict
        glyph, plain, css_class = _STATUS_STYLES[verdict.status]
        sign = plain if self.context.preferences.ascii else glyph
        title = Content(f"{sign} {safe(verdict.title)}")
        if title != self.border_title:
            self.border_title = title
            for _, _, name in _STATUS_STYLES.values():
                self.set_class(name == css_class, name)
        width = max(10, self.size.width)
        needed = sum(len(wrap(safe(text), width)) for text in verdict.compared)
        self.set_class(bool(needed) and needed + len(verdict.reasons) - len(verdict.compared) > LINES, "-more")
        since = f"since {self.context.time(verdict.since)}" if verdict.since else ""
        subtitle = Content(safe(" · ".join(part for part in (since, verdict.outlook) if part)))
        if subtitle != self.border_subtitle:
            self.border_subtitle = subtitle

    def lines(self, width: int) -> Sequence[Line]:
        """Return as many reasons as fit; the last line has the number of further ones."""
        verdict = self.context.snapshot.verdict
        room = max(1, (self.size.height or 2))
        texts = [(text, Tone.STRONG if index == 0 else Tone.PLAIN) for index, text in enumerate(verdict.reasons)]
        if verdict.evidence:
            if verdict.status in {"pass", "degraded"} and len(texts) >= room:
                # Without a line of its own, the evidence joins the first reason.
                texts[0] = (f"{texts[0][0]} · {verdict.evidence}", Tone.STRONG)
            else:
                texts.append((verdict.evidence, Tone.DIM))
        last = max((index for index, (text, _) in enumerate(texts) if text in verdict.compared), default=-1)
        lines: list[Line] = []
        shown = 0
        for index, (text, tone) in enumerate(texts):
            # A comparison is shown in full if every further one keeps a line.
            free = room - len(lines) - max(0, min(last, room - 1) - index)
            if free <= 0:
                break
            parts = wrap(safe(text), width) if text in verdict.compared else []
            whole = 1 < len(parts) <= free
            lines += [((part, tone),) for part in parts] if whole else [((clip(text, width), tone),)]
            shown += 1
        left = len(verdict.reasons) - shown
        if left > 0:
            suffix = f" · and {left} more"
            text, tone = lines[-1][0]
            lines[-1] = ((clip(text, width - len(suffix)), tone), (suffix, Tone.DIM))
        return lines
