"""All traces in a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from prodwatch.tui.screens.base import DashboardScreen
from prodwatch.tui.widget_context import WidgetContext
from prodwatch.tui.widgets.row_list import RowList
from prodwatch.tui.widgets.trace_list_panel import TraceListPanel
from prodwatch.views.aws_console_links import trace_page
from prodwatch.views.traces import Edge


class TracesScreen(DashboardScreen):
    """The trace table; enter opens a trace."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "sort", "sort", id="list.sort"),
        Binding("S", "app.service_map", "service map", id="traces.map"),
    ]
    AUTO_FOCUS = "#all-traces"
    LAYER_NAME = "traces"

    def __init__(self, context: WidgetContext, *, through: Edge | None = None) -> None:
        """Show all traces, or those through one edge of the service map."""
        super().__init__(context)
        self._through = through

    @property
    def layer_name(self) -> str:
        """The edge of the service map, if the traces are limited to one."""
        if self._through is None:
            return self.LAYER_NAME
        sign = " > " if self.context.preferences.ascii else " → "
        return sign.join(node.name for node in self._through)

    def body(self) -> Iterable[Widget]:
        """Yield the table."""
        yield TraceListPanel(self.context, through=self._through, id="all-traces")

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        """Open the trace."""
        event.stop()
        self.dashboard.open_trace(str(event.key))

    def action_sort(self) -> None:
        """Sort by the next criterion: newest, worst or slowest first."""
        self.query_one(TraceListPanel).cycle_sort()

    def copied(self, form: str) -> str | None:
        """Return the trace id."""
        del form
        key = self.query_one(TraceListPanel).cursor_key
        return str(key) if key is not None else None

    def console_url(self) -> str | None:
        """Return the trace's page."""
        key, region = self.query_one(TraceListPanel).cursor_key, self.context.facts.region
        return trace_page(region, str(key)) if key is not None and region else None
