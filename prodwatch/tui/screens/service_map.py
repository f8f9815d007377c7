"""Service map: the list of edges, and the edge under the cursor in detail where there is room."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import msgspec
from textual.widget import Widget

from prodwatch.store.store import Topic
from prodwatch.tui.rendering.service_map_edge import edge_details
from prodwatch.tui.screens.base import DashboardScreen
from prodwatch.tui.screens.traces import TracesScreen
from prodwatch.tui.styled_line import Line
from prodwatch.tui.widgets.row_list import RowList
from prodwatch.tui.widgets.service_map_panel import ServiceMapPanel
from prodwatch.tui.widgets.text_panel import TextPanel
from prodwatch.views.aws_console_links import service_map_page
from prodwatch.views.status_style import Tone


class ServiceMapScreen(DashboardScreen):
    """Enter opens the traces through an edge."""

    AUTO_FOCUS = "#edges"
    LAYER_NAME = "service map"

    def body(self) -> Iterable[Widget]:
        """Yield the list and the edge under the cursor."""
        yield ServiceMapPanel(self.context, id="edges")
        yield TextPanel(self.context, self._edge_lines, title="Edge", topics=(Topic.SERVICES,), id="edge")

    def _edge_lines(self, width: int) -> Sequence[Line]:
        panel = self.query_one(ServiceMapPanel)
        edge = panel.edge_at(panel.cursor_key)
        if edge is None:
            return ((("no edge selected", Tone.DIM),),)
        return edge_details(edge, width, ascii_only=self.context.preferences.ascii)

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        """Show the edge under the cursor."""
        event.stop()
        if isinstance(event.view, ServiceMapPanel):
            panel = self.query_one("#edge", TextPanel)
            panel.scroll_home(animate=False)
            panel.resync()

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        """Open the traces through the edge."""
        event.stop()
        edge = self.query_one(ServiceMapPanel).edge_at(event.key)
        if edge is not None:
            self.app.push_screen(TracesScreen(self.context, through=(edge.caller, edge.callee)))

    def copied(self, form: str) -> str | None:
        """Return the edge under the cursor as text or as JSON."""
        panel = self.query_one(ServiceMapPanel)
        edge = panel.edge_at(panel.cursor_key)
        if edge is None:
            return None
        if form == "json":
            return json.dumps(msgspec.to_builtins(edge), ensure_ascii=False, indent=2)
        return f"{edge.caller.name} → {edge.callee.name}"

    def console_url(self) -> str | None:
        """Return the page of the account's service map."""
        return service_map_page(self.context.facts.region) if self.context.facts.region else None
