"""All metrics in a table, and the metric under the cursor as a chart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import BindingType
from textual.widget import Widget

from prodwatch.tui.screens.base import DashboardScreen
from prodwatch.tui.widget_context import WidgetContext
from prodwatch.tui.widgets.chart_panel import ChartPanel
from prodwatch.tui.widgets.comparisons_panel import ComparisonsPanel
from prodwatch.tui.widgets.row_list import RowList
from prodwatch.tui.widgets.signals_panel import SignalsPanel
from prodwatch.views.aws_console_links import metric_page
from prodwatch.views.metric_rows import label_of


class MetricsScreen(DashboardScreen):
    """The table above, the comparisons of versions under it, the chart below."""

    BINDINGS: ClassVar[list[BindingType]] = []
    AUTO_FOCUS = "#all-signals"
    LAYER_NAME = "metrics"

    def __init__(self, context: WidgetContext, label: str = "", at_s: int | None = None) -> None:
        super().__init__(context)
        self._label, self._at_s = label, at_s

    def body(self) -> Iterable[Widget]:
        """Yield table, comparisons and chart."""
        yield SignalsPanel(self.context, id="all-signals")
        yield ComparisonsPanel(self.context, id="comparisons")
        yield ChartPanel(self.context, id="chart")

    def on_mount(self) -> None:
        """Show the requested metric and minute once there are rows."""
        super().on_mount()
        if self._label or self._at_s is not None:
            self.call_after_refresh(self._show)

    def _show(self) -> None:
        table, label = self.query_one(SignalsPanel), self._label
        table.resync()
        index = table.index_of(label) if label else None
        if index is not None:
            table.move_to(index)
        self.query_one(ChartPanel).show(label, self._at_s)

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        """Chart the metric under the cursor."""
        event.stop()
        if isinstance(event.view, SignalsPanel):
            self.query_one(ChartPanel).show(str(event.key))

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        """Go to the chart of the metric, or to the release."""
        event.stop()
        if isinstance(event.view, ComparisonsPanel):
            self.dashboard.action_release()
            return
        chart = self.query_one(ChartPanel)
        chart.show(str(event.key))
        chart.focus()

    def copied(self, form: str) -> str | None:
        """Return the metric's points as lines of time and values."""
        del form
        if isinstance(self.focused, ComparisonsPanel):
            return self.focused.comparison.message if self.focused.comparison else None
        label = self.query_one(ChartPanel).label
        lines = [
            f"{point.timestamp_s}\t{series.key.version or ''}\t{point.value}"
            for series in self.context.store.metrics.series.values()
            if label_of(series.key) == label
            for point in series.points
        ]
        return "\n".join(lines) or None

    def console_url(self) -> str | None:
        """Return the page of the charted metric."""
        label, region = self.query_one(ChartPanel).label, self.context.facts.region
        keys = [key for key in self.context.store.metrics.series if label_of(key) == label]
        return metric_page(region, keys) if region and keys else None
