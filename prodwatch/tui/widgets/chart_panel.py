"""One metric large: both versions on one axis, the usual range shaded, release and alarms marked, a cursor."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from datetime import UTC, datetime

from textual.binding import Binding

from prodwatch.store.store import Topic
from prodwatch.tui.deck import Deck
from prodwatch.tui.line import Line, Piece, pad
from prodwatch.tui.widgets.panel import Panel
from prodwatch.tui.widgets.signals_panel import value_text
from prodwatch.views.chart import Scale, band, plot, plot_ascii, scale_of
from prodwatch.views.release import version_label
from prodwatch.views.signals import SignalRow, Signals, signals
from prodwatch.views.states import Tone

AXIS = 9
WINDOWS_MINUTES = (60, 180, 720)


class ChartPanel(Panel):
    """Lines of a picture; left and right move the time cursor."""

    TOPICS = (Topic.METRICS, Topic.RELEASE, Topic.ALARMS)
    FRAMES = 20
    BINDINGS = [
        Binding("left,h", "step(-1)", "earlier", show=False, id="chart.earlier"),
        Binding("right,l", "step(1)", "later", show=False, id="chart.later"),
        Binding("w", "window", "window", id="chart.window"),
    ]
    HELP = (
        "Bold: the version under release. Dim: the previous one. Dots behind: where the previous version usually was "
        "before the release. Left and right move the cursor, w chooses one, three or twelve hours."
    )

    def __init__(self, deck: Deck, *, id: str | None = None) -> None:  # noqa: A002 -- Textual's own name
        self.label = ""
        self.cursor: int | None = None
        self._minutes = WINDOWS_MINUTES[0]
        self._rows: list[Line] = []
        super().__init__(deck, id=id)

    @property
    def selectable(self) -> bool:
        """Rows are a picture; the cursor runs along time."""
        return False

    def sync(self) -> None:
        """Draw the picture again."""
        table = signals(self.deck.store, self.deck.now(), slots=self._minutes)
        each = next((row for row in table.rows if row.label == self.label), None)
        if each is None and table.rows:
            each = table.rows[0]
            self.label = each.label
        self.set_title(self._title(each, table))
        self._rows = self._picture(each, table) if each else []
        self.set_subtitle(self._reading(each, table) if each else "")
        self.rows_changed()

    def _title(self, each: SignalRow | None, table: Signals) -> str:
        if each is None:
            return "Chart"
        versions = f"{version_label(table.old_version)} dim, {version_label(table.new_version)} bold"
        expected = "; ".join(self.deck.facts.expectations.get(each.label, ()))
        parts = (each.label, versions if table.new_version else "", f"expected: {expected}" if expected else "")
        return "  ".join(part for part in parts if part)

    def _reading(self, each: SignalRow, table: Signals) -> str:
        if self.cursor is None:
            return f"last {self._minutes // 60} h"
        slot = min(self.cursor, table.slots - 1)
        at = datetime.fromtimestamp(table.start_s + slot * table.slot_s, UTC)
        parts = [f"{at.astimezone(self.deck.zone):%H:%M}"]
        for version, points in ((table.old_version, each.old_points), (table.new_version, each.new_points)):
            if points[slot] is not None:
                name = f"{version_label(version)} " if version else ""
                parts.append(f"{name}{value_text(points[slot], each.unit)}")
        return " · ".join(parts) if len(parts) > 1 else f"{parts[0]} · nothing measured"

    def _picture(self, each: SignalRow, table: Signals) -> list[Line]:
        width, height = max(10, self.line_width - AXIS - 1), max(3, self.size.height - 1)
        scale = scale_of(each.old_points, each.new_points)
        if self.deck.preferences.ascii:
            old = plot_ascii(each.old_points, scale, width, height, "o")
            new = plot_ascii(each.new_points, scale, width, height, "*")
        else:
            old = plot(each.old_points, scale, width, height)
            new = plot(each.new_points, scale, width, height)
        before = each.old_points[: table.mark] if table.mark is not None else each.old_points
        usual = band(before)
        marks = self._marks(table, width)
        lines: list[Line] = []
        for row in range(height):
            label = value_text(_value_of(scale, row, height), each.unit) if row in {0, height // 2, height - 1} else ""
            pieces: list[Piece] = [(pad(label, AXIS, right=True), Tone.DIM), (" ", Tone.PLAIN)]
            shaded = usual is not None and scale.row(usual[1], height) <= row <= scale.row(usual[0], height)
            pieces += self._cells(old[row], new[row], marks, shaded=shaded)
            lines.append(pieces)
        lines.append(self._times(table, width))
        return lines

    def _cells(self, old: str, new: str, marks: dict[int, Piece], *, shaded: bool) -> list[Piece]:
        pieces: list[Piece] = []
        empty = "." if self.deck.preferences.ascii else "·"
        for column, (low, high) in enumerate(zip(old, new, strict=True)):
            if high != " ":
                piece = (high, Tone.STRONG)
            elif low != " ":
                piece = (low, Tone.OLD)
            elif column in marks:
                piece = marks[column]
            else:
                piece = (empty if shaded and column % 2 == 0 else " ", Tone.BAND)
            if pieces and pieces[-1][1] == piece[1]:
                pieces[-1] = (pieces[-1][0] + piece[0], piece[1])
            else:
                pieces.append(piece)
        return pieces

    def _marks(self, table: Signals, width: int) -> dict[int, Piece]:
        """Return columns of the release, of alarms that began, and of the cursor."""
        plain = self.deck.preferences.ascii
        marks: dict[int, Piece] = {}
        for event in self.deck.store.release.events:
            slot = (int(event.at.timestamp()) - table.start_s) // table.slot_s
            if event.source == "alarm" and event.to == "ALARM" and 0 <= slot < table.slots:
                marks[slot * width // table.slots] = ("!" if plain else "╎", Tone.BAD)
        if table.mark is not None:
            marks[table.mark * width // table.slots] = (":" if plain else "┊", Tone.MARK)
        if self.cursor is not None:
            marks[min(self.cursor, table.slots - 1) * width // table.slots] = ("|" if plain else "│", Tone.ACCENT)
        return marks

    def _times(self, table: Signals, width: int) -> Line:
        text = [" "] * width
        for share in range(5):
            slot = share * table.slots // 4
            at = datetime.fromtimestamp(table.start_s + slot * table.slot_s, UTC).astimezone(self.deck.zone)
            label = f"{at:%H:%M}"
            start = min(width - len(label), max(0, share * width // 4 - len(label) // 2))
            text[start : start + len(label)] = label
        return ((" " * (AXIS + 1), Tone.PLAIN), ("".join(text)[:width], Tone.DIM))

    def show(self, label: str, at_s: int | None = None) -> None:
        """Show another metric, or the cursor at a moment."""
        if label:
            self.label = label
        if at_s is not None:
            table = signals(self.deck.store, self.deck.now(), slots=self._minutes)
            self.cursor = min(table.slots - 1, max(0, (at_s - table.start_s) // table.slot_s))
        self.resync()

    def action_step(self, step: int) -> None:
        """Move the cursor along time."""
        start = self._minutes - 1 if self.cursor is None else self.cursor
        self.cursor = min(self._minutes - 1, max(0, start + step))
        self.resync()

    def action_window(self) -> None:
        """Show the next longer window."""
        self._minutes = WINDOWS_MINUTES[(WINDOWS_MINUTES.index(self._minutes) + 1) % len(WINDOWS_MINUTES)]
        self.cursor = None
        self.resync()

    def on_resize(self) -> None:
        """Draw for the new size."""
        self.resync()

    def row_count(self) -> int:
        """Return how many lines the picture has."""
        return len(self._rows)

    def row_key(self, index: int) -> Hashable:
        """Return the line's number."""
        return index

    def row_line(self, index: int, width: int) -> Line:
        """Return one line of the picture."""
        del width
        return self._rows[index]

    def empty_lines(self, width: int) -> Sequence[Line]:
        """Say that there is nothing to draw."""
        del width
        return ((("no metric has been measured yet", Tone.DIM),),)


def _value_of(scale: Scale, row: int, rows: int) -> float:
    return scale.high - (scale.high - scale.low) * row / max(1, rows - 1)
