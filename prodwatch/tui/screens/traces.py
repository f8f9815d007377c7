"""All traces in a table, the waterfall of the one under the cursor beside it where there is room."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from prodwatch.tui.screens.base import DashScreen
from prodwatch.tui.widget_context import Deck
from prodwatch.tui.widgets.line_view import LineView
from prodwatch.tui.widgets.trace_panel import TracePanel
from prodwatch.views.aws_console_links import trace_page
from prodwatch.views.traces import Edge


class TracesScreen(DashScreen):
    """The table; enter opens a trace."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "sort", "sort", id="list.sort"),
        Binding("S", "app.service_map", "service map", id="traces.map"),
    ]
    AUTO_FOCUS = "#all-traces"
    TITLE_WORD = "traces"

    def __init__(self, deck: Deck, *, through: Edge | None = None) -> None:
        """Show all traces, or those through one edge of the service map."""
        super().__init__(deck)
        self._through = through

    @property
    def crumb(self) -> str:
        """The edge, where there is one."""
        if self._through is None:
            return self.TITLE_WORD
        sign = " > " if self.deck.preferences.ascii else " → "
        return sign.join(node.name for node in self._through)

    def body(self) -> Iterable[Widget]:
        """Yield the table."""
        yield TracePanel(self.deck, through=self._through, id="all-traces")

    def on_line_view_opened(self, event: LineView.Opened) -> None:
        """Open the trace."""
        event.stop()
        self.dashboard.open_trace(str(event.key))

    def action_sort(self) -> None:
        """Show newest, worst or slowest first."""
        self.query_one(TracePanel).cycle_sort()

    def copied(self, form: str) -> str | None:
        """Return the trace id."""
        del form
        key = self.query_one(TracePanel).cursor_key
        return str(key) if key is not None else None

    def console_url(self) -> str | None:
        """Return the trace's page."""
        key, region = self.query_one(TracePanel).cursor_key, self.deck.facts.region
        return trace_page(region, str(key)) if key is not None and region else None
