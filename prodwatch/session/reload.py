"""Detects edited project files while the dashboard is open, and loads them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec.structs import replace

from prodwatch.errors import ConfigurationError
from prodwatch.model.environment import Environment
from prodwatch.settings import Project, check_files

Stamp = tuple[tuple[str, int, int], ...]
"""(path, modification time in ns, size) of every file of the project."""

_FOLLOWED = ("vars", "secrets", "stacks", "protected")
"""Parts of an environment that checks use and that an edit replaces while a session is open."""
_WATCHED = ("functions", "logs", "traces_filter", "metrics", "alarms")
"""Parts whose references are filled at the start."""
_PLANNED = ("rounds", "title", "source")
"""Parts that an edit replaces elsewhere, or that change nothing."""
_TABLES = {
    "accounts": "aws",
    "alarms": "alarm",
    "metrics": "metric",
    "functions": "function",
    "traces_filter": "traces",
    "traces_enabled": "traces",
}
"""Part → its table in the file, where they differ."""


def followed(opened: Environment, edited: Environment) -> Environment:
    """Return the environment that a session was opened with, with the edited values that checks use."""
    release = replace(opened.release, attest=edited.release.attest, match=edited.release.match)
    return replace(opened, release=release, **{name: getattr(edited, name) for name in _FOLLOWED})


def not_followed(opened: Environment, edited: Environment) -> tuple[str, ...]:
    """Return the tables of the environment file whose edits are read at the next start only."""
    from prodwatch.runner.values.template_scope import open_texts

    now = followed(opened, edited)
    # A watched table was filled at the start, so an edited variable does not reach it either.
    refilled = {name for name in _WATCHED if now != opened and open_texts(msgspec.to_builtins(getattr(edited, name)))}
    changed = [
        name
        for name in Environment.__struct_fields__
        if name not in _PLANNED and (name in refilled or getattr(now, name) != getattr(edited, name))
    ]
    return tuple(dict.fromkeys(f"[{_TABLES.get(name, name)}]" for name in changed))


class Reload:
    """Compares the files' stamps and loads the project again when they have changed."""

    def __init__(self, project: Project, load: Callable[[], Project]) -> None:
        self._root = project.root
        self._config = project.root / "config" / f"{project.environment.name}.toml"
        self._load = load
        self._seen = self._stamp()
        self._content = self._digest()

    def poll(self) -> Project | ConfigurationError | None:
        """Return the edited project, its configuration error, or None when no file's content has changed."""
        stamp = self._stamp()
        if stamp == self._seen:
            return None
        self._seen = stamp
        content = self._digest()
        if content == self._content:
            return None
        self._content = content
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

    def _digest(self) -> str:
        digest = hashlib.sha256()
        for path in (self._config, *self._checks()):
            try:
                content = path.read_bytes()
            except OSError:
                content = b""
            digest.update(b"%s\0%d\0" % (os.fsencode(path), len(content)))
            digest.update(content)
        return digest.hexdigest()

    def _checks(self) -> list[Path]:
        try:
            return [file.path for file in check_files(self._root)]
        except (ConfigurationError, OSError):
            return []
