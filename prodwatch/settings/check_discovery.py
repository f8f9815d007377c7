"""Finds the check files of a project, and their names for messages."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from prodwatch.errors import ConfigurationError
from prodwatch.settings.check_ids import file_prefix


class CheckFile(msgspec.Struct, frozen=True):
    """One check file."""

    path: Path
    prefix: str
    """Prefix of its checks' ids."""


def check_files(root: Path, narrowed: Sequence[Path] = (), *, suffix: str = ".toml") -> list[CheckFile]:
    """Return the check files of a project in a stable order.

    All files of `checks/`, or only those at or below the paths in `narrowed`. Hidden files and folders are left out.
    `suffix` selects TOML or Python files. Raises ConfigurationError for a path that does not exist or cannot be read:
    a check that is passed over looks like one that passed.
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
        elif narrowed or path.is_symlink():
            _refuse_unreadable(path, suffix)
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
        for name in names:
            if not name.startswith("."):
                path = Path(where) / name
                _refuse_unreadable(path, suffix)
                if path.suffix == suffix:
                    found.append(path)
    return sorted(found)


def _refuse_unreadable(path: Path, suffix: str) -> None:
    """Raise ConfigurationError for a link to nothing, and for an invalid check file (name or kind).

    A link that is named like a check file is reported when that is read.
    """
    if path.is_symlink() and not path.exists() and path.suffix not in {".toml", ".py"}:
        raise ConfigurationError(
            f"{path}: it is a link to {path.readlink()}, which does not exist; restore the target or remove the link"
        )
    if path.suffix.lower() == suffix and path.exists():
        if path.suffix != suffix:
            raise ConfigurationError(f"{path}: only files that end in {suffix} are read; rename it")
        if not path.is_file():
            raise ConfigurationError(f"{path}: it is not a file, but a pipe, socket or device; remove it")


def _refuse(error: OSError) -> None:
    raise ConfigurationError(f"{error.filename} cannot be read: {error.strerror or error}") from error


def _prefix(file: Path, base: Path, otherwise: Path) -> str:
    start = base if file.absolute().is_relative_to(base.absolute()) else otherwise
    return file_prefix(file.absolute().relative_to(start.absolute()).as_posix())
