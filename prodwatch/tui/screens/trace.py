"""One trace: waterfall, all data of the span under the cursor, and the trace's log lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

import msgspec
from textual.binding import Binding, BindingType
from textual.widget import Widget

from prodwatch.formats.otel_spans import SEARCH_IS_ON, SPANS_GROUP
from prodwatch.model.signal import Span, Trace
from prodwatch.session.protocol import NOT_RECORDED
from prodwatch.store.store import Topic
from prodwatch.text.units import format_ms
from prodwatch.tui.check_telemetry import MAX_TRACE_POLLS, TRACE_POLL_INTERVAL_S
from prodwatch.tui.rendering.log_line import log_line
from prodwatch.tui.screens.base import DashboardScreen
from prodwatch.tui.styled_line import Line, pad
from prodwatch.tui.widget_context import WidgetContext
from prodwatch.tui.widgets.breadcrumb import Breadcrumb
from prodwatch.tui.widgets.row_list import RowList
from prodwatch.tui.widgets.text_panel import TextPanel
from prodwatch.tui.widgets.waterfall_panel import WaterfallPanel
from prodwatch.views.aws_console_links import trace_page
from prodwatch.views.check_detail import compact
from prodwatch.views.status_style import Tone
from prodwatch.views.traces import trace_of_lines

LABEL = 12
MAX_LEAVES = 200
"""Values shown of one of a span's tables, such as its metadata."""


class TraceScreen(DashboardScreen):
    """Shows one trace; an incomplete one is polled while the screen is open."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "back", id="view.back", key_display="esc"),
        Binding("L", "lines", "log lines", id="trace.lines"),
    ]
    AUTO_FOCUS = "#spans"
    HAS_BREADCRUMB = True

    def __init__(self, context: WidgetContext, trace_id: str) -> None:
        super().__init__(context)
        self.trace_id = trace_id
        self._note = "requesting the trace from X-Ray …" if context.replay is None else NOT_RECORDED
        self._trace_of_lines: Trace | None = None
        self._line_count = 0
        """Number of lines of the span log group that `_trace_of_lines` was built from."""

    @property
    def layer_name(self) -> str:
        """The trace's id."""
        return self.trace_id

    def body(self) -> Iterable[Widget]:
        """Yield waterfall, span and log lines."""
        yield Breadcrumb(self.context)
        yield WaterfallPanel(self.context, self._trace, lambda: self._note)
        yield TextPanel(self.context, self._span_lines, title="Span", topics=(Topic.TRACES,), id="span")
        yield TextPanel(self.context, self._logs, title="Log lines", topics=(Topic.LOGS,), id="trace-logs")

    def on_mount(self) -> None:
        """Fetch the trace unless it is complete already."""
        super().on_mount()
        trace = self.context.store.traces.detail(self.trace_id)
        if self.context.replay is None and (trace is None or not trace.complete):
            self.dashboard.run_in_background("trace", self._fetch(), group=f"trace-{self.trace_id}")

    def _trace(self) -> Trace | None:
        """Return X-Ray's trace, else the one built from lines of the span log group in memory."""
        store = self.context.store
        trace = store.traces.detail(self.trace_id)
        if trace is not None:
            return trace
        lines = [record for record in store.logs.find((), self.trace_id) if record.group == SPANS_GROUP]
        if len(lines) != self._line_count:
            self._line_count, self._trace_of_lines = len(lines), trace_of_lines(self.trace_id, lines)
        return self._trace_of_lines

    async def _fetch(self) -> None:
        """Fetch until the trace is complete, later only when its summary has a higher revision."""
        store, revision = self.context.store, -1
        for attempt in range(1, MAX_TRACE_POLLS + 1):
            revision = self._revision()
            trace = await self.dashboard.session.fetch_trace(self.trace_id)
            if trace is not None:
                store.add_trace(trace)
                if trace.complete or trace.cut:
                    break
            attempts = "1 attempt" if attempt == 1 else f"{attempt} attempts"
            self._note = f"not in X-Ray yet: {attempts}, next in {TRACE_POLL_INTERVAL_S:.0f} s"
            await self.context.clock.sleep(TRACE_POLL_INTERVAL_S)
            if not self.is_attached:
                return
        else:
            self._note = self._why_never()
        while self.is_attached:
            if self._revision() > revision:
                revision = self._revision()
                trace = await self.dashboard.session.fetch_trace(self.trace_id)
                if trace is not None:
                    store.add_trace(trace)
            await self.context.clock.sleep(TRACE_POLL_INTERVAL_S)

    def _why_never(self) -> str:
        source = self.context.store.sources.get("traces")
        if source is not None and SEARCH_IS_ON in (source.message or ""):
            return f"not in X-Ray: {SEARCH_IS_ON}, and few traces are indexed; {SPANS_GROUP} has no line for it"
        return "not in X-Ray: the request was not sampled, or is older than 30 days"

    def _revision(self) -> int:
        summary = self.context.store.traces.summaries.get(self.trace_id)
        return -1 if summary is None else summary.revision

    def _span(self) -> Span | None:
        trace = self._trace()
        key = self.query_one(WaterfallPanel).cursor_key
        if trace is None or not trace.spans:
            return None
        return next((span for span in trace.spans if span.id == key), trace.spans[0])

    def _span_lines(self, width: int) -> Sequence[Line]:
        del width
        span = self._span()
        if span is None:
            return ()
        return span_lines(span, self.query_one(WaterfallPanel).own_time_s(span.id))

    def _logs(self, width: int) -> Sequence[Line]:
        kept = self.context.store.logs
        records = kept.find((), self.trace_id)
        if not records:
            return ((("no line in memory has this trace id", Tone.DIM),),)
        # An uncaught exception is logged with its request id only; another line of that request has the trace id.
        records = kept.find({record.request_id for record in records if record.request_id}, self.trace_id)
        ordered = sorted(records, key=lambda record: record.timestamp_ms)
        return [log_line(record, width, self.context.zone, names=self.context.store.logs.names) for record in ordered]

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        """Show the span under the cursor."""
        event.stop()
        panel = self.query_one("#span", TextPanel)
        panel.scroll_home(animate=False)
        panel.resync()

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        """Fold or unfold the span."""
        event.stop()
        self.query_one(WaterfallPanel).toggle(event.key)

    def action_lines(self) -> None:
        """Show the logs with this trace's lines only."""
        self.dashboard.open_logs(f"trace:{self.trace_id}")

    def copied(self, form: str) -> str | None:
        """Return the trace's id, or the whole trace as JSON."""
        trace = self._trace()
        if form == "json" and trace is not None:
            return json.dumps(msgspec.to_builtins(trace), ensure_ascii=False, indent=2)
        return self.trace_id

    def console_url(self) -> str | None:
        """Return the trace's page."""
        return trace_page(self.context.facts.region, self.trace_id) if self.context.facts.region else None


