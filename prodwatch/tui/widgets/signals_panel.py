"""Metrics of both versions: values, change, and a sparkline with the start of the release marked."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from datetime import UTC, datetime

from msgspec.structs import replace

from prodwatch.model.signal import SourcePhase
from prodwatch.model.status import Status
from prodwatch.store.store import Topic
from prodwatch.text.units import format_change, format_value
from prodwatch.tui.styled_line import Column, Fitted, Line, Piece, cells, fit, head, longest, named_column, row
from prodwatch.tui.widget_context import WidgetContext
from prodwatch.tui.widgets.log_panel import empty_source
from prodwatch.tui.widgets.panel import Panel
from prodwatch.views.panel_freshness import freshness
from prodwatch.views.release import version_label
from prodwatch.views.signals import SignalRow, Signals, signals
from prodwatch.views.sparkline import heights, squeeze
from prodwatch.views.status_style import STATES, Tone
from prodwatch.views.window_comparison import signals_with_previous_window

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII_BLOCKS = "_.-~=+*#"
NARROW = 34
"""Width below which the lower edge is abbreviated."""
WIDE_EDGE = 70
"""Width from which the lower edge has room for the number of own requests."""
STALE_AFTER_S = 300.0
"""Age from which metrics are stale; CloudWatch finalises a minute some minutes late."""


class SignalsPanel(Panel):
    """Rows are metrics; opening one shows its chart."""

    TOPICS = (Topic.METRICS, Topic.RELEASE, Topic.SOURCES)
    TITLE = "Signals"
    HELP = (
        "Metrics of the previous version and of the version under release. The line shows the last hour: the previous "
        "version before the mark, the new one after it. Values are those of the latest final minute. In triage both "
        "columns are means, of the window and of the equally long window before it. Enter opens the chart."
    )

    def __init__(self, context: WidgetContext, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 -- Textual's own name
        self._table: Signals | None = None
        self._placed = 0
        """Cells of the longest label that names its account and region."""
        super().__init__(context, id=id, classes=classes)

    def sync(self) -> None:
        """Take the table from the store."""
        now = self.context.now()
        window = self.context.facts.window
        self._table = (
            signals(self.context.store, now)
            if window is None
            else signals_with_previous_window(self.context.store, window, now, better=self.context.facts.better)
        )
        self._placed = longest(each.label for each in self._table.rows if each.names_its_place)
        fresh = freshness(self.context.store, "metrics", now, stale_after_s=STALE_AFTER_S)
        text = fresh.text
        if self._table.settled_s is not None and not fresh.stale:
            settled_at = datetime.fromtimestamp(self._table.settled_s, UTC).astimezone(self.context.zone)
            settled = f"CloudWatch final up to {settled_at:%H:%M}"
            if self.size.width < NARROW:
                settled = settled.removeprefix("CloudWatch ")
            text = settled if fresh.phase is SourcePhase.LIVE else f"{settled} · {fresh.text}"
        left_out = self.context.store.metrics.left_out + self.context.store.embedded.dropped
        own = self.context.store.logs.own_invocations
        parts = [text, f"{left_out:,} series not kept" if left_out else ""]
        if own and self.size.width >= WIDE_EDGE:
            # CloudWatch's counts have them: a log line does not name the alias by which it was invoked.
            parts.append(f"at least {own:,} own requests included")
        self.set_subtitle(" · ".join(filter(None, parts)))
        self.set_class(fresh.stale, "-stale")
        self.rows_changed()

    def row_count(self) -> int:
        """Return how many metrics there are."""
        return len(self._table.rows) if self._table else 0

    def row_key(self, index: int) -> Hashable:
        """Return the metric's label."""
        return self._table.rows[index].label if self._table else ""

    def _columns(self, width: int) -> tuple[Column, ...]:
        table = self._table
        old = version_label(table.old_version) if table and table.old_version else "now"
        new = version_label(table.new_version) if table and table.new_version else ""
        if table and new and not table.share_versions:
            old, new = "old", "new"
        columns = [
            named_column(Column("label", "signal", 13), self._placed, width),
            Column("old", old, 7, right=True, drop=4 if new else 0),
            Column("new", new, 7, right=True),
            Column("change", "change", 6, right=True, drop=5),
            Column("line", self._line_title(), 8, grow=1),
            Column("expect", "expected", 18, drop=6),
        ]
        if not self.context.facts.expectations:
            columns.pop()
        return tuple(column for column in columns if new or column.name not in {"new", "change"})

    def _line_title(self) -> str:
        """Return the title over the lines: what is on either side of the mark, if there is one."""
        if self._table is None or self._table.mark is None:
            return "last hour"
        return "before : since" if self.context.preferences.ascii else "before ┊ since"

    def head_lines(self, width: int) -> Sequence[Line]:
        """Name the columns."""
        if not self.row_count() or self.size.height < 4:
            return ()
        return (head([_with_short_title(part) for part in fit(self._columns(width), width)]),)

    def row_line(self, index: int, width: int) -> Line:
        """Draw one metric."""
        table = self._table
        if table is None:
            return ()
        signal = table.rows[index]
        fitted = fit(self._columns(width), width)
        room = next((part.width for part in fitted if part.column.name == "line"), 0)
        return row(
            fitted,
            {
                "label": (signal.label, Tone.PLAIN),
                "old": (format_value(signal.old, signal.unit), Tone.OLD if signal.new is not None else Tone.STRONG),
                "new": (format_value(signal.new, signal.unit), Tone.STRONG),
                "change": (format_change(signal.change), Tone.PLAIN),
                "expect": self._expected(signal),
                "line": self._spark(signal, table, room),
            },
        )

    def _expected(self, signal: SignalRow) -> tuple[str, Tone]:
        """Return the assertions of a metric, after a glyph for how they were last judged."""
        text = "; ".join(self.context.facts.expectations.get(signal.label, ()))
        if signal.status is None or not text:
            return text, Tone.DIM
        state = STATES[signal.status]
        tone = Tone.DIM if signal.status is Status.PASS else state.tone
        return f"{self.context.glyph(state)} {text}", tone

    def _spark(self, signal: SignalRow, table: Signals, room: int) -> Line:
        mark = table.of_row(signal).mark
        ascii_only = self.context.preferences.ascii
        if self.context.facts.window is not None and room > 1 and mark is not None:
            # Both windows are shown completely, on narrow screens too.
            points = tuple(squeeze(signal.old_points, room - 1))
            signal = replace(signal, old_points=points, new_points=points)
            mark = mark * len(points) // table.slots
        return spark_line(signal, mark, room, ascii_only=ascii_only)

    def empty_lines(self, width: int) -> Sequence[Line]:
        """Return the reason for the empty panel, and the remedy."""
        del width
        fresh = freshness(self.context.store, "metrics", self.context.now(), stale_after_s=STALE_AFTER_S)
        return empty_source(
            self.context, fresh, "No metrics yet: add a [[function]] or a [[metric]] to the environment file."
        )


