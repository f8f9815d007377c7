"""Progress of a gate: one block on a terminal that is drawn again, or a line per phase; events for `--ndjson`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prodwatch.cli import stderr
from prodwatch.text.cell_width import clip, width
from prodwatch.text.sanitize import sanitize_line
from prodwatch.text.units import format_age

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prodwatch.cli.result_outputs import Outputs
    from prodwatch.session.gate import GateState

_MARKS = {"fail": "FAIL", "pass": "ok", "degraded": "warn", "inconclusive": "open", "skipped": "-", "error": "ERROR"}
_SIGNATURES = 3
"""Error signatures in the block, the surest first."""


class GateProgress:
    """Listener of a gate."""

    def __init__(self, outputs: Outputs, recording: Callable[[], str] | None = None) -> None:
        """`recording` returns size and rate of a recording; None without one."""
        self._outputs = outputs
        self._recording = recording
        self._phase: str | None = None
        self._status: str | None = None
        self._drawn: list[int] = []
        """Cells of each line of the block on the screen."""
        self._shown = stderr.can_redraw()

    def __call__(self, state: GateState) -> None:
        """Show one look."""
        self._stream(state)
        if self._shown:
            recording = [self._recording()] if self._recording is not None else []
            self._draw([sanitize_line(line) for line in (*_block(state), *recording)])
        elif state.phase != self._phase:
            stderr.say(_headline(state))
            if self._recording is not None:
                stderr.say(self._recording())
        self._phase, self._status = state.phase, state.decision.verdict.status

    def clear(self) -> None:
        """Erase the block."""
        if self._shown and self._drawn:
            stderr.draw(self._back_to_top(stderr.size().columns))
            self._drawn = []

    def _stream(self, state: GateState) -> None:
        if self._outputs.stdout_format != "ndjson":
            return
        from prodwatch.report.json import phase_line, verdict_line

        if state.phase != self._phase:
            self._outputs.stream(phase_line(state.phase, state.at, state.ends_at))
        for each in state.finished:
            self._outputs.finished(each)
        if state.decision.verdict.status != self._status:
            self._outputs.stream(verdict_line(state.decision.verdict, state.at))

    def _draw(self, lines: list[str]) -> None:
        columns, rows = stderr.size()
        shown = [clip(line, max(1, columns - 1)) for line in lines[: max(1, rows - 1)]]
        body = "".join(f"{line}\x1b[K\n" for line in shown)
        stderr.draw(f"{self._back_to_top(columns)}{body}")
        self._drawn = [width(line) for line in shown]

    def _back_to_top(self, columns: int) -> str:
        """Return the codes that erase the block; a line that is wider than a window now takes several of its rows."""
        if not self._drawn:
            return ""
        up = sum(max(1, -(-cells // max(1, columns))) for cells in self._drawn)
        return f"\r\x1b[{up}A\x1b[J"


def _headline(state: GateState) -> str:
    left = ""
    if state.ends_at is not None:
        seconds = (state.ends_at - state.at).total_seconds()
        left = f", {format_age(seconds)} left" if seconds > 0 else ", the bake is over"
    return f"gate: {state.phase}{left}"


def _block(state: GateState) -> Iterator[str]:
    facts = state.facts
    yield _headline(state)
    yield f"  now: {state.decision.verdict.reason}"
    for comparison in facts.comparisons:
        if comparison.gate or comparison.status == "degraded":
            yield f"  {_MARKS[comparison.status]:<5} {comparison.message}"
    for signature in facts.signatures[:_SIGNATURES]:
        yield f"  {_MARKS[signature.status]:<5} {signature.message}"
    if facts.coverage is not None and facts.coverage.functions:
        yield f"  routes: {facts.coverage.message}"
    green = sum(each.status in {"pass", "degraded"} for each in facts.checks)
    yield f"  checks: {green} of {len(facts.checks)} green in their latest round"
    release = next((each for each in facts.releases if each.next_shift_at is not None), None)
    if release is not None and release.next_shift_at is not None:
        seconds = (release.next_shift_at - state.at).total_seconds()
        if seconds > 0:
            yield f"  next shift of {release.function} in {format_age(seconds)}"
