"""One edge of the service map: its row in the list, and its details before the release and now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from prodwatch.text.cell_width import clip
from prodwatch.text.units import format_ms
from prodwatch.tui.styled_line import Column, Line, Piece, cells, fit, head, pad, row, safe, width_of
from prodwatch.views.service_map import MIN_CALLS, EdgeFigures, EdgeRow, EdgeState, node_text
from prodwatch.views.status_style import State, Tone

STATES: dict[EdgeState, State] = {
    "fault": State("✘", "x", "FAULT", Tone.BAD),
    "error": State("!", "!", "ERROR", Tone.WARN),
    "slow": State("!", "!", "SLOW", Tone.WARN),
    "gone": State("–", "-", "GONE", Tone.WARN),
    "new": State("+", "+", "NEW", Tone.NEW),
    "ok": State(" ", " ", "", Tone.DIM),
}
MIN_EDGE, MAX_EDGE = 20, 60
LABEL = 11
NUMBER = 10
TABLE = LABEL + 2 * NUMBER
GAP = 6
MIN_BAR, MAX_BAR = 8, 40
_BOUNDS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


class EdgeListLayout(NamedTuple):
    """Layout of the list, common to all rows."""

    before: bool
    """Whether values from before the release are shown."""
    edge_cells: int
    """Cells of the longest edge, within limits."""
    ascii_only: bool

    @property
    def arrow(self) -> str:
        """The arrow between caller and callee, and between before and now."""
        return " > " if self.ascii_only else " → "


def edge_list_layout(rows: Iterable[EdgeRow], *, before: bool, ascii_only: bool) -> EdgeListLayout:
    """Return the layout for these rows."""
    longest = max((cells(edge.caller.name[:80]) + cells(edge.callee.name[:80]) + 3 for edge in rows), default=0)
    return EdgeListLayout(before, min(MAX_EDGE, max(MIN_EDGE, longest)), ascii_only)


def _columns(layout: EdgeListLayout, width: int) -> tuple[Column, ...]:
    was = layout.before
    columns = (
        Column("state", "", 7),
        Column("edge", f"caller{layout.arrow}callee", MIN_EDGE, grow=1),
        Column("kind", "kind", 8, drop=5),
        Column("rate", "calls/s", 7 + was * (3 + 5), right=True, drop=4),
        Column("faults", "faults", 6 + was * (3 + 6), right=True),
        Column("errors", "4xx", 6 + was * (3 + 6), right=True, drop=6),
        Column("p95", "p95 about", 9 + was * (3 + 8), right=True),
        Column("why", "", 17, drop=7),
    )
    # On wide screens the names take only the room they need, so that the numbers stay near them.
    spare = width - sum(column.width + 1 for column in columns) + 1
    if spare <= layout.edge_cells - MIN_EDGE:
        return columns
    return (
        columns[0],
        columns[1]._replace(width=layout.edge_cells, grow=0),
        *columns[2:-1],
        columns[-1]._replace(grow=1),
    )


def edge_head(width: int, layout: EdgeListLayout) -> Line:
    """Return the row of titles."""
    return head(fit(_columns(layout, width), width))


def edge_line(edge: EdgeRow, width: int, layout: EdgeListLayout) -> Line:
    """Return one row of the list."""
    state = STATES[edge.state]
    quiet = Tone.DIM if edge.state == "ok" else Tone.PLAIN
    loud = {"fault": Tone.BAD, "error": Tone.WARN, "slow": Tone.WARN}.get(edge.state, quiet)

    def change(read: Callable[[EdgeFigures], str], tone: Tone, room: int) -> Line:
        """Return `before → now` with the arrows of all rows aligned."""
        now, was = (read(figures) if figures else "–" for figures in (edge.now, edge.before))
        if not layout.before:
            return ((now, tone),)
        return ((was, Tone.DIM), (layout.arrow, Tone.DIM), (pad(now, room, right=True), tone))

    fitted = fit(_columns(layout, width), width)
    names = next(part.width for part in fitted if part.column.name == "edge")
    return row(
        fitted,
        {
            "state": (f"{state.ascii if layout.ascii_only else state.glyph} {state.word}", state.tone),
            "edge": _names(edge, names, layout.arrow, quiet),
            "kind": (edge.kind, Tone.DIM),
            "rate": change(lambda figures: rate_text(figures.rate_per_s), quiet, 5),
            "faults": change(
                lambda figures: share_text(figures.fault_share), loud if edge.state == "fault" else quiet, 6
            ),
            "errors": change(
                lambda figures: share_text(figures.error_share), loud if edge.state == "error" else quiet, 6
            ),
            "p95": change(p95_text, loud if edge.state == "slow" else quiet, 8),
            "why": (edge.why, state.tone),
        },
    )


def _names(edge: EdgeRow, room: int, arrow: str, tone: Tone) -> Line:
    """Return caller and callee; a long caller leaves half the room to the callee."""
    caller, callee = safe(edge.caller.name), safe(edge.callee.name)
    left = room - cells(arrow)
    most = max(left // 2, left - cells(callee))
    return ((clip(caller, most), tone), (arrow, Tone.DIM), (callee, tone))


def p95_text(figures: EdgeFigures) -> str:
    """Return the p95 for a column; `?` marks one of few calls."""
    if figures.p95_s is None:
        return "–"
    return f"{'?' if figures.calls < MIN_CALLS else ''}{format_ms(figures.p95_s * 1000)}"


def rate_text(per_s: float) -> str:
    """Return a rate for a narrow column."""
    if per_s >= 99.5:
        return f"{per_s:,.0f}"
    if per_s >= 0.95 or per_s <= 0:
        return f"{per_s:.1f}"
    return f"{per_s:.2f}" if per_s >= 0.005 else "<0.01"


def share_text(share: float) -> str:
    """Return a share for a narrow column: `0` only for exactly zero, `<0.1 %` for small shares."""
    if share <= 0:
        return "0"
    percent = share * 100
    if percent >= 9.95:
        return f"{percent:.0f} %"
    return f"{percent:.1f} %" if percent >= 0.05 else "<0.1 %"


def edge_details(edge: EdgeRow, width: int, *, ascii_only: bool) -> list[Line]:
    """Return an edge's counts and times in both windows, and their distribution."""
    arrow = " > " if ascii_only else " → "
    state = STATES[edge.state]
    title: Line = (
        (clip(safe(node_text(edge.caller)), width // 2), Tone.STRONG),
        (arrow, Tone.DIM),
        (clip(safe(node_text(edge.callee)), width // 2), Tone.STRONG),
        (f"  {edge.why}" if edge.why else "", state.tone),
    )
    lines: list[Line] = [title, _pair("", "before", "now", Tone.HEAD)]
    readers: tuple[tuple[str, Callable[[EdgeFigures], str]], ...] = (
        ("calls", lambda figures: f"{figures.calls:,}"),
        ("calls/s", lambda figures: rate_text(figures.rate_per_s)),
        ("faults 5xx", lambda figures: f"{figures.edge.faults:,}"),
        ("errors 4xx", lambda figures: f"{figures.edge.errors:,}"),
        ("throttles", lambda figures: f"{figures.edge.throttles:,}"),
        ("mean", lambda figures: format_ms(figures.mean_s * 1000)),
        ("p50 about", lambda figures: _time(figures.p50_s)),
        ("p95 about", lambda figures: _time(figures.p95_s)),
        ("p99 about", lambda figures: _time(figures.p99_s)),
    )
    for label, read in readers:
        was, now = (read(figures) if figures else "–" for figures in (edge.before, edge.now))
        lines.append(_pair(label, was, now, Tone.PLAIN))
    return _side_by_side(lines, _distribution(edge, width - TABLE - GAP, ascii_only=ascii_only))


def _time(seconds: float | None) -> str:
    return "–" if seconds is None else format_ms(seconds * 1000)


def _pair(label: str, before: str, now: str, tone: Tone) -> Line:
    return (
        (pad(label, LABEL), Tone.DIM),
        (pad(before, NUMBER, right=True), tone if tone is Tone.HEAD else Tone.OLD),
        (pad(now, NUMBER, right=True), tone),
    )


def _distribution(edge: EdgeRow, room: int, *, ascii_only: bool) -> list[Line]:
    """Return a bar per bucket of response time, before and now side by side."""
    was, now = (_shares(figures) for figures in (edge.before, edge.now))
    filled = [place for place in range(len(_BOUNDS_S) + 1) if was[place] or now[place]]
    bar = min(MAX_BAR, (room - 24) // 2)
    if not filled or bar < MIN_BAR:
        return []
    most = max((*was, *now))
    lines: list[Line] = [
        (
            (pad("took up to", 10), Tone.HEAD),
            ("  ", Tone.PLAIN),
            (pad("before", bar + 6), Tone.HEAD),
            ("now", Tone.HEAD),
        )
    ]
    block = "#" if ascii_only else "█"
    for place in range(filled[0], filled[-1] + 1):
        label = format_ms(_BOUNDS_S[place] * 1000) if place < len(_BOUNDS_S) else "more"
        pieces: list[Piece] = [(pad(label, 10, right=True), Tone.DIM), ("  ", Tone.PLAIN)]
        for share, tone in ((was[place], Tone.OLD), (now[place], Tone.NEW)):
            drawn = block * max(1, round(share / most * bar)) if share else ""
            pieces += [(drawn, tone), (pad(f" {share_text(share)}" if share else "", bar + 6 - len(drawn)), Tone.DIM)]
        lines.append(pieces)
    return lines


def _shares(figures: EdgeFigures | None) -> Sequence[float]:
    counts = [0] * (len(_BOUNDS_S) + 1)
    for value_s, count in figures.edge.times if figures else ():
        counts[next((n for n, bound in enumerate(_BOUNDS_S) if value_s <= bound), len(_BOUNDS_S))] += count
    total = sum(counts)
    return [count / total if total else 0.0 for count in counts]


def _side_by_side(left: list[Line], right: list[Line]) -> list[Line]:
    """Return the distribution to the right of the numbers, below the title."""
    lines: list[Line] = [left[0]]
    for index in range(max(len(left) - 1, len(right))):
        first: Line = left[index + 1] if index + 1 < len(left) else ()
        second: Line = right[index] if index < len(right) else ()
        lines.append((*first, (" " * (TABLE + GAP - width_of(first)), Tone.PLAIN), *second) if second else first)
    return lines
