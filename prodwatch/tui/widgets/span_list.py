"""A trace as a waterfall one can walk through, span by span."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from prodwatch.model.signal import Trace
from prodwatch.store.store import Topic
from prodwatch.text.units import format_ms
from prodwatch.tui.deck import Deck
from prodwatch.tui.line import Line
from prodwatch.tui.paint.bars import bar_line, picture_width
from prodwatch.tui.widgets.panel import Panel
from prodwatch.views.states import Tone
from prodwatch.views.waterfall import Waterfall, waterfall


class SpanList(Panel):
    """Rows are span ids; opening one folds or unfolds its children."""

    TOPICS = (Topic.TRACES,)
    AGES = False
    HELP = (
        "Spans of one trace, parents above their children. Bold: on the path that decides how long the whole takes. "
        "Enter folds and unfolds what is below a span."
    )

    def __init__(self, deck: Deck, trace: Callable[[], Trace | None], note: Callable[[], str]) -> None:
        self._trace = trace
        self._note = note
        self._fall: Waterfall | None = None
        self._folded: set[str] = set()
        self._visible: list[int] = []
        super().__init__(deck, id="spans")

    def sync(self) -> None:
        """Lay the trace out again."""
        trace = self._trace()
        if trace is None:
            self._fall, self._visible = None, []
        else:
            self._fall = waterfall(trace, picture_width(self.line_width))
            self._visible = self._unfolded(self._fall)
            whole = "" if self._fall.complete else " · partial: spans are still arriving"
            self.set_title(f"Trace  {format_ms(self._fall.total_s * 1000)}{whole}")
            neck = f"most time is spent in {self._fall.bottleneck}" if self._fall.bottleneck else ""
            self.set_subtitle(neck)
        self.rows_changed()

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

    def row_line(self, index: int, width: int) -> Line:
        """Draw one span."""
        if self._fall is None:
            return ()
        place = self._visible[index]
        bar = self._fall.bars[place]
        ascii_only = self.deck.preferences.ascii
        line = bar_line(bar, width, ascii_only=ascii_only)
        if bar.key in self._folded:
            return (("+" if ascii_only else "▸", Tone.ACCENT), *line)
        return line

    def empty_lines(self, width: int) -> Sequence[Line]:
        """Say what is being waited for."""
        del width
        return (((self._note(), Tone.DIM),),)
