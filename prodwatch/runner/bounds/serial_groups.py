"""Serial groups: one check at a time within a run and, by lock file, on one machine."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from prodwatch.clock import Clock
from prodwatch.errors import ProdwatchError

_RETRY_S = 0.1
"""Pause between two attempts to lock a file that another run holds."""


class LockError(ProdwatchError):
    """A serial group's lock file cannot be opened; one sentence."""


class SerialGroups:
    """Locks of one environment's serial groups."""

    def __init__(self, directory: Path, environment: str, clock: Clock) -> None:
        self._directory = directory
        self._environment = environment
        self._clock = clock
        self._locks: dict[str, asyncio.Lock] = {}

    @asynccontextmanager
    async def hold(self, group: str) -> AsyncIterator[None]:
        """Wait for the group's lock and hold it; LockError when the lock file cannot be opened."""
        async with self._locks.setdefault(group, asyncio.Lock()):
            file = self._open(group)
            try:
                while not _try_lock(file):
                    await self._clock.sleep(_RETRY_S)
                yield
            finally:
                # Closing frees the lock; the file stays, since removing it would let two runs lock two files.
                os.close(file)

    def _open(self, group: str) -> int:
        path = self._directory / self._name(group)
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise LockError(
                f'serial group "{group}" needs the lock file {path}, which cannot be opened '
                f"({error.strerror or error}); make its folder writable"
            ) from error

    def _name(self, group: str) -> str:
        # Readable for people, unique by the digest.
        readable = re.sub(r"[^A-Za-z0-9]+", "-", f"{self._environment}-{group}")[:60].strip("-")
        digest = hashlib.sha256(f"{self._environment}\0{group}".encode()).hexdigest()[:12]
        return f"{readable}-{digest}.lock"


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
