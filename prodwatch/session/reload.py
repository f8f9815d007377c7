"""Detects edited project files while the dashboard is open, and loads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from prodwatch.errors import ConfigurationError
from prodwatch.settings import Project, check_files

Stamp = tuple[tuple[str, int, int], ...]
"""(path, modification time in ns, size) of every file of the project."""


class Reload:
    """Compares the files' stamps and loads the project again when they have changed."""

    def __init__(self, project: Project, load: Callable[[], Project]) -> None:
        self._root = project.root
        self._config = project.root / "config" / f"{project.environment.name}.toml"
        self._load = load
        self._seen = self._stamp()

    def poll(self) -> Project | ConfigurationError | None:
        """Return the edited project, its configuration error, or None when no file has changed."""
        stamp = self._stamp()
        if stamp == self._seen:
            return None
        self._seen = stamp
        try:
            return self._load()
        except ConfigurationError as caught:
            return caught

    def _stamp(self) -> Stamp:
        stamps = []
        for path in (self._config, *self._checks()):
            try:
                stat = path.stat()
            except OSError:
                # Deleted meanwhile, or not readable: loading the project reports it.
                stamps.append((str(path), 0, -1))
                continue
            stamps.append((str(path), stat.st_mtime_ns, stat.st_size))
        return tuple(stamps)

    def _checks(self) -> list[Path]:
        try:
            return [file.path for file in check_files(self._root)]
        except (ConfigurationError, OSError):
            return []
