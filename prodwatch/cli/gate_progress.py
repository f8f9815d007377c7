"""Progress of a gate: one block on a terminal that is drawn again, or a line per phase; events for `--ndjson`."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

from prodwatch.cli import stderr
from prodwatch.text.cell_width import clip
from prodwatch.text.units import format_age

if TYPE_CHECKING:
    from prodwatch.cli.result_outputs import Outputs
    from prodwatch.session.gate import GateState

_MARKS = {"fail": "FAIL", "pass": "ok", "degraded": "warn", "inconclusive": "open", "skipped": "-", "error": "ERROR"}


class GateProgress:
    """Listener of a gate."""

    def __init__(self, outputs: Outputs) -> None:
        self._outputs = outputs
        self._phase: str | None = None
        self._lines = 0
        self._shown = sys.stderr.isatty() and os.environ.get("TERM", "") not in {"", "dumb"}

    def __call__(self, state: GateState) -> None:
        """Show one look."""
        if self._shown:
            self._draw(self._block(state))
        elif state.phase != self._phase:
            stderr.say(self._headline(state))
        self._phase = state.phase

    def clear(self) -> None:
        """Erase the block."""
        if self._shown and self._lines:
            stderr.draw(f"\x1b[{self._lines}A\x1b[J")
            self._lines = 0

    def _headline(self, state: GateState) -> str:
        left = ""
        if state.ends_at is not None:
            seconds = (state.ends_at - state.at).total_seconds()
            left = f", {format_age(seconds)} left" if seconds > 0 else ", the bake is over"
        return f"gate: {state.phase}{left}"

    def _block(self, state: GateState) -> list[str]:
        facts, decision = state.facts, state.decision
        lines = [self._headline(state), f"  now: {decision.verdict.reason}"]
        lines += [
            f"  {_MARKS[each.status]:<5} {each.message}"
            for each in facts.comparisons
            if each.gate or each.status == "degraded"
        ]
        lines += [f"  {_MARKS[each.status]:<5} {each.message}" for each in facts.signatures[:3]]
        if facts.coverage is not None and facts.coverage.functions:
            lines.append(f"  routes: {facts.coverage.message}")
        measured = [each for each in facts.checks if each.status is not None]
        green = sum(each.status in {"pass", "degraded"} for each in measured)
        lines.append(f"  checks: {green} of {len(facts.checks)} green in their latest round")
        release = next((each for each in facts.releases if each.next_shift_at is not None), None)
        if release is not None and release.next_shift_at is not None:
            seconds = (release.next_shift_at - state.at).total_seconds()
            if seconds > 0:
                lines.append(f"  next shift of {release.function} in {format_age(seconds)}")
        return lines

    def _draw(self, lines: list[str]) -> None:
        columns = shutil.get_terminal_size().columns
        up = f"\x1b[{self._lines}A" if self._lines else ""
        body = "".join(f"\r{clip(line, columns - 1)}\x1b[K\n" for line in lines)
        stderr.draw(f"{up}{body}\x1b[J")
        self._lines = len(lines)
