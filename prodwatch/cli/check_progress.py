"""Progress of `check` on stderr: one line that is drawn again on a terminal, a line per check with -v, else nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection

from prodwatch.cli import stderr
from prodwatch.cli.live.colour import BOLD, CYAN, DIM, GREEN, MAGENTA, RED, YELLOW, style
from prodwatch.model.event import CheckFinished, CheckStarted, RunEvent
from prodwatch.model.result import CheckResult
from prodwatch.model.status import Status
from prodwatch.text.cell_width import clip, width
from prodwatch.text.sanitize import sanitize_line
from prodwatch.text.units import format_ms
from prodwatch.views.status_style import STATES

_DOTS = {
    Status.PASS: (".", GREEN),
    Status.DEGRADED: ("w", YELLOW),
    Status.FAIL: ("F", RED),
    Status.ERROR: ("E", MAGENTA),
    Status.INCONCLUSIVE: ("?", CYAN),
    Status.SKIPPED: ("s", DIM),
}
"""Status → its character in the line, and the colour."""
_RED = frozenset((Status.FAIL, Status.ERROR, Status.INCONCLUSIVE))


class CheckProgress:
    """Listener of a run."""

    def __init__(
        self,
        selected: Collection[str],
        finished: Callable[[CheckResult], None],
        *,
        verbose: bool = False,
        color: bool | None = None,
    ) -> None:
        """`selected` are the ids that count; `finished` receives each result. `color` None means: as the terminal."""
        self._selected = frozenset(selected)
        self._finished = finished
        self._verbose = verbose
        self._style = style(no_color=color is False, stream=sys.stderr)
        self._done: list[Status] = []
        self._running: dict[str, None] = {}
        self._drawn = stderr.can_redraw()

    def __call__(self, event: RunEvent) -> None:
        """Count one event and update the line."""
        match event:
            case CheckStarted(id=id_):
                self._running[id_] = None
            case CheckFinished(result=result):
                self._running.pop(result.id, None)
                if result.id in self._selected:
                    self._done.append(result.status)
                self._finished(result)
                if self._verbose:
                    self._line(result)
            case _:
                return
        self._draw(self._progress())

    def announce(self, sentence: str) -> None:
        """Show a sentence until the first check starts."""
        self._draw([(sentence, None)])

    def clear(self) -> None:
        """Erase the line."""
        if self._drawn:
            stderr.draw("\r\x1b[K")

    def _line(self, result: CheckResult) -> None:
        """Write one finished check as a line of its own."""
        _, color = _DOTS[result.status]
        word = self._style.paint(f"{STATES[result.status].word:<7}", color)
        place = f"[{len(self._done)}/{len(self._selected)}]" if result.id in self._selected else "(diagnostic)"
        self.clear()
        stderr.painted(f"{word} {sanitize_line(result.id)}  {format_ms(result.duration_ms)}  {place}")

    def _progress(self) -> list[tuple[str, str | None]]:
        counted = f"{len(self._done)}/{len(self._selected)}"
        red = sum(status in _RED for status in self._done)
        parts: list[tuple[str, str | None]] = [(f"{counted} ", BOLD)]
        if not self._verbose:
            # Where the line is too short for all, the newest are shown.
            parts += [_DOTS[status] for status in self._done[-(stderr.columns() // 2) :]]
        parts.append((f"  {red} not green" if red else "", RED))
        parts.append((f"  {next(iter(self._running), '')}", DIM))
        return parts

    def _draw(self, parts: list[tuple[str, str | None]]) -> None:
        if not self._drawn:
            return
        room, shown = stderr.columns() - 1, ""
        for text, color in parts:
            cut = clip(sanitize_line(text), max(0, room))
            room -= width(cut)
            shown += self._style.paint(cut, color)
        stderr.draw(f"\r{shown}\x1b[K")
