"""Notices edited files while the dashboard is open: a good edit replaces, a bad one is said and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from prodwatch.errors import ConfigurationError
from prodwatch.settings import Project, check_files

Stamp = tuple[tuple[str, int, int], ...]
"""Path, modification time in ns and size of every file that counts."""


class Reload:
    """Looks at the files' stamps; loads them anew when they changed."""

    def __init__(self, project: Project, load: Callable[[], Project]) -> None:
        self._root = project.root
        self._config = project.root / "config" / f"{project.environment.name}.toml"
        self._load = load
        self._seen = self._stamp()

    def look(self) -> Project | ConfigurationError | None:
        """Return the project as it is now, what is wrong with it, or None when nothing changed."""
        stamp = self._stamp()
        if stamp == self._seen:
            return None
        self._seen = stamp
        try:
            return self._load()
        except ConfigurationError as caught:
            return caught

    def _stamp(self) -> Stamp:
        found = []
        for path in (self._config, *self._checks()):
            try:
                stat = path.stat()
            except OSError:
                # Gone between listing and looking, or not readable: loading will say so.
                found.append((str(path), 0, -1))
                continue
            found.append((str(path), stat.st_mtime_ns, stat.st_size))
        return tuple(found)

    def _checks(self) -> list[Path]:
        try:
            return [each.path for each in check_files(self._root)]
        except (ConfigurationError, OSError):
            return []
