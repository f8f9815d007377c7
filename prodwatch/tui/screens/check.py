"""One check: assertions, request and response, the trace and the log lines of its own requests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import Horizontal
from textual.widget import Widget

from prodwatch.model.result import Exchange
from prodwatch.model.signal import Trace
from prodwatch.store.check_history import CheckTrack
from prodwatch.store.store import Topic
from prodwatch.tui.check_telemetry import CheckRound, CheckTelemetry
from prodwatch.tui.keymap import CHECK_BINDINGS
from prodwatch.tui.rendering.check_details import FACETS, assertion_lines
from prodwatch.tui.rendering.log_line import log_line
from prodwatch.tui.rendering.waterfall_bars import bar_line, picture_width
from prodwatch.tui.screens.base import DashboardScreen
from prodwatch.tui.styled_line import Line, Piece
from prodwatch.tui.widget_context import WidgetContext
from prodwatch.tui.widgets.breadcrumb import Breadcrumb
from prodwatch.tui.widgets.text_panel import TextPanel
from prodwatch.views.aws_console_links import function_page, trace_page
from prodwatch.views.check_detail import CheckDetail, check_detail, copy_text
from prodwatch.views.status_style import Tone, state_of
from prodwatch.views.waterfall import waterfall

_ABOUT = (
    "Assertions, failed ones first, with expected value, actual value and their difference. r runs the check again, R "
    "every check that is not green. c copies the request as curl, a as an aws command, Y the whole result as JSON."
)
_ABOUT_PARTS = (
    "Parts of the latest round: phases as a waterfall, request, response, every attempt and poll, results of "
    "diagnostics, and earlier rounds. ] and [ switch between them."
)
_ABOUT_SIGNALS = (
    "Traces and log lines of the check's own requests, found in X-Ray and CloudWatch by the ids they sent. Until those "
    "of the latest round arrive, the last round that has some is shown. x opens the trace, L the lines in the logs."
)


class CheckTitle(Breadcrumb):
    """The breadcrumb with the check's status at the right end."""

    def __init__(self, context: WidgetContext, check_id: str) -> None:
        super().__init__(context)
        self.check_id = check_id

    def right(self) -> Sequence[Piece]:
        """Return the status, its start and its number of rounds."""
        track = self.context.store.checks.get(self.check_id)
        if track is None:
            return (("this check is no longer defined ", Tone.WARN),)
        state = state_of(track.status, running=track.running_since is not None)
        since = f"  since {self.context.time(track.status_since)}" if track.status_since else ""
        rounds = f"  {track.streak} {'round' if track.streak == 1 else 'rounds'}" if track.streak else ""
        running = "  running …" if track.running_since else ""
        return ((f"{self.context.glyph(state)} {state.word}", state.tone), (f"{since}{rounds}{running} ", Tone.DIM))


