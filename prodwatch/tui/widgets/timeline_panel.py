"""Timeline: one lane per kind of event on a common axis, and the list of events, newest first."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from datetime import datetime, timedelta

from prodwatch.store.store import Topic
from prodwatch.tui.styled_line import Column, Line, Piece, fit, pad, row
from prodwatch.tui.widget_context import WidgetContext
from prodwatch.tui.widgets.panel import FilteredPanel
from prodwatch.tui.widgets.static_lines import StaticLines
from prodwatch.views.evidence import clock_text
from prodwatch.views.status_style import Tone
from prodwatch.views.timeline import LANE_NAMES, LANES, Timeline, TimelineRow, slot_of, timeline

_COLUMNS = (
    Column("time", "time", 8),
    Column("since", "T+", 8, right=True, drop=4),
    Column("lane", "", 8),
    Column("subject", "", 18, grow=1),
    Column("text", "", 22, grow=1),
    Column("detail", "", 20, grow=3, drop=5),
)
LABEL = 9
_SIGNS = {Tone.BAD: ("✘", "x"), Tone.WARN: ("!", "!")}
"""Tone → (symbol, ASCII symbol) of an event on its lane; other tones have the default symbol."""
_WEIGHT = {Tone.BAD: 3, Tone.WARN: 2, Tone.ACCENT: 1}


class TimelinePanel(FilteredPanel):
    """Rows are events."""

    TOPICS = (Topic.RELEASE, Topic.ALARMS, Topic.VERDICT)
    TITLE = "Timeline"
    HELP = (
        "Deployments, traffic, alarms, checks, verdicts and notes, newest first. / filters, m adds a note at the "
        "present moment. Enter opens an event's check, else the metrics of its minute; v shows the metrics, L the log "
        "lines of that moment."
    )

    def __init__(self, context: WidgetContext, *, needle: str = "", id: str | None = None) -> None:  # noqa: A002 -- Textual's own name
        self._table: Timeline | None = None
        self.needle = needle
        super().__init__(context, id=id)

    def sync(self) -> None:
        """Take the events from the store."""
        self._table = timeline(self.context.store, self.context.now(), needle=self.needle)
        name = f"Timeline  {self.needle}" if self.needle else "Timeline"
        self.set_title(f"{name}  {len(self._table.rows):,} events")
        self.rows_changed()

    def match_note(self) -> str:
        """Return the number of matching events."""
        return f"{self.row_count():,} of {len(self.context.store.release.events):,}"

    def row_count(self) -> int:
        """Return how many events are shown."""
        return len(self._table.rows) if self._table else 0

    def row_key(self, index: int) -> Hashable:
        """Return the event's number."""
        return self._table.rows[index].number if self._table else 0

    def event(self, key: Hashable | None) -> TimelineRow | None:
        """Return the event with this number."""
        rows = self._table.rows if self._table else ()
        return next((event for event in rows if event.number == key), None)

    def row_line(self, index: int, width: int) -> Line:
        """Draw one event."""
        if self._table is None:
            return ()
        event = self._table.rows[index]
        since = event.since_release_s
        sign = "T+" if since is not None and since >= 0 else "T-"
        return row(
            fit(_COLUMNS, width),
            {
                "time": (self.context.time(event.at), Tone.DIM),
                "since": (f"{sign}{clock_text(abs(since))}" if since is not None else "", Tone.DIM),
                "lane": (LANE_NAMES[event.lane], Tone.HEAD),
                "subject": (event.name, Tone.PLAIN),
                "text": (event.text, event.tone),
                "detail": (event.detail or "", Tone.DIM),
            },
        )

    def empty_lines(self, width: int) -> Sequence[Line]:
        """Return the reason for the empty panel."""
        del width
        if self.needle:
            return ((("no event matches; esc clears the filter", Tone.DIM),),)
        return ((("No events yet: no deployment, no alarm and no changed check.", Tone.DIM),),)


class TimelineLanes(StaticLines):
    """One lane per kind of event over the last hour, or since the release if that is longer."""

    DEFAULT_CSS = """
    TimelineLanes { height: auto; padding: 0 1; }
    """

    def __init__(
        self,
        context: WidgetContext,
        *,
        cursor_time: Callable[[], datetime | None] = lambda: None,
        id: str | None = None,  # noqa: A002 -- Textual's own name
    ) -> None:
        self._cursor_time = cursor_time
        super().__init__(context, id=id)

    def lines(self, width: int) -> Sequence[Line]:
        """Return a line per lane with events, and the axis; of events in the same cell the worst is shown."""
        context = self.context
        now = context.now()
        table = timeline(context.store, now)
        first = max(table.first, now - timedelta(hours=1))
        if table.started:
            first = min(first, table.started - timedelta(minutes=2))
        room = max(10, width - LABEL - 2)
        rows = [event for event in table.rows if event.at >= first]
        plain = context.preferences.ascii
        lines: list[Line] = []
        for lane in LANES:
            events = [event for event in rows if event.lane == lane]
            if not events:
                continue
            cells: list[Piece] = [("-" if plain else "─", Tone.BAND)] * room
            for event in sorted(events, key=lambda event: (_WEIGHT.get(event.tone, 0), event.at)):
                signs = _SIGNS.get(event.tone, ("◆", "o"))
                cells[slot_of(event.at, first, now, room)] = (signs[plain], event.tone)
            lines.append(((pad(LANE_NAMES[lane], LABEL), Tone.DIM), *cells))
        lines.append(((" " * LABEL, Tone.PLAIN), *self._axis(first, now, room)))
        return lines

    def _axis(self, first: datetime, now: datetime, room: int) -> Line:
        """Return the times of both ends, and a pointer to the event under the cursor."""
        left, right = self.context.time(first), f"now {self.context.time(now)}"
        text = left + " " * max(1, room - len(left) - len(right)) + right
        cursor_time = self._cursor_time()
        if cursor_time is None or cursor_time < first:
            return ((text, Tone.DIM),)
        slot = slot_of(cursor_time, first, now, room)
        sign = "^" if self.context.preferences.ascii else "▲"
        return ((text[:slot], Tone.DIM), (sign, Tone.ACCENT), (text[slot + 1 :], Tone.DIM))