def _with_short_title(part: Fitted) -> Fitted:
    """Return the column with a title that fits."""
    return part if cells(part.column.title) <= part.width else part._replace(column=part.column._replace(title="trend"))


def spark_line(signal: SignalRow, mark: int | None, room: int, *, ascii_only: bool) -> Line:
    """Return the latest slots that fit: the old version, the mark at the release's start, the new version."""
    blocks = ASCII_BLOCKS if ascii_only else BLOCKS
    values: list[float | None] = list(signal.old_points)
    tones = [Tone.OLD] * len(values)
    if any(value is not None for value in signal.new_points):
        for slot, value in enumerate(signal.new_points):
            if mark is not None and slot >= mark:
                values[slot], tones[slot] = value, Tone.STRONG
    levels = heights(values)
    pieces: list[Piece] = []
    taken = room - (1 if mark is not None else 0)
    first = max(0, len(values) - taken)
    for slot in range(first, len(values)):
        if mark is not None and slot == mark:
            pieces.append((":" if ascii_only else "┊", Tone.MARK))
        level = levels[slot]
        pieces.append((" " if level is None else blocks[level], tones[slot]))
    return _joined(pieces)


def _joined(pieces: Sequence[Piece]) -> list[Piece]:
    """Return adjacent pieces of the same tone as one piece."""
    out: list[Piece] = []
    for text, tone in pieces:
        if out and out[-1][1] == tone:
            out[-1] = (out[-1][0] + text, tone)
        else:
            out.append((text, tone))
    return out
