"""Base of widgets with a few fixed lines: header, release, verdict, timeline lanes, key hints."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from textual.geometry import Size
from textual.strip import Strip

from prodwatch.tui.styled_line import Line
from prodwatch.tui.widget_context import WidgetContext
from prodwatch.tui.widgets.themed_widget import ThemedWidget
from prodwatch.views.status_style import Tone

_LOG = logging.getLogger(__name__)


class StaticLines(ThemedWidget, can_focus=False):
    """A few lines without scrolling; `frame` redraws them when they changed."""

    FRAMES = 5
    """Frames between two updates: 5 is twice a second at the default frame rate."""

    DEFAULT_CSS = """
    StaticLines { height: 1; background: $background; }
    """

    def __init__(self, context: WidgetContext, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 -- Textual's own name
        super().__init__(id=id, classes=classes)
        self.context = context
        self._lines: Sequence[Line] = ()
        self._frames_since_update = self.FRAMES

    def lines(self, width: int) -> Sequence[Line]:
        """Return the lines for `width` cells."""
        raise NotImplementedError

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return how many lines there are, for `height: auto`."""
        del container, viewport
        return max(1, len(self._safe_lines(width)))

    def _safe_lines(self, width: int) -> Sequence[Line]:
        """Return the lines, or one that reports a failure: an exception during Textual's layout would end the app."""
        try:
            return self.lines(width)
        except Exception:  # noqa: BLE001 -- see above
            _LOG.exception("%s could not be drawn", self.id or type(self).__name__)
            return ((("this line could not be drawn; see the log file", Tone.WARN),),)

    def frame(self) -> None:
        """Redraw when something changed."""
        self._frames_since_update += 1
        if self._frames_since_update < self.FRAMES or not self.display or not self.size.width:
            return
        self._frames_since_update = 0
        lines = self.lines(self.size.width)
        if lines != self._lines:
            grown = len(lines) != len(self._lines)
            self._lines = lines
            self.refresh(layout=grown)

    def show_now(self) -> None:
        """Redraw at once after the user changed the display."""
        self._frames_since_update = self.FRAMES
        self.frame()

    def on_resize(self) -> None:
        """Fit the lines to the new width."""
        self._lines = self._safe_lines(self.size.width)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw line `y`."""
        width = self.size.width
        line = self._lines[y] if y < len(self._lines) else ()
        return self.paint(line, self.rich_style).crop_extend(0, width, self.rich_style)
