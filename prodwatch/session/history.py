"""Connects a project with its history: whether runs are kept, where, and what is filed of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prodwatch.errors import ConfigurationError
from prodwatch.model.history import RunEntry
from prodwatch.model.status import Status
from prodwatch.settings.project_identity import ProjectIdentity, project_identity
from prodwatch.settings.user_folders import data_dir

if TYPE_CHECKING:
    from prodwatch.settings import Project
    from prodwatch.store.history.history import History

SWITCH = "PRODWATCH_HISTORY"
"""Environment variable that turns the history `on` or `off`, whatever the file says."""
FOLDER = "history"
DURING_A_RUN_S = 0.5
"""Longest wait for another process in seconds while a result waits to be shown."""


def is_kept(project: Project, environ: Mapping[str, str]) -> bool:
    """Return whether runs of the project are kept. Raises ConfigurationError for another value of the switch."""
    switch = environ.get(SWITCH, "")
    if switch not in {"", "on", "off"}:
        raise ConfigurationError(f'{SWITCH} must be on or off, not "{switch}"')
    return switch == "on" or (switch != "off" and project.environment.history.enabled)


def identity_of(project: Project, *, create: bool = False) -> ProjectIdentity:
    """Return the identity of a project; `create` as in `project_identity`."""
    return project_identity(project.root, project.environment.history.project, create=create)


def history_of(project: Project, *, warn: Callable[[str], None], busy_s: float | None = None) -> History:
    """Return the history of a project's environment; `warn` receives one sentence for a file that was set aside.

    `busy_s` is the longest wait for another process, None for the usual one.
    """
    from prodwatch.store.history.database import BUSY_S
    from prodwatch.store.history.history import History, KeepLimits

    limits = project.environment.history
    return History(
        data_dir() / FOLDER,
        identity_of(project).key,
        project.environment.name,
        KeepLimits(keep_s=limits.keep_s, size_bytes=limits.size_bytes),
        warn=warn,
        now=lambda: datetime.now(UTC),
        busy_s=BUSY_S if busy_s is None else busy_s,
    )


def keep(project: Project, entry: RunEntry, *, warn: Callable[[str], None]) -> None:
    """File the entry of a run. A failure is a sentence for `warn`, never an exception: the run has its verdict."""
    from prodwatch.store.history.pending import MAX_PENDING, drop_oldest, pending_folder, write_pending

    try:
        folder = pending_folder(data_dir() / FOLDER, identity_of(project, create=True).key)
        pending = write_pending(folder, entry)
    except OSError as caught:
        where = caught.filename or data_dir()
        warn(f"this run is not in the history: {where}: {caught.strerror or caught}")
        return
    if pending >= MAX_PENDING:
        from prodwatch.store.history.database import HistoryError

        try:
            history_of(project, warn=warn).collect()
        except HistoryError as caught:
            warn(str(caught))
            if dropped := drop_oldest(folder):
                warn(f"runs that waited for the history and are dropped: {dropped}")


def last_outcomes_of(project: Project, limit: int, *, warn: Callable[[str], None]) -> Mapping[str, tuple[Status, ...]]:
    """Return the last outcomes of each check by id, oldest first; after a failure none, and a sentence for `warn`."""
    from prodwatch.store.history.database import HistoryError

    try:
        return history_of(project, warn=warn, busy_s=DURING_A_RUN_S).last_outcomes(limit)
    except HistoryError as caught:
        warn(str(caught))
        return {}


def failed_last(project: Project, *, kept: bool, warn: Callable[[str], None]) -> frozenset[str]:
    """Return the ids of the checks that did not pass in their last run, for `--failed-first`.

    `kept` is whether runs are kept.
    """
    if not kept:
        warn("--failed-first has no effect, because the history is off")
        return frozenset()
    last = last_outcomes_of(project, 1, warn=warn)
    return frozenset(id_ for id_, outcomes in last.items() if outcomes[-1] is not Status.PASS)
