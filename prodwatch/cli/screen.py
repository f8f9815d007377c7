"""Runs the dashboard's app over a live session; the only place that knows both."""

from __future__ import annotations

import asyncio
import logging
import os
from functools import partial

from prodwatch.cli.engine import config_dir
from prodwatch.cli.log import log_path
from prodwatch.cli.options import Common
from prodwatch.cli.project import load
from prodwatch.cli.reload import Reload
from prodwatch.cli.running import demo_target
from prodwatch.cli.session import LiveSession
from prodwatch.clock import SystemClock
from prodwatch.model.environment import DemoTarget
from prodwatch.settings import Project
from prodwatch.store.store import Store
from prodwatch.tui.app import ProdwatchApp
from prodwatch.tui.preferences import load_preferences
from prodwatch.tui.session import SessionFacts


def run_dashboard(project: Project, common: Common, *, demo: DemoTarget | None) -> int:
    """Open the dashboard and return 0 when it is left; a crash of the app itself raises."""
    if common.no_color:
        os.environ["NO_COLOR"] = "1"
    log_file = _log_to_file()
    return asyncio.run(_run(project, common, demo or demo_target(project, common), log_file))


async def _run(project: Project, common: Common, demo: DemoTarget | None, log_file: str | None) -> int:
    clock = SystemClock()
    store = Store(clock)
    reload = Reload(project, partial(load, common, quiet=True))
    session = LiveSession(project, store, clock, demo=demo, reload=reload)
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
        log_file=log_file,
    )
    preferences = load_preferences(config_dir() / "dashboard.toml")
    app = ProdwatchApp(store, session, environment=facts, clock=clock, preferences=preferences)
    try:
        await app.run_async()
    finally:
        await session.stop()
    return 0 if app.return_code in {None, 0} else 70


def _log_to_file() -> str | None:
    """Send what goes wrong to the log file; the terminal belongs to the dashboard. None when none can be written."""
    try:
        path = log_path()
    except OSError:
        logging.getLogger("prodwatch").addHandler(logging.NullHandler())
        return None
    handler = logging.FileHandler(path, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("prodwatch")
    logger.addHandler(handler)
    logger.propagate = False
    return str(path)
