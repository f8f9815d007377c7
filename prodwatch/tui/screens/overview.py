"""The first screen: release, verdict, checks, signals, errors, traces and logs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget

from prodwatch.model.identity import AlarmId, unique_name
from prodwatch.model.result import EnvironmentInfo
from prodwatch.tui.keymap import CHECK_LIST_BINDINGS, OVERVIEW_BINDINGS
from prodwatch.tui.screens.base import DashboardScreen
from prodwatch.tui.widgets.alarm_and_error_panels import AlarmsPanel, SignaturesPanel
from prodwatch.tui.widgets.changes_panel import ChangesPanel
from prodwatch.tui.widgets.check_grid_panel import CheckGridPanel
from prodwatch.tui.widgets.log_panel import LogPanel
from prodwatch.tui.widgets.release_line import ReleaseLine
from prodwatch.tui.widgets.row_list import RowList
from prodwatch.tui.widgets.signals_panel import SignalsPanel
from prodwatch.tui.widgets.timeline_panel import TimelineLanes
from prodwatch.tui.widgets.trace_list_panel import TraceListPanel
from prodwatch.tui.widgets.verdict_box import VerdictBox
from prodwatch.views.aws_console_links import alarm_page, log_page, trace_page
from prodwatch.views.events_in_window import Change
from prodwatch.views.log_filter import search_text
from prodwatch.views.verdict import judge_session

NO_CHECKS_THEN = "checks test the present only: omit --to to run them"


class OverviewScreen(DashboardScreen):
    """Panels in the order of questions: release, verdict, checks, signals."""

    BINDINGS: ClassVar[list[BindingType]] = [*CHECK_LIST_BINDINGS, *OVERVIEW_BINDINGS]
    AUTO_FOCUS = "#checks, #changes"
    LAYER_NAME = "overview"
    HAS_BREADCRUMB = True

    def body(self) -> Iterable[Widget]:
        """Yield release, verdict and panels."""
        context = self.context
        window = context.facts.window
        yield ReleaseLine(context, id="release")
        yield VerdictBox(context, id="verdict")
        with Horizontal(id="overview-top"):
            if window is not None and window.is_past:
                yield ChangesPanel(context, id="changes")
            else:
                yield CheckGridPanel(context, id="checks")
            with Vertical(id="overview-right"):
                yield SignalsPanel(context, id="signals")
                yield AlarmsPanel(context, id="alarms")
        with Horizontal(id="overview-middle"):
            if window is not None and not window.is_past:
                yield ChangesPanel(context, id="changes")
            yield SignaturesPanel(context, id="signatures")
            yield TraceListPanel(context, only_problems=True, id="traces")
        yield LogPanel(context, id="logs")
        yield TimelineLanes(context, id="overview-lanes")

    def on_mount(self) -> None:
        """Set the layout class for triage or for a past window."""
        super().on_mount()
        window = self.context.facts.window
        self.set_class(window is not None and not window.is_past, "-triage")
        self.set_class(window is not None and window.is_past, "-past")

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        """Open the item of the row."""
        event.stop()
        view, key = event.view, event.key
        if isinstance(view, CheckGridPanel):
            self.dashboard.open_check(str(key))
        elif isinstance(view, TraceListPanel):
            self.dashboard.open_trace(str(key))
        elif isinstance(view, SignalsPanel):
            self.dashboard.open_metric(str(key))
        elif isinstance(view, SignaturesPanel):
            row = view.signature(key)
            if row is not None:
                self.dashboard.open_logs(search_text(row.signature.sample))
        elif isinstance(view, ChangesPanel):
            self._open_change(view.change(key))
        elif isinstance(view, LogPanel):
            self.dashboard.open_logs("", number=int(str(key)))
        elif isinstance(view, AlarmsPanel) and isinstance(key, AlarmId):
            self.dashboard.open_timeline(key.name)

    def _open_change(self, change: Change | None) -> None:
        if change is None:
            return
        if change.kind == "figure":
            self.dashboard.open_metric(change.subject)
        elif change.kind == "errors":
            self.dashboard.open_logs(search_text(change.sample) if change.sample else "level:error+")
        else:
            self.dashboard.open_timeline(change.subject)

    @property
    def _grid(self) -> CheckGridPanel | None:
        """The check grid; None for a past window."""
        grids = self.query(CheckGridPanel)
        return grids.first() if grids else None

    def action_rerun(self) -> None:
        """Run the check under the cursor again."""
        grid = self._grid
        if grid is None:
            self.app.notify(NO_CHECKS_THEN, markup=False, severity="warning")
        elif grid.cursor_key is not None:
            self.dashboard.rerun([str(grid.cursor_key)])

    def action_rerun_failed(self) -> None:
        """Run every check again that is not green."""
        if self._grid is None:
            self.app.notify(NO_CHECKS_THEN, markup=False, severity="warning")
        else:
            self.dashboard.rerun_failed()

    def action_sort(self) -> None:
        """Sort the focused list, else the checks, by the next criterion."""
        panel = self.focused if isinstance(self.focused, TraceListPanel) else self._grid
        if panel is not None:
            panel.cycle_sort()

    def action_hand_over(self) -> None:
        """Copy the verdict of this moment with its reasons and evidence, in Markdown."""
        self.dashboard.run_in_background("hand-over note", self._hand_over(), group="hand-over")

    async def _hand_over(self) -> None:
        # Loaded on the first use, which most sessions do not have.
        from prodwatch.report.hand_over import hand_over
        from prodwatch.session.run_report import report_of_store

        context, facts, now = self.context, self.context.facts, self.context.now()
        judged = judge_session(
            context.store, now, every_s=facts.every_s, window=facts.window, better=facts.better
        ).decision.verdict
        environment = EnvironmentInfo(
            name=facts.environment, title=facts.title, account=facts.account, region=facts.region
        )
        note = hand_over(report_of_store(context.store, judged, environment=environment, now=now))
        self.dashboard.copy(note, "no verdict yet")

    def copied(self, form: str) -> str | None:
        """Return the focused row."""
        del form
        if isinstance(self.focused, LogPanel):
            return self.focused.record.message if self.focused.record else None
        if isinstance(self.focused, SignaturesPanel):
            row = self.focused.signature(self.focused.cursor_key)
            return row.signature.sample if row else None
        if not isinstance(self.focused, RowList) or not self.focused.cursor_key:
            return None
        key = self.focused.cursor_key
        return unique_name(key.name, key.place) if isinstance(key, AlarmId) else str(key)

    def console_url(self) -> str | None:
        """Return the page of the focused trace, alarm or line."""
        region, panel = self.context.facts.region, self.focused
        if region is None or not isinstance(panel, RowList):
            return None
        if isinstance(panel, LogPanel):
            return log_page(region, panel.record) if panel.record else None
        if panel.cursor_key is None:
            return None
        if isinstance(panel, TraceListPanel):
            return trace_page(region, str(panel.cursor_key))
        if isinstance(panel, AlarmsPanel) and isinstance(panel.cursor_key, AlarmId):
            return alarm_page(panel.cursor_key.place.region or region, panel.cursor_key.name)
        return None
