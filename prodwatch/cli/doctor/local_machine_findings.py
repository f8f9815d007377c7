"""Findings about this machine: optional packages, the terminal, writable folders."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path

from prodwatch.access.doctor.findings import Finding
from prodwatch.cli.dashboard import MIN_COLUMNS, MIN_ROWS
from prodwatch.cli.log_file import log_path
from prodwatch.session.history import FOLDER
from prodwatch.settings import Project
from prodwatch.settings.user_folders import data_dir, state_dir

COMFORT = (80, 24)
_EXTRAS = {
    "demo": ("moto", "the embedded AWS of prodwatch demo"),
    "sql": ("sqlalchemy", "checks of type sql"),
    "redis": ("redis", "checks of type redis"),
    "web": ("textual_serve", "the dashboard in a browser"),
}
"""Extra → the module it installs, and the feature that needs it."""


def machine(project: Project, environ: Mapping[str, str]) -> list[Finding]:
    """Return the findings about extras, terminal and folders."""
    return [*_extras(project), *_terminal(environ), *_folders(project)]


def _extras(project: Project) -> Iterable[Finding]:
    checks = (*project.checks, *project.referenced)
    used = {step.type for check in checks for step in (*check.steps, *check.cleanup)}
    used |= {"demo"} if project.environment.demo else set()
    for extra, (module, purpose) in _EXTRAS.items():
        if find_spec(module) is not None:
            yield Finding(area="extras", state="ok", message=f"{extra}: installed, for {purpose}")
            continue
        install = f"pip install 'prodwatch[{extra}]'"
        if extra in used:
            names = tuple(f"check {each.id}" for each in checks if extra in {step.type for step in each.steps})
            message = f"{extra}: not installed, but these files need it; {install}"
            yield Finding(area="extras", state="problem", message=message, disables=names or (purpose,))
        else:
            yield Finding(area="extras", state="skipped", message=f"{extra}: not installed, not needed ({purpose})")


def _terminal(environ: Mapping[str, str]) -> Iterable[Finding]:
    if not (sys.stdin.isatty() and sys.stdout.isatty() and sys.stderr.isatty()):
        message = "not a terminal; commands work, the dashboard needs one"
        yield Finding(area="terminal", state="skipped", message=message)
        return
    name = environ.get("TERM", "")
    if name in {"", "dumb"}:
        message = "TERM is unset or dumb, so the dashboard cannot draw; set it, for example to xterm-256color"
        yield Finding(area="terminal", state="warn", message=message, disables=("the dashboard",))
        return
    columns, rows = shutil.get_terminal_size()
    size = f"{columns} × {rows}"
    if columns < MIN_COLUMNS or rows < MIN_ROWS:
        message = f"{size} is too small; the dashboard needs {MIN_COLUMNS} × {MIN_ROWS}, better 80 × 24 or more"
        yield Finding(area="terminal", state="warn", message=message, disables=("the dashboard",))
    elif columns < COMFORT[0] or rows < COMFORT[1]:
        yield Finding(area="terminal", state="warn", message=f"{size} is small; 80 × 24 or more shows more at once")
    else:
        yield Finding(area="terminal", state="ok", message=f"{name}, {size}")
    yield Finding(area="terminal", state="ok", message=_colours(environ))
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    if encoding == "utf8":
        yield Finding(area="terminal", state="ok", message="Unicode output")
    else:
        message = f"output is {sys.stdout.encoding}, not UTF-8, so charts use ASCII; set LANG, for example to C.UTF-8"
        yield Finding(area="terminal", state="warn", message=message)


def _colours(environ: Mapping[str, str]) -> str:
    if environ.get("NO_COLOR"):
        return "no colours, because NO_COLOR is set"
    if environ.get("COLORTERM", "").lower() in {"truecolor", "24bit"}:
        return "16 million colours"
    return "256 colours" if "256" in environ.get("TERM", "") else "16 colours or more (COLORTERM is not set)"


def _folders(project: Project) -> Iterable[Finding]:
    writes = tuple(f"check {check.id}" for check in project.checks if check.mutates)
    state = state_dir()
    problem = _unwritable(state)
    if problem is None:
        yield Finding(area="folders", state="ok", message=f"state, journals and locks: {state}")
    else:
        message = f"{state} cannot be written ({problem}), so mutating checks cannot run; set PRODWATCH_STATE_DIR"
        yield Finding(area="folders", state="problem" if writes else "warn", message=message, disables=writes)
    if project.environment.history.enabled:
        yield _history_folder()
    try:
        yield Finding(area="folders", state="ok", message=f"log: {log_path()}")
    except OSError as caught:
        yield Finding(area="folders", state="warn", message=str(caught), disables=("the log of crashes",))
    temporary = Path(tempfile.gettempdir())
    problem = _unwritable(temporary)
    if problem is None:
        yield Finding(area="folders", state="ok", message=f"temporary files: {temporary}")
    else:
        yield Finding(area="folders", state="warn", message=f"{temporary} cannot be written ({problem}); set TMPDIR")


def _history_folder() -> Finding:
    data = data_dir()
    problem = _unwritable(data)
    if problem is None:
        return Finding(area="folders", state="ok", message=f"past runs: {data / FOLDER}")
    message = f"{data} cannot be written ({problem}), so runs are not kept; set PRODWATCH_DATA_DIR"
    return Finding(area="folders", state="warn", message=message, disables=("prodwatch history",))


def _unwritable(folder: Path) -> str | None:
    """Return why the folder cannot be written, None when it can; a missing folder is not created."""
    existing = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    try:
        with tempfile.TemporaryFile(dir=existing):
            return None
    except OSError as caught:
        return caught.strerror or str(caught)


def unicode_output() -> bool:
    """Return whether stdout is UTF-8."""
    return (sys.stdout.encoding or os.environ.get("LANG", "")).lower().replace("-", "") == "utf8"
