"""One check, opened: what it asked, expected and got, its own trace and its own log lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import Horizontal
from textual.widget import Widget

from prodwatch.model.signal import LogRecord
from prodwatch.store.checks import CheckTrack
from prodwatch.store.store import Topic
from prodwatch.tui.deck import Deck
from prodwatch.tui.keymap import CHECK_BINDINGS
from prodwatch.tui.line import Line, Piece
from prodwatch.tui.paint.bars import bar_line, picture_width
from prodwatch.tui.paint.check import FACETS, assertion_lines
from prodwatch.tui.paint.log import log_line
from prodwatch.tui.screens.base import DashScreen
from prodwatch.tui.screens.crumb import Crumb
from prodwatch.tui.widgets.text_panel import TextPanel
from prodwatch.views.check_detail import CheckDetail, check_detail, copy_text
from prodwatch.views.states import Tone, state_of
from prodwatch.views.waterfall import waterfall

LOOKS = 20
TAIL_LOOKS = 3
LOOK_EVERY_S = 5.0
"""X-Ray shows a trace some seconds after the request, so it is asked for again for a while."""


class CheckTitle(Crumb):
    """The breadcrumb with the check's status at its end."""

    def __init__(self, deck: Deck, check_id: str) -> None:
        super().__init__(deck)
        self.check_id = check_id

    def right(self) -> Sequence[Piece]:
        """Return status, since when and for how many rounds."""
        track = self.deck.store.checks.get(self.check_id)
        if track is None:
            return (("this check is no longer defined ", Tone.WARN),)
        state = state_of(track.status, running=track.running_since is not None)
        since = f"  since {self.deck.time(track.status_since)}" if track.status_since else ""
        rounds = f"  {track.streak} {'round' if track.streak == 1 else 'rounds'}" if track.streak else ""
        running = "  running …" if track.running_since else ""
        return ((f"{self.deck.glyph(state)} {state.word}", state.tone), (f"{since}{rounds}{running} ", Tone.DIM))


