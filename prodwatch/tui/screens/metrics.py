"""Every metric in a table, and the one under the cursor as a chart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import BindingType
from textual.widget import Widget

from prodwatch.tui.screens.base import DashScreen
from prodwatch.tui.widgets.chart_panel import ChartPanel
from prodwatch.tui.widgets.line_view import LineView
from prodwatch.tui.widgets.signals_panel import SignalsPanel
from prodwatch.views.signals import label_of


class MetricsScreen(DashScreen):
    """The table above, the chart below."""

    BINDINGS: ClassVar[list[BindingType]] = []
    AUTO_FOCUS = "#all-signals"
    TITLE_WORD = "metrics"

    def body(self) -> Iterable[Widget]:
        """Yield table and chart."""
        yield SignalsPanel(self.deck, id="all-signals")
        yield ChartPanel(self.deck, id="chart")

    def show(self, label: str, at_s: int | None) -> None:
        """Show one metric, the cursor at a moment."""
        self.call_after_refresh(self._show, label, at_s)

    def _show(self, label: str, at_s: int | None) -> None:
        table = self.query_one(SignalsPanel)
        if label and table.index_of(label) is not None:
            table.cursor_key = label
        self.query_one(ChartPanel).show(label, at_s)

    def on_line_view_moved(self, event: LineView.Moved) -> None:
        """Chart the metric under the cursor."""
        event.stop()
        if isinstance(event.view, SignalsPanel):
            self.query_one(ChartPanel).show(str(event.key))

    def on_line_view_opened(self, event: LineView.Opened) -> None:
        """Go to the chart of the metric."""
        event.stop()
        chart = self.query_one(ChartPanel)
        chart.show(str(event.key))
        chart.focus()

    def copied(self, form: str) -> str | None:
        """Return the metric's points as lines of time and values."""
        del form
        label = self.query_one(ChartPanel).label
        lines = [
            f"{point.timestamp_s}\t{series.key.version or ''}\t{point.value}"
            for series in self.deck.store.metrics.series.values()
            if label_of(series.key) == label
            for point in series.points
        ]
        return "\n".join(lines) or None
