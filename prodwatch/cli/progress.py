"""A line on stderr that says how far a run is, only where somebody watches."""

from __future__ import annotations

import os
import sys

from prodwatch.cli.result_outputs import Outputs
from prodwatch.model.event import CheckFinished, CheckStarted, RunEvent
from prodwatch.model.status import Status


class Progress:
    """Listens to a run: shows counts on a terminal, streams finished checks to formats that stream."""

    def __init__(self, total: int, outputs: Outputs) -> None:
        self._total = total
        self._outputs = outputs
        self._done = 0
        self._red = 0
        self._running: dict[str, None] = {}
        # A dumb terminal cannot take a line back.
        self._shown = sys.stderr.isatty() and os.environ.get("TERM", "") not in {"", "dumb"}

    def __call__(self, event: RunEvent) -> None:
        """Take note of one event."""
        match event:
            case CheckStarted(id=id_):
                self._running[id_] = None
            case CheckFinished(result=result):
                self._running.pop(result.id, None)
                self._done += 1
                self._red += result.status in {Status.FAIL, Status.ERROR, Status.INCONCLUSIVE}
                self._outputs.finished(result)
            case _:
                return
        self._show()

    def clear(self) -> None:
        """Remove the line."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _show(self) -> None:
        if not self._shown:
            return
        waiting = next(iter(self._running), "")
        red = f", {self._red} not green" if self._red else ""
        text = f"{self._done}/{self._total} checks{red}  {waiting}"
        sys.stderr.write(f"\r{text[:78]}\x1b[K")
        sys.stderr.flush()