def span_lines(span: Span, own_s: float | None = None) -> list[Line]:
    """Return all data of a span, errors first; `own_s` is its time without that of its children."""
    took = "in progress" if span.end_s is None else format_ms((span.end_s - span.start_s) * 1000)
    if span.end_s is not None and span.end_s < span.start_s:
        took = "ends before it starts: clocks differ"
    elif own_s is not None and span.end_s is not None:
        took += f", self time {format_ms(own_s * 1000)}"
    lines: list[Line] = [
        ((span.name, Tone.STRONG), (f"  {span.origin or span.namespace or ''}", Tone.DIM)),
        *_labelled("took", took),
        *_labelled("flags", ", ".join(name for name in ("fault", "error", "throttle") if getattr(span, name))),
    ]
    lines += [((pad("exception", LABEL), Tone.DIM), (text, Tone.BAD)) for text in span.exceptions]
    lines += [line for id_ in span.links for line in _labelled("linked", id_)]
    for title, values in (
        ("sql", span.sql),
        ("annotation", span.annotations),
        ("http", span.http),
        ("aws", span.aws),
        ("metadata", span.metadata),
    ):
        lines += _mapping(title, values)
    return [*lines, *_labelled("resource", span.resource_arn or "")]


def _labelled(label: str, value: str) -> list[Line]:
    return [((pad(label, LABEL), Tone.DIM), (value, Tone.PLAIN))] if value else []


def _mapping(title: str, values: dict[str, Any]) -> list[Line]:
    """Return one line per value with its dotted path: `request.method: POST`."""
    lines: list[Line] = []
    for name, value in _leaves(values):
        if len(lines) == MAX_LEAVES:
            lines.append(((" " * LABEL, Tone.DIM), ("… and more; Y copies the trace as JSON", Tone.DIM)))
            break
        label = title if not lines else ""
        lines.append(((pad(label, LABEL), Tone.DIM), (f"{name}: ", Tone.DIM), (compact(value), Tone.PLAIN)))
    return lines


def _leaves(values: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    waiting = [(str(name), value) for name, value in reversed(values.items())]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict) and value:
            waiting.extend((f"{name}.{key}", item) for key, item in reversed(value.items()))
        else:
            yield name, value
