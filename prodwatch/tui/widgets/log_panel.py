"""The live tail: a window onto the store's ring that costs the same at ten lines a second and at ten thousand."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Hashable, Sequence
from typing import cast

from textual.binding import Binding
from textual.geometry import Size
from textual.message import Message

from prodwatch.model.signal import LogRecord
from prodwatch.store.store import Topic
from prodwatch.tui.deck import Deck
from prodwatch.tui.line import Line, Piece
from prodwatch.tui.paint.log import log_line
from prodwatch.tui.widgets.panel import Panel
from prodwatch.views.freshness import Freshness, freshness
from prodwatch.views.log_filter import EVERYTHING, LogFilter, parse_filter
from prodwatch.views.states import Tone

SLICE = 10_000
"""Lines looked at per frame when a filter goes over what is kept: a few milliseconds."""
WIDE = 170
"""From this width on there is room for JSON fields behind each message."""
HEIGHT_STEP = 256
"""The scrollable height grows in steps, because each change of it costs a layout."""


class LogPanel(Panel):
    """Rows are ring numbers. Following the tail is a mode that any scroll up ends."""

    TOPICS = (Topic.LOGS, Topic.SOURCES)
    FRAMES = 1
    TITLE = "Logs"
    BINDINGS = [
        Binding("f", "follow", "follow", id="logs.follow"),
        Binding("n", "find(1)", "next hit", show=False, id="logs.next-hit"),
        Binding("N", "find(-1)", "previous hit", show=False, id="logs.previous-hit"),
        Binding("e", "fields", "fields", show=False, id="logs.fields"),
    ]
    HELP = (
        "All watched log groups in one stream. f follows the tail; any scroll up stops it. / filters: words, /regex/, "
        "field:value, level:warn+, and ! before any of them; all terms must match. ctrl+f finds, n and N go from hit "
        "to hit. w chooses a time window, p pins the group under the cursor, i shows only its request, x opens its "
        "trace, v the same minute in the metrics, e adds JSON fields to each line, enter opens the line."
    )

    class FollowChanged(Message):
        """Following began or ended."""

        def __init__(self, *, following: bool) -> None:
            super().__init__()
            self.following = following

    def __init__(self, deck: Deck, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 -- Textual's own name
        self._shown: list[int] = []
        self._scanned = 0
        self._base = self._tail = 0
        self._seen_rows = 0
        self._filter: LogFilter = EVERYTHING
        self._since_ms = 0
        self._window_name = ""
        self._find: re.Pattern[str] | None = None
        self.following = True
        self.show_fields = False
        self._own_scroll = False
        self._filtered = False
        super().__init__(deck, id=id, classes=classes)

    # Rows: without a filter they are the ring itself, with one a list of its numbers

    def row_count(self) -> int:
        """Return how many lines are shown."""
        return len(self._shown) if self._filtered else self._tail - self._base

    def number_at(self, index: int) -> int:
        """Return the ring number of row `index`."""
        return self._shown[index] if self._filtered else self._base + index

    def row_key(self, index: int) -> Hashable:
        """Return the ring number."""
        return self.number_at(index)

    def index_of(self, key: Hashable) -> int | None:
        """Return the row of a ring number."""
        number = cast("int", key)
        if not self._filtered:
            index = number - self._base
            return index if 0 <= index < self.row_count() else None
        index = bisect_left(self._shown, number)
        return index if index < len(self._shown) and self._shown[index] == number else None

    def record_at(self, index: int) -> LogRecord | None:
        """Return the line of row `index`."""
        return self.deck.store.logs.ring.get(self.number_at(index))

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
        line = log_line(record, width, self.deck.zone)
        if record.fields and (self.show_fields or width >= WIDE):
            line = [*line, *_field_pieces(record)]
        return _with_hits(line, self._find) if self._find else line

    def fit_height(self) -> None:
        """Grow in steps; the end of the rows bounds scrolling, not the virtual height."""
        rows = self.row_count()
        height = -(-rows // HEIGHT_STEP) * HEIGHT_STEP if rows > self.size.height else rows
        size = Size(self.line_width, height)
        if size != self.virtual_size:
            self.virtual_size = size

    @property
    def max_scroll_y(self) -> int:
        """The last row is at the bottom at most."""
        return max(0, self.row_count() - self.size.height)

    # Following the store

    def sync(self) -> None:
        """Take in what came; paint once."""
        trimmed = self._take_in()
        self.fit_height()
        bottom = self.max_scroll_y
        if self.following:
            self._scroll(bottom)
        elif trimmed:
            self._scroll(max(0, self.scroll_offset.y - trimmed))
        elif not self._screen_full_before():
            self.refresh()
        self._tell()

    def _scroll(self, y: int) -> None:
        """Scroll or refresh, never both: each would paint."""
        if y == self.scroll_offset.y:
            self.refresh()
            return
        self._own_scroll = True
        self.scroll_to(y=y, animate=False, force=True)
        self._own_scroll = False

    def _screen_full_before(self) -> bool:
        """Tell whether what is on screen was complete, so that new lines below change nothing."""
        return self._seen_rows - self.scroll_offset.y >= self.size.height

    def _take_in(self) -> int:
        """Extend the rows; return how many went at the front."""
        ring = self.deck.store.logs.ring
        gone = ring.head - self._base
        self._base, self._tail = ring.head, ring.tail
        if not self._filtered:
            return gone
        trimmed = bisect_left(self._shown, ring.head)
        if trimmed:
            del self._shown[:trimmed]
        begin = max(self._scanned, ring.head)
        stop = min(ring.tail, begin + SLICE)
        self._shown.extend(
            begin + offset for offset, record in enumerate(ring.window(begin, stop)) if self._lets_through(record)
        )
        self._scanned = stop
        if stop < ring.tail:
            self._seen = None  # more to look at: go on at the next frame
        return trimmed

    def _lets_through(self, record: LogRecord) -> bool:
        return record.timestamp_ms >= self._since_ms and self._filter.matches(record)

    def _tell(self) -> None:
        store = self.deck.store
        fresh = freshness(store, "logs", self.deck.now())
        groups = len(store.logs.groups)
        rate = store.logs.rate_per_s(self.deck.clock.monotonic_s())
        name = "  ".join(part for part in ("Logs", self._window_name, self._filter.text) if part)
        count = f"{self.row_count():,} of {len(store.logs.ring):,}" if self._filtered else f"{self.row_count():,}"
        self.set_title(f"{name}  {count}")
        waiting = max(0, self.row_count() - self._seen_rows) if not self.following else 0
        if self.following:
            self._seen_rows = self.row_count()
        mode = "following" if self.following else f"+{waiting:,} new, f follows"
        let_go = f"{store.logs.ring.head:,} older let go" if store.logs.ring.head else ""
        busy = f"{groups} {'group' if groups == 1 else 'groups'}" if groups else ""
        parts = (busy, f"{rate:.0f}/s" if groups else "", fresh.text, let_go, mode)
        self.set_subtitle(" · ".join(part for part in parts if part))
        self.set_class(fresh.stale, "-stale")

    def empty_lines(self, width: int) -> Sequence[Line]:
        """Say why there is nothing, and what to do."""
        del width
        fresh = freshness(self.deck.store, "logs", self.deck.now())
        if self._filtered and len(self.deck.store.logs.ring):
            return ((("no line matches; esc clears the filter", Tone.DIM),),)
        return empty_source(self.deck, fresh, "No log lines yet: the groups are quiet, or nothing has been read.")

    # What the user chooses

    def _apply(self, wanted: LogFilter, since_ms: int) -> None:
        self._filter = wanted
        self._since_ms = since_ms
        self._filtered = bool(wanted.tests) or since_ms > 0
        self._shown = []
        self._scanned = 0
        self._seen_rows = 0
        self.generation += 1
        if self.cursor_key is None:
            self.following = True
        # The user chose: this much of the display moves even while it is paused.
        self.resync()

    def apply_window(self, since_ms: int, name: str) -> None:
        """Show only lines from `since_ms` (epoch) on; 0 shows all. `name` is what the title says."""
        self._window_name = name
        self._apply(self._filter, since_ms)

    @property
    def filter_text(self) -> str:
        """What is typed to see fewer."""
        return self._filter.text

    def try_filter(self, text: str) -> None:
        """Show only what `text` lets through; FilterError leaves things as they are."""
        self._apply(parse_filter(text), self._since_ms)

    def match_note(self) -> str:
        """Say how many lines match so far."""
        return f"{self.row_count():,} of {len(self.deck.store.logs.ring):,}"

    def apply_find(self, text: str) -> None:
        """Highlight `text`; empty ends it."""
        self._find = re.compile(re.escape(text), re.IGNORECASE) if text else None
        self.generation += 1
        self.refresh()

    @property
    def finding(self) -> bool:
        """Whether hits are highlighted."""
        return self._find is not None

    def action_find(self, step: int) -> bool:
        """Go to the next hit from the cursor; return whether there was one."""
        if self._find is None:
            return False
        count = self.row_count()
        start = self.cursor_index
        if start is None:
            start = count if step < 0 else -1
        index = start + step
        while 0 <= index < count:
            record = self.record_at(index)
            if record is not None and self._find.search(record.message):
                self.set_following(following=False)
                self.move_to(index)
                return True
            index += step
        self.app.notify("no further hit", markup=False, timeout=2)
        return False

    def action_follow(self) -> None:
        """Follow the tail again."""
        self.cursor_key = None
        self.set_following(following=True)
        self.resync()

    def action_fields(self) -> None:
        """Add the JSON fields to each line, or leave them out."""
        self.show_fields = not self.show_fields
        self.generation += 1
        self.refresh()

    def set_following(self, *, following: bool) -> None:
        """Begin or end following; ending remembers what has been seen."""
        if following == self.following:
            return
        self.following = following
        self._seen_rows = self.row_count()
        self.post_message(self.FollowChanged(following=following))
        self._tell()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """A scroll by the user ends following; reaching the end begins it again."""
        super().watch_scroll_y(old_value, new_value)
        if not self._own_scroll and round(old_value) != round(new_value):
            if new_value < old_value:
                self.set_following(following=False)
            elif new_value >= self.max_scroll_y and self.cursor_key is None:
                self.set_following(following=True)

    def ensure_cursor(self) -> None:
        """There is no cursor until the user moves one."""

    def move_to(self, index: int) -> None:
        """Moving the cursor ends following; the last row begins it again only by `f` or `G`."""
        self.set_following(following=False)
        super().move_to(index)

    def action_move(self, rows: int) -> None:
        """The first move puts the cursor on the last line on screen."""
        if self.cursor_index is None:
            self.move_to(min(self.row_count(), self.scroll_offset.y + self.size.height) - 1 + min(rows, 0))
            return
        super().action_move(rows)

    def action_edge(self, end: int) -> None:
        """The end of the log is where following happens."""
        if end:
            self.action_follow()
        else:
            super().action_edge(end)


def empty_source(deck: Deck, fresh: Freshness, otherwise: str) -> Sequence[Line]:
    """Return what an empty panel says: the source's trouble and its cure, else `otherwise`."""
    if fresh.help:
        return (((f"{deck.glyph(fresh.state)} {fresh.text}", fresh.state.tone),), ((fresh.help, Tone.PLAIN),))
    if fresh.phase is None or not fresh.total:
        return ((("Waiting for the first answer.", Tone.DIM),),)
    return (((otherwise, Tone.DIM),),)


def _field_pieces(record: LogRecord) -> list[Piece]:
    pieces: list[Piece] = []
    for name, value in (record.fields or {}).items():
        if str(value) not in record.message and name not in {"level", "message", "timestamp"}:
            pieces += [(f"  {name}=", Tone.DIM), (str(value), Tone.PLAIN)]
    return pieces


def _with_hits(line: Line, pattern: re.Pattern[str]) -> Line:
    """Return `line` with what the pattern finds highlighted and the rest of its pieces as they were."""
    out: list[Piece] = []
    for text, tone in line:
        end = 0
        for match in pattern.finditer(text):
            if match.end() == match.start():
                continue
            out += [(text[end : match.start()], tone), (match[0], Tone.HIT)]
            end = match.end()
        out.append((text[end:], tone))
    return out
