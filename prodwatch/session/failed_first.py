"""Ids of the checks that were not green last time, for --failed-first; kept in the state folder, safe to lose."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from prodwatch.model.status import Status
from prodwatch.settings.user_folders import state_dir

if TYPE_CHECKING:
    from prodwatch.model.result import RunResult
    from prodwatch.settings import Project


def _path(project: Project) -> Path:
    key = hashlib.sha256(f"{project.root.resolve()}\0{project.environment.name}".encode()).hexdigest()[:16]
    return state_dir() / "last" / f"{key}.json"


def failed_last(project: Project) -> frozenset[str]:
    """Return the ids of checks that were not green in the last run of this project and environment."""
    try:
        return frozenset(json.loads(_path(project).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return frozenset()


def remember(project: Project, result: RunResult, *, warn: Callable[[str], None]) -> None:
    """Store the ids of checks that were not green; a check that did not run keeps its previous entry."""
    ran = {check.id for check in result.checks if check.status is not Status.SKIPPED}
    red = {check.id for check in result.checks if check.status not in {Status.PASS, Status.SKIPPED}}
    path = _path(project)
    try:
        kept = failed_last(project) - ran
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(sorted(red | kept)), encoding="utf-8")
    except OSError as caught:
        warn(f"note: the failed checks could not be stored for --failed-first: {path}: {caught.strerror}")
