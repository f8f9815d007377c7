"""The first screen: is the release good, and if not, what is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import Horizontal
from textual.widget import Widget

from prodwatch.tui.keymap import CHECK_LIST_BINDINGS
from prodwatch.tui.screens.base import DashScreen
from prodwatch.tui.widgets.check_grid import CheckGridPanel
from prodwatch.tui.widgets.line_view import LineView
from prodwatch.tui.widgets.release import ReleaseBar
from prodwatch.tui.widgets.verdict import VerdictBox


class OverviewScreen(DashScreen):
    """Verdict, release, checks, signals: in this order, because that is the order of questions."""

    BINDINGS: ClassVar[list[BindingType]] = [*CHECK_LIST_BINDINGS]
    AUTO_FOCUS = "#checks"
    TITLE_WORD = "overview"

    def body(self) -> Iterable[Widget]:
        """Yield release, verdict and panels."""
        yield ReleaseBar(self.deck, id="release")
        yield VerdictBox(self.deck, id="verdict")
        with Horizontal(id="middle"):
            yield CheckGridPanel(self.deck, id="checks")

    def on_line_view_opened(self, event: LineView.Opened) -> None:
        """Open the row that was asked for."""
        event.stop()
        if isinstance(event.view, CheckGridPanel):
            self.dashboard.open_check(str(event.key))

    def action_rerun(self) -> None:
        """Run the check under the cursor again."""
        grid = self.query_one(CheckGridPanel)
        if grid.cursor_key is not None:
            self.dashboard.rerun([str(grid.cursor_key)])

    def action_rerun_failed(self) -> None:
        """Run everything again that is not green."""
        self.dashboard.rerun_failed()

    def action_sort(self) -> None:
        """Show the checks in the next order."""
        self.query_one(CheckGridPanel).cycle_sort()
