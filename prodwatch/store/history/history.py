"""The past runs of one project and environment: filed, read, pruned, forgotten."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from prodwatch.model.history import PastOutcome, PastRun, PastSample, RoundSummary, RunEntry
from prodwatch.model.status import Reason, Status
from prodwatch.store.history.database import BUSY_S, HistoryDatabase, HistoryError
from prodwatch.store.history.pending import (
    BROKEN,
    has_pending,
    pending_folder,
    read_taken,
    remove_abandoned,
    take_pending,
)

_T = TypeVar("_T")
_SKIPPED = Status.SKIPPED.value
_STATUSES = {each.value: each for each in Status}
_BATCH = 64
"""Runs dropped at a time while the file is too large."""


class KeepLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of what is kept."""

    keep_s: float
    """Age in seconds from which a run of the environment is dropped."""
    size_bytes: int
    """Size of the project's file from which the oldest runs are dropped."""


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """Runs and files that a pruning has removed."""

    runs: int
    files: tuple[Path, ...] = ()
    """Files that had been set aside, and backups."""


class History:
    """One project's history file, seen from one environment. Every method raises HistoryError when it cannot work."""

    def __init__(
        self,
        folder: Path,
        key: str,
        environment: str,
        limits: KeepLimits,
        *,
        warn: Callable[[str], None],
        now: Callable[[], datetime],
        busy_s: float = BUSY_S,
    ) -> None:
        """`folder` holds the files of all projects, `key` is that of the project's identity; `now` is in UTC.

        `busy_s` is the longest wait for another process.
        """
        self._database = HistoryDatabase(folder / f"{key}.db", warn=warn, now=now, busy_s=busy_s)
        self._pending = pending_folder(folder, key)
        self._environment = environment
        self._limits = limits
        self._warn = warn
        self._now = now

    @property
    def path(self) -> Path:
        """Path of the database, whether or not it exists."""
        return self._database.path

    def collect(self) -> None:
        """Move the pending entries into the database and drop what is beyond the limits."""
        if not has_pending(self._pending):
            return
        filed: list[Path] = []
        broken: list[Path] = []

        def file(connection: sqlite3.Connection) -> None:
            for path, entry in read_taken(take_pending(self._pending)):
                if entry is None:
                    broken.append(path)
                else:
                    _insert(connection, entry)
                    filed.append(path)
            self._drop_old(connection)

        def remove() -> None:
            for path in filed:
                path.unlink(missing_ok=True)
            for path in broken:
                aside = path.replace(path.with_suffix(BROKEN))
                self._warn(f"a run cannot be read and is not in the history: {aside}")
            remove_abandoned(self._pending)

        self._database.write(file, afterwards=remove)

    def runs(self, since: datetime | None, limit: int | None) -> list[PastRun]:
        """Return the newest runs that ended after `since`, newest first; all for None."""
        rows = self._rows(
            "SELECT summary FROM run WHERE environment = ? AND ended_at_ms >= ? ORDER BY ended_at_ms DESC, number DESC"
            " LIMIT ?",
            (self._environment, _ms(since) if since else 0, -1 if limit is None else limit),
        )
        return [_run(row[0]) for row in rows]

    def run_ids(self, beginning: str) -> list[str]:
        """Return the ids of the runs of any environment that begin with this text, newest first."""
        pattern = "".join(f"\\{each}" if each in "%_\\" else each for each in beginning)
        query = "SELECT id FROM run WHERE id LIKE ? ESCAPE '\\' ORDER BY ended_at_ms DESC, number DESC"
        return [row[0] for row in self._rows(query, (f"{pattern}%",))]

    def entry(self, run_id: str) -> RunEntry | None:
        """Return a run of any environment with its outcomes; None when it is not kept."""
        rows = self._rows("SELECT summary FROM run WHERE id = ?", (run_id,))
        if not rows:
            return None
        query = f"SELECT {_COLUMNS} {_JOINED} WHERE run.id = ? ORDER BY outcome.position"
        return RunEntry(run=_run(rows[0][0]), outcomes=tuple(_outcome(row) for row in self._rows(query, (run_id,))))

    def samples(self, since: datetime | None, item_id: str | None = None) -> Iterator[PastSample]:
        """Yield the outcomes of all checks and signals, or of those with an id, in the order of the runs."""
        query = (
            f"SELECT {_COLUMNS}, run.id, run.ended_at_ms {_JOINED} WHERE run.environment = ? AND run.ended_at_ms >= ?"
            f"{' AND item.id = ?' if item_id is not None else ''}"
            " ORDER BY run.ended_at_ms, run.number, outcome.position"
        )
        values = (self._environment, _ms(since) if since else 0, *(() if item_id is None else (item_id,)))
        for row in self._rows(query, values):
            yield PastSample(row[-2], datetime.fromtimestamp(row[-1] / 1000, UTC), _outcome(row))

    def last_outcomes(self, limit: int) -> dict[str, tuple[Status, ...]]:
        """Return the last outcomes of each check by id, oldest first; skipped ones are left out."""

        def read(connection: sqlite3.Connection) -> dict[str, tuple[Status, ...]]:
            last: dict[str, tuple[Status, ...]] = {}
            items = connection.execute(
                "SELECT number, id FROM item WHERE environment = ? AND kind = 'check'", (self._environment,)
            ).fetchall()
            query = "SELECT status, rounds FROM outcome WHERE item = ? AND status <> ? ORDER BY run DESC LIMIT ?"
            for number, id_ in items:
                found: list[Status] = []
                for status, rounds in connection.execute(query, (number, _SKIPPED, limit)):
                    several = None if rounds is None else _rounds(rounds)
                    outcomes = several.last if several else (_status(status),)
                    found += [each for each in reversed(outcomes) if each is not Status.SKIPPED]
                if found:
                    last[id_] = tuple(reversed(found[:limit]))
            return last

        self.collect()
        return self._database.read(read) or {}

    def prune(self) -> Pruned:
        """Drop what is beyond the limits, and the files that were set aside, and return the freed space to the disk."""
        self.collect()
        runs = self._database.write(self._drop_old)
        files = self.set_aside_files()
        for path in files:
            path.unlink(missing_ok=True)
        self._database.compact()
        return Pruned(runs=runs, files=files)

    def forget_run(self, run_id: str) -> int:
        """Remove one run of any environment; return how many runs that were."""
        return self._forget("DELETE FROM run WHERE id = ?", (run_id,))

    def forget_item(self, item_id: str) -> int:
        """Remove every outcome of a check or signal in the environment; return how many that were."""
        return self._forget(
            "DELETE FROM outcome WHERE item IN (SELECT number FROM item WHERE environment = ? AND id = ?)",
            (self._environment, item_id),
        )

    def forget_environment(self) -> int:
        """Remove every run of the environment; return how many that were."""
        return self._forget("DELETE FROM run WHERE environment = ?", (self._environment,))

    def set_aside_files(self) -> tuple[Path, ...]:
        """Return the files that were set aside, and backups: they may hold what was forgotten."""
        return (*self._database.set_aside_files(), *sorted(self._pending.glob(f"*{BROKEN}")))

    def size_bytes(self) -> int:
        """Return the size of the database file; 0 when it does not exist."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def _forget(self, statement: str, values: Sequence[object]) -> int:
        self.collect()

        def forget(connection: sqlite3.Connection) -> int:
            removed = connection.execute(statement, values).rowcount
            _drop_unused_items(connection)
            return removed

        removed = self._database.write(forget)
        self._database.compact()
        return removed

    def _rows(self, query: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        self.collect()
        return self._database.read(lambda connection: connection.execute(query, values).fetchall()) or []

    def _drop_old(self, connection: sqlite3.Connection) -> int:
        """Drop runs beyond the limits and return how many; the newest run always stays."""
        before_ms = _ms(self._now() - timedelta(seconds=self._limits.keep_s))
        dropped = connection.execute(
            "DELETE FROM run WHERE environment = ? AND ended_at_ms < ?", (self._environment, before_ms)
        ).rowcount
        while _used_bytes(connection) > self._limits.size_bytes:
            removed = connection.execute(
                "DELETE FROM run WHERE number IN (SELECT number FROM run ORDER BY ended_at_ms LIMIT"
                " min(?, (SELECT count(*) - 1 FROM run)))",
                (_BATCH,),
            ).rowcount
            if removed <= 0:
                break
            dropped += removed
        if dropped:
            _drop_unused_items(connection)
        return dropped


_COLUMNS = (
    "item.kind, item.id, item.title, outcome.status, outcome.flags, outcome.reason_code, outcome.message,"
    " outcome.duration_ms, outcome.rounds"
)
_JOINED = "FROM outcome JOIN run ON run.number = outcome.run JOIN item ON item.number = outcome.item"


def _insert(connection: sqlite3.Connection, entry: RunEntry) -> None:
    run = entry.run
    number = connection.execute(
        "INSERT INTO run (id, environment, ended_at_ms, summary) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
        " environment = excluded.environment, ended_at_ms = excluded.ended_at_ms, summary = excluded.summary"
        " RETURNING number",
        (run.id, run.environment, _ms(run.ended_at), msgspec.json.encode(run).decode()),
    ).fetchone()[0]
    connection.execute("DELETE FROM outcome WHERE run = ?", (number,))
    for position, each in enumerate(entry.outcomes):
        item = connection.execute(
            "INSERT INTO item (environment, kind, id, title) VALUES (?, ?, ?, ?) ON CONFLICT (environment, kind, id)"
            " DO UPDATE SET title = excluded.title RETURNING number",
            (run.environment, each.kind, each.id, each.title),
        ).fetchone()[0]
        connection.execute(
            "INSERT OR REPLACE INTO outcome VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                item,
                number,
                position,
                each.status.value,
                " ".join(each.flags),
                each.reason_code.value if each.reason_code else None,
                each.message,
                each.duration_ms,
                msgspec.json.encode(each.rounds).decode() if each.rounds else None,
            ),
        )


def _drop_unused_items(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM item WHERE NOT EXISTS (SELECT 1 FROM outcome WHERE item = item.number)")


def _used_bytes(connection: sqlite3.Connection) -> int:
    pages, free, size = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def _run(summary: str) -> PastRun:
    return _decoded(lambda: msgspec.json.decode(summary, type=PastRun))


def _outcome(row: Sequence[Any]) -> PastOutcome:
    kind, id_, title, status, flags, reason_code, message, duration_ms, rounds = row[:9]
    # Not by msgspec: a long history has a hundred thousand of them.
    return PastOutcome(
        kind=kind,
        id=id_,
        title=title,
        status=_status(status),
        flags=tuple(flags.split()),
        reason_code=None if reason_code is None else _decoded(lambda: Reason(reason_code)),
        message=message,
        duration_ms=duration_ms,
        rounds=None if rounds is None else _rounds(rounds),
    )


def _status(text: str) -> Status:
    return _STATUSES.get(text) or _decoded(lambda: Status(text))


def _rounds(text: str) -> RoundSummary:
    return _decoded(lambda: msgspec.json.decode(text, type=RoundSummary))


def _decoded(decode: Callable[[], _T]) -> _T:
    """Return a value of the file. Raises HistoryError for one that only another version knows."""
    try:
        return decode()
    except (ValueError, msgspec.MsgspecError) as caught:
        raise HistoryError(
            f"the history holds a value that this version of prodwatch does not know ({caught}); upgrade prodwatch"
        ) from None


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
