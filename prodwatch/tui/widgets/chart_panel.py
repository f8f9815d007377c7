"""Chart of one metric: both versions, the usual range, marks for release and alarms, and a cursor."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from datetime import UTC, datetime

from textual.binding import Binding

from prodwatch.store.store import Topic
from prodwatch.text.units import format_change, format_value
from prodwatch.tui.styled_line import Line, Piece, cells, clip_line, pad
from prodwatch.tui.widget_context import WidgetContext
from prodwatch.tui.widgets.panel import Panel
from prodwatch.views.baseline import UsualRange, usual_range
from prodwatch.views.chart import Scale, plot, plot_ascii, scale_of
from prodwatch.views.release import version_label
from prodwatch.views.signals import SignalRow, Signals, signals
from prodwatch.views.status_style import Tone

AXIS = 9
WINDOWS_MINUTES = (60, 180, 720)
LEGEND_FROM = 9
"""Height from which a legend is shown."""


class ChartPanel(Panel):
    """Rows are lines of the picture; left and right move the time cursor, which stays on its minute."""

    TOPICS = (Topic.METRICS, Topic.RELEASE, Topic.ALARMS)
    FRAMES = 20
    BINDINGS = [
        Binding("left,h", "step(-1)", "earlier", show=False, id="chart.earlier"),
        Binding("right,l", "step(1)", "later", show=False, id="chart.later"),
        Binding("w", "window", "window", id="chart.window"),
    ]
    HELP = (
        "Bold: the version under release. Dim: the previous version. Labels are at the right end. Dots: the usual "
        "range, which holds the middle 80 % of the minutes of an earlier hour; the legend names that hour. Left and "
        "right move the cursor; the lower edge shows the values there. w switches between one, three and twelve hours."
    )

    def __init__(self, context: WidgetContext, *, id: str | None = None) -> None:  # noqa: A002 -- Textual's own name
        self.label = ""
        self.cursor_s: int | None = None
        """Start of the period under the cursor, epoch seconds."""
        self._minutes = WINDOWS_MINUTES[0]
        self._rows: list[Line] = []
        super().__init__(context, id=id)

    @property
    def selectable(self) -> bool:
        """Rows have no cursor; the cursor moves along the time axis."""
        return False

    def sync(self) -> None:
        """Draw the picture again."""
        table = signals(self.context.store, self.context.now(), slots=self._minutes)
        signal = next((row for row in table.rows if row.label == self.label), None)
        if signal is None and table.rows:
            signal = table.rows[0]
            self.label = signal.label
        if signal is not None:
            table = table.of_row(signal)
        self.set_title(self._title(signal, table))
        self._rows = self._picture(signal, table) if signal else []
        self.set_subtitle(self._reading(signal, table) if signal else "")
        self.rows_changed()

    def _title(self, signal: SignalRow | None, table: Signals) -> str:
        if signal is None:
            return "Chart"
        versions = f"{version_label(table.old_version)} dim, {version_label(table.new_version)} bold"
        expected = "; ".join(self.context.facts.expectations.get(signal.label, ()))
        parts = (signal.label, versions if table.new_version else "", f"expected: {expected}" if expected else "")
        return "  ".join(part for part in parts if part)

    def _slot(self, table: Signals) -> int | None:
        """Return the cursor's slot; a cursor older than the axis stays at its left end."""
        if self.cursor_s is None:
            return None
        return min(table.slots - 1, max(0, (self.cursor_s - table.start_s) // table.slot_s))

    def _reading(self, signal: SignalRow, table: Signals) -> str:
        slot = self._slot(table)
        if slot is None:
            return f"last {self._minutes // 60} h"
        at = datetime.fromtimestamp(table.start_s + slot * table.slot_s, UTC)
        parts = [f"{at.astimezone(self.context.zone):%H:%M}"]
        old, new = signal.old_points[slot], signal.new_points[slot]
        for version, value in ((table.old_version, old), (table.new_version, new)):
            if value is not None:
                name = f"{version_label(version)} " if version else ""
                parts.append(f"{name}{format_value(value, signal.unit)}")
        if old and new is not None:
            parts.append(format_change(new / old - 1))
        return " · ".join(parts) if len(parts) > 1 else f"{parts[0]} · no value"

    def _picture(self, signal: SignalRow, table: Signals) -> list[Line]:
        legend = self.size.height >= LEGEND_FROM
        height = max(3, self.size.height - (2 if legend else 1))
        scale = scale_of(signal.old_points, signal.new_points)
        ends = _ends(signal, table, scale, height)
        margin = max((cells(text) + 1 for text, _ in ends.values()), default=0)
        width = max(10, self.line_width - AXIS - 1 - margin)
        if self.context.preferences.ascii:
            old = plot_ascii(signal.old_points, scale, width, height, "o")
            new = plot_ascii(signal.new_points, scale, width, height, "*")
        else:
            old = plot(signal.old_points, scale, width, height)
            new = plot(signal.new_points, scale, width, height)
        range_ = usual_range(self.context.store, signal.keys, self.context.now())
        alarms = self._alarms(table)
        marks = self._marks(table, width, alarms)
        lines: list[Line] = []
        for row in range(height):
            label = (
                format_value(_value_of(scale, row, height), signal.unit) if row in {0, height // 2, height - 1} else ""
            )
            pieces: list[Piece] = [(pad(label, AXIS, right=True), Tone.DIM), (" ", Tone.PLAIN)]
            shaded = range_ is not None and scale.row(range_.high, height) <= row <= scale.row(range_.low, height)
            pieces += self._cells(old[row], new[row], marks, shaded=shaded)
            if row in ends:
                text, tone = ends[row]
                pieces.append((f" {text}", tone))
            lines.append(pieces)
        lines.append(self._times(table, width))
        if legend:
            lines.append(self._legend(table, range_, alarms))
        return lines

    def _cells(self, old: str, new: str, marks: dict[int, Piece], *, shaded: bool) -> list[Piece]:
        pieces: list[Piece] = []
        empty = "." if self.context.preferences.ascii else "·"
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

    def _alarms(self, table: Signals) -> dict[int, str]:
        """Return slot → name of the alarm that fired in it."""
        alarms: dict[int, str] = {}
        release = self.context.store.release
        for event in release.events:
            slot = (int(event.at.timestamp()) - table.start_s) // table.slot_s
            if event.source == "alarm" and event.to == "ALARM" and 0 <= slot < table.slots:
                alarms.setdefault(slot, release.subject_of(event))
        return alarms

    def _marks(self, table: Signals, width: int, alarms: dict[int, str]) -> dict[int, Piece]:
        """Return column → mark of the release, of alarms that fired, and of the cursor."""
        marks = {slot * width // table.slots: self._sign("alarm") for slot in alarms}
        if table.mark is not None:
            marks[table.mark * width // table.slots] = self._sign("release")
        slot = self._slot(table)
        if slot is not None:
            marks[slot * width // table.slots] = self._sign("cursor")
        return marks

    def _sign(self, what: str) -> Piece:
        plain = self.context.preferences.ascii
        return {
            "alarm": ("!" if plain else "╎", Tone.BAD),
            "release": (":" if plain else "┊", Tone.MARK),
            "cursor": ("|" if plain else "│", Tone.ACCENT),
        }[what]

    def _legend(self, table: Signals, range_: UsualRange | None, alarms: dict[int, str]) -> Line:
        """Return the meaning of the marks, and the hour of the usual range."""
        dots = ". . ." if self.context.preferences.ascii else "· · ·"
        range_text = (
            f"{dots} usual: {range_.over}   "
            if range_
            else "no usual range yet: fewer than five minutes in earlier hours   "
        )
        pieces: list[Piece] = [(" " * (AXIS + 1), Tone.PLAIN), (range_text, Tone.DIM)]
        if table.mark is not None:
            pieces += [self._sign("release"), (" release   ", Tone.DIM)]
        if alarms:
            names = sorted(set(alarms.values()))
            more = f" +{len(names) - 1}" if len(names) > 1 else ""
            pieces += [self._sign("alarm"), (f" {names[0]}{more}", Tone.DIM)]
        return clip_line(pieces, self.line_width)

    def _times(self, table: Signals, width: int) -> Line:
        text = [" "] * width
        for share in range(5):
            slot = share * table.slots // 4
            at = datetime.fromtimestamp(table.start_s + slot * table.slot_s, UTC).astimezone(self.context.zone)
            label = f"{at:%H:%M}"
            start = min(width - len(label), max(0, share * width // 4 - len(label) // 2))
            text[start : start + len(label)] = label
        return ((" " * (AXIS + 1), Tone.PLAIN), ("".join(text)[:width], Tone.DIM))

    def show(self, label: str, at_s: int | None = None) -> None:
        """Show a metric, and with `at_s` (epoch seconds) the cursor there, in the shortest window that contains it."""
        if label:
            self.label = label
        if at_s is not None:
            self.cursor_s = at_s // 60 * 60
            ago_s = self.context.now().timestamp() - at_s
            fitting = (minutes for minutes in WINDOWS_MINUTES if ago_s < minutes * 60)
            self._minutes = max(self._minutes, next(fitting, WINDOWS_MINUTES[-1]))
        self.resync()

    def action_step(self, step: int) -> None:
        """Move the cursor along time, a column at a time."""
        table = signals(self.context.store, self.context.now(), slots=self._minutes)
        slot = self._slot(table)
        stride = max(1, table.slots // max(1, self.line_width - AXIS))
        moved = table.slots - 1 + min(step, 0) * stride if slot is None else slot + step * stride
        self.cursor_s = table.start_s + min(table.slots - 1, max(0, moved)) * table.slot_s
        self.resync()

    def action_window(self) -> None:
        """Show the next longer window."""
        self._minutes = WINDOWS_MINUTES[(WINDOWS_MINUTES.index(self._minutes) + 1) % len(WINDOWS_MINUTES)]
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
        """Return that there is nothing to draw."""
        del width
        return ((("no metrics yet", Tone.DIM),),)


def _value_of(scale: Scale, row: int, rows: int) -> float:
    return scale.high - (scale.high - scale.low) * row / max(1, rows - 1)


def _ends(signal: SignalRow, table: Signals, scale: Scale, height: int) -> dict[int, Piece]:
    """Return row → label of the version whose line ends there: lines differ without colour."""
    if table.new_version is None:
        return {}
    ends: dict[int, Piece] = {}
    for version, points, tone in (
        (table.new_version, signal.new_points, Tone.STRONG),
        (table.old_version, signal.old_points, Tone.OLD),
    ):
        last = next((value for value in reversed(points) if value is not None), None)
        if last is None or version is None:
            continue
        row = scale.row(last, height)
        while row in ends:
            row = row + 1 if row + 1 < height else row - 1
        ends[row] = (version_label(version), tone)
    return ends
