"""Changes in the triage window: one sentence per change, bad news first."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from prodwatch.store.store import Topic
from prodwatch.tui.styled_line import Column, Line, fit, row
from prodwatch.tui.widget_context import WidgetContext
from prodwatch.tui.widgets.panel import Panel
from prodwatch.views.events_in_window import Change, Changes, changes
from prodwatch.views.status_style import Tone

_COLUMNS = (Column("mark", "", 1), Column("at", "", 8), Column("text", "what", 20, grow=1))
_MARKS = {"bad": ("▲", "^"), "quiet": ("·", ".")}


class ChangesPanel(Panel):
    """Rows are changes; opening one shows its subject."""

    TOPICS = (Topic.RELEASE, Topic.ALARMS, Topic.SIGNATURES, Topic.METRICS, Topic.SOURCES)
    TITLE = "What changed"
    HELP = (
        "Deployments, stack updates, alarms, new errors, and metrics that changed by 20 % or more compared with the "
        "window of equal length before. Bad news comes first. The lower edge lists what could not be read. Enter opens "
        "the events, the lines or the chart behind a row."
    )

    def __init__(self, context: WidgetContext, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 -- Textual's own name
        self._changes = Changes(rows=(), unseen=(), reading=())
        super().__init__(context, id=id, classes=classes)

    def sync(self) -> None:
        """Compute the changes from the store."""
        window = self.context.facts.window
        if window is None:
            return
        self._changes = changes(self.context.store, window, self.context.now(), better=self.context.facts.better)
        bad = sum(change.count for change in self._changes.rows if change.bad)
        self.set_title(f"{self.TITLE}  {bad} {'is' if bad == 1 else 'are'} bad news" if bad else self.TITLE)
        edge = [f"reading {', '.join(self._changes.reading)} …"] if self._changes.reading else []
        edge += [f"not read: {'; '.join(self._changes.unseen)}"] if self._changes.unseen else []
        self.set_subtitle(" · ".join(edge) or f"all of {self.context.window_text()} read")
        self.rows_changed()

    def row_count(self) -> int:
        """Return how many changes there are."""
        return len(self._changes.rows)

    def row_key(self, index: int) -> Hashable:
        """Return the change's kind and subject."""
        change = self._changes.rows[index]
        return _key(change)

    def change(self, key: Hashable) -> Change | None:
        """Return the change of a row."""
        return next((change for change in self._changes.rows if _key(change) == key), None)

    def row_line(self, index: int, width: int) -> Line:
        """Draw one change."""
        change = self._changes.rows[index]
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
        """Return that nothing changed only if everything was read."""
        del width
        if self._changes.reading:
            return ((("Reading …", Tone.DIM),),)
        if self._changes.unseen:
            return ((("No change in what could be read; the lower edge lists the rest.", Tone.PLAIN),),)
        return ((("No deployment, stack update, alarm, new error or changed metric.", Tone.PLAIN),),)


def _key(change: Change) -> Hashable:
    return (change.kind, change.subject, change.place, change.group)
