"""One release in full: its verdict, the comparisons of its versions, and its error signatures."""

from __future__ import annotations

import json
from collections.abc import Iterable

import msgspec
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
        """Return the comparison or the error under the cursor: its sentence or example, or all figures as JSON."""
        panel = self.focused
        if isinstance(panel, SignaturesPanel):
            row = panel.signature(panel.cursor_key)
            if row is None:
                return None
            return _json(row.compared or row.signature) if form == "json" else row.signature.sample
        if isinstance(panel, ComparisonsPanel):
            found = panel.comparison
            return None if found is None else _json(found) if form == "json" else found.message
        return None


def _json(value: msgspec.Struct) -> str:
    return json.dumps(msgspec.to_builtins(value), ensure_ascii=False)
