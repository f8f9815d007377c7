"""Comparisons of the versions under release: values, effect with its interval, evidence as a number and as a bar."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from prodwatch.model.comparison import ComparisonResult
from prodwatch.store.store import Topic
from prodwatch.tui.styled_line import Column, Line, cells, fit, head, row
from prodwatch.tui.widget_context import WidgetContext
from prodwatch.tui.widgets.panel import Panel
from prodwatch.views.comparisons import ComparisonRow, Comparisons, comparisons
from prodwatch.views.release import version_label
from prodwatch.views.status_style import Tone

LONGEST_SIGNAL = 28
"""Cells for a signal with the name of its function; longer ones are cut."""
HEAD_AND_EDGES = 3
EMPTY = 3
"""Height of the panel with one sentence."""
ONE_FUNCTION = 8
"""Height of the panel with the rows of one function."""
_IN_A_WINDOW = "a window is about production: its metrics are compared with the time before, not versions"


class ComparisonsPanel(Panel):
    """Rows are comparisons, and the cold starts of each function."""

    TOPICS = (Topic.COMPARISONS, Topic.RELEASE, Topic.SOURCES)
    TITLE = "Comparisons"
    HELP = (
        "Requests of the version under release against those of the previous version at the same time. The effect has "
        "its interval at 99 %: at least, which holds whenever you look, and at most. Evidence is the number of times "
        "that the counts are likelier if the new version is worse; the bar is full at the number that a failure takes. "
        "Needed: further requests of the new version until harm could be excluded. Cold starts, and the first requests "
        "of each environment, are not part of the latency. Dim rows never fail a release."
    )

    DEFAULT_CSS = "ComparisonsPanel { height: 3; }"

    def __init__(self, context: WidgetContext, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 -- Textual's own name
        self._table: Comparisons | None = None
        super().__init__(context, id=id, classes=classes)

    def sync(self) -> None:
        """Take the table from the store."""
        self._table = table = comparisons(self.context.store, self.context.now())
        title = self.TITLE
        if self.row_count() and table.old_version and table.new_version:
            title += f"  {version_label(table.new_version)} against {version_label(table.old_version)}"
        if table.worse and self.row_count():
            title += f" · {table.worse} worse"
        self.set_title(title)
        read = table.compared_up_to
        text = table.partial or (f"compared up to {self.context.time(read)}" if read else "")
        self.set_subtitle("" if self.context.facts.window is not None else text)
        self.set_class(table.partial is not None, "-stale")
        self._fit()
        self.rows_changed()

    def _fit(self) -> None:
        """Take as many lines as there are rows, a third of the screen at most, but always those of one function."""
        rows = self.row_count()
        height = min(rows + HEAD_AND_EDGES, max(ONE_FUNCTION, self.screen.size.height // 3)) if rows else EMPTY
        if self.styles.height is None or self.styles.height.value != height:
            self.styles.height = height

    def row_count(self) -> int:
        """Return how many rows there are; none in triage."""
        return len(self._table.rows) if self._table and self.context.facts.window is None else 0

    def row_key(self, index: int) -> Hashable:
        """Return the comparison's identity."""
        return self._table.rows[index].id if self._table else ""

    @property
    def comparison(self) -> ComparisonResult | None:
        """The comparison under the cursor; None without one."""
        return next((each for each in self.context.store.comparisons if each.id == self.cursor_key), None)

    def _columns(self) -> tuple[Column, ...]:
        table = self._table
        old = version_label(table.old_version) if table and table.old_version else "old"
        new = version_label(table.new_version) if table and table.new_version else "new"
        longest = max((cells(each.signal) for each in table.rows), default=0) if table else 0
        return (
            Column("glyph", "", 1),
            Column("word", "", 6, drop=6),
            Column("signal", "signal", min(LONGEST_SIGNAL, max(12, longest)), grow=1),
            Column("old", old, 7, right=True, drop=1),
            Column("new", new, 7, right=True),
            Column("effect", "effect", 24),
            Column("evidence", "evidence", 8, right=True),
            Column("threshold", "", 8, drop=5),
            Column("bar", "", 5, drop=3, grow=1),
            Column("needed", "needed", 7, right=True, drop=2),
            Column("note", "", 18, drop=7, grow=2),
        )

    def head_lines(self, width: int) -> Sequence[Line]:
        """Name the columns."""
        if not self.row_count() or self.size.height < 4:
            return ()
        return (head(fit(self._columns(), width)),)

    def row_line(self, index: int, width: int) -> Line:
        """Draw one comparison."""
        if self._table is None:
            return ()
        entry = self._table.rows[index]
        fitted = fit(self._columns(), width)
        room = next((part.width for part in fitted if part.column.name == "bar"), 0)
        tone = Tone.PLAIN if entry.gates else Tone.DIM
        state = entry.state
        return row(
            fitted,
            {
                "glyph": (self.context.glyph(state), state.tone) if state else ("", Tone.DIM),
                "word": (state.word, state.tone) if state else ("", Tone.DIM),
                "signal": (entry.signal, tone),
                "old": (entry.old, Tone.OLD),
                "new": (entry.new, Tone.STRONG if entry.gates else Tone.PLAIN),
                "effect": (entry.effect, tone),
                "evidence": (entry.evidence, tone),
                "threshold": (entry.threshold, Tone.DIM),
                "bar": self._bar(entry, room),
                "needed": (entry.needed, tone),
                "note": (entry.note, Tone.DIM),
            },
        )

    def _bar(self, entry: ComparisonRow, room: int) -> Line:
        if entry.filled is None:
            return ()
        full, rest = ("#", "-") if self.context.preferences.ascii else ("█", "░")
        # Only a bar of which the whole evidence is there is drawn as full.
        count = room if entry.filled >= 1 else min(int(entry.filled * room + 0.5), room - 1)
        tone = entry.state.tone if entry.state and entry.gates else Tone.DIM
        return ((full * count, tone), (rest * (room - count), Tone.DIM))

    def empty_lines(self, width: int) -> Sequence[Line]:
        """Return why nothing is compared."""
        del width
        if self.context.facts.window is not None:
            return (((_IN_A_WINDOW, Tone.DIM),),)
        return (((self._table.empty if self._table else "nothing read yet", Tone.DIM),),)
