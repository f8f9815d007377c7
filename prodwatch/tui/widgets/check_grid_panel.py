"""The check grid: one row per check, failures first."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from prodwatch.model.status import Status
from prodwatch.store.store import Topic
from prodwatch.text.units import format_age, format_ms
from prodwatch.tui.styled_line import Column, Line, Piece, cells, fit, row
from prodwatch.tui.widget_context import VerdictSnapshot
from prodwatch.tui.widgets.panel import EDGE_CELLS, SECOND_FRAMES, FilteredPanel
from prodwatch.views.checks import CheckGrid, CheckRow, CheckSort, check_grid
from prodwatch.views.status_style import EARLIER, STATES, WAITING, Tone, state_of

_COLUMNS = (
    Column("state", "", 8),
    Column("title", "check", 14, grow=3),
    Column("reason", "reason", 30, grow=3, drop=9),
    Column("owner", "owner", 9, drop=8),
    Column("outcomes", "last rounds", 12, drop=4),
    Column("latency", "took", 8, right=True, drop=3),
    Column("age", "age", 5, right=True, drop=2),
)
_SORTS: tuple[CheckSort, ...] = ("status", "name", "latency", "age")


class CheckGridPanel(FilteredPanel):
    """Rows are checks; opening one shows its screen."""

    TOPICS = (Topic.CHECKS,)
    TITLE = "Checks"
    HELP = (
        "All checks with their latest status, red first. A dim row marked stale has no recent result. Enter opens a "
        "check, r runs it again, R runs every check again that is not green, s changes the order. In the last rounds, "
        "those before ┊ are of earlier runs."
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        self._grid = CheckGrid(rows=(), counts={}, waiting=0, every_s=None)
        self._shown: VerdictSnapshot | None = None
        self.sort: CheckSort = "status"
        super().__init__(*args, **kwargs)  # type: ignore[arg-type] # passed on as they came

    def frame(self) -> None:
        """Follow the app's snapshot, as the verdict does, so that both show the same moment."""
        self._frames_since_update += 1
        snapshot, shown = self.context.snapshot, self._shown
        if snapshot is shown or not self.is_drawn or self.context.paused:
            return
        if (
            shown is None
            or (snapshot.revision, snapshot.verdict) != (shown.revision, shown.verdict)
            or self._frames_since_update >= SECOND_FRAMES
        ):
            self._frames_since_update = 0
            self.sync()

    def sync(self) -> None:
        """Build the rows from the app's snapshot."""
        context = self.context
        self._shown = snapshot = context.snapshot
        self._grid = check_grid(
            context.store,
            snapshot.at,
            every_s=context.facts.every_s,
            sort=self.sort,
            needle=self.needle,
            tracks=snapshot.checks,
        )
        self.set_title(f"Checks  {self._counts()}".rstrip())
        book = context.store.checks
        every = f"every {format_age(self._grid.every_s)}" if self._grid.every_s and self._grid.rows else ""
        running = f"{book.done} of {book.total} done" if book.total and book.done < book.total else ""
        diagnostics = sum(row.kind == "diagnostic" for row in self._grid.rows)
        # A diagnostic has no interval: it runs when a check that names it is not green.
        waits = "diagnostic waits" if diagnostics == 1 else "diagnostics wait"
        waiting = f"{diagnostics} {waits} for a red check" if diagnostics and not running else ""
        order = "" if self.sort == "status" else f"by {self.sort}"
        edge = " · ".join(part for part in (order, running, every, waiting) if part)
        self.set_subtitle(
            edge if cells(edge) <= self.size.width - EDGE_CELLS else edge.removesuffix(" for a red check")
        )
        self.rows_changed()

    def _counts(self) -> str:
        signs = [
            f"{count} {self.context.glyph(STATES[status])}"
            for status in STATES
            if (count := self._grid.counts.get(status, 0))
        ]
        if self._grid.waiting:
            signs.append(f"{self._grid.waiting} {self.context.glyph(WAITING)}")
        return "  ".join(signs)

    def match_note(self) -> str:
        """Return the number of matching checks."""
        return f"{len(self._grid.rows)} of {len(self.context.store.checks.tracks)}"

    def cycle_sort(self) -> CheckSort:
        """Switch to the next sort criterion and return it."""
        self.sort = _SORTS[(_SORTS.index(self.sort) + 1) % len(_SORTS)]
        self.resync()
        return self.sort

    def row_count(self) -> int:
        """Return how many checks are shown."""
        return len(self._grid.rows)

    def row_key(self, index: int) -> Hashable:
        """Return the check's id."""
        return self._grid.rows[index].id

    def row_line(self, index: int, width: int) -> Line:
        """Draw one check."""
        check = self._grid.rows[index]
        return row(fit(_COLUMNS, width), check_cells(check, self.context.glyph))

    def empty_lines(self, width: int) -> Sequence[Line]:
        """Return the reason for the empty panel, and the remedy."""
        del width
        if not self.context.store.checks.defined:
            return ((("Reading the checks …", Tone.DIM),),)
        if self.needle:
            return ((("no check matches the filter; esc clears it", Tone.DIM),),)
        return (
            (("No checks defined for this environment.", Tone.PLAIN),),
            (("Add one under checks/; `prodwatch schema checks` prints the keys.", Tone.DIM),),
        )


def check_cells(check: CheckRow, glyph: object) -> dict[str, Piece | Line]:
    """Return the cells of one check's row."""
    assert callable(glyph)
    state = state_of(check.status, running=check.running)
    quiet = check.status in (Status.PASS, Status.SKIPPED, None)
    title_tone = Tone.DIM if check.stale or check.kind != "smoke" else (Tone.PLAIN if quiet else Tone.STRONG)
    sign = f"{glyph(state)} {state.word}"
    outcomes = [(str(glyph(STATES[status])), _outcome_tone(status)) for status in check.outcomes]
    if check.past:
        past = "".join(str(glyph(STATES[status])) for status in check.past)
        outcomes = [(f"{past}{glyph(EARLIER)}", Tone.DIM), *outcomes]
    marks = "".join(f" {flag}" for flag in check.flags if flag in {"flaky", "advisory", "muted", "stalled"})
    title: list[Piece] = [(check.title, title_tone)]
    if check.running and check.status is not None:
        title.append((" …", Tone.RUNNING))
    if marks:
        title.append((marks, Tone.DIM))
    if check.kind != "smoke":
        title.append((" diagnostic", Tone.DIM))
    return {
        "state": (sign, Tone.DIM if check.stale else state.tone),
        "title": title,
        "reason": ("" if check.status is Status.PASS else check.message or "", Tone.PLAIN),
        "owner": (check.owner or "", Tone.DIM),
        "outcomes": outcomes,
        "latency": (
            format_ms(check.latency_ms) if check.latency_ms is not None else "",
            Tone.DIM if quiet else Tone.PLAIN,
        ),
        "age": (
            ("stale" if check.stale else format_age(check.age_s)) if check.age_s is not None else "",
            Tone.WARN if check.stale else Tone.DIM,
        ),
    }


def _outcome_tone(status: Status) -> Tone:
    return Tone.DIM if status is Status.PASS else STATES[status].tone
