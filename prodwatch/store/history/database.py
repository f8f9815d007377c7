"""The SQLite file of one project: opened, created, upgraded with a backup, and set aside when it is damaged."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from time import monotonic, sleep
from typing import TypeVar

from prodwatch.errors import ProdwatchError
from prodwatch.store.history.network_folders import may_be_on_a_network
from prodwatch.store.history.pending import make_private
from prodwatch.store.history.schema import APPLICATION_ID, STEPS

BUSY_S = 3.0
"""Longest wait for another process that uses the file."""
_LOCK_LOOK_S = 0.02
_DAMAGED = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))
"""SQLite's codes of a damaged file."""
_FOREIGN = ("no such table", "no such column")
"""Messages of SQLite for a file whose tables are not ours."""
_T = TypeVar("_T")


class HistoryError(ProdwatchError):
    """The history cannot be read or written; one sentence with the file and the remedy."""


class _DamagedError(Exception):
    """The file is not a history; the text is the reason."""


class HistoryDatabase:
    """Opens the file for one piece of work at a time.

    Writers take turns by a lock file in the same folder: of several processes one creates, upgrades or sets aside.
    """

    def __init__(
        self,
        path: Path,
        *,
        warn: Callable[[str], None],
        now: Callable[[], datetime],
        steps: Sequence[Sequence[str]] = STEPS,
        busy_s: float = BUSY_S,
    ) -> None:
        """`warn` receives one sentence when a file is set aside or upgraded; `now` is in UTC."""
        self.path = path
        self._warn = warn
        self._now = now
        self._steps = steps
        self._busy_s = busy_s

    def read(self, work: Callable[[sqlite3.Connection], _T]) -> _T | None:
        """Return the result of `work` on the file; None when it does not exist. Raises HistoryError."""
        return self._guarded(lambda: self._read(work))

    def write(self, work: Callable[[sqlite3.Connection], _T], *, afterwards: Callable[[], None] = lambda: None) -> _T:
        """Return the result of `work` in one transaction, creating the file when it is missing. Raises HistoryError.

        `afterwards` is called once that is on the disk, before another process may write.
        """
        return self._guarded(lambda: self._write(work, afterwards))

    def _guarded(self, attempt: Callable[[], _T]) -> _T:
        try:
            try:
                return attempt()
            except _DamagedError:
                return attempt()  # the damaged file is out of the way
        except _DamagedError as caught:
            raise HistoryError(f"the history {self.path} is damaged: {caught}; remove it") from None
        except sqlite3.Error as caught:
            raise HistoryError(f"the history {self.path} cannot be used: {_words(caught)}") from caught
        except OSError as caught:
            where = caught.filename or self.path
            raise HistoryError(f"the history cannot be used: {where}: {caught.strerror or caught}") from caught

    def _read(self, work: Callable[[sqlite3.Connection], _T]) -> _T | None:
        if not self.path.exists():
            return None
        read_only = not _can_write(self.path)
        inode = self._inode()
        uri = _uri(self.path, read_only=read_only)
        with contextlib.closing(self._connect(uri)) as connection, self._damage_noticed(inode, locked=False):
            if self._check(connection) == len(self._steps):
                return work(connection)
        if read_only:
            raise HistoryError(f"the history {self.path} has an earlier schema and cannot be upgraded: it is read-only")
        with self._turn(), contextlib.closing(self._prepared()) as connection:
            return work(connection)

    def _write(self, work: Callable[[sqlite3.Connection], _T], afterwards: Callable[[], None]) -> _T:
        make_private(self.path.parent)
        with self._turn(), contextlib.closing(self._prepared()) as connection, self._damage_noticed(self._inode()):
            with _transaction(connection):
                result = work(connection)
            afterwards()
            # Outside of the transaction: pages that the work has freed go back to the disk. A script, because `execute`
            # would free one page.
            connection.executescript("PRAGMA incremental_vacuum")
            return result

    def compact(self) -> None:
        """Rewrite the file without free space and without remains of deleted rows. Raises HistoryError."""

        def attempt() -> None:
            with self._turn(), contextlib.closing(self._prepared()) as connection:
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

        if self.path.exists():
            self._guarded(attempt)

    def set_aside_files(self) -> list[Path]:
        """Return damaged files that were set aside, and backups made before an upgrade, oldest first."""
        found = [*self.path.parent.glob(f"{self.path.name}.broken-*"), *self.path.parent.glob(f"{self.path.name}.v*")]
        return sorted(found, key=lambda path: path.name)

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait for the lock and hold it; the kernel releases that of a killed process."""
        file = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            until = monotonic() + self._busy_s
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if monotonic() >= until:
                        raise HistoryError(
                            f"the history {self.path} is in use by another process for {self._busy_s:g} s; try again"
                        ) from None
                    sleep(_LOCK_LOOK_S)
            yield
        finally:
            os.close(file)

    def _prepared(self) -> sqlite3.Connection:
        """Return a connection to a file of the present schema, created or upgraded; the caller holds the lock."""
        # Not by SQLite, which would use the process's mask.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        if self.path.stat().st_mode & 0o077:
            self.path.chmod(0o600)
        connection = self._connect(_uri(self.path, read_only=False))
        try:
            with self._damage_noticed(self._inode()):
                version = self._check(connection)
                if version == 0:
                    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
                self._set_journal(connection)
                if version < len(self._steps):
                    if version:
                        self._back_up(connection, version)
                    with _transaction(connection):
                        for statement in (each for step in self._steps[version:] for each in step):
                            connection.execute(statement)
                        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                        connection.execute(f"PRAGMA user_version = {len(self._steps)}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self, uri: str) -> sqlite3.Connection:
        connection = sqlite3.connect(uri, uri=True, timeout=self._busy_s, isolation_level=None)
        for pragma in ("trusted_schema = OFF", "foreign_keys = ON", "secure_delete = ON"):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def _check(self, connection: sqlite3.Connection) -> int:
        """Return the schema's version, 0 for an empty file.

        Raises HistoryError for a newer schema and _DamagedError for a file of another program.
        """
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if application != APPLICATION_ID and (version or application or tables):
            raise _DamagedError("it is a database of another program")
        if version > len(self._steps):
            raise HistoryError(
                f"the history {self.path} was written by a newer prodwatch (schema {version}; this version reads up to "
                f"{len(self._steps)}); upgrade prodwatch"
            )
        return version

    def _set_journal(self, connection: sqlite3.Connection) -> None:
        wanted = "delete" if may_be_on_a_network(self.path.parent) else "wal"
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != wanted:
            connection.execute(f"PRAGMA journal_mode = {wanted}").fetchall()
        # With the write-ahead log a power cut costs the last entries, never the file.
        connection.execute(f"PRAGMA synchronous = {'NORMAL' if wanted == 'wal' else 'FULL'}")

    def _back_up(self, connection: sqlite3.Connection, version: int) -> None:
        target = self.path.with_name(f"{self.path.name}.v{version}")
        os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
        with contextlib.closing(sqlite3.connect(target)) as copy:
            connection.backup(copy)
        self._warn(f"the history is upgraded to schema {len(self._steps)}; the former file is {target}")

    def _inode(self) -> int:
        return self.path.stat().st_ino

    @contextlib.contextmanager
    def _damage_noticed(self, inode: int, *, locked: bool = True) -> Iterator[None]:
        """Set the file with this inode aside when it turns out to be damaged, and raise _DamagedError.

        `locked` is whether the caller holds the lock.
        """
        try:
            yield
        except (sqlite3.DatabaseError, _DamagedError) as caught:
            if isinstance(caught, sqlite3.DatabaseError) and not _is_damage(caught):
                raise
            reason = str(caught)
            if _can_write(self.path):
                with contextlib.nullcontext() if locked else self._turn():
                    self._set_aside(inode, reason)
            raise _DamagedError(reason) from None

    def _set_aside(self, inode: int, reason: str) -> None:
        try:
            if self._inode() != inode:
                return  # another process has done it
        except FileNotFoundError:
            return
        target = self.path.with_name(f"{self.path.name}.broken-{self._now():%Y%m%d-%H%M%S-%f}")
        self.path.rename(target)
        for suffix in ("-wal", "-shm", "-journal"):
            with contextlib.suppress(FileNotFoundError):
                self.path.with_name(f"{self.path.name}{suffix}").rename(f"{target}{suffix}")
        self._warn(
            f"the history {self.path} cannot be read ({reason}) and is set aside as {target.name}; a new one begins"
        )


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED or str(error).startswith(_FOREIGN)


def _can_write(path: Path) -> bool:
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def _uri(path: Path, *, read_only: bool) -> str:
    # Without a writable folder SQLite cannot create the index of a write-ahead log; nothing writes the file meanwhile.
    return f"{path.absolute().as_uri()}?mode={'ro&immutable=1' if read_only else 'rw'}"


def _words(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return "the disk is full"
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return "another process is using it; try again"
    return str(error)
