"""Entries of runs that have ended and are not in the database yet, one file per run.

A run writes such a file in well under a millisecond; the next command that reads the history moves it into the
database. So no run loads or waits for SQLite.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from prodwatch.model.history import RunEntry

SUFFIX = ".json"
TAKEN = ".taken"
"""Suffix of a file that is being moved into the database."""
BROKEN = ".broken"
"""Suffix of a file that cannot be read as an entry."""
MOST_WAITING = 1000
"""Files that are kept while the database cannot take them, such as one of a newer version."""
MAX_PENDING = 100
"""Files from which a run moves them itself, so that they stay few where nothing ever reads the history."""
_ABANDONED_S = 3600.0
_ENCODER = msgspec.json.Encoder()


def pending_folder(folder: Path, key: str) -> Path:
    """Return the folder of a project's pending entries; `folder` holds the histories of all projects."""
    return folder / f"{key}.pending"


def write_pending(folder: Path, entry: RunEntry) -> int:
    """Write the entry of a run, replacing an earlier one of the same run; return how many files there are.

    The folder is created with mode 0700, the file with 0600. Raises OSError.
    """
    run_id = entry.run.id
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", run_id):
        raise OSError(f'the run id "{run_id}" cannot be the name of a file')
    make_private(folder)
    path = folder / f"{run_id}{SUFFIX}"
    temporary = folder / f".{run_id}.{os.getpid()}"
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(file, "wb") as stream:
            stream.write(_ENCODER.encode(entry))
        temporary.replace(path)
    except OSError:
        # A full disk: half an entry must not stay behind.
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    return len(_waiting(folder))


def _waiting(folder: Path) -> list[str]:
    """Return the names of the files of runs, oldest run first."""
    with os.scandir(folder) as entries:
        return sorted(each.name for each in entries if each.name.endswith((SUFFIX, TAKEN)))


def has_pending(folder: Path) -> bool:
    """Return whether entries wait that can be moved; False for a folder that cannot be written."""
    return os.access(folder, os.W_OK) and bool(_waiting(folder))


def drop_oldest(folder: Path, most: int = MOST_WAITING) -> int:
    """Remove the oldest entries beyond `most` and return how many. Raises OSError."""
    beyond = _waiting(folder)[:-most]
    for name in beyond:
        (folder / name).unlink(missing_ok=True)
    return len(beyond)


def make_private(folder: Path) -> None:
    """Create a folder that only the user can read, or make it one. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        folder.chmod(0o700)


def take_pending(folder: Path) -> list[Path]:
    """Reserve all files for one reader, oldest run first; a session that goes on writes a new one. Raises OSError.

    The caller holds the history's lock and removes them once they are in the database. Files that a killed reader
    had reserved are returned, too.
    """
    names = _waiting(folder)
    taken = {name.removesuffix(TAKEN) for name in names if name.endswith(TAKEN)}
    for name in names:
        if name.endswith(SUFFIX):
            # It replaces one that a killed reader had reserved: an earlier state of the same run.
            (folder / name).replace(folder / f"{name}{TAKEN}")
            taken.add(name)
    return [folder / f"{name}{TAKEN}" for name in sorted(taken)]


def read_taken(paths: list[Path]) -> Iterator[tuple[Path, RunEntry | None]]:
    """Yield each file with its entry, None for one that cannot be read as such."""
    for path in paths:
        try:
            yield path, msgspec.json.decode(path.read_bytes(), type=RunEntry)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            yield path, None


def remove_abandoned(folder: Path) -> None:
    """Remove half-written files of killed runs: those that nothing has written to for an hour."""
    for path in folder.glob(".*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _ABANDONED_S:
                path.unlink()
