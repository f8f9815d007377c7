"""`prodwatch record`: a session without a dashboard, recorded to a file."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from prodwatch.cli import stderr
from prodwatch.cli.duration_parameter import DurationParameter
from prodwatch.cli.options import ArgumentsCommand, Common, common_options
from prodwatch.cli.recording_options import REDACT, Recording, report_recording
from prodwatch.model.exit_code import ExitCode

if TYPE_CHECKING:
    from prodwatch.clock import Clock
    from prodwatch.session.live import LiveSession
    from prodwatch.session.recorder import Recorder
    from prodwatch.store.store import Store


@click.command(cls=ArgumentsCommand)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--for", "for_", type=DurationParameter(), metavar="30m", help="Length of the recording. Default: until Ctrl-C."
)
@click.option("--allow-writes", is_flag=True, help="Run mutating checks even in a protected environment.")
@REDACT
@common_options
def command(common: Common, *, file: Path, for_: float | None, allow_writes: bool, redact: tuple[str, ...]) -> int:
    """Record everything that a dashboard on ENV would receive to FILE: signals, check results, verdicts.

    Exit codes: 0 recorded to the end, 3 the session could not start or the recording ended early.
    """
    from prodwatch.cli.project import load
    from prodwatch.cli.run_with_signals import RunSignals, announced_demo
    from prodwatch.clock import AwsClock
    from prodwatch.session.live import LiveSession
    from prodwatch.store.store import Store
    from prodwatch.text.redact import Redactor

    project = load(common)
    clock, redactor = AwsClock(), Redactor()
    recording = Recording(path=file, patterns=redact)
    recorder = recording.open(clock, redactor, mode="record", environment=project.environment)
    assert recorder is not None, "a file is given"
    store = Store(clock)
    recorder.subscribe(store)
    recorder.start()

    async def main() -> int:
        session = LiveSession(
            project,
            store,
            clock,
            demo=announced_demo(project, common),
            allow_writes=allow_writes,
            redactor=redactor,
        )
        task = asyncio.create_task(_record(session, store, recorder, clock, for_))
        signals.attach(lambda _number: task.cancel(), words="ending the recording and cleaning up")
        try:
            return await task
        finally:
            signals.detach()

    with RunSignals() as signals:
        try:
            code = asyncio.run(main())
        finally:
            info = recorder.close()
            report_recording(info)
    return int(ExitCode.ERROR) if info.ended is not None else code


async def _record(session: LiveSession, store: Store, recorder: Recorder, clock: Clock, for_: float | None) -> int:
    """Run the session until its time is over, it is cancelled, or the recording ends."""
    from prodwatch.cli.unattended import follow

    began_s, progress = clock.monotonic_s(), _Progress(recorder)
    try:
        return await follow(
            session,
            store,
            clock,
            look=lambda: progress.show(clock.monotonic_s() - began_s),
            is_over=lambda: recorder.failure is not None or not (for_ is None or clock.monotonic_s() - began_s < for_),
        )
    finally:
        progress.clear()


class _Progress:
    """Size and rate on stderr: one line that is drawn again on a terminal, otherwise a line a minute."""

    def __init__(self, recorder: Recorder) -> None:
        from prodwatch.session.recorded_run import SAY_EVERY_S

        self._say_every_s = SAY_EVERY_S
        self._recorder = recorder
        self._drawn = stderr.can_redraw()
        self._next_s = 0.0

    def show(self, elapsed_s: float) -> None:
        """Show the present size."""
        from prodwatch.text.units import format_age

        line = f"{self._recorder.path.name}: {self._recorder.sentence()}, {format_age(elapsed_s)}"
        if self._drawn:
            stderr.draw(f"\r{line[:78]}\x1b[K")
        elif elapsed_s >= self._next_s:
            self._next_s += self._say_every_s
            stderr.say(line)

    def clear(self) -> None:
        """Erase the line."""
        if self._drawn:
            stderr.draw("\r\x1b[K")
