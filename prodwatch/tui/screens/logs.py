"""All log groups in one stream: filter, find, follow, open a line, its request, its trace or its minute."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import ClassVar

import msgspec
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widget import Widget

from prodwatch.model.identity import OWN_PLACE
from prodwatch.tui.rendering.log_line import plain_line
from prodwatch.tui.rendering.log_record_details import record_lines
from prodwatch.tui.screens.base import DashboardScreen
from prodwatch.tui.styled_line import Line
from prodwatch.tui.widget_context import WidgetContext
from prodwatch.tui.widgets.log_panel import FieldDisplay, LogPanel
from prodwatch.tui.widgets.row_list import RowList
from prodwatch.tui.widgets.text_panel import TextPanel
from prodwatch.views.aws_console_links import log_page
from prodwatch.views.log_filter import quoted, toggled
from prodwatch.views.status_style import Tone

WINDOWS: tuple[tuple[str, int], ...] = (("all", 0), ("1m", 60), ("5m", 300), ("15m", 900), ("1h", 3600))
NAMED = 5


class LogsScreen(DashboardScreen):
    """The log tail with the opened line to the right of it or below."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+f", "find", "find", show=False, id="logs.find"),
        Binding("E", "choose_columns", "choose columns", show=False, id="logs.columns"),
        Binding("w", "window", "window", id="logs.window"),
        Binding("p", "pin", "pin group", show=False, id="logs.pin"),
        Binding("i", "same_request", "same request", show=False, id="logs.same-request"),
        Binding("x", "trace", "open its trace", show=False, id="logs.trace"),
        Binding("v", "minute", "same minute in metrics", show=False, id="logs.minute"),
        *(
            Binding(f"alt+{number}", f"window({number})", f"last {name}", show=False, id=f"logs.window-{name}")
            for number, (name, _) in enumerate(WINDOWS)
        ),
    ]
    AUTO_FOCUS = "#logs"
    LAYER_NAME = "logs"

    def __init__(self, context: WidgetContext, text: str = "", number: int | None = None) -> None:
        super().__init__(context)
        self._window = 0
        self._text = text
        self._number = number
        self._field_display_before: tuple[FieldDisplay, tuple[str, ...]] = ("lines", ())

    @property
    def arrival_filter(self) -> str:
        """The filter this layer was opened with."""
        return self._text

    def body(self) -> Iterable[Widget]:
        """Yield the stream and the opened line."""
        with Horizontal(id="logs-body"):
            yield LogPanel(self.context, filter_text=self._text, id="logs")
            yield TextPanel(self.context, self._opened, title="Line", id="record")

    def on_mount(self) -> None:
        """Open the requested line once there are rows."""
        super().on_mount()
        if self._number is not None:
            self.call_after_refresh(self._show, self._number)

    @property
    def panel(self) -> LogPanel:
        """The stream."""
        return self.query_one("#logs", LogPanel)

    def _show(self, number: int) -> None:
        panel = self.panel
        panel.resync()
        index = panel.index_of(number)
        if index is not None:
            panel.move_to(index)
            self._open()

    def _opened(self, width: int) -> Sequence[Line]:
        record = self.panel.record
        own = record is not None and self.context.store.own.owns(record)
        return (
            record_lines(record, width, self.context.zone, own=own) if record else ((("no line selected", Tone.DIM),),)
        )

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        """Open the line under the cursor."""
        event.stop()
        self._open()

    def _open(self) -> None:
        self.add_class("-record")
        self.query_one("#record", TextPanel).resync()

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        """Show the line under the cursor, if a line is open."""
        event.stop()
        if self.has_class("-record"):
            panel = self.query_one("#record", TextPanel)
            panel.scroll_home(animate=False)
            panel.resync()

    def action_back(self) -> None:
        """Close the opened line, end the search, clear the window and the filter, then leave."""
        if self.has_class("-record"):
            self.remove_class("-record")
            self.panel.focus()
        elif self.panel.is_searching:
            self.panel.apply_find("")
        elif self._window:
            self.action_window(0)
        else:
            super().action_back()

    async def action_find(self) -> None:
        """Search in the lines shown."""
        await self.ask("find", label="find")

    async def action_choose_columns(self) -> None:
        """Ask for the JSON fields to show as columns."""
        self._field_display_before = self.panel.field_display, self.panel.chosen_columns
        await self.ask("columns", ", ".join(self.panel.chosen_columns), label="columns, separated by commas")
        self._bar.note(_some_of(self.panel.known_fields()))

    def typed(self, purpose: str, text: str) -> str:
        """Highlight hits, or show columns, while typing."""
        if purpose == "find":
            return self.panel.apply_find(text)
        if purpose == "columns":
            names = [name for part in text.split(",") if (name := part.strip())]
            self.panel.show_columns(names)
            fields = self.panel.known_fields()
            unknown = [name for name in names if name not in fields]
            return f"no line has {unknown[0]}" if unknown else _some_of(fields)
        return super().typed(purpose, text)

    def cancelled(self, purpose: str) -> None:
        """Restore the previous filter, search or columns."""
        if purpose == "columns":
            self.panel.set_field_display(*self._field_display_before)
        else:
            super().cancelled(purpose)

    def entered(self, purpose: str, text: str) -> None:
        """Apply the text; a search moves to the newest hit."""
        super().entered(purpose, text)
        if purpose == "find" and text:
            self.panel.call_next(self.panel.action_find, -1)

    def action_window(self, number: int | None = None) -> None:
        """Show the window WINDOWS[number], or the next one without a number."""
        self._window = (self._window + 1) % len(WINDOWS) if number is None else number
        name, seconds = WINDOWS[self._window]
        self.panel.apply_window(seconds, "" if not seconds else f"last {name}")

    def action_pin(self) -> None:
        """Show only the group under the cursor and read it every second; again shows all groups."""
        record = self.panel.record
        if record is None:
            return
        group = record.group_id
        term = f"group:{quoted(f'={group.short_name}')}"
        self._toggle_term(term)
        place = f"place:={group.place or OWN_PLACE}"
        shown = self.panel.filter_text.split()
        if (self.context.store.logs.names.shared(group.name) or place in shown) and (term in shown) != (place in shown):
            self._toggle_term(place)
        self.dashboard.session.pin_logs([group.key] if term in self.panel.filter_text else [])

    def action_same_request(self) -> None:
        """Show only lines of the same request; again shows all."""
        record = self.panel.record
        if record is None or not record.request_id:
            self.app.notify("this line has no request id", markup=False, timeout=3)
            return
        self._toggle_term(f"request:{record.request_id}")

    def _toggle_term(self, term: str) -> None:
        panel = self.panel
        panel.try_filter(toggled(panel.filter_text, term))

    def action_trace(self) -> None:
        """Open the trace the line belongs to."""
        record = self.panel.record
        if record is None or not record.trace_id:
            self.app.notify("this line has no trace id", markup=False, timeout=3)
            return
        self.dashboard.open_trace(record.trace_id)

    def action_minute(self) -> None:
        """Show the minute of the line in the metrics."""
        record = self.panel.record
        if record is not None:
            self.dashboard.open_metric("", at_s=record.timestamp_ms // 1000)

    def copied(self, form: str) -> str | None:
        """Return the line under the cursor with time and group, or its whole record as JSON."""
        record = self.panel.record
        if record is None:
            return None
        return json.dumps(msgspec.to_builtins(record), ensure_ascii=False) if form == "json" else plain_line(record)

    def console_url(self) -> str | None:
        """Return the page of the line's stream."""
        record, region = self.panel.record, self.context.facts.region
        return log_page(region, record) if record and region else None


def _some_of(names: Sequence[str]) -> str:
    """Return the first few field names."""
    return "fields: " + ", ".join(names[:NAMED]) + (" …" if len(names) > NAMED else "") if names else "no JSON lines"
