"""The service map as a list of edges, worst first, with the bottleneck above."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from datetime import UTC, datetime

from prodwatch.store.store import Topic
from prodwatch.text.units import format_age
from prodwatch.tui.rendering.service_map_edge import edge_head, edge_line, edge_list_layout
from prodwatch.tui.styled_line import Line, Piece, pad
from prodwatch.tui.widget_context import WidgetContext
from prodwatch.tui.widgets.log_panel import empty_source
from prodwatch.tui.widgets.panel import FilteredPanel
from prodwatch.views.panel_freshness import freshness
from prodwatch.views.service_map import EdgeRow, ServiceMap, service_map
from prodwatch.views.status_style import Tone

STALE_AFTER_S = 180.0
"""The graph is read once a minute."""


class ServiceMapPanel(FilteredPanel):
    """Rows are edges; opening one shows the traces through it."""

    TOPICS = (Topic.SERVICES, Topic.SOURCES, Topic.RELEASE)
    TITLE = "Service map"
    HELP = (
        "X-Ray's service map: calls per second, share of faults (5xx) and errors (4xx), and p95 of each edge, before "
        "the release and now. Only traced calls are counted. Times are approximate (X-Ray's buckets); ? marks those of "
        "fewer than 20 calls. Faulty edges come first, then those with errors, slower, gone and new ones. / filters by "
        "words, ! before a word excludes it. Enter shows the traces through an edge."
    )

    def __init__(self, context: WidgetContext, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 -- Textual's own name
        self._map: ServiceMap | None = None
        self._places: dict[str, int] = {}
        self._layout_of_rows = edge_list_layout((), before=False, ascii_only=context.preferences.ascii)
        super().__init__(context, id=id, classes=classes)

    def sync(self) -> None:
        """Take the list from the store."""
        self._map = service_map(self.context.store, needle=self.needle)
        rows = self._map.rows if self._map else ()
        self._places = {edge.key: place for place, edge in enumerate(rows)}
        compares = self._map is not None and self._map.before_s is not None
        self._layout_of_rows = edge_list_layout(rows, before=compares, ascii_only=self.context.preferences.ascii)
        name = f"Service map  {self.needle}" if self.needle else "Service map"
        odd = sum(edge.state != "ok" for edge in rows)
        self.set_title(f"{name}  {odd} of {len(rows)} edges need attention" if odd else f"{name}  {len(rows)} edges")
        fresh = freshness(self.context.store, "service-map", self.context.now(), stale_after_s=STALE_AFTER_S)
        parts = [fresh.text]
        if self._map is not None and self._map.own_taken_out:
            parts.append(f"without {self._map.own_taken_out:,} own")
        if self._map is not None and self._map.own:
            parts.append(f"includes {self._map.own:,} own")
        self.set_subtitle(" · ".join(parts))
        self.set_class(fresh.stale, "-stale")
        self.rows_changed()

    def match_note(self) -> str:
        """Return the number of matching edges."""
        return f"{self.row_count():,} edges"

    def row_count(self) -> int:
        """Return how many edges are shown."""
        return len(self._map.rows) if self._map else 0

    def row_key(self, index: int) -> Hashable:
        """Return the edge's key."""
        return self._map.rows[index].key if self._map else ""

    def index_of(self, key: Hashable) -> int | None:
        """Return the index of the edge."""
        return self._places.get(str(key))

    def edge_at(self, key: Hashable | None) -> EdgeRow | None:
        """Return the edge with this key."""
        place = self._places.get(str(key))
        return self._map.rows[place] if self._map and place is not None else None

    def head_lines(self, width: int) -> Sequence[Line]:
        """Return the compared windows, the origin of faults, the bottleneck and the column titles."""
        if self._map is None:
            return ()
        lines: list[Line] = [self._windows(self._map)]
        findings = (
            ("faults begin in", self._map.origin),
            ("bottleneck", self._map.bottleneck),
            ("slower", self._map.added),
        )
        for label, text in findings:
            if text:
                lines.append(((pad(label, 16), Tone.DIM), (text, Tone.STRONG)))
        if self.row_count():
            lines.append(edge_head(width, self._layout_of_rows))
        return lines

    def _windows(self, service_map: ServiceMap) -> Line:
        at = None if service_map.released_ms is None else datetime.fromtimestamp(service_map.released_ms / 1000, UTC)
        now: list[Piece] = [("now", Tone.STRONG), (f" last {format_age(service_map.now_s)}", Tone.DIM)]
        if at is None:
            return (("no comparison: no release has been seen", Tone.WARN), ("   ", Tone.PLAIN), *now)
        began = self.context.time(at)
        if service_map.before_s is None:
            return ((f"before the release at {began}: not read yet", Tone.WARN), ("   ", Tone.PLAIN), *now)
        before = f" {format_age(service_map.before_s)} up to the release at {began}"
        return (("before", Tone.OLD), (before, Tone.DIM), ("   ", Tone.PLAIN), *now)

    def row_line(self, index: int, width: int) -> Line:
        """Draw one edge."""
        if self._map is None:
            return ()
        return edge_line(self._map.rows[index], width, self._layout_of_rows)

    def empty_lines(self, width: int) -> Sequence[Line]:
        """Return the reason for the empty panel, and the remedy."""
        del width
        if self.needle and self._map is not None:
            return ((("no edge matches; esc clears the filter", Tone.DIM),),)
        fresh = freshness(self.context.store, "service-map", self.context.now(), stale_after_s=STALE_AFTER_S)
        return empty_source(
            self.context, fresh, "No traced calls yet: switch on active tracing for the functions, or send a request."
        )
