"""Opens the dashboard on an environment, and gives the terminal back whatever happens."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from prodwatch.cli.options import Common
from prodwatch.errors import ConfigurationError
from prodwatch.model.environment import DemoTarget

if TYPE_CHECKING:
    from prodwatch.views.window import Window

MIN_COLUMNS = 40
MIN_ROWS = 10


def open_dashboard(common: Common, *, demo: DemoTarget | None = None, window: Window | None = None) -> int:
    """Run the dashboard until it is left; always 0 then. Raises ConfigurationError without a terminal."""
    refuse_without_terminal()
    from prodwatch.cli.dashboard_app import run_dashboard
    from prodwatch.cli.project import load

    project = load(common, quiet=True)
    return run_dashboard(project, common, demo=demo, window=window)


def refuse_without_terminal() -> None:
    """Say what to do instead when there is no terminal to draw on."""
    if os.environ.get("TEXTUAL_DRIVER"):
        return  # a browser draws, through textual-serve
    # The pictures go to stderr, keys come from stdin, and a redirected stdout means that a script wants something.
    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise ConfigurationError(
            "the dashboard needs a terminal; for scripts and CI use: prodwatch check --env ENV --json"
        )
    if os.environ.get("TERM", "") in {"", "dumb"}:
        raise ConfigurationError(
            "this terminal cannot draw (TERM is not set or is dumb); use: prodwatch check --env ENV"
        )
