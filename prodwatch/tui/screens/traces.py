"""All traces in a table, the waterfall of the one under the cursor beside it where there is room."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from prodwatch.tui.screens.base import DashScreen
from prodwatch.tui.widgets.line_view import LineView
from prodwatch.tui.widgets.trace_panel import TracePanel
from prodwatch.views.console import trace_page


class TracesScreen(DashScreen):
    """The table; enter opens a trace."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("s", "sort", "sort", id="list.sort")]
    AUTO_FOCUS = "#all-traces"
    TITLE_WORD = "traces"

    def body(self) -> Iterable[Widget]:
        """Yield the table."""
        yield TracePanel(self.deck, id="all-traces")

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
