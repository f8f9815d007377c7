"""Which check files there are, and how their names are shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from prodwatch.errors import ConfigurationError
from prodwatch.settings.ids import file_prefix


class CheckFile(msgspec.Struct, frozen=True):
    """One check file."""

    path: Path
    prefix: str
    """What the ids of its checks begin with."""
    narrowed: bool = True
    """Whether the user asked for it; False for a file that is read only because another one refers to it."""


def check_files(root: Path, narrowed: Sequence[Path] = (), *, suffix: str = ".toml") -> list[CheckFile]:
    """Return the check files of a project in a stable order.

    All of `checks/`, or what `narrowed` names: files, and folders with all below them. ConfigurationError for a path
    that does not exist. Hidden files and folders are left out. `suffix` tells TOML from Python.
    """
    base = root / "checks"
    found: dict[Path, CheckFile] = {}
    for path in narrowed or [base]:
        if path.is_dir():
            for file in _below(path, suffix):
                found.setdefault(file.resolve(), CheckFile(file, _prefix(file, base, path)))
        elif path.is_file():
            if path.suffix == suffix:
                found.setdefault(path.resolve(), CheckFile(path, _prefix(path, base, path.parent)))
            elif path.suffix not in {".toml", ".py"}:
                raise ConfigurationError(f"--checks {path}: a check file ends in .toml or .py")
        elif narrowed:
            raise ConfigurationError(f"--checks {path}: there is no such file or folder")
    return list(found.values())


def shown(path: Path, root: Path) -> str:
    """Return a file's name for messages: relative to the project's root where it can be."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _below(folder: Path, suffix: str) -> list[Path]:
    found = (file for file in folder.rglob(f"*{suffix}") if file.is_file())
    return sorted(file for file in found if not any(part.startswith(".") for part in file.relative_to(folder).parts))


def _prefix(file: Path, base: Path, otherwise: Path) -> str:
    within = file.resolve().is_relative_to(base.resolve())
    relative = file.resolve().relative_to(base.resolve()) if within else file.relative_to(otherwise)
    return file_prefix(relative.as_posix())
