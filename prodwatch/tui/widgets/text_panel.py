"""A panel of plain lines without a cursor."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from prodwatch.store.store import Topic
from prodwatch.tui.styled_line import Line, wrap_line
from prodwatch.tui.widget_context import WidgetContext
from prodwatch.tui.widgets.panel import Panel

Build = Callable[[int], Sequence[Line]]
"""Width in cells → lines."""


class TextPanel(Panel):
    """Shows the lines that `build` returns; rebuilt when a topic or the width changes."""

    SHOWS_AGES = False

    def __init__(
        self,
        context: WidgetContext,
        build: Build,
        *,
        title: str = "",
        topics: tuple[Topic, ...] = (),
        about: str = "",
        ages: bool = False,
        id: str | None = None,  # noqa: A002 -- Textual's own name
        classes: str | None = None,
    ) -> None:
        self._build = build
        self._rows: Sequence[Line] = ()
        self._width = 0
        super().__init__(context, id=id, classes=classes)
        self.TOPICS = topics
        self.SHOWS_AGES = ages
        self._about = about
        self.set_title(title)

    @property
    def about(self) -> str:
        """The panel's text on the help screen."""
        return self._about

    @property
    def selectable(self) -> bool:
        """Keys scroll; there is no cursor."""
        return False

    def sync(self) -> None:
        """Rebuild the lines."""
        self._width = self.line_width
        rows = [part for line in self._build(self._width) for part in wrap_line(line, self._width)]
        if rows != self._rows:
            self._rows = rows
            self.rows_changed()

    def on_resize(self) -> None:
        """Lay the lines out for the new width."""
        if self.line_width != self._width:
            self.resync()

    def row_count(self) -> int:
        """Return how many lines there are."""
        return len(self._rows)

    def row_key(self, index: int) -> Hashable:
        """Return the line's number."""
        return index

    def index_of(self, key: Hashable) -> int | None:
        """Return the number itself if there is such a line."""
        return key if isinstance(key, int) and key < len(self._rows) else None

    def row_line(self, index: int, width: int) -> Line:
        """Return the line."""
        del width
        return self._rows[index]
