"""One release in full: its verdict, the comparisons of its versions, and its error signatures."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from prodwatch.tui.screens.base import DashboardScreen
from prodwatch.tui.widgets.alarm_and_error_panels import SignaturesPanel
from prodwatch.tui.widgets.comparisons_panel import ComparisonsPanel
from prodwatch.tui.widgets.release_line import ReleaseLine
from prodwatch.tui.widgets.row_list import RowList
from prodwatch.tui.widgets.verdict_box import VerdictBox
from prodwatch.views.log_filter import search_text


class ReleaseScreen(DashboardScreen):
    """Enter on an error opens its lines, on a comparison the metrics."""

    AUTO_FOCUS = "#comparisons"
    LAYER_NAME = "release"

    def body(self) -> Iterable[Widget]:
        """Yield release, verdict, comparisons and errors."""
        yield ReleaseLine(self.context, id="release")
        yield VerdictBox(self.context, id="verdict")
        yield ComparisonsPanel(self.context, id="comparisons")
        yield SignaturesPanel(self.context, id="signatures")

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        """Open the lines of an error, or the metrics."""
        event.stop()
        if not isinstance(event.view, SignaturesPanel):
            self.dashboard.action_show("metrics")
            return
        row = event.view.signature(event.key)
        if row is not None:
            self.dashboard.open_logs(search_text(row.signature.sample))

    def copied(self, form: str) -> str | None:
        """Return the message of the comparison or error under the cursor."""
        del form
        panel = self.focused
        if isinstance(panel, SignaturesPanel):
            row = panel.signature(panel.cursor_key)
            return row.signature.sample if row else None
        if isinstance(panel, ComparisonsPanel):
            return panel.message
        return None
