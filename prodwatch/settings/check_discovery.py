"""Finds the check files of a project, and their names for messages."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from prodwatch.errors import ConfigurationError
from prodwatch.settings.slugs import file_prefix


class CheckFile(msgspec.Struct, frozen=True):
    """One check file."""

    path: Path
    prefix: str
    """Prefix of its checks' ids."""


def check_files(root: Path, narrowed: Sequence[Path] = (), *, suffix: str = ".toml") -> list[CheckFile]:
    """Return the check files of a project in a stable order.

    All files of `checks/`, or only those at or below the paths in `narrowed`. Hidden files and folders are left out.
    `suffix` selects TOML or Python files. Raises ConfigurationError for a path that does not exist.
    """
    base = root / "checks"
    found: dict[Path, CheckFile] = {}
    for path in narrowed or [base]:
        if path.is_dir():
            for file in _below(path, suffix):
                found.setdefault(file.absolute(), CheckFile(file, _prefix(file, base, path)))
        elif path.is_file():
            if path.suffix == suffix:
                found.setdefault(path.absolute(), CheckFile(path, _prefix(path, base, path.parent)))
            elif path.suffix not in {".toml", ".py"}:
                raise ConfigurationError(f"--checks {path}: not a check file; check files end in .toml or .py")
        elif narrowed:
            raise ConfigurationError(f"--checks {path}: no such file or folder")
    return list(found.values())


def display_name(path: Path, root: Path) -> str:
    """Return a file's name for messages: relative to the project's root if it is below it, and always printable."""
    whole = os.path.normpath(path.absolute())
    top = os.path.normpath(root.absolute()) + os.sep
    name = whole.removeprefix(top).replace(os.sep, "/") if whole.startswith(top) else str(path)
    return os.fsencode(name).decode("utf-8", "replace")


def _below(folder: Path, suffix: str) -> list[Path]:
    """Return every file below, following links. Raises ConfigurationError for an unreadable folder."""
    found: list[Path] = []
    seen: set[str] = set()
    for where, folders, names in os.walk(folder, followlinks=True, onerror=_refuse):
        real = os.path.realpath(where)
        if real in seen:
            folders.clear()  # a link to a folder above
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += (Path(where) / name for name in names if name.endswith(suffix) and not name.startswith("."))
    return sorted(found)


def _refuse(error: OSError) -> None:
    raise ConfigurationError(f"{error.filename} cannot be read: {error.strerror or error}") from error


def _prefix(file: Path, base: Path, otherwise: Path) -> str:
    start = base if file.absolute().is_relative_to(base.absolute()) else otherwise
    return file_prefix(file.absolute().relative_to(start.absolute()).as_posix())
