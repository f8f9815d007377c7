"""Runs the dashboard's app over a live session; the only place that knows both."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from prodwatch.cli.event_loop import demo_target
from prodwatch.cli.exit_codes import ExitCode
from prodwatch.cli.log_file import log_to_file
from prodwatch.cli.options import Common
from prodwatch.cli.project import load
from prodwatch.cli.stderr import say
from prodwatch.clock import Clock, SystemClock
from prodwatch.model.environment import DemoTarget
from prodwatch.session.lazy import LateSession
from prodwatch.session.protocol import SessionFacts
from prodwatch.session.reload import Reload
from prodwatch.settings import Project
from prodwatch.settings.user_folders import config_dir
from prodwatch.store.store import Store
from prodwatch.tui.app import ProdwatchApp
from prodwatch.tui.preferences import load_preferences
from prodwatch.views.window import Window

if TYPE_CHECKING:
    from prodwatch.session.live import LiveSession

QUIET_S = 0.5
"""Nobody wonders about a shorter pause between the dashboard and the prompt."""


def run_dashboard(project: Project, common: Common, *, demo: DemoTarget | None, window: Window | None = None) -> int:
    """Open the dashboard and return 0 when it is left; a crash of the app itself raises.

    With `window` it answers for that stretch of time instead of for a release.
    """
    if common.no_color:
        os.environ["NO_COLOR"] = "1"
    with log_to_file() as path:
        log_file = str(path) if path else None
        return asyncio.run(_run(project, common, demo or demo_target(project, common), log_file, window))


async def _run(
    project: Project, common: Common, demo: DemoTarget | None, log_file: str | None, window: Window | None
) -> int:
    clock = SystemClock()
    shown = _standing(window.end, clock) if window and window.end else clock
    store = Store(shown)
    reload = Reload(project, partial(load, common, quiet=True))

    def make() -> LiveSession:
        from prodwatch.session.live import LiveSession

        return LiveSession(project, store, clock, demo=demo, reload=reload, window=window)

    session = LateSession(make)
    environment = project.environment
    facts = SessionFacts(
        environment=environment.name,
        title=environment.title,
        account=environment.aws.account,
        region=common.region or environment.aws.region,
        protected=environment.protected,
        allow_writes=not environment.protected,
        mode="demo" if demo else "live",
        every_s=environment.rounds.every_s,
        window=window,
        # "lower" is also what stands where nobody said anything: it counts for metrics somebody expects something of.
        better={each.name: each.better for each in environment.metrics if each.expect or each.better == "higher"},
        expectations={metric.name: metric.expect for metric in environment.metrics if metric.expect},
        log_file=log_file,
    )
    preferences = load_preferences(config_dir() / "dashboard.toml")
    app = ProdwatchApp(store, session, environment=facts, clock=shown, preferences=preferences)
    terminated = _end_when_told(app)
    try:
        await app.run_async()
    finally:
        await _leave(session)
        _let_go_of_a_lost_terminal()
    if terminated.is_set():
        return ExitCode.TERMINATED
    return 0 if app.return_code in {None, 0} else 70


def _standing(at: datetime, clock: Clock) -> Clock:
    from prodwatch.session.past import StandingClock

    return StandingClock(at, clock)


def _end_when_told(app: ProdwatchApp) -> asyncio.Event:
    """Have SIGTERM and SIGHUP leave as `q` does: terminal restored, cleanups run; set when one of them came."""
    terminated = asyncio.Event()

    def end() -> None:
        terminated.set()
        app.exit()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, end)
    return terminated


async def _leave(session: LateSession) -> None:
    """End the session; say what is being waited for when its cleanups take a while."""
    stopping = asyncio.create_task(session.stop())
    _, pending = await asyncio.wait({stopping}, timeout=QUIET_S)
    if pending:
        with suppress(OSError):  # the terminal may be gone; the cleanups run all the same
            say("cleaning up after the checks that were running; Ctrl-C gives that up")
    await stopping


def _let_go_of_a_lost_terminal() -> None:
    """Send what is left nowhere when nobody can read it: Python would end with 120 instead of our code."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
