"""The log tail over the store's ring; its cost does not depend on the rate of lines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Literal, cast

from textual.binding import Binding
from textual.geometry import Size
from textual.message import Message

from prodwatch.model.signal import LogRecord, SourcePhase
from prodwatch.store.store import Topic
from prodwatch.tui.rendering.log_line import log_head, log_line
from prodwatch.tui.styled_line import Line, Piece, cells
from prodwatch.tui.widget_context import WidgetContext
from prodwatch.tui.widgets.log_rows import SLICE, TIMED_S, LogRows
from prodwatch.tui.widgets.panel import EDGE_CELLS, Panel
from prodwatch.views.log_fields import FieldColumn, columns_of, field_names
from prodwatch.views.log_filter import FilterError, Find, LogFilter, parse_filter, parse_find
from prodwatch.views.panel_freshness import Freshness, freshness
from prodwatch.views.status_style import Tone

WIDE = 170
"""Width from which JSON fields are shown after each message."""
KEPT_SPANS = 2_000
"""Texts whose hits are remembered: more than a screen has."""
HEIGHT_STEP = 256
"""The scrollable height grows in steps, because each change of it costs a layout."""
SAMPLE = 400
"""Number of newest lines from which columns are chosen and measured."""
FieldDisplay = Literal["lines", "fields", "columns"]
FIELD_DISPLAYS: tuple[FieldDisplay, ...] = ("lines", "fields", "columns")

FIND_S = 0.1
"""Longest time for which hits are counted while a search is typed, in seconds."""


class LogPanel(Panel):
    """Rows are ring numbers. Following the tail is a mode that scrolling up ends."""

    TOPICS = (Topic.LOGS, Topic.SOURCES)
    FRAMES = 1
    TITLE = "Logs"
    BINDINGS = [
        Binding("f", "follow", "follow", id="logs.follow"),
        Binding("n", "find(1)", "next hit", show=False, id="logs.next-hit"),
        Binding("N", "find(-1)", "previous hit", show=False, id="logs.previous-hit"),
        Binding("e", "fields", "fields or columns", show=False, id="logs.fields"),
    ]
    HELP = (
        "All watched log groups in one stream. f follows the tail; scrolling up stops it. / filters by words, /regex/, "
        "field:value, level:warn+, a|b for alternatives, and ! for negation; all terms must match. ctrl+f finds words "
        "or a /regex/, n and N move between hits. w selects a time window, p shows only the group under the cursor, i "
        "only its request, x opens its trace, v the same minute in the metrics. e shows JSON fields after each "
        "message, then as columns; E selects the columns; enter opens the line with its JSON indented. y copies the "
        "line, Y its whole record; dragging the mouse selects text, ctrl+c copies it."
    )

    class FollowChanged(Message):
        """Following began or ended."""

        def __init__(self, *, following: bool) -> None:
            super().__init__()
            self.following = following

    def __init__(
        self,
        context: WidgetContext,
        *,
        filter_text: str = "",
        id: str | None = None,  # noqa: A002 -- Textual's own name
        classes: str | None = None,
    ) -> None:
        self.rows = LogRows(context.store.logs.ring, context.clock.monotonic_s)
        if filter_text:
            self.rows.set_filter(parse_filter(filter_text), 0)
        self._seen_number = -1
        self._window_name = ""
        self._find: Find | None = None
        self._spans: dict[str, list[tuple[int, int]]] = {}
        """Hits of the search by text, as far as they were looked for."""
        self._highlight_until_s: float | None = None
        """Monotonic second at which this frame stops looking for hits; None before its first line."""
        self._is_highlighted = True
        """Whether the lines on screen have all their hits; the next frame continues."""
        self._is_trying = False
        """Whether a filter that is being typed is applied; its errors are shown where it is typed."""
        self.following = True
        self.field_display: FieldDisplay = "lines"
        self.columns: tuple[FieldColumn, ...] = ()
        self.chosen_columns: tuple[str, ...] = ()
        """Fields the user selected as columns; empty: the most frequent ones."""
        self._own_scroll = False
        super().__init__(context, id=id, classes=classes)

    # Rows

    def row_count(self) -> int:
        """Return how many lines are shown."""
        return len(self.rows)

    def row_key(self, index: int) -> Hashable:
        """Return the ring number."""
        return self.rows.number_at(index)

    def index_of(self, key: Hashable) -> int | None:
        """Return the row of a ring number."""
        return self.rows.index_of(cast("int", key))

    def record_at(self, index: int) -> LogRecord | None:
        """Return the line of row `index`."""
        return self.rows.record_at(index)

    @property
    def record(self) -> LogRecord | None:
        """The line under the cursor, else the newest shown."""
        index = self.cursor_index
        if index is None:
            index = self.row_count() - 1
        return self.record_at(index) if index >= 0 and self.row_count() else None

    def row_line(self, index: int, width: int) -> Line:
        """Draw one line."""
        record = self.record_at(index)
        if record is None:
            return ()
        names = self.context.store.logs.names
        line = log_line(record, width, self.context.zone, names=names, columns=self.columns)
        if record.fields and (self.field_display == "fields" or (self.field_display == "lines" and width >= WIDE)):
            line = [*line, *_field_pieces(record)]
        try:
            return _with_hits(line, partial(self._spans_of, self._find)) if self._find else line
        except FilterError as error:
            self._give_up_find(error)
            return line

    def _spans_of(self, find: Find, text: str) -> list[tuple[int, int]]:
        """Return the hits within a text; none once the frame's time is used up. Raises FilterError."""
        known = self._spans.get(text)
        if known is not None:
            return known
        now_s = self.context.clock.monotonic_s()
        if self._highlight_until_s is None:
            self._highlight_until_s = now_s + TIMED_S
        if now_s > self._highlight_until_s:
            self._is_highlighted = False
            self._seen = None
            return []
        if len(self._spans) >= KEPT_SPANS:
            self._spans.clear()
        found = self._spans[text] = find.expression.spans(text)
        return found

    def head_lines(self, width: int) -> Sequence[Line]:
        """Name the columns where there are any."""
        return (
            (log_head(width, self.columns, self.context.store.logs.names),) if self.columns and self.row_count() else ()
        )

    @property
    def room(self) -> int:
        """Number of lines that fit."""
        return max(0, self.size.height - (1 if self.columns and self.row_count() else 0))

    def fit_height(self) -> None:
        """Grow the scrollable height in steps; `max_scroll_y` limits scrolling to the rows."""
        count = self.row_count()
        height = -(-count // HEIGHT_STEP) * HEIGHT_STEP if count > self.room else count
        size = Size(self.line_width, height)
        if size != self.virtual_size:
            self.virtual_size = size

    @property
    def max_scroll_y(self) -> int:
        """The offset at which the last row is at the bottom."""
        return max(0, self.row_count() - self.room)

    # Following the store

    def sync(self) -> None:
        """Take in new lines; paint once."""
        self._highlight_until_s = None
        if not self._is_highlighted:
            self._is_highlighted = True
            self.generation += 1
        y = self.scroll_offset.y
        first, last = self.rows.rank_at(y), self.rows.rank_at(y + self.room - 1)
        self.rows.update(int(self.context.now().timestamp() * 1000))
        if self.rows.problem and not self._is_trying:
            self.app.notify(f"{self.rows.problem}; all lines are shown", markup=False, severity="warning")
            self.rows.problem = None
        if self.rows.unfinished:
            self._seen = None  # more lines to filter: continue in the next frame
        if self.field_display == "columns" and not self.columns:
            self._lay_columns()
        self.fit_height()
        if self.following:
            self._scroll(self.max_scroll_y)
        else:
            # Lines on screen stay where they are when lines above them come or go.
            moved = y if first is None else self.rows.row_of_rank(first)
            if moved != y or self.rows.rank_at(y + self.room - 1) != last:
                self._scroll(moved)
        self._update_edges()

    def _scroll(self, y: int) -> None:
        """Scroll or refresh, never both: each would paint."""
        if y == self.scroll_offset.y:
            self.refresh()
            return
        self._own_scroll = True
        self.scroll_to(y=y, animate=False, force=True)
        self._own_scroll = False

    def _update_edges(self) -> None:
        store = self.context.store
        fresh = freshness(store, "logs", self.context.now())
        groups = len(store.logs.groups)
        rate = store.logs.rate_per_s(self.context.clock.monotonic_s())
        name = "  ".join(part for part in ("Logs", self._window_name, self.rows.filter.text) if part)
        self.set_title(f"{name}  {self.match_note() if self.rows.is_filtered else f'{self.row_count():,}'}")
        waiting = 0 if self.following else self.rows.after(self._seen_number)
        if self.following:
            self._remember_seen()
        mode = "following" if self.following else f"+{waiting:,} new, f follows" if waiting else "stopped, f follows"
        dropped = self._dropped_text()
        busy = f"{groups} {'group' if groups == 1 else 'groups'}" if groups else ""
        own = f"{store.logs.own_lines:,} of own requests" if store.logs.own_lines else ""
        parts = [busy, f"{rate:.0f}/s" if groups else "", fresh.text, dropped, mode, own]
        # On narrow screens freshness stays longest; counts that are visible on screen are left out first.
        for index, shorter in ((5, ""), (0, ""), (1, ""), (3, dropped.partition(" (")[0]), (3, ""), (4, "")):
            if cells(_joined(parts)) <= self.size.width - EDGE_CELLS:
                break
            parts[index] = shorter
        self.set_subtitle(_joined(parts))
        self.set_class(fresh.stale, "-stale")

    def _dropped_text(self) -> str:
        """Return how many older lines are no longer in memory, and the time of the oldest one that is."""
        ring = self.context.store.logs.ring
        oldest = ring.get(ring.head)
        if not ring.head or oldest is None:
            return ""
        at = datetime.fromtimestamp(oldest.timestamp_ms / 1000, UTC)
        return f"{ring.head:,} older lines dropped from memory (kept since {self.context.time(at)})"

    def _remember_seen(self) -> None:
        self._seen_number = self.rows.ring.tail - 1

    def empty_lines(self, width: int) -> Sequence[Line]:
        """Return the reason for the empty panel, and the remedy."""
        del width
        fresh = freshness(self.context.store, "logs", self.context.now())
        if self.rows.is_filtered and len(self.context.store.logs.ring):
            return ((("no line in memory matches; esc clears the filter", Tone.DIM),),)
        return empty_source(self.context, fresh, "No log lines yet: the groups are quiet, or nothing has been read.")

    # User settings

    def _apply(self, log_filter: LogFilter, window_s: int) -> None:
        self.rows.set_filter(log_filter, window_s)
        self.generation += 1
        if self.cursor_key is None:
            self.following = True
        # A user's choice updates the display even while it is paused.
        self.resync()
        index = self.cursor_index
        if index is not None:
            self.show_row(index)

    def apply_window(self, window_s: int, name: str) -> None:
        """Show only lines of the last `window_s` seconds; 0 shows all."""
        self._window_name = name
        self._apply(self.rows.filter, window_s)

    @property
    def filter_text(self) -> str:
        """The filter's text."""
        return self.rows.filter.text

    def try_filter(self, text: str) -> None:
        """Show only lines that match `text`; on FilterError the previous filter stays."""
        before = self.rows.filter
        self._is_trying = True
        try:
            self._apply(parse_filter(text), self.rows.window_s)
        finally:
            self._is_trying = False
        if problem := self.rows.problem:
            self._apply(before, self.rows.window_s)
            raise FilterError(problem)

    def match_note(self) -> str:
        """Return the number of matching lines so far."""
        so_far = " so far" if self.rows.unfinished else ""
        return f"{self.row_count():,} of {len(self.context.store.logs.ring):,}{so_far}"

    def apply_find(self, text: str) -> str:
        """Highlight `text`, nothing if empty; return how many lines match. FilterError keeps the previous search."""
        find = parse_find(text)
        count = looked = 0
        until_s = self.context.clock.monotonic_s() + FIND_S
        for record in reversed(self.rows.newest(SLICE)) if find else ():
            looked += 1
            count += find.hits(record.message) if find else 0
            if self.context.clock.monotonic_s() > until_s:
                break
        self._find = find
        self._spans = {}
        self.generation += 1
        self.refresh()
        if find is None:
            return ""
        within = f" in the newest {looked:,}" if self.row_count() > looked else ""
        return f"{count:,} {'line' if count == 1 else 'lines'}{within}"

    @property
    def is_searching(self) -> bool:
        """Whether hits are highlighted."""
        return self._find is not None

    async def action_find(self, step: int) -> bool:
        """Go to the next hit from the cursor, older (-1) or newer (1); return whether there was one."""
        find = self._find
        if find is None:
            return False
        numbers = self.rows.numbers()
        start = self.cursor_index
        if start is None:
            start = len(numbers) if step < 0 else -1
        order = range(start + 1, len(numbers)) if step > 0 else range(start - 1, -1, -1)
        for looked, index in enumerate(order, 1):
            record = self.rows.ring.get(numbers[index])
            if record is not None and self._hits(find, record.message):
                # Other tasks ran in between: the row may have moved, its number has not.
                now_at = self.rows.index_of(numbers[index])
                if now_at is not None:
                    self.move_to(now_at)
                    return True
            if looked % SLICE == 0:
                await asyncio.sleep(0)
        if self._find is not None:
            self.app.notify("no more hits", markup=False, timeout=2)
        return False

    def _hits(self, find: Find, message: str) -> bool:
        """Return whether a line matches; a search that takes too long ends the highlighting."""
        if self._find is None:
            return False
        try:
            return find.hits(message)
        except FilterError as error:
            self._give_up_find(error)
            return False

    def _give_up_find(self, error: FilterError) -> None:
        """End the highlighting, so that painting never waits a second time, and say so."""
        self._find = None
        self.generation += 1
        self.refresh()
        self.app.notify(f"{error}; nothing is highlighted", markup=False, severity="warning")

    def action_follow(self) -> None:
        """Follow the tail again."""
        self.cursor_key = None
        self.set_following(following=True)
        self.resync()

    def action_fields(self) -> None:
        """Switch between messages alone, JSON fields after them, and fields as columns."""
        self.field_display = FIELD_DISPLAYS[(FIELD_DISPLAYS.index(self.field_display) + 1) % len(FIELD_DISPLAYS)]
        self._lay_columns()

    def show_columns(self, names: Sequence[str]) -> None:
        """Show these fields as columns; empty: the most frequent ones."""
        self.set_field_display("columns", tuple(names))

    def set_field_display(self, field_display: FieldDisplay, columns: tuple[str, ...]) -> None:
        """Set how JSON fields are shown, and the fields for columns."""
        self.field_display, self.chosen_columns = field_display, columns
        self._lay_columns()

    def known_fields(self) -> tuple[str, ...]:
        """Return the fields of the newest lines, the most frequent first."""
        return field_names(self.rows.newest(SAMPLE))

    def _lay_columns(self) -> None:
        sample = self.rows.newest(SAMPLE) if self.field_display == "columns" else []
        self.columns = columns_of(sample, self.chosen_columns) if sample else ()
        self.generation += 1
        self.fit_height()
        self.refresh()

    def set_following(self, *, following: bool) -> None:
        """Begin or end following; ending remembers what has been seen."""
        if following == self.following:
            return
        self.following = following
        self._remember_seen()
        self.post_message(self.FollowChanged(following=following))
        self._update_edges()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """A scroll by the user ends following; reaching the end begins it again."""
        super().watch_scroll_y(old_value, new_value)
        if not self._own_scroll and round(old_value) != round(new_value):
            if self.following and new_value >= self.max_scroll_y:
                return  # a taller panel shows more above the same end: not a scroll by the user
            if new_value < old_value:
                self.set_following(following=False)
            elif new_value >= self.max_scroll_y and self.cursor_key is None:
                self.set_following(following=True)

    def ensure_cursor(self) -> None:
        """Do nothing: there is no cursor until the user moves it."""

    def move_to(self, index: int) -> None:
        """Moving the cursor ends following; the last row begins it again only by `f` or `G`."""
        self.set_following(following=False)
        super().move_to(index)

    def action_move(self, rows: int) -> None:
        """The first move puts the cursor on the last line on screen."""
        if self.cursor_index is None:
            self.move_to(min(self.row_count(), self.scroll_offset.y + self.room) - 1 + min(rows, 0))
            return
        super().action_move(rows)

    def action_open(self) -> None:
        """Open the line under the cursor, else the last line on screen."""
        if self.cursor_index is None and self.row_count():
            self.action_move(0)
        super().action_open()

    def action_edge(self, end: int) -> None:
        """The end of the log is where following happens."""
        if end:
            self.action_follow()
        else:
            super().action_edge(end)


def empty_source(context: WidgetContext, fresh: Freshness, otherwise: str) -> Sequence[Line]:
    """Return the text of an empty panel: the source's problem and remedy, else `otherwise`."""
    if fresh.help:
        return (((f"{context.glyph(fresh.state)} {fresh.text}", fresh.state.tone),), ((fresh.help, Tone.PLAIN),))
    if fresh.phase in {None, SourcePhase.STARTING} or not fresh.total:
        # An empty result is a response too, and there has been none yet.
        return ((("Waiting for the first response.", Tone.DIM),),)
    return (((otherwise, Tone.DIM),),)


def _joined(parts: Sequence[str]) -> str:
    return " · ".join(part for part in parts if part)


def _field_pieces(record: LogRecord) -> list[Piece]:
    pieces: list[Piece] = []
    for name, value in (record.fields or {}).items():
        if str(value) not in record.message and name not in {"level", "message", "timestamp"}:
            pieces += [(f"  {name}=", Tone.DIM), (str(value), Tone.PLAIN)]
    return pieces


def _with_hits(line: Line, spans_of: Callable[[str], list[tuple[int, int]]]) -> Line:
    """Return `line` with search hits highlighted; `spans_of` returns start and end of each hit of a text."""
    out: list[Piece] = []
    for text, tone in line:
        end = 0
        for start, stop in spans_of(text):
            out += [(text[end:start], tone), (text[start:stop], Tone.HIT)]
            end = stop
        out.append((text[end:], tone))
    return out
