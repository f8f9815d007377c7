"""Reads files that checks refer to, inside the project root only."""

from __future__ import annotations

import asyncio
from pathlib import Path

from prodwatch.errors import UnusableError


def inside(root: str, path: str) -> Path:
    """Return `path`, relative to `root`, as an absolute path. Raises UnusableError for a path outside `root`.

    Symbolic links are resolved first, so that they cannot lead outside either.
    """
    base = Path(root).resolve()
    try:
        resolved = (base / path).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise UnusableError(f'"{path}" is not a usable path: {error}') from error
    if not resolved.is_relative_to(base):
        raise UnusableError(f'"{path}" leads out of the project root {base}; move it inside')
    return resolved


def file_inside(root: str, path: str) -> Path:
    """Return the file `path` in `root`; reading a pipe or device could take for ever. Raises UnusableError."""
    resolved = inside(root, path)
    if resolved.exists() and not resolved.is_file():
        raise UnusableError(f'"{path}" is not a file')
    return resolved


async def read_inside(root: str, path: str) -> bytes:
    """Return the bytes of the file `path` in `root`. Raises UnusableError."""
    resolved = file_inside(root, path)
    try:
        return await asyncio.to_thread(resolved.read_bytes)
    except OSError as error:
        raise UnusableError(f'"{path}" cannot be read from the project root {root}: {error.strerror}') from error
