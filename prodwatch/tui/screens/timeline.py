"""Timeline: all events on one axis and as a list, with the event under the cursor in full."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from textwrap import wrap
from typing import ClassVar

import msgspec
from textual.binding import Binding, BindingType
from textual.widget import Widget

from prodwatch.store.store import Topic
from prodwatch.tui.screens.base import DashboardScreen
from prodwatch.tui.styled_line import Line, safe
from prodwatch.tui.widget_context import WidgetContext
from prodwatch.tui.widgets.release_line import ReleaseLine
from prodwatch.tui.widgets.row_list import RowList
from prodwatch.tui.widgets.text_panel import TextPanel
from prodwatch.tui.widgets.timeline_panel import TimelineLanes, TimelinePanel
from prodwatch.views.aws_console_links import (
    alarm_page,
    configuration_page,
    deployment_page,
    function_page,
    stack_page,
)
from prodwatch.views.status_style import Tone
from prodwatch.views.timeline import LANE_NAMES, TimelineRow


class TimelineScreen(DashboardScreen):
    """Lanes above, events below; an event opens its check, its minute in the metrics or its log lines."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "minute", "same minute in metrics", show=False, id="timeline.minute"),
        Binding("L", "lines", "log lines", show=False, id="timeline.lines"),
    ]
    AUTO_FOCUS = "#timeline"
    LAYER_NAME = "timeline"

    def __init__(self, context: WidgetContext, subject: str = "") -> None:
        super().__init__(context)
        self._subject = subject

    @property
    def arrival_filter(self) -> str:
        """The subject this layer was opened for."""
        return self._subject

    def body(self) -> Iterable[Widget]:
        """Yield release, lanes, events and the one under the cursor."""
        yield ReleaseLine(self.context, id="release")
        yield TimelineLanes(self.context, cursor_time=self._cursor_time, id="lanes")
        yield TimelinePanel(self.context, needle=self._subject, id="timeline")
        yield TextPanel(self.context, self._event_lines, title="Event", topics=(Topic.RELEASE,), id="event")

    @property
    def panel(self) -> TimelinePanel:
        """The list of events."""
        return self.query_one(TimelinePanel)

    @property
    def event(self) -> TimelineRow | None:
        """The event under the cursor."""
        return self.panel.event(self.panel.cursor_key)

    def _cursor_time(self) -> datetime | None:
        event = self.event
        return event.at if event else None

    def _event_lines(self, width: int) -> Sequence[Line]:
        event = self.event
        if event is None:
            return ((("no event selected", Tone.DIM),),)
        lines: list[Line] = [
            (
                (f"{self.context.time(event.at, millis=True)}  {LANE_NAMES[event.lane]}  ", Tone.DIM),
                (f"{event.name}  ", Tone.STRONG),
                (event.text, event.tone),
            )
        ]
        return lines + [((part, Tone.PLAIN),) for part in wrap(safe(event.detail or ""), max(20, width))]

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        """Show the event under the cursor in full, and its place on the axis."""
        event.stop()
        self.query_one("#event", TextPanel).resync()
        self.query_one(TimelineLanes).show_now()

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        """Open the check the event is about, else the metrics of its minute."""
        event.stop()
        row = self.panel.event(event.key)
        if row is None:
            return
        check_id = self._check_id(row)
        if check_id is not None:
            self.dashboard.open_check(check_id)
        else:
            self.action_minute()

    def _check_id(self, row: TimelineRow) -> str | None:
        tracks = self.context.store.checks.tracks.values()
        return next((track.id for track in tracks if track.title == row.subject), None) if row.lane == "check" else None

    def action_minute(self) -> None:
        """Show the minute of the event in the metrics."""
        event = self.event
        if event is not None:
            self.dashboard.open_metric("", at_s=int(event.at.timestamp()))

    def action_lines(self) -> None:
        """Show the logs at the moment of the event."""
        event = self.event
        if event is None:
            return
        ring, at_ms = self.context.store.logs.ring, event.at.timestamp() * 1000
        number = next((ring.head + place for place, line in enumerate(ring) if line.timestamp_ms >= at_ms), None)
        if number is None or (number == ring.head and ring.head):
            self.app.notify(self._no_lines_text(event.at), markup=False, timeout=4)
            return
        self.dashboard.open_logs("", number=number)

    def _no_lines_text(self, at: datetime) -> str:
        """Return why no line of a moment can be shown: dropped from memory, not read yet, or no lines at all."""
        lines = list(self.context.store.logs.ring)
        if not lines:
            return "no log lines in memory yet"
        first, last = (
            self.context.time(datetime.fromtimestamp(line.timestamp_ms / 1000, UTC)) for line in (lines[0], lines[-1])
        )
        if at.timestamp() * 1000 > lines[-1].timestamp_ms:
            return f"no lines of {self.context.time(at)} yet (newest {last})"
        return f"no lines of {self.context.time(at)} in memory (kept since {first})"

    def copied(self, form: str) -> str | None:
        """Return the event under the cursor as a line, or as JSON."""
        event = self.event
        if event is None:
            return None
        if form == "json":
            return json.dumps(msgspec.to_builtins(event), ensure_ascii=False)
        parts = (event.at.isoformat(), LANE_NAMES[event.lane], event.name, event.text, event.detail)
        return "  ".join(part for part in parts if part)

    def console_url(self) -> str | None:
        """Return the page of the alarm, deployment, function or stack the event is about."""
        event, region = self.event, self.context.facts.region
        if event is not None:
            region = event.place.region or region
        if event is None or region is None:
            return None
        pages = {
            "alarm": lambda: alarm_page(region, event.subject),
            "codedeploy": lambda: deployment_page(region, event.subject),
            "appconfig": lambda: configuration_page(region),
            "lambda": lambda: function_page(region, event.subject.partition(":")[0]),
            "cloudformation": lambda: stack_page(region, event.subject.partition("/")[0]),
        }
        page = pages.get(event.lane)
        return page() if page else None
