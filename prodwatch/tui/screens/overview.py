"""The first screen: is the release good, and if not, what is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget

from prodwatch.tui.keymap import CHECK_LIST_BINDINGS
from prodwatch.tui.screens.base import DashScreen
from prodwatch.tui.widgets.alarm_and_error_panels import AlarmsPanel, SignaturesPanel
from prodwatch.tui.widgets.changes_panel import ChangesPanel
from prodwatch.tui.widgets.check_grid import CheckGridPanel
from prodwatch.tui.widgets.line_view import LineView
from prodwatch.tui.widgets.log_panel import LogPanel
from prodwatch.tui.widgets.release_line import ReleaseBar
from prodwatch.tui.widgets.signals_panel import SignalsPanel
from prodwatch.tui.widgets.timeline_panel import LanesBar
from prodwatch.tui.widgets.trace_panel import TracePanel
from prodwatch.tui.widgets.verdict_box import VerdictBox
from prodwatch.views.aws_console_links import alarm_page, log_page, trace_page
from prodwatch.views.triage import Change

NO_CHECKS_THEN = "checks speak only of the present; they run without --to"


class OverviewScreen(DashScreen):
    """Verdict, release, checks, signals: in this order, because that is the order of questions."""

    BINDINGS: ClassVar[list[BindingType]] = [*CHECK_LIST_BINDINGS]
    AUTO_FOCUS = "#checks, #changes"
    TITLE_WORD = "overview"
    SAYS_WHERE = True

    def body(self) -> Iterable[Widget]:
        """Yield release, verdict and panels."""
        deck = self.deck
        window = deck.facts.window
        yield ReleaseBar(deck, id="release")
        yield VerdictBox(deck, id="verdict")
        with Horizontal(id="overview-top"):
            if window is not None and window.is_past:
                yield ChangesPanel(deck, id="changes")
            else:
                yield CheckGridPanel(deck, id="checks")
            with Vertical(id="overview-right"):
                yield SignalsPanel(deck, id="signals")
                yield AlarmsPanel(deck, id="alarms")
        with Horizontal(id="overview-middle"):
            if window is not None and not window.is_past:
                yield ChangesPanel(deck, id="changes")
            yield SignaturesPanel(deck, id="signatures")
            yield TracePanel(deck, only_odd=True, id="traces")
        yield LogPanel(deck, id="logs")
        yield LanesBar(deck, id="overview-lanes")

    def on_mount(self) -> None:
        """Make room for what changed where somebody asks for it."""
        super().on_mount()
        window = self.deck.facts.window
        self.set_class(window is not None and not window.is_past, "-triage")
        self.set_class(window is not None and window.is_past, "-past")

    def on_line_view_opened(self, event: LineView.Opened) -> None:
        """Open the row that was asked for."""
        event.stop()
        view, key = event.view, event.key
        if isinstance(view, CheckGridPanel):
            self.dashboard.open_check(str(key))
        elif isinstance(view, TracePanel):
            self.dashboard.open_trace(str(key))
        elif isinstance(view, SignalsPanel):
            self.dashboard.open_metric(str(key))
        elif isinstance(view, SignaturesPanel):
            row = view.signature(key)
            if row is not None:
                self.dashboard.open_logs(f'"{_searchable(row.signature.sample)}"')
        elif isinstance(view, ChangesPanel):
            self._open_change(view.change(key))
        elif isinstance(view, LogPanel):
            self.dashboard.open_logs("", number=int(str(key)))
        elif isinstance(view, AlarmsPanel):
            self.dashboard.open_timeline(str(key))

    def _open_change(self, change: Change | None) -> None:
        if change is None:
            return
        if change.kind == "figure":
            self.dashboard.open_metric(change.subject)
        elif change.kind == "errors":
            self.dashboard.open_logs(f'"{_searchable(change.sample)}"' if change.sample else "level:error+")
        else:
            self.dashboard.open_timeline(change.subject)

    @property
    def _grid(self) -> CheckGridPanel | None:
        """The check grid; a window that has ended has none."""
        found = self.query(CheckGridPanel)
        return found.first() if found else None

    def action_rerun(self) -> None:
        """Run the check under the cursor again."""
        grid = self._grid
        if grid is None:
            self.app.notify(NO_CHECKS_THEN, markup=False, severity="warning")
        elif grid.cursor_key is not None:
            self.dashboard.rerun([str(grid.cursor_key)])

    def action_rerun_failed(self) -> None:
        """Run everything again that is not green."""
        if self._grid is None:
            self.app.notify(NO_CHECKS_THEN, markup=False, severity="warning")
        else:
            self.dashboard.rerun_failed()

    def action_sort(self) -> None:
        """Show the focused list in the next order."""
        panel = self.focused if isinstance(self.focused, TracePanel) else self._grid
        if panel is not None:
            panel.cycle_sort()

    def copied(self, form: str) -> str | None:
        """Return the focused row."""
        del form
        if isinstance(self.focused, LogPanel):
            return self.focused.record.message if self.focused.record else None
        if isinstance(self.focused, SignaturesPanel):
            row = self.focused.signature(self.focused.cursor_key)
            return row.signature.sample if row else None
        return str(self.focused.cursor_key) if isinstance(self.focused, LineView) and self.focused.cursor_key else None

    def console_url(self) -> str | None:
        """Return the page of the focused trace, alarm or line."""
        region, panel = self.deck.facts.region, self.focused
        if region is None or not isinstance(panel, LineView):
            return None
        if isinstance(panel, LogPanel):
            return log_page(region, panel.record) if panel.record else None
        if panel.cursor_key is None:
            return None
        if isinstance(panel, TracePanel):
            return trace_page(region, str(panel.cursor_key))
        return alarm_page(region, str(panel.cursor_key)) if isinstance(panel, AlarmsPanel) else None


def _searchable(sample: str) -> str:
    """Return a piece of a message that finds its like: up to the first line end or quote, without numbers."""
    first = sample.split("⏎", 1)[0].split('"', 1)[0].strip()
    return first[:60]
