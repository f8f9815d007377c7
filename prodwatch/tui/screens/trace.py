"""One trace: its waterfall, and everything known of the span under the cursor."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import msgspec
from textual.binding import Binding, BindingType
from textual.widget import Widget

from prodwatch.model.signal import Span, Trace
from prodwatch.store.store import Topic
from prodwatch.text.units import format_ms
from prodwatch.tui.deck import Deck
from prodwatch.tui.line import Line, pad
from prodwatch.tui.paint.log import log_line
from prodwatch.tui.screens.base import DashScreen
from prodwatch.tui.screens.crumb import Crumb
from prodwatch.tui.widgets.line_view import LineView
from prodwatch.tui.widgets.span_list import SpanList
from prodwatch.tui.widgets.text_panel import TextPanel
from prodwatch.views.check_detail import compact, pretty
from prodwatch.views.console import trace_page
from prodwatch.views.states import Tone

LABEL = 12
LOOKS = 20
LOOK_EVERY_S = 5.0


class TraceScreen(DashScreen):
    """Follows the trace: an unfinished one fills up while it is open."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "back", id="view.back", key_display="esc"),
        Binding("L", "lines", "its log lines", id="trace.lines"),
    ]
    AUTO_FOCUS = "#spans"

    def __init__(self, deck: Deck, trace_id: str) -> None:
        super().__init__(deck)
        self.trace_id = trace_id
        self._note = "asking X-Ray for this trace …"

    @property
    def crumb(self) -> str:
        """The trace's id."""
        return self.trace_id

    def body(self) -> Iterable[Widget]:
        """Yield waterfall, span and log lines."""
        yield Crumb(self.deck)
        yield SpanList(self.deck, self._trace, lambda: self._note)
        yield TextPanel(self.deck, self._span_lines, title="Span", topics=(Topic.TRACES,), id="span")
        yield TextPanel(self.deck, self._logs, title="Its log lines", topics=(Topic.LOGS,), id="trace-logs")

    def on_mount(self) -> None:
        """Ask for the trace unless it is known and whole."""
        super().on_mount()
        known = self._trace()
        if known is None or not known.complete:
            self.dashboard.work("trace", self._fetch(), group=f"trace-{self.trace_id}")

    def _trace(self) -> Trace | None:
        return self.deck.store.traces.detail(self.trace_id)

    async def _fetch(self) -> None:
        for look in range(LOOKS):
            trace = await self.dashboard.session.fetch_trace(self.trace_id)
            if trace is not None:
                self.deck.store.add_trace(trace)
                if trace.complete:
                    return
            self._note = f"X-Ray does not show it yet: looked {look + 1} times, next in {LOOK_EVERY_S:.0f} s"
            await self.deck.clock.sleep(LOOK_EVERY_S)
            if not self.is_attached:
                return
        self._note = "X-Ray never showed it: it was not sampled, or is older than 30 days"

    def _span(self) -> Span | None:
        trace = self._trace()
        key = self.query_one(SpanList).cursor_key
        if trace is None or not trace.spans:
            return None
        return next((span for span in trace.spans if span.id == key), trace.spans[0])

    def _span_lines(self, width: int) -> Sequence[Line]:
        del width
        span = self._span()
        return span_lines(span) if span else ()

    def _logs(self, width: int) -> Sequence[Line]:
        found = self.deck.store.logs.find((), self.trace_id)
        if not found:
            return ((("no kept line carries this trace's id", Tone.DIM),),)
        ordered = sorted(found, key=lambda record: record.timestamp_ms)
        return [log_line(record, width, self.deck.zone) for record in ordered]

    def on_line_view_moved(self, event: LineView.Moved) -> None:
        """Show the span under the cursor."""
        event.stop()
        panel = self.query_one("#span", TextPanel)
        panel.scroll_home(animate=False)
        panel.resync()

    def on_line_view_opened(self, event: LineView.Opened) -> None:
        """Fold or unfold the span."""
        event.stop()
        self.query_one(SpanList).toggle(event.key)

    def action_lines(self) -> None:
        """Show the logs screen with only this trace's lines."""
        self.dashboard.open_logs(f"trace:{self.trace_id}")

    def copied(self, form: str) -> str | None:
        """Return the trace's id, or the whole trace as JSON."""
        trace = self._trace()
        if form == "json" and trace is not None:
            return json.dumps(msgspec.to_builtins(trace), ensure_ascii=False, indent=2)
        return self.trace_id

    def console_url(self) -> str | None:
        """Return the trace's page."""
        return trace_page(self.deck.facts.region, self.trace_id) if self.deck.facts.region else None


def span_lines(span: Span) -> list[Line]:
    """Return everything known of a span."""
    lines: list[Line] = [
        ((span.name, Tone.STRONG), (f"  {span.origin or span.namespace or ''}", Tone.DIM)),
        *_labelled("took", format_ms((span.end_s - span.start_s) * 1000) if span.end_s is not None else "in progress"),
        *_labelled("flags", ", ".join(name for name in ("fault", "error", "throttle") if getattr(span, name))),
        *_labelled("resource", span.resource_arn or ""),
    ]
    lines += [((pad("exception", LABEL), Tone.DIM), (text, Tone.BAD)) for text in span.exceptions]
    for title, values in (
        ("annotation", span.annotations),
        ("http", span.http),
        ("aws", span.aws),
        ("sql", span.sql),
        ("metadata", span.metadata),
    ):
        lines += _mapping(title, values)
    return lines


def _labelled(label: str, value: str) -> list[Line]:
    return [((pad(label, LABEL), Tone.DIM), (value, Tone.PLAIN))] if value else []


def _mapping(title: str, values: dict[str, Any]) -> list[Line]:
    lines: list[Line] = []
    for index, (name, value) in enumerate(values.items()):
        label = title if index == 0 else ""
        if isinstance(value, dict | list):
            lines.append(((pad(label, LABEL), Tone.DIM), (f"{name}:", Tone.PLAIN)))
            lines += [((" " * (LABEL + 2) + text, Tone.PLAIN),) for text in pretty(value)]
        else:
            lines.append(((pad(label, LABEL), Tone.DIM), (f"{name}: ", Tone.DIM), (compact(value), Tone.PLAIN)))
    return lines
