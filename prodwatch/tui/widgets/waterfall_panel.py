"""A trace as a waterfall with a cursor on its spans."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from prodwatch.model.signal import Trace
from prodwatch.store.store import Topic
from prodwatch.text.units import format_ms
from prodwatch.tui.rendering.waterfall_bars import bar_line, picture_width
from prodwatch.tui.styled_line import Line
from prodwatch.tui.widget_context import WidgetContext
from prodwatch.tui.widgets.panel import Panel
from prodwatch.views.status_style import Tone
from prodwatch.views.waterfall import Waterfall, waterfall


class WaterfallPanel(Panel):
    """Rows are span ids; opening one folds or unfolds its children."""

    TOPICS = (Topic.TRACES, Topic.LOGS)
    HELP = (
        "Spans of one trace, parents above children. Bold: the critical path, which determines the total time. ◆ marks "
        "the bottleneck: the span with the most self time on that path. Open spans, clock skew and missing parents are "
        "marked. Enter folds and unfolds the children of a span."
    )

    def __init__(self, context: WidgetContext, trace: Callable[[], Trace | None], note: Callable[[], str]) -> None:
        self._trace = trace
        self._note = note
        self._fall: Waterfall | None = None
        self._folded: set[str] = set()
        self._visible: list[int] = []
        self._places: dict[Hashable, int] = {}
        self._laid: tuple[Trace, int] | None = None
        super().__init__(context, id="spans")

    def sync(self) -> None:
        """Lay the trace out again."""
        trace = self._trace()
        if trace is None:
            self._fall, self._visible, self._laid = None, [], None
        else:
            width = picture_width(self.line_width)
            # Every new trace changes the topic; only a new version of this trace or another width changes the picture.
            if self._fall is None or self._laid is None or self._laid[0] is not trace or self._laid[1] != width:
                self._fall, self._laid = waterfall(trace, width), (trace, width)
            self._visible = self._unfolded(self._fall)
            self.set_title(f"Trace  {format_ms(self._fall.total_s * 1000)}{_shortcomings(trace, self._fall)}")
            bottleneck = self._fall.bottleneck_text()
            self.set_subtitle(f"bottleneck {bottleneck}" if bottleneck else "")
        bars = self._fall.bars if self._fall else ()
        self._places = {bars[index].key: place for place, index in enumerate(self._visible)}
        self.rows_changed()

    def own_time_s(self, key: Hashable) -> float | None:
        """Return a span's self time; None for an unknown span."""
        bars = self._fall.bars if self._fall else ()
        return next((bar.self_s for bar in bars if bar.key == key), None)

    def _unfolded(self, fall: Waterfall) -> list[int]:
        visible = []
        hidden_below: int | None = None
        for index, bar in enumerate(fall.bars):
            if hidden_below is not None and bar.depth > hidden_below:
                continue
            hidden_below = bar.depth if bar.key in self._folded else None
            visible.append(index)
        return visible

    def toggle(self, key: Hashable) -> None:
        """Fold or unfold a span."""
        self._folded ^= {str(key)}
        self.resync()

    def on_resize(self) -> None:
        """Lay bars out for the new width."""
        self.resync()

    def row_count(self) -> int:
        """Return how many spans are shown."""
        return len(self._visible)

    def row_key(self, index: int) -> Hashable:
        """Return the span's id."""
        return self._fall.bars[self._visible[index]].key if self._fall else ""

    def index_of(self, key: Hashable) -> int | None:
        """Return the index of a span; None while it is folded."""
        return self._places.get(key)

    def row_line(self, index: int, width: int) -> Line:
        """Draw one span."""
        if self._fall is None:
            return ()
        place = self._visible[index]
        bar = self._fall.bars[place]
        ascii_only = self.context.preferences.ascii
        line = bar_line(bar, width, ascii_only=ascii_only)
        if bar.key in self._folded:
            return (("+" if ascii_only else "▸", Tone.ACCENT), *line)
        return line

    def empty_lines(self, width: int) -> Sequence[Line]:
        """Return the state of the request for the trace."""
        del width
        return (((self._note(), Tone.DIM),),)


def _shortcomings(trace: Trace, fall: Waterfall) -> str:
    """Return missing or doubtful parts, to follow the title."""
    parts = []
    if fall.cut:
        parts.append("X-Ray omitted spans: the trace is too large")
    elif trace.unread:
        parts.append(f"{trace.unread:,} {'document' if trace.unread == 1 else 'documents'} could not be read")
    elif not fall.complete:
        parts.append("incomplete: spans are still arriving")
    skewed = sum(bar.skewed for bar in fall.bars)
    if skewed:
        parts.append(f"clocks differ in {skewed:,} {'span' if skewed == 1 else 'spans'}")
    return "".join(f" · {part}" for part in parts)
