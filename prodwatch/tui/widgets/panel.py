"""Base of all panels: a bordered list that follows topics of the store, with a title and a freshness text."""

from __future__ import annotations

from textual.content import Content

from prodwatch.store.store import Topic
from prodwatch.tui.styled_line import safe
from prodwatch.tui.widget_context import WidgetContext
from prodwatch.tui.widgets.row_list import RowList

SECOND_FRAMES = 10
EDGE_CELLS = 4
"""Cells of the lower edge that the border uses."""


class Panel(RowList):
    """Subclasses list their topics and rebuild their rows in `sync`."""

    TOPICS: tuple[Topic, ...] = ()
    FRAMES = 5
    """Fewest frames between two syncs: 5 is twice a second at the default frame rate."""
    SHOWS_AGES = True
    """Whether ages are shown, which need a sync every second."""
    TITLE = ""
    HELP = ""
    """The panel's content and keys in a few sentences."""

    DEFAULT_CSS = """
    Panel {
        border: round $border-blurred;
        border-title-color: $foreground;
        border-title-style: bold;
        border-subtitle-color: $tone-dim;
        padding: 0;
        background: $background;
        &:focus { border: round $border; }
    }
    """

    def __init__(self, context: WidgetContext, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 -- Textual's own name
        super().__init__(id=id, classes=classes)
        self.context = context
        self._seen: tuple[int, ...] | None = None
        self._frames_since_update = self.FRAMES
        self.set_title(self.TITLE)

    @property
    def about(self) -> str:
        """The panel's text on the help screen."""
        return self.HELP or ""

    def sync(self) -> None:
        """Rebuild rows from the store; called only when visible."""
        raise NotImplementedError

    def frame(self) -> None:
        """Sync if a topic changed, or once a second with ages; called for every frame."""
        self._frames_since_update += 1
        if self._frames_since_update < self.FRAMES or not self.is_drawn or self.context.paused:
            return
        revisions = tuple(self.context.store.revision(topic) for topic in self.TOPICS)
        aged = self.SHOWS_AGES and self._frames_since_update >= SECOND_FRAMES
        if revisions == self._seen and not aged:
            return
        self._frames_since_update = 0
        self._seen = revisions
        self.sync()

    def resync(self) -> None:
        """Sync at once after the user changed the display."""
        self._seen = tuple(self.context.store.revision(topic) for topic in self.TOPICS)
        if self.is_drawn:
            self.sync()

    @property
    def is_drawn(self) -> bool:
        """Whether the panel is visible."""
        return self.display and self.is_attached and self.size.height > 0

    def on_mount(self) -> None:
        """Show something on the first paint."""
        self.call_after_refresh(self.resync)

    def set_title(self, text: str) -> None:
        """Set the title; never parsed as markup."""
        title = Content(safe(text))
        if title != self.border_title:
            self.border_title = title

    def set_subtitle(self, text: str) -> None:
        """Set the text on the lower edge, freshness for example; never parsed as markup."""
        subtitle = Content(safe(text))
        if subtitle != self.border_subtitle:
            self.border_subtitle = subtitle


class FilteredPanel(Panel):
    """A list with a text filter; subclasses apply `needle` in `sync`."""

    needle = ""

    @property
    def filter_text(self) -> str:
        """The filter's text."""
        return self.needle

    def try_filter(self, text: str) -> None:
        """Show only rows that match `text`."""
        self.needle = text
        self.resync()