class CheckScreen(DashboardScreen):
    """Shows the latest round of one check."""

    BINDINGS: ClassVar[list[BindingType]] = [*CHECK_BINDINGS]
    AUTO_FOCUS = "#assertions"
    HAS_BREADCRUMB = True

    def __init__(self, context: WidgetContext, check_id: str) -> None:
        super().__init__(context)
        self.check_id = check_id
        self._facet = "phases"
        self._track: CheckTrack | None = None
        self._known: CheckDetail | None = None
        self._signals: CheckTelemetry | None = None

    @property
    def layer_name(self) -> str:
        """The check's title."""
        detail = self._detail()
        return detail.title if detail else self.check_id

    def body(self) -> Iterable[Widget]:
        """Yield the four panels."""
        context, topics = self.context, (Topic.CHECKS,)
        yield CheckTitle(context, self.check_id)
        with Horizontal(id="check-top"):
            yield TextPanel(context, self._assertions, title="Assertions", topics=topics, about=_ABOUT, id="assertions")
            yield TextPanel(context, self._facet_lines, topics=topics, about=_ABOUT_PARTS, id="facet")
        traces, logs = (*topics, Topic.TRACES), (*topics, Topic.LOGS)
        yield TextPanel(
            context, self._trace, title="Trace", topics=traces, about=_ABOUT_SIGNALS, ages=True, id="own-trace"
        )
        yield TextPanel(
            context, self._logs, title="Log lines", topics=logs, about=_ABOUT_SIGNALS, ages=True, id="own-logs"
        )

    def on_mount(self) -> None:
        """Title the parts, and fetch trace and lines."""
        super().on_mount()
        self._name_facets()
        self._follow()

    def frame(self) -> None:
        """Follow the check; each round has new ids."""
        super().frame()
        self._follow()

    def _detail(self) -> CheckDetail | None:
        """Return the check as of its latest round; computed once per round."""
        track = self.context.store.checks.get(self.check_id)
        if track is not self._track:
            self._track, self._known = track, check_detail(self.context.store, self.check_id)
        return self._known

    @property
    def signals(self) -> CheckTelemetry:
        """Traces and log lines of this check's requests."""
        if self._signals is None:
            app = self.dashboard
            self._signals = CheckTelemetry(
                self.context.store,
                app.session,
                self.context.clock,
                start=lambda what, task: app.run_in_background(what, task, group=f"own-{self.check_id}"),
                open_=lambda: self.is_attached,
                fetches=self.context.replay is None,
            )
        return self._signals

    def _round(self, detail: CheckDetail) -> CheckRound:
        finished = self._track.finished_at if self._track else None
        return CheckRound(finished, detail.trace_ids, detail.request_ids, detail.logged)

    def _follow(self) -> None:
        detail = self._detail()
        if detail is not None:
            self.signals.follow(self._round(detail))

    def _assertions(self, width: int) -> Sequence[Line]:
        detail = self._detail()
        return assertion_lines(detail, width, self.context) if detail else ()

    def _facet_lines(self, width: int) -> Sequence[Line]:
        detail = self._detail()
        return FACETS[self._facet](detail, width, self.context) if detail else ()

    def _trace(self, width: int) -> Sequence[Line]:
        detail = self._detail()
        if detail is None or not detail.trace_ids:
            return (((f"this check sent no trace id{_why_not(detail)}", Tone.DIM),),)
        newest = self._round(detail)
        missing = [trace_id for trace_id in detail.trace_ids if self.context.store.traces.detail(trace_id) is None]
        lines: list[Line] = [
            ((f"{trace_id}  ", Tone.PLAIN), (self.signals.trace_note(trace_id), Tone.DIM)) for trace_id in missing
        ]
        shown = self.signals.traces(newest)
        if not shown:
            earlier = self.signals.before(newest, self.signals.traces)
            if earlier is not None:
                lines.append(self._earlier(earlier))
                shown = self.signals.traces(earlier)
        for trace in shown:
            lines += self._waterfall(trace, width, name=len(shown) > 1)
        return lines

    def _waterfall(self, trace: Trace, width: int, *, name: bool) -> list[Line]:
        fall = waterfall(trace, picture_width(width))
        lines: list[Line] = [((trace.id, Tone.HEAD),)] if name else []
        lines += [bar_line(bar, width, ascii_only=self.context.preferences.ascii) for bar in fall.bars]
        if fall.bottleneck:
            lines.append((("most time is spent in ", Tone.DIM), (fall.bottleneck, Tone.STRONG)))
        if not trace.complete:
            lines.append((("incomplete: spans are still arriving", Tone.WARN),))
        return lines

    def _earlier(self, round_: CheckRound) -> Line:
        at = f" of {self.context.time(round_.at)}" if round_.at else ""
        return ((f"meanwhile, the round{at}:", Tone.HEAD),)

    def _logs(self, width: int) -> Sequence[Line]:
        detail = self._detail()
        if detail is None or not (detail.request_ids or detail.trace_ids):
            return ((("this check sent no id to find log lines by", Tone.DIM),),)
        newest = self._round(detail)
        lines: list[Line] = []
        records = self.signals.lines(newest)
        if not records:
            lines.append(((self.signals.lines_note(newest), Tone.DIM),))
            earlier = self.signals.before(newest, self.signals.lines)
            if earlier is not None:
                lines.append(self._earlier(earlier))
                records = self.signals.lines(earlier)
        return [
            *lines,
            *(log_line(record, width, self.context.zone, names=self.context.store.logs.names) for record in records),
        ]

    def _name_facets(self) -> None:
        panel = self.query_one("#facet", TextPanel)
        names = list(FACETS)
        at = names.index(self._facet)
        panel.set_title(f"{self._facet.capitalize()}  {at + 1} of {len(names)}")
        panel.set_subtitle(f"[ {names[at - 1]} · {names[(at + 1) % len(names)]} ]")

    def action_facet(self, step: int) -> None:
        """Show the next part of the check."""
        names = list(FACETS)
        self._facet = names[(names.index(self._facet) + step) % len(names)]
        self._name_facets()
        panel = self.query_one("#facet", TextPanel)
        panel.scroll_home(animate=False)
        panel.resync()

    def action_rerun(self) -> None:
        """Run this check again."""
        self.dashboard.rerun([self.check_id])

    def action_rerun_failed(self) -> None:
        """Run every check again that is not green."""
        self.dashboard.rerun_failed()

    def action_trace(self) -> None:
        """Open the trace of the latest round that has one, else the expected one."""
        trace_id = self._trace_id()
        if trace_id is None:
            self.app.notify("this check sent no trace id", markup=False, timeout=3)
            return
        self.dashboard.open_trace(trace_id)

    def action_lines(self) -> None:
        """Show the logs with the lines of the latest round only."""
        detail = self._detail()
        ids = self._round(detail).ids if detail else ()
        if not ids:
            self.app.notify("this check sent no id to find log lines by", markup=False, timeout=3)
            return
        self.dashboard.open_logs(f"id:{'|'.join(ids)}")

    def _trace_id(self) -> str | None:
        detail = self._detail()
        if detail is None or not detail.trace_ids:
            return None
        newest = self._round(detail)
        earlier = None if self.signals.traces(newest) else self.signals.before(newest, self.signals.traces)
        traces = self.signals.traces(earlier or newest)
        return traces[0].id if traces else detail.trace_ids[0]

    def action_copy(self, form: str = "json") -> None:
        """Copy the check as curl, as an aws command or as JSON; selected text takes precedence."""
        detail = self._detail()
        text = self.get_selected_text() if form == "text" else None
        if not text and detail:
            text = copy_text(detail, "json" if form == "text" else form)
        self.dashboard.copy(text, _no_form(form))

    def console_url(self) -> str | None:
        """Return the page of its trace, else of the function it called."""
        region, trace_id = self.context.facts.region, self._trace_id()
        if region is None:
            return None
        if trace_id is not None:
            return trace_page(region, trace_id)
        detail = self._detail()
        function = (
            next(filter(None, (_function(exchange) for _, exchange in detail.exchanges)), None) if detail else None
        )
        return function_page(region, function) if function else None


def _no_form(form: str) -> str:
    return {
        "curl": "this check sends no HTTP request to copy as curl",
        "aws": "this check makes no AWS call to copy as an aws command",
    }.get(form, "no round of this check has finished yet")


def _function(exchange: Exchange) -> str | None:
    """Return the name of the Lambda function an exchange called; None without one."""
    for values in (exchange.request, exchange.request.get("params")):
        name = values.get("FunctionName") if isinstance(values, dict) else None
        if isinstance(name, str):
            return name.rpartition(":function:")[2].partition(":")[0]
    return None


def _why_not(detail: CheckDetail | None) -> str:
    return f": checks of type {detail.latest.type} send no traced requests" if detail and detail.latest else ""
