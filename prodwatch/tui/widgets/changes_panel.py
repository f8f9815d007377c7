"""What changed in the window that is asked about: bad news first, each line a sentence."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from prodwatch.store.store import Topic
from prodwatch.tui.styled_line import Column, Line, fit, row
from prodwatch.tui.widget_context import WidgetContext
from prodwatch.tui.widgets.panel import Panel
from prodwatch.views.status_style import Tone
from prodwatch.views.triage import Change, Changes, changes

_COLUMNS = (Column("mark", "", 1), Column("at", "", 8), Column("text", "what", 20, grow=1))
_MARKS = {"bad": ("▲", "^"), "quiet": ("·", ".")}


class ChangesPanel(Panel):
    """Rows are changes; opening one leads to what it speaks of."""

    TOPICS = (Topic.RELEASE, Topic.ALARMS, Topic.SIGNATURES, Topic.METRICS, Topic.SOURCES)
    TITLE = "What changed"
    HELP = (
        "Deployments, stack updates, alarms, errors that were not there before, and figures that moved by a fifth or "
        "more against as long a time before. What speaks against production comes first. The lower edge says what "
        "could not be seen. Enter leads to the events, the lines or the chart behind a row."
    )

    def __init__(self, context: WidgetContext, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 -- Textual's own name
        self._found = Changes(rows=(), unseen=(), reading=())
        super().__init__(context, id=id, classes=classes)

    def sync(self) -> None:
        """Work the changes out from the store."""
        window = self.context.facts.window
        if window is None:
            return
        self._found = changes(self.context.store, window, self.context.now(), better=self.context.facts.better)
        bad = sum(change.count for change in self._found.rows if change.bad)
        self.set_title(f"{self.TITLE}  {bad} speak against it" if bad else self.TITLE)
        edge = [f"reading {', '.join(self._found.reading)} …"] if self._found.reading else []
        edge += [f"not seen: {'; '.join(self._found.unseen)}"] if self._found.unseen else []
        self.set_subtitle(" · ".join(edge) or f"all of {self.context.window_text()} was read")
        self.rows_changed()

    def row_count(self) -> int:
        """Return how many changes there are."""
        return len(self._found.rows)

    def row_key(self, index: int) -> Hashable:
        """Return what kind of change it is, and of what."""
        change = self._found.rows[index]
        return (change.kind, change.subject)

    def change(self, key: Hashable) -> Change | None:
        """Return the change of a row."""
        return next((change for change in self._found.rows if (change.kind, change.subject) == key), None)

    def row_line(self, index: int, width: int) -> Line:
        """Draw one change."""
        change = self._found.rows[index]
        glyph, plain = _MARKS["bad" if change.bad else "quiet"]
        return row(
            fit(_COLUMNS, width),
            {
                "mark": (plain if self.context.preferences.ascii else glyph, Tone.BAD if change.bad else Tone.DIM),
                "at": (self.context.time(change.at) if change.at else "", Tone.DIM),
                "text": (change.text, Tone.STRONG if change.bad else Tone.PLAIN),
            },
        )

    def empty_lines(self, width: int) -> Sequence[Line]:
        """Say that nothing changed only where something was read."""
        del width
        if self._found.reading:
            return ((("Reading …", Tone.DIM),),)
        if self._found.unseen:
            return ((("Nothing that can be seen; the lower edge says what cannot.", Tone.PLAIN),),)
        return ((("No deployment, no stack update, no alarm, no new error, no figure that moved.", Tone.PLAIN),),)
