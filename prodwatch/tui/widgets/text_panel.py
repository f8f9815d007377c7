"""A panel of plain lines that are read, not selected."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from prodwatch.store.store import Topic
from prodwatch.tui.styled_line import Line, wrap_line
from prodwatch.tui.widget_context import WidgetContext
from prodwatch.tui.widgets.panel import Panel

Build = Callable[[int], Sequence[Line]]
"""Width in cells → lines."""


class TextPanel(Panel):
    """Shows what `build` returns; asked again when a topic changed or the width did."""

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
        """What help says of it: what it was made with."""
        return self._about

    @property
    def selectable(self) -> bool:
        """There is no cursor: keys scroll."""
        return False

    def sync(self) -> None:
        """Ask for the lines again."""
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
        """Return the number itself while there is such a line."""
        return key if isinstance(key, int) and key < len(self._rows) else None

    def row_line(self, index: int, width: int) -> Line:
        """Return the line."""
        del width
        return self._rows[index]
