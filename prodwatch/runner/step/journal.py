"""The journal of a run: every mutation on disk before it is sent, so that a killed run can be cleaned up; no secrets.

One file per run, one JSON object per line, mode 0600, each line on the disk before `append` returns.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import msgspec

from prodwatch.errors import ConfigurationError, ProdwatchError

SUFFIX = ".journal"
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class JournalError(ProdwatchError):
    """A mutation could not be journalled, so it must not be sent."""


class RunEntry(msgspec.Struct, frozen=True, kw_only=True, tag="run"):
    """First line: the run that writes the journal."""

    run_id: str
    environment: str
    root: str
    started_at: datetime
    host: str
    pid: int


class ExecutionEntry(msgspec.Struct, frozen=True, kw_only=True, tag="execution"):
    """An execution of a check that is about to send its first mutation."""

    execution: int
    check: str
    uid: str
    trace_id: str
    started_at: datetime


class MutationEntry(msgspec.Struct, frozen=True, kw_only=True, tag="mutation"):
    """One mutation that is about to be sent."""

    execution: int
    step: str
    what: str
    at: datetime
    details: dict[str, Any]
    """The request's keys, secrets masked."""


class ValuesEntry(msgspec.Struct, frozen=True, kw_only=True, tag="values"):
    """Values of the cleanup's references, without secrets; later lines win."""

    execution: int
    values: dict[str, Any]


class CleanedEntry(msgspec.Struct, frozen=True, kw_only=True, tag="cleaned"):
    """A finished cleanup step; `index` counts the definition's cleanup steps from 0."""

    execution: int
    index: int


class ClosedEntry(msgspec.Struct, frozen=True, kw_only=True, tag="closed"):
    """This execution has left nothing behind."""

    execution: int


Entry = RunEntry | ExecutionEntry | MutationEntry | ValuesEntry | CleanedEntry | ClosedEntry

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_KINDS: dict[str, type[Entry]] = {
    "run": RunEntry,
    "execution": ExecutionEntry,
    "mutation": MutationEntry,
    "values": ValuesEntry,
    "cleaned": CleanedEntry,
    "closed": ClosedEntry,
}


class Journal(Protocol):
    """A journal that executions write to."""

    def next_execution(self) -> int:
        """Return a number no other execution of this journal has."""
        ...

    async def append(self, *entries: Entry) -> None:
        """Write entries and wait until they are on the disk; JournalError when that is not possible."""
        ...


