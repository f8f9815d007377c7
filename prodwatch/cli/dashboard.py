"""Opens the dashboard on an environment and restores the terminal afterwards."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import datetime
from functools import partial
from random import SystemRandom
from typing import TYPE_CHECKING

from prodwatch.cli.leftovers import left_undone, unfinished
from prodwatch.cli.log_file import log_to_file
from prodwatch.cli.options import Common
from prodwatch.cli.project import load
from prodwatch.cli.recording_options import NO_RECORDING, Recording, report_recording
from prodwatch.cli.run_with_signals import RunSignals, demo_target, exit_code_of
from prodwatch.cli.stderr import say
from prodwatch.clock import AwsClock, Clock
from prodwatch.errors import ConfigurationError
from prodwatch.model.environment import DemoTarget
from prodwatch.model.exit_code import ExitCode
from prodwatch.model.result import Notice
from prodwatch.session.history import is_kept
from prodwatch.settings import Project
from prodwatch.settings.user_folders import config_dir
from prodwatch.text.redact import Redactor

if TYPE_CHECKING:
    from prodwatch.session.live import LiveSession
    from prodwatch.session.protocol import LazySession
    from prodwatch.session.recorder import Recorder
    from prodwatch.views.time_window import Window

MIN_COLUMNS = 40
MIN_ROWS = 10
QUIET_S = 0.5
"""An end that takes longer than this is announced on stderr."""


def open_dashboard(
    common: Common, *, window: Window | None = None, allow_writes: bool = False, recording: Recording = NO_RECORDING
) -> int:
    """Run the dashboard until the user leaves it and return the exit code.

    Raises ConfigurationError without a terminal, before anything is loaded.
    """
    refuse_without_terminal()
    project = load(common, quiet=True)
    return run_dashboard(project, common, demo=None, window=window, allow_writes=allow_writes, recording=recording)


def refuse_without_terminal(instead: str = "prodwatch check --env ENV") -> None:
    """Raise ConfigurationError without a terminal that can draw, naming the command to use instead."""
    if os.environ.get("TEXTUAL_DRIVER"):
        return  # textual-serve draws in a browser
    # The screen is drawn on stderr and keys come from stdin; a redirected stdout means that a script wants a result.
    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise ConfigurationError(f"the dashboard needs a terminal; in scripts and CI use: {instead} --json")
    if os.environ.get("TERM", "") in {"", "dumb"}:
        raise ConfigurationError(f"this terminal cannot draw the dashboard (TERM is unset or dumb); use: {instead}")


def run_dashboard(
    project: Project,
    common: Common,
    *,
    demo: DemoTarget | None,
    window: Window | None = None,
    allow_writes: bool = False,
    recording: Recording = NO_RECORDING,
) -> int:
    """Run the dashboard until the user leaves it and return the exit code.

    With `window` it covers that time window instead of a release. `allow_writes` lets mutating checks run in a
    protected environment.
    """
    if common.no_color:
        os.environ["NO_COLOR"] = "1"
    with log_to_file() as path, RunSignals() as signals:
        log_file = str(path) if path else None
        demo = demo or demo_target(project, common)
        clock, redactor = AwsClock(), Redactor()
        recorder = recording.open(clock, redactor, mode="dashboard", environment=project.environment)
        try:
            return asyncio.run(
                _run(
                    project,
                    common,
                    demo,
                    log_file,
                    window,
                    signals,
                    clock,
                    redactor,
                    recorder,
                    allow_writes=allow_writes,
                )
            )
        finally:
            if recorder is not None:
                report_recording(recorder.close())


async def _run(
    project: Project,
    common: Common,
    demo: DemoTarget | None,
    log_file: str | None,
    window: Window | None,
    signals: RunSignals,
    clock: AwsClock,
    redactor: Redactor,
    recorder: Recorder | None,
    *,
    allow_writes: bool,
) -> int:
    from prodwatch.session.protocol import LazySession, facts_of
    from prodwatch.session.reload import Reload
    from prodwatch.store.store import DEFAULT_LIMITS, TRIAGE_LIMITS, Store
    from prodwatch.tui.app import ProdwatchApp
    from prodwatch.tui.preferences import load_preferences

    kept = is_kept(project, os.environ) and not (window and window.is_past)
    left_before = unfinished()
    shown = _fixed(window.end, clock) if window and window.end else clock
    store = Store(shown, limits=TRIAGE_LIMITS if window else DEFAULT_LIMITS)
    if recorder is not None:
        recorder.subscribe(store)
        recorder.start()
    reload = Reload(project, partial(load, common, quiet=True))

    def make() -> LiveSession:
        from prodwatch.runner import fresh_run_id
        from prodwatch.session.live import LiveSession
        from prodwatch.session.session_history import SessionHistory

        def warn(message: str) -> None:
            store.notice(Notice(code="history", message=message))

        history = None
        if kept:
            run_id = fresh_run_id(clock.now(), SystemRandom())
            history = SessionHistory(project, store, clock, run_id, warn=warn)
        return LiveSession(
            project,
            store,
            clock,
            demo=demo,
            allow_writes=allow_writes,
            reload=reload,
            window=window,
            history=history,
            redactor=redactor,
        )

    session = LazySession(make)
    facts = facts_of(
        project.environment,
        mode="demo" if demo else "live",
        region=common.region,
        allow_writes=allow_writes,
        window=window,
        recording=recorder.sentence if recorder is not None else None,
        log_file=log_file,
    )
    preferences = load_preferences(config_dir() / "dashboard.toml")
    app = ProdwatchApp(store, session, environment=facts, clock=shown, preferences=preferences)
    ended_by: list[int] = []

    def leave(number: int) -> None:
        ended_by.append(number)
        app.exit()

    signals.attach(leave)
    try:
        await app.run_async()
    finally:
        try:
            await _stop_session(session, signals, interruptions=len(ended_by))
        finally:
            left = left_undone(left_before)
            for sentence in left:
                say(sentence)
            discard_output_of_closed_streams()
    if ended_by:
        return exit_code_of(ended_by[0])
    if app.return_code not in {None, 0}:
        return ExitCode.BUG
    return ExitCode.ERROR if left else ExitCode.OK


def _fixed(at: datetime, clock: Clock) -> Clock:
    from prodwatch.session.past import FixedClock

    return FixedClock(at, clock)


async def _stop_session(session: LazySession, signals: RunSignals, *, interruptions: int) -> None:
    """Stop the session and report the cleanups; the first interruption lets them finish, the second abandons them."""
    stopping = asyncio.create_task(session.stop())
    received = interruptions

    def interrupt(_number: int) -> None:
        nonlocal received
        received += 1
        if received > 1:
            stopping.cancel()
        else:
            say("the cleanup goes on; a second interruption abandons it and lists what is left")

    signals.attach(interrupt)
    _, pending = await asyncio.wait({stopping}, timeout=QUIET_S)
    if pending:
        say("ending the running checks and cleaning up after them; Ctrl-C twice abandons the cleanup")
    await asyncio.wait({stopping})
    if not stopping.cancelled():
        for result in stopping.result():
            left = [leftover for step in result.cleanup for leftover in step.leftovers]
            say(f"{result.id}: {'cleaned up' if not left else 'left behind: ' + '; '.join(left)}")
    signals.detach()


def discard_output_of_closed_streams() -> None:
    """Redirect closed streams to /dev/null: flushing them at exit would replace our exit code by 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            devnull = os.open(os.devnull, os.O_WRONLY)
            os.dup2(devnull, stream.fileno())
            os.close(devnull)
