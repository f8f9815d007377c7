"""The verdict of a session as lines: one per change, for screen readers, logs and terminals that cannot draw."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING

from prodwatch.cli import stdout
from prodwatch.cli.live.time_options import local_stamp
from prodwatch.text.sanitize import sanitize_line
from prodwatch.views.verdict import VerdictLine, verdict_line

if TYPE_CHECKING:
    from prodwatch.cli.recording_options import Recording
    from prodwatch.clock import Clock
    from prodwatch.model.environment import DemoTarget
    from prodwatch.settings import Project
    from prodwatch.store.store import Store
    from prodwatch.views.time_window import Window


_FIGURES = re.compile(r"\d[\d.,:]*")
"""Figures of a reason, which change every second without making it another reason."""


class VerdictLines:
    """Writes a line whenever the verdict or its reasons have changed: the verdict, the new reasons, those gone."""

    def __init__(
        self, store: Store, words: Callable[[], VerdictLine], write: Callable[[str], None], zone: tzinfo | None
    ) -> None:
        """`words` returns the verdict of this moment in words; `zone` None means local time."""
        self._store = store
        self._words = words
        self._write = write
        self._zone = zone
        self._title = ""
        self._reasons: dict[str, str] = {}
        """Reasons of the last line without their figures → as they were written."""

    def look(self, now: datetime) -> None:
        """Write a line when there is something new; nothing before the first verdict."""
        if self._store.verdict is None:
            return
        line = self._words()
        reasons = {_FIGURES.sub("#", each): each for each in (*line.reasons, *line.compared)}
        new = [each for key, each in reasons.items() if key not in self._reasons]
        gone = [f"no longer: {each}" for key, each in self._reasons.items() if key not in reasons]
        if line.title == self._title and not new and not gone:
            return
        self._title, self._reasons = line.title, reasons
        self._write(sanitize_line(f"{local_stamp(now, self._zone)}  {line.title}  {'; '.join((*new, *gone))}".rstrip()))


def run_plain(
    project: Project,
    *,
    demo: DemoTarget | None,
    window: Window | None,
    allow_writes: bool,
    recording: Recording,
    zone: tzinfo | None,
) -> int:
    """Run a session without a dashboard until it is interrupted; write its verdicts to stdout."""
    from prodwatch.cli.recording_options import report_recording
    from prodwatch.cli.run_with_signals import RunSignals
    from prodwatch.cli.unattended import follow
    from prodwatch.clock import AwsClock
    from prodwatch.session.live import LiveSession
    from prodwatch.store.store import DEFAULT_LIMITS, TRIAGE_LIMITS, Store
    from prodwatch.text.redact import Redactor
    from prodwatch.views.window_comparison import directions

    clock, redactor = AwsClock(), Redactor()
    store = Store(clock, limits=TRIAGE_LIMITS if window else DEFAULT_LIMITS)
    recorder = recording.open(clock, redactor, mode="dashboard", environment=project.environment)
    if recorder is not None:
        recorder.subscribe(store)
        recorder.start()
    every_s, better = project.environment.rounds.every_s, directions(project.environment.metrics)
    lines = VerdictLines(store, _words(store, clock, every_s, window, better), stdout.text, zone)

    async def main() -> int:
        session = LiveSession(
            project, store, clock, demo=demo, allow_writes=allow_writes, window=window, redactor=redactor
        )
        task = asyncio.create_task(follow(session, store, clock, look=lambda: lines.look(clock.now())))
        signals.attach(lambda _number: task.cancel(), words="ending the running checks and cleaning up after them")
        try:
            return await task
        finally:
            signals.detach()

    with RunSignals() as signals:
        try:
            return asyncio.run(main())
        finally:
            if recorder is not None:
                report_recording(recorder.close())


def _words(
    store: Store, clock: Clock, every_s: float, window: Window | None, better: Mapping[str, str]
) -> Callable[[], VerdictLine]:
    return lambda: verdict_line(store, clock.now(), every_s=every_s, window=window, better=better)
