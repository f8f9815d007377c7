"""Scrolling list of one-line rows; the cursor stays on its row's key when rows move."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Sequence

from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.cache import LRUCache
from textual.geometry import Size
from textual.message import Message
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from prodwatch.tui.styled_line import Line, safe, text_of, wrap_words
from prodwatch.tui.widgets.themed_widget import ThemedWidget
from prodwatch.views.status_style import Tone

_LOG = logging.getLogger(__name__)
CACHED_STRIPS = 1024


class RowList(ThemedWidget, ScrollView, can_focus=True):
    """Draws only the rows on screen. Subclasses provide rows; keys, mouse, cursor and selection are handled here."""

    BINDINGS = [
        Binding("down,j", "move(1)", "down", show=False, id="list.down"),
        Binding("up,k", "move(-1)", "up", show=False, id="list.up"),
        Binding("ctrl+d,pagedown", "page(1)", "page down", show=False, id="list.page-down"),
        Binding("ctrl+u,pageup", "page(-1)", "page up", show=False, id="list.page-up"),
        Binding("g,home", "edge(0)", "first", show=False, id="list.first"),
        Binding("G,end", "edge(1)", "last", show=False, id="list.last"),
        Binding("enter", "open", "open", id="list.open", key_display="enter"),
    ]

    DEFAULT_CSS = """
    RowList {
        /* Textual inherits CSS of the first base only, so that of ScrollView is repeated here */
        width: 1fr;
        height: 1fr;
        layout: vertical;
        overflow-y: auto;
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
    }
    """

    cursor_key: var[Hashable | None] = var(None, init=False)
    """Key of the row under the cursor; None without a cursor."""

    class Moved(Message):
        """The cursor moved to another row."""

        def __init__(self, view: RowList, key: Hashable) -> None:
            super().__init__()
            self.view = view
            self.key = key

        @property
        def control(self) -> RowList:
            """The list that posted the message."""
            return self.view

    class Opened(Message):
        """The user opened a row."""

        def __init__(self, view: RowList, key: Hashable) -> None:
            super().__init__()
            self.view = view
            self.key = key

        @property
        def control(self) -> RowList:
            """The list that posted the message."""
            return self.view

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 -- Textual's own name
        super().__init__(id=id, classes=classes)
        self._strips: LRUCache[tuple[Hashable, ...], Strip] = LRUCache(CACHED_STRIPS)
        self.generation = 0
        """Incremented whenever rows may look different; part of the cache key."""

    # Provided by subclasses

    def row_count(self) -> int:
        """Return how many rows there are."""
        raise NotImplementedError

    def row_key(self, index: int) -> Hashable:
        """Return a key of row `index` that stays the same when rows move."""
        raise NotImplementedError

    def row_line(self, index: int, width: int) -> Line:
        """Return row `index` for `width` cells."""
        raise NotImplementedError

    def index_of(self, key: Hashable) -> int | None:
        """Return the index of the row with `key`; None when it no longer exists."""
        return next((index for index in range(self.row_count()) if self.row_key(index) == key), None)

    def head_lines(self, width: int) -> Sequence[Line]:  # noqa: ARG002 -- subclasses use it
        """Return lines that stay on top."""
        return ()

    def empty_lines(self, width: int) -> Sequence[Line]:  # noqa: ARG002 -- subclasses use it
        """Return the lines shown when there are no rows."""
        return ()

    @property
    def selectable(self) -> bool:
        """Whether there is a cursor."""
        return True

    @property
    def line_width(self) -> int:
        """Cells a line may take: the content without the scrollbar."""
        return self.scrollable_size.width

    # Drawing

    def rows_changed(self) -> None:
        """Redraw after rows changed; the cursor follows its key, else stays where it was."""
        self.generation += 1
        self.fit_height()
        if self.has_focus:
            self.ensure_cursor()
        self.refresh()

    def fit_height(self) -> None:
        """Set the scrollable size; only when it changed, because a change costs a layout."""
        size = Size(self.line_width, self.row_count() + len(self.head_lines(self.line_width)))
        if size != self.virtual_size:
            self.virtual_size = size

    def watch_show_vertical_scrollbar(self, shown: bool) -> None:  # noqa: FBT001 -- Textual's signature
        """Place the scrollbar where the list is: Textual moves only a visible one, and a list may scroll first."""
        if shown:
            self.vertical_scrollbar.position = self.scroll_y

    def notify_style_update(self) -> None:
        """Forget strips when the theme or a class changed."""
        super().notify_style_update()
        self._strips.clear()

    def render_line(self, y: int) -> Strip:
        """Draw screen line `y`; a failure is shown in its place and logged."""
        try:
            return self._draw(y)
        except Exception:  # noqa: BLE001 -- an exception here would end the app
            _LOG.exception("line %d of %s could not be drawn", y, self.id)
            return self.paint((("this line could not be drawn; see the log file", Tone.WARN),), self.rich_style)

    def _draw(self, y: int) -> Strip:
        width = self.line_width
        base = self.rich_style
        heads = self.head_lines(width)
        if y < len(heads):
            return self.paint(heads[y], base).crop_extend(0, width, base)
        if not self.row_count():
            lines = [part for sentence in self.empty_lines(width) for part in wrap_words(sentence, width)]
            line = lines[y - len(heads)] if y - len(heads) < len(lines) else ()
            return self.paint(line, base).crop_extend(0, width, base)
        index = y - len(heads) + self.scroll_offset.y
        if index >= self.row_count():
            return Strip.blank(width, base)
        return self._row_strip(index, width, base).apply_offsets(0, index)

    def _row_strip(self, index: int, width: int, base: Style) -> Strip:
        row_key = self.row_key(index)
        cursor = self._cursor_style(row_key)
        span = self.text_selection.get_span(index) if self.text_selection else None
        cache_key = (row_key, self.generation, width, cursor, span)
        strip = self._strips.get(cache_key)
        if strip is None:
            background = base + self.style_of(cursor) if cursor else base
            strip = self.paint(self.row_line(index, width), background)
            if span is not None:
                strip = self._with_selection(strip, span)
            strip = strip.crop_extend(0, width, background)
            self._strips[cache_key] = strip
        return strip

    def _cursor_style(self, row_key: Hashable) -> str:
        if not self.selectable or row_key != self.cursor_key:
            return ""
        return "cursor" if self.has_focus else "cursor-blurred"

    def _with_selection(self, strip: Strip, span: tuple[int, int]) -> Strip:
        start = strip.index_to_cell_position(span[0])
        stop = strip.cell_length if span[1] == -1 else strip.index_to_cell_position(span[1])
        style = self.screen.get_component_rich_style("screen--selection")
        inside = strip.crop(start, stop).apply_style(style)
        return Strip.join((strip.crop(0, start), inside, strip.crop(stop, strip.cell_length)))

    # Copying with the mouse

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Return the selected text as painted; rows outside the selection are not built."""
        start, end = selection
        count, width = self.row_count(), self.line_width
        first = max(0, start.y) if start else 0
        last = min(end.y if end else count - 1, count - 1)
        lines = [safe(text_of(self.row_line(index, width))) for index in range(first, last + 1)]
        if lines and end and end.y == last:
            lines[-1] = lines[-1][: end.x]
        if lines and start:
            lines[0] = lines[0][start.x :]
        return "\n".join(line.rstrip() for line in lines), "\n"

    def selection_updated(self, selection: Selection | None) -> None:  # noqa: ARG002 -- Textual's signature
        """Redraw the changed selection."""
        self.refresh()

    # Cursor

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Enable `open` only with a cursor."""
        del parameters
        return action != "open" or self.selectable

    @property
    def cursor_index(self) -> int | None:
        """Index of the row under the cursor; None without one."""
        return None if self.cursor_key is None else self.index_of(self.cursor_key)

    def watch_cursor_key(self, old: Hashable | None, new: Hashable | None) -> None:
        """Redraw both rows and post the move."""
        for key in (old, new):
            index = None if key is None else self.index_of(key)
            if index is not None:
                self.refresh_line(index + len(self.head_lines(self.line_width)))
        if new is not None:
            self.post_message(self.Moved(self, new))

    def ensure_cursor(self) -> None:
        """Put the cursor on the first row when there is none or its row no longer exists."""
        if self.selectable and self.row_count() and self.cursor_index is None:
            self.cursor_key = self.row_key(0)

    def move_to(self, index: int) -> None:
        """Put the cursor on row `index`, limited to the rows there are, and scroll to it."""
        count = self.row_count()
        if not count:
            return
        index = min(max(0, index), count - 1)
        if self.selectable:
            self.cursor_key = self.row_key(index)
        self.show_row(index)

    def show_row(self, index: int) -> None:
        """Scroll as little as needed to show row `index`, even before the next layout."""
        room = max(1, self.size.height - len(self.head_lines(self.line_width)))
        top = self.scroll_offset.y
        if index < top:
            self.scroll_to(y=index, animate=False, force=True)
        elif index >= top + room:
            self.scroll_to(y=index - room + 1, animate=False, force=True)

    def action_move(self, rows: int) -> None:
        """Move the cursor by rows, or scroll when there is none."""
        if not self.selectable:
            self.scroll_to(y=self.scroll_offset.y + rows, animate=False)
            return
        index = self.cursor_index
        self.move_to(0 if index is None else index + rows)

    def action_page(self, pages: int) -> None:
        """Move by half a page, as vi does."""
        self.action_move(pages * max(1, self.size.height // 2))

    def action_edge(self, end: int) -> None:
        """Go to the first row (0) or the last (1)."""
        if self.selectable:
            self.move_to(self.row_count() - 1 if end else 0)
        else:
            self.scroll_to(y=self.max_scroll_y if end else 0, animate=False)

    def action_open(self) -> None:
        """Open the row under the cursor."""
        index = self.cursor_index
        if index is not None and self.cursor_key is not None:
            self.post_message(self.Opened(self, self.cursor_key))

    def on_click(self, event: events.Click) -> None:
        """One click selects, two open."""
        offset = event.get_content_offset(self)
        if offset is None or not self.selectable:
            return
        index = offset.y - len(self.head_lines(self.line_width)) + self.scroll_offset.y
        if 0 <= index < self.row_count() and offset.y >= len(self.head_lines(self.line_width)):
            self.cursor_key = self.row_key(index)
            if event.chain == 2:
                self.action_open()

    def on_focus(self) -> None:
        """Show which row the keys act on."""
        self.ensure_cursor()
        self.refresh()

    def on_blur(self) -> None:
        """Redraw the cursor as inactive."""
        self.refresh()

    def on_resize(self) -> None:
        """Fit rows to the new width."""
        self.rows_changed()
        index = self.cursor_index
        if index is not None:
            self.show_row(index)
