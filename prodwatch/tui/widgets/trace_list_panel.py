"""The trace table: one row per trace, with the cause of a failure or slowness."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from prodwatch.store.store import Topic
from prodwatch.text.units import format_ms
from prodwatch.tui.rendering.log_line import time_text
from prodwatch.tui.styled_line import Column, Line, Piece, fit, head, longest, named_column, row
from prodwatch.tui.widget_context import WidgetContext
from prodwatch.tui.widgets.log_panel import empty_source
from prodwatch.tui.widgets.panel import FilteredPanel
from prodwatch.views.panel_freshness import freshness
from prodwatch.views.release import version_label
from prodwatch.views.status_style import State, Tone
from prodwatch.views.traces import Edge, TraceRow, TraceSort, TraceTable, trace_table

_STATES: dict[str, State] = {
    "fault": State("✘", "x", "FAULT", Tone.BAD),
    "error": State("✘", "x", "ERROR", Tone.WARN),
    "throttle": State("!", "!", "THROT", Tone.WARN),
    "slow": State("!", "!", "SLOW", Tone.WARN),
    "open": State("…", "~", "OPEN", Tone.RUNNING),
    "ok": State(" ", " ", "", Tone.DIM),
}
_COLUMNS = (
    Column("time", "time", 8),
    Column("state", "", 7, drop=9),
    Column("method", "", 5, drop=6),
    Column("path", "request", 12, grow=2),
    Column("status", "code", 4, right=True, drop=3),
    Column("took", "took", 8, right=True),
    Column("version", "ver", 5, drop=4),
    Column("cause", "why", 14, grow=4, drop=5),
)
_WITH_ID = (*_COLUMNS, Column("id", "trace", 35, drop=10))
WIDE = 150
"""Width from which ids are shown, and the slowest node of traces without a failure."""
_SORTS: tuple[TraceSort, ...] = ("worst", "newest", "slowest")
STALE_AFTER_S = 120.0


class TraceListPanel(FilteredPanel):
    """Rows are trace ids.

    `only_problems` keeps failed and slow traces only, `through` those that pass one edge of the service map.
    """

    TOPICS = (Topic.TRACES, Topic.SOURCES)
    TITLE = "Traces"
    HELP = (
        "X-Ray traces with the cause of a failure, or the slowest node. s changes the order: worst first (faults, then "
        "slow traces), newest, slowest. / filters by words, status:500, version:42, is:fault, is:slow, is:throttle, "
        "and ! for negation. Enter opens the waterfall, S the service map."
    )

    def __init__(
        self,
        context: WidgetContext,
        *,
        only_problems: bool = False,
        through: Edge | None = None,
        id: str | None = None,  # noqa: A002 -- Textual's own name
        classes: str | None = None,
    ) -> None:
        self.only_problems = only_problems
        self.through = through
        self.sort: TraceSort = "worst"
        self._table = TraceTable(rows=(), faults=0, errors=0, throttles=0, slow=0, total=0, shown_of=0)
        self._places: dict[str, int] = {}
        self._placed = 0
        """Cells of the longest request that names its account and region."""
        super().__init__(context, id=id, classes=classes)

    def sync(self) -> None:
        """Take the table from the store."""
        now = self.context.now()
        self._table = trace_table(
            self.context.store,
            sort=self.sort,
            needle=self.needle,
            only_problems=self.only_problems,
            through=self.through,
        )
        self._places = {trace.id: place for place, trace in enumerate(self._table.rows)}
        self._placed = longest(_request_text(trace) for trace in self._table.rows if trace.where)
        table = self._table
        counts = _counted(table)
        shown = f" · {table.shown_of:,} shown" if self.needle else ""
        name = f"Traces  {self.needle}" if self.needle else "Traces"
        self.set_title(f"{name}  {counts}{shown}" if table.total or table.own else name)
        fresh = freshness(self.context.store, "traces", now, stale_after_s=STALE_AFTER_S)
        dropped = self.context.store.traces.dropped
        order = "" if self.only_problems else f"{self.sort} first"
        parts = (order, fresh.text, f"{dropped:,} older traces dropped from memory" if dropped else "")
        self.set_subtitle(" · ".join(part for part in parts if part))
        self.set_class(fresh.stale, "-stale")
        self.rows_changed()

    def match_note(self) -> str:
        """Return the number of matching traces."""
        return f"{self._table.shown_of:,} of {self._table.total:,}"

    def cycle_sort(self) -> TraceSort:
        """Switch to the next sort criterion and return it."""
        self.sort = _SORTS[(_SORTS.index(self.sort) + 1) % len(_SORTS)]
        self.resync()
        return self.sort

    def row_count(self) -> int:
        """Return how many traces are shown."""
        return len(self._table.rows)

    def row_key(self, index: int) -> Hashable:
        """Return the trace id."""
        return self._table.rows[index].id

    def index_of(self, key: Hashable) -> int | None:
        """Return the index of the trace."""
        return self._places.get(str(key))

    def trace_at(self, key: Hashable) -> TraceRow | None:
        """Return the row of a trace id."""
        place = self._places.get(str(key))
        return None if place is None else self._table.rows[place]

    def head_lines(self, width: int) -> Sequence[Line]:
        """Return the column titles if there is room."""
        if self.size.height < 8 or not self.row_count():
            return ()
        return (head(fit(self._columns(width), width)),)

    def row_line(self, index: int, width: int) -> Line:
        """Draw one trace."""
        trace = self._table.rows[index]
        state = _STATES[trace.verdict]
        tone = Tone.DIM if trace.verdict in {"ok", "open"} else Tone.PLAIN
        bad_code = trace.status is not None and trace.status >= 500
        return row(
            fit(self._columns(width), width),
            {
                "time": (time_text(trace.start_ms, self.context.zone)[:8], Tone.DIM),
                "state": (f"{self.context.glyph(state)} {state.word}", Tone.DIM if trace.own else state.tone),
                "method": (trace.method, Tone.DIM),
                "path": (_request_text(trace), tone),
                "status": (str(trace.status or ""), Tone.BAD if bad_code else tone),
                "took": (format_ms(trace.duration_s * 1000), Tone.STRONG if trace.verdict == "slow" else tone),
                "version": (version_label(trace.version) if trace.version else "", Tone.OLD),
                "cause": _why(trace, state, width),
                "id": (trace.id, Tone.DIM),
            },
        )

    def _columns(self, width: int) -> tuple[Column, ...]:
        columns = _WITH_ID if width >= WIDE else _COLUMNS
        return tuple(named_column(each, self._placed, width) if each.name == "path" else each for each in columns)

    def empty_lines(self, width: int) -> Sequence[Line]:
        """Return the reason for the empty panel, and the remedy."""
        del width
        if self.needle and self._table.total:
            return ((("no trace matches; esc clears the filter", Tone.DIM),),)
        fresh = freshness(self.context.store, "traces", self.context.now(), stale_after_s=STALE_AFTER_S)
        if self.through is not None and self.context.store.traces.summaries:
            kept = len(self.context.store.traces.summaries)
            return (
                ((f"none of the {kept:,} traces in memory goes through this edge;", Tone.DIM),),
                (("the service map also counts traces that are not read or no longer in memory", Tone.DIM),),
            )
        if self.only_problems and self._table.total:
            return (((f"no failed or slow trace among {self._table.total:,}", Tone.DIM),),)
        return empty_source(
            self.context, fresh, "No traces yet: switch on active tracing for the functions, or send a request."
        )


def _request_text(trace: TraceRow) -> str:
    return (trace.path or trace.service) + trace.where


def _why(trace: TraceRow, state: State, width: int) -> Piece:
    if trace.own:
        return " ".join(filter(None, ("own request", trace.cause))), Tone.DIM
    if trace.cause:
        return trace.cause, state.tone if trace.verdict in {"fault", "error"} else Tone.PLAIN
    return (trace.slowest, Tone.DIM) if width >= WIDE else ("", Tone.DIM)


def _counted(table: TraceTable) -> str:
    """Return the counts: faults and slow traces always, other kinds if there are any."""
    kinds = [(table.faults, "fault"), (table.throttles, "throttle"), (table.errors, "error")]
    parts = [f"{count:,} {word}{'' if count == 1 else 's'}" for count, word in kinds if count or word == "fault"]
    return f"{' · '.join(parts)} · {table.slow:,} slow of {table.total:,}" + (
        f" · {table.own:,} own" if table.own else ""
    )