class CheckScreen(DashScreen):
    """Follows the check: each new round replaces what is shown."""

    BINDINGS: ClassVar[list[BindingType]] = [*CHECK_BINDINGS]
    AUTO_FOCUS = "#assertions"

    def __init__(self, deck: Deck, check_id: str) -> None:
        super().__init__(deck)
        self.check_id = check_id
        self._facet = "phases"
        self._track: CheckTrack | None = None
        self._known: CheckDetail | None = None
        self._asked: set[str] = set()
        self._fetched_lines: tuple[LogRecord, ...] = ()
        self._lines_asked: tuple[str, ...] = ()
        self._trace_note = "waiting for X-Ray to show this trace"

    @property
    def crumb(self) -> str:
        """The check's title."""
        detail = self._detail()
        return detail.title if detail else self.check_id

    def body(self) -> Iterable[Widget]:
        """Yield the four panels."""
        topics = (Topic.CHECKS,)
        yield CheckTitle(self.deck, self.check_id)
        with Horizontal(id="check-top"):
            yield TextPanel(self.deck, self._assertions, title="Assertions", topics=topics, id="assertions")
            yield TextPanel(self.deck, self._facet_lines, topics=topics, id="facet")
        yield TextPanel(self.deck, self._trace, title="Its trace", topics=(*topics, Topic.TRACES), id="own-trace")
        yield TextPanel(self.deck, self._logs, title="Its log lines", topics=(*topics, Topic.LOGS), id="own-logs")

    def on_mount(self) -> None:
        """Name the facets and ask for trace and lines."""
        super().on_mount()
        self._name_facets()
        self._ask()

    def frame(self) -> None:
        """Follow the check; a new round brings new ids."""
        super().frame()
        self._ask()

    def _detail(self) -> CheckDetail | None:
        """Return the check as its latest round left it; worked out once per round."""
        track = self.deck.store.checks.get(self.check_id)
        if track is not self._track:
            self._track, self._known = track, check_detail(self.deck.store, self.check_id)
        return self._known

    def _assertions(self, width: int) -> Sequence[Line]:
        detail = self._detail()
        return assertion_lines(detail, width, self.deck) if detail else ()

    def _facet_lines(self, width: int) -> Sequence[Line]:
        detail = self._detail()
        return FACETS[self._facet](detail, width, self.deck) if detail else ()

    def _trace(self, width: int) -> Sequence[Line]:
        detail = self._detail()
        if detail is None or not detail.trace_ids:
            return (((f"this check sent no trace id{self._why_not(detail)}", Tone.DIM),),)
        lines: list[Line] = []
        for trace_id in detail.trace_ids:
            trace = self.deck.store.traces.detail(trace_id)
            if trace is None:
                lines.append(((f"{trace_id}  {self._trace_note}", Tone.DIM),))
                continue
            fall = waterfall(trace, picture_width(width))
            lines += [bar_line(bar, width, ascii_only=self.deck.preferences.ascii) for bar in fall.bars]
            if fall.bottleneck:
                lines.append((("most time is spent in ", Tone.DIM), (fall.bottleneck, Tone.STRONG)))
        return lines

    @staticmethod
    def _why_not(detail: CheckDetail | None) -> str:
        return f": checks of type {detail.latest.type} make no traced request" if detail and detail.latest else ""

    def _logs(self, width: int) -> Sequence[Line]:
        detail = self._detail()
        trace_id = detail.trace_ids[0] if detail and detail.trace_ids else None
        if detail is None or not (detail.request_ids or trace_id):
            return ((("this check sent no id that a log line could carry", Tone.DIM),),)
        found = self.deck.store.logs.find(detail.request_ids, trace_id) or self._fetched_lines
        if not found:
            return ((("no line carries its ids yet; logs arrive some seconds after the request", Tone.DIM),),)
        ordered = sorted(found, key=lambda record: record.timestamp_ms)
        return [log_line(record, width, self.deck.zone) for record in ordered]

    def _ask(self) -> None:
        """Fetch what is not in the store, once per id."""
        detail = self._detail()
        if detail is None:
            return
        for trace_id in detail.trace_ids:
            if trace_id not in self._asked and self.deck.store.traces.detail(trace_id) is None:
                self._asked.add(trace_id)
                self.dashboard.work("trace", self._fetch(trace_id), group=f"trace-{trace_id}")
        trace_id_or_none = detail.trace_ids[0] if detail.trace_ids else None
        ids = (*detail.request_ids, trace_id_or_none or "")
        if any(ids) and ids != self._lines_asked:
            self._lines_asked = ids
            self._fetched_lines = ()
            self.dashboard.work("log lines", self._fetch_lines(detail.request_ids, trace_id_or_none), group="own-lines")

    async def _fetch(self, trace_id: str) -> None:
        session = self.dashboard.session
        for look in range(LOOKS):
            trace = await session.fetch_trace(trace_id)
            if trace is not None:
                self.deck.store.add_trace(trace)
                break
            self._trace_note = f"X-Ray does not show it yet: looked {look + 1} times, next in {LOOK_EVERY_S:.0f} s"
            await self.deck.clock.sleep(LOOK_EVERY_S)
            if not self.is_attached:
                return
        else:
            self._trace_note = "X-Ray never showed it: it may not have been sampled"

    async def _fetch_lines(self, request_ids: tuple[str, ...], trace_id: str | None) -> None:
        """Ask CloudWatch for the lines when the tail has not brought them after a while."""
        for _ in range(TAIL_LOOKS):
            await self.deck.clock.sleep(LOOK_EVERY_S)
            if not self.is_attached or self.deck.store.logs.find(request_ids, trace_id):
                return
        self._fetched_lines = tuple(await self.dashboard.session.fetch_logs_for(request_ids, trace_id))
        self.query_one("#own-logs", TextPanel).resync()

    def _name_facets(self) -> None:
        panel = self.query_one("#facet", TextPanel)
        panel.set_title(" · ".join(name.upper() if name == self._facet else name for name in FACETS))
        panel.set_subtitle("[ ] for the other parts")

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

    def action_copy(self, form: str = "json") -> None:
        """Copy the check as curl, as an aws command or as JSON."""
        detail = self._detail()
        text = copy_text(detail, "json" if form == "text" else form) if detail else None
        self.dashboard.copy(text, f"this check has no {form} form")