class RunJournal:
    """Journal of the current run; the file is created with the first mutation."""

    def __init__(self, directory: Path, header: RunEntry) -> None:
        self._path = directory / f"{header.run_id}{SUFFIX}"
        self._header = header
        self._file: int | None = None
        self._begun = False
        self._turn = asyncio.Lock()
        self._executions = 0
        self._open: set[int] = set()

    @property
    def run_id(self) -> str:
        """Return the id of the run that writes here."""
        return self._header.run_id

    @property
    def path(self) -> Path:
        """Path of the journal, whether or not it exists."""
        return self._path

    def next_execution(self) -> int:
        """Return a number no other execution of this run has."""
        self._executions += 1
        return self._executions

    async def append(self, *entries: Entry) -> None:
        """Write entries and wait until they are on the disk; JournalError when that is not possible."""
        async with self._turn:
            try:
                # In a thread: a slow disk must not distort the latencies measured meanwhile.
                await asyncio.shield(asyncio.to_thread(self._write, entries))
            except OSError as error:
                raise JournalError(
                    f"The journal {self._path} cannot be written ({error.strerror or error}), so nothing was sent; "
                    "make its folder writable, or name another with PRODWATCH_STATE_DIR."
                ) from error
        for entry in entries:
            if isinstance(entry, ExecutionEntry):
                self._open.add(entry.execution)
            elif isinstance(entry, ClosedEntry):
                self._open.discard(entry.execution)

    def _write(self, entries: Iterable[Entry]) -> None:
        if self._file is None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = _open_locked(self._path, os.O_CREAT)
            _sync_folder(self._path.parent)
        if not self._begun:
            entries = (self._header, *entries)
        _append(self._file, entries)
        self._begun = True

    def finish(self) -> bool:
        """Close the journal; True when nothing is left behind and the file is removed."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
            if not self._open:
                self._path.unlink(missing_ok=True)
        return not self._open


def _open_locked(path: Path, flags: int) -> int:
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | flags, 0o600)
    try:
        # Locked as long as the run lives, so that no cleanup runs meanwhile; the kernel unlocks it with the process.
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise
    return file


def _append(file: int, entries: Iterable[Entry]) -> None:
    """Write whole lines or none: half a line, left by a full disk, would corrupt the next one."""
    before = os.fstat(file).st_size
    text = b"".join(_ENCODER.encode(entry) + b"\n" for entry in entries)
    try:
        while text:
            text = text[os.write(file, text) :]
        os.fsync(file)
    except OSError:
        os.ftruncate(file, before)
        raise


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class UnfinishedExecution(msgspec.Struct, kw_only=True):
    """An execution whose cleanup is not done."""

    entry: ExecutionEntry
    values: dict[str, Any] = msgspec.field(default_factory=dict)
    mutations: list[MutationEntry] = msgspec.field(default_factory=list)
    cleaned: set[int] = msgspec.field(default_factory=set)


class UnfinishedJournal(msgspec.Struct, frozen=True, kw_only=True):
    """Journal of a run that ended before its cleanup was done."""

    path: Path
    run: RunEntry
    unfinished: tuple[UnfinishedExecution, ...]


def unfinished_journals(directory: Path) -> tuple[UnfinishedJournal, ...]:
    """Return every journal in `directory`, oldest first; one that cannot be read is left out."""
    journals = [journal for path in directory.glob(f"*{SUFFIX}") if (journal := _read(path)) is not None]
    return tuple(sorted(journals, key=lambda journal: (journal.run.started_at, journal.path)))


def find_journal(directory: Path, run_id: str) -> UnfinishedJournal:
    """Return the journal of one run; ConfigurationError, with the runs that have one, when it does not exist."""
    path = directory / f"{run_id}{SUFFIX}"
    journal = _read(path) if _RUN_ID.fullmatch(run_id) and path.is_file() else None
    if journal is None:
        run_ids = ", ".join(other.run.run_id for other in unfinished_journals(directory)) or "none"
        raise ConfigurationError(
            f'There is no journal of run "{run_id}" in {directory}: either everything was cleaned up or it ran '
            f"on another machine. Runs with leftovers here: {run_ids}."
        )
    return journal


class ReopenedJournal:
    """A journal opened by a later cleanup; its run has ended."""

    def __init__(self, journal: UnfinishedJournal) -> None:
        """Open the journal; ConfigurationError while its run is still going on."""
        self._path = journal.path
        self._run_id = journal.run.run_id
        self._open = {execution.entry.execution for execution in journal.unfinished}
        self._numbers = set(self._open)
        try:
            self._file = _open_locked(journal.path, 0)
        except OSError as error:
            raise ConfigurationError(
                f"The journal {journal.path} is in use or cannot be opened ({error.strerror or error}): "
                "its run may still be going on. Wait for it, or stop it."
            ) from error

    @property
    def run_id(self) -> str:
        """Return the id of the run that wrote this journal."""
        return self._run_id

    def next_execution(self) -> int:
        """Return a number no other execution of this journal has."""
        return max(self._numbers, default=0) + 1

    async def append(self, *entries: Entry) -> None:
        """Write entries and wait until they are on the disk; JournalError when that is not possible."""
        try:
            await asyncio.to_thread(self._write, entries)
        except OSError as error:
            raise JournalError(f"The journal {self._path} cannot be written: {error.strerror or error}.") from error
        self._open -= {entry.execution for entry in entries if isinstance(entry, ClosedEntry)}

    def _write(self, entries: Iterable[Entry]) -> None:
        _append(self._file, entries)

    def finish(self) -> None:
        """Close the journal; the file is removed when nothing is left behind."""
        os.close(self._file)
        if not self._open:
            self._path.unlink(missing_ok=True)


def _read(path: Path) -> UnfinishedJournal | None:
    run: RunEntry | None = None
    executions: dict[int, UnfinishedExecution] = {}
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return None
    for line in lines:
        entry = _decode(line)
        if isinstance(entry, RunEntry):
            run = entry
        elif isinstance(entry, ExecutionEntry):
            executions[entry.execution] = UnfinishedExecution(entry=entry)
        elif entry is not None:
            _apply(entry, executions)
    return None if run is None else UnfinishedJournal(path=path, run=run, unfinished=tuple(executions.values()))


def _apply(
    entry: MutationEntry | ValuesEntry | CleanedEntry | ClosedEntry, executions: dict[int, UnfinishedExecution]
) -> None:
    execution = executions.get(entry.execution)
    if execution is None:
        return
    if isinstance(entry, MutationEntry):
        execution.mutations.append(entry)
    elif isinstance(entry, ValuesEntry):
        execution.values.update(entry.values)
    elif isinstance(entry, CleanedEntry):
        execution.cleaned.add(entry.index)
    else:
        del executions[entry.execution]


def _decode(line: bytes) -> Entry | None:
    # An incomplete line was never waited for before the crash, so its mutation was never sent.
    try:
        data = json.loads(line, parse_float=Decimal)
        kind = _KINDS[data.pop("type")]
        return msgspec.convert(data, kind)
    except (ValueError, KeyError, AttributeError, TypeError, msgspec.ValidationError):
        return None


def journalable(value: Any) -> bool:
    """Return whether a value can be written to the journal and read back unchanged."""
    if value is None or isinstance(value, str | bool | int | Decimal):
        return True
    if isinstance(value, float):
        return value == value and abs(value) != float("inf")  # noqa: PLR0124 -- NaN is not itself
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and journalable(item) for key, item in value.items())
    return isinstance(value, list | tuple) and all(map(journalable, value))
