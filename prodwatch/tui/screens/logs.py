"""All log groups in one stream: filter, find, follow, open a line, go to its request, trace or minute."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import ClassVar

import msgspec
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widget import Widget

from prodwatch.tui.line import Line
from prodwatch.tui.paint.log import group_name
from prodwatch.tui.paint.record import record_lines
from prodwatch.tui.screens.base import DashScreen
from prodwatch.tui.widgets.line_view import LineView
from prodwatch.tui.widgets.log_panel import LogPanel
from prodwatch.tui.widgets.text_panel import TextPanel
from prodwatch.views.console import log_page
from prodwatch.views.states import Tone

WINDOWS: tuple[tuple[str, int], ...] = (("all", 0), ("1m", 60), ("5m", 300), ("15m", 900), ("1h", 3600))


class LogsScreen(DashScreen):
    """The tail, and the opened line beside or below it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+f", "find", "find", show=False, id="logs.find"),
        Binding("w", "window", "window", id="logs.window"),
        Binding("p", "pin", "pin group", show=False, id="logs.pin"),
        Binding("i", "same_request", "same request", show=False, id="logs.same-request"),
        Binding("x", "trace", "its trace", show=False, id="logs.trace"),
        Binding("v", "minute", "its minute in metrics", show=False, id="logs.minute"),
        *(
            Binding(f"alt+{number}", f"window({number})", f"last {name}", show=False, id=f"logs.window-{name}")
            for number, (name, _) in enumerate(WINDOWS)
        ),
    ]
    AUTO_FOCUS = "#logs"
    TITLE_WORD = "logs"

    def body(self) -> Iterable[Widget]:
        """Yield the stream and the opened line."""
        with Horizontal(id="logs-body"):
            yield LogPanel(self.deck, id="logs")
            yield TextPanel(self.deck, self._opened, title="Line", id="record")

    def on_mount(self) -> None:
        """Begin with no line open."""
        super().on_mount()
        self._window = 0

    @property
    def panel(self) -> LogPanel:
        """The stream."""
        return self.query_one("#logs", LogPanel)

    def show(self, text: str, number: int | None) -> None:
        """Show the stream under a filter, or one of its lines."""
        self.call_after_refresh(self._show, text, number)

    def _show(self, text: str, number: int | None) -> None:
        panel = self.panel
        panel.try_filter(text)
        panel.focus()
        index = panel.index_of(number) if number is not None else None
        if index is not None:
            panel.move_to(index)
            self._open()

    def _opened(self, width: int) -> Sequence[Line]:
        record = self.panel.record
        return record_lines(record, width, self.deck.zone) if record else ((("no line is selected", Tone.DIM),),)

    def on_line_view_opened(self, event: LineView.Opened) -> None:
        """Open the line under the cursor."""
        event.stop()
        self._open()

    def _open(self) -> None:
        self.add_class("-record")
        self.query_one("#record", TextPanel).resync()

    def on_line_view_moved(self, event: LineView.Moved) -> None:
        """Let the opened line follow the cursor."""
        event.stop()
        if self.has_class("-record"):
            panel = self.query_one("#record", TextPanel)
            panel.scroll_home(animate=False)
            panel.resync()

    def action_back(self) -> None:
        """Close the opened line, end finding, clear the window and the filter, then leave."""
        if self.has_class("-record"):
            self.remove_class("-record")
            self.panel.focus()
        elif self.panel.finding:
            self.panel.apply_find("")
        elif self._window:
            self.action_window(0)
        else:
            super().action_back()

    async def action_find(self) -> None:
        """Search within what is shown."""
        await self.ask("find", label="find")

    def typed(self, purpose: str, text: str) -> str:
        """Highlight while typing."""
        if purpose == "find":
            self.panel.apply_find(text)
            return ""
        return super().typed(purpose, text)

    def entered(self, purpose: str, text: str) -> None:
        """Go to the newest hit."""
        super().entered(purpose, text)
        if purpose == "find" and text:
            self.panel.action_find(-1)

    def action_window(self, number: int | None = None) -> None:
        """Show the last minute, five, fifteen, hour, or everything; without a number the next of these."""
        self._window = (self._window + 1) % len(WINDOWS) if number is None else number
        name, seconds = WINDOWS[self._window]
        since_ms = int((self.deck.now().timestamp() - seconds) * 1000) if seconds else 0
        self.panel.apply_window(since_ms, "" if not seconds else f"last {name}")

    def action_pin(self) -> None:
        """Show only the group under the cursor; once more shows all."""
        record = self.panel.record
        if record is None:
            return
        term = f"group:{group_name(record.group)}"
        self._toggle_term(term)

    def action_same_request(self) -> None:
        """Show only lines of the same request; once more shows all."""
        record = self.panel.record
        if record is None or not record.request_id:
            self.app.notify("this line carries no request id", markup=False, timeout=3)
            return
        self._toggle_term(f"request:{record.request_id}")

    def _toggle_term(self, term: str) -> None:
        panel = self.panel
        text = panel.filter_text
        panel.try_filter(text.replace(term, "").strip() if term in text else f"{text} {term}".strip())

    def action_trace(self) -> None:
        """Open the trace the line belongs to."""
        record = self.panel.record
        if record is None or not record.trace_id:
            self.app.notify("this line carries no trace id", markup=False, timeout=3)
            return
        self.dashboard.open_trace(record.trace_id)

    def action_minute(self) -> None:
        """Show the minute of the line in the metrics."""
        record = self.panel.record
        if record is not None:
            self.dashboard.open_metric("", at_s=record.timestamp_ms // 1000)

    def copied(self, form: str) -> str | None:
        """Return the line under the cursor."""
        record = self.panel.record
        if record is None:
            return None
        return json.dumps(msgspec.to_builtins(record), ensure_ascii=False) if form == "json" else record.message

    def console_url(self) -> str | None:
        """Return the page of the line's stream."""
        record, region = self.panel.record, self.deck.facts.region
        return log_page(region, record) if record and region else None
