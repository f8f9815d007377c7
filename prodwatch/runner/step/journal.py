"""The journal of a run: every mutation on disk before it is sent, so that a killed run can be cleaned up; no secrets.

One file per run, one JSON object per line, mode 0600, each line on the disk before `append` returns.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import re
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import msgspec

from prodwatch.errors import ConfigurationError, ProdwatchError
from prodwatch.model.check import CheckDefinition, without_positions

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
    digest: str = ""
    """`digest_of` the check's definition; empty in a journal of an earlier version."""


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


def digest_of(definition: CheckDefinition) -> str:
    """Return a digest of everything a check sends and cleans up; titles, tags and positions do not count."""
    steps = without_positions((*definition.steps, *definition.cleanup))
    sent = (definition.type, len(definition.steps), steps, definition.vars, definition.matrix)
    return hashlib.sha256(_DIGESTED.encode(sent)).hexdigest()[:32]


Entry = RunEntry | ExecutionEntry | MutationEntry | ValuesEntry | CleanedEntry | ClosedEntry

_DIGESTED = msgspec.json.Encoder(order="deterministic", enc_hook=str)
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
        await _whole(self._append(entries))

    async def _append(self, entries: Sequence[Entry]) -> None:
        async with self._turn:
            try:
                # In a thread: a slow disk must not distort the latencies measured meanwhile.
                await asyncio.to_thread(self._write, entries)
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

    async def finish(self) -> bool:
        """Close the journal after its last write; True when nothing is left behind and the file is removed."""
        async with self._turn:
            if self._file is not None:
                os.close(self._file)
                self._file = None
                if not self._open:
                    self._path.unlink(missing_ok=True)
            return not self._open


async def _whole(writing: Coroutine[Any, Any, None]) -> None:
    """Await a write that goes on when the caller is cancelled: it holds the journal's turn until its thread is done."""
    task = asyncio.ensure_future(writing)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        raise


def _open_locked(path: Path, flags: int) -> int:
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | flags, 0o600)
    try:
        # Locked as long as the run lives, so that no cleanup runs meanwhile; the kernel unlocks it with the process.
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise
    return file


def _reopen(path: Path) -> int:
    """Open and lock the journal of a run that has ended; ConfigurationError while the run is still going on."""
    try:
        return _open_locked(path, 0)
    except OSError as error:
        raise ConfigurationError(
            f"The journal {path} is in use or cannot be opened ({error.strerror or error}): "
            "its run may still be going on. Wait for it, or stop it."
        ) from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    file = _reopen(path)
    try:
        yield
    finally:
        os.close(file)


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
    damaged: int = 0
    """Lines that cannot be read, apart from an incomplete last one, whose mutation was never sent."""


def unfinished_journals(directory: Path) -> tuple[UnfinishedJournal, ...]:
    """Return every journal in `directory`, oldest first, apart from `unreadable_journals`."""
    journals = [journal for path in directory.glob(f"*{SUFFIX}") if (journal := _read(path)) is not None]
    return tuple(sorted(journals, key=lambda journal: (journal.run.started_at, journal.path)))


def unreadable_journals(directory: Path) -> tuple[Path, ...]:
    """Return the journals in `directory` whose first line, which names the run, cannot be read."""
    return tuple(sorted(path for path in directory.glob(f"*{SUFFIX}") if _read(path) is None))


def find_journal(directory: Path, run_id: str) -> UnfinishedJournal:
    """Return the journal of one run; ConfigurationError when it does not exist or cannot be read."""
    path = journal_path(directory, run_id)
    journal = _read(path)
    if journal is None:
        raise ConfigurationError(
            f"The journal {path} cannot be read: its first line, which names the run, is damaged or missing. The other "
            f"lines name what the run sent; clean that up by hand, then run `prodwatch cleanup {run_id} --forget`."
        )
    return journal


def journal_path(directory: Path, run_id: str) -> Path:
    """Return the path of a run's journal; ConfigurationError, with the runs that have one, when it does not exist."""
    path = directory / f"{run_id}{SUFFIX}"
    if not _RUN_ID.fullmatch(run_id) or not path.is_file():
        run_ids = ", ".join(other.run.run_id for other in unfinished_journals(directory)) or "none"
        raise ConfigurationError(
            f'There is no journal of run "{run_id}" in {directory}: either everything was cleaned up or it ran '
            f"on another machine. Runs with leftovers here: {run_ids}."
        )
    return path


def forget_journal(directory: Path, run_id: str) -> tuple[MutationEntry, ...]:
    """Remove a run's journal without cleaning up, and return what it lists as sent and not cleaned up.

    ConfigurationError when it does not exist, or while its run is still going on.
    """
    path = journal_path(directory, run_id)
    with _locked(path):
        journal = _read(path)
        path.unlink()
    return () if journal is None else tuple(sent for execution in journal.unfinished for sent in execution.mutations)


class ReopenedJournal:
    """A journal opened by a later cleanup; its run has ended."""

    def __init__(self, directory: Path, run_id: str) -> None:
        """Open the journal; ConfigurationError when there is none, or while its run is still going on."""
        self._path = journal_path(directory, run_id)
        self._file = _reopen(self._path)
        try:
            # Read under the lock: another cleanup of this run may have ended just now.
            self.journal = find_journal(directory, run_id)
        except ConfigurationError:
            os.close(self._file)
            raise
        self._run_id = self.journal.run.run_id
        self._open = {execution.entry.execution for execution in self.journal.unfinished}
        self._numbers = set(self._open)
        self._turn = asyncio.Lock()

    @property
    def run_id(self) -> str:
        """Return the id of the run that wrote this journal."""
        return self._run_id

    def next_execution(self) -> int:
        """Return a number no other execution of this journal has."""
        return max(self._numbers, default=0) + 1

    async def append(self, *entries: Entry) -> None:
        """Write entries and wait until they are on the disk; JournalError when that is not possible."""
        await _whole(self._append(entries))

    async def _append(self, entries: Sequence[Entry]) -> None:
        async with self._turn:
            try:
                await asyncio.to_thread(self._write, entries)
            except OSError as error:
                raise JournalError(f"The journal {self._path} cannot be written: {error.strerror or error}.") from error
            self._open -= {entry.execution for entry in entries if isinstance(entry, ClosedEntry)}

    def _write(self, entries: Iterable[Entry]) -> None:
        _append(self._file, entries)

    async def finish(self) -> None:
        """Close the journal after its last write; the file is removed when nothing is left behind."""
        async with self._turn:
            os.close(self._file)
            if not self._open and not self.journal.damaged:
                self._path.unlink(missing_ok=True)


def _read(path: Path) -> UnfinishedJournal | None:
    run: RunEntry | None = None
    executions: dict[int, UnfinishedExecution] = {}
    damaged = 0
    try:
        *lines, incomplete = path.read_bytes().split(b"\n")
    except OSError:
        return None
    for line in (*lines, incomplete):
        entry = _decode(line)
        if entry is None:
            damaged += line is not incomplete
        elif isinstance(entry, RunEntry):
            run = entry
        elif isinstance(entry, ExecutionEntry):
            executions[entry.execution] = UnfinishedExecution(entry=entry)
        else:
            _apply(entry, executions)
    if run is None:
        return None
    return UnfinishedJournal(path=path, run=run, unfinished=tuple(executions.values()), damaged=damaged)


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
