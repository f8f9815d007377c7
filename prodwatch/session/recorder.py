"""Records the evidence of a session to a file, from a thread of its own, until it is closed or the file fails."""

from __future__ import annotations

import logging
import threading
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec
from msgspec.structs import replace

from prodwatch.clock import Clock
from prodwatch.model.check import CheckDefinition, StepDefinition, measures_the_same
from prodwatch.model.environment import Environment
from prodwatch.model.evidence import ChecksDefined, Concluded, Delivered, Evidence, Opened
from prodwatch.model.result import Notice, RecordingInfo, RunResult
from prodwatch.store.recording.events import TOOL, End, Entry, Header
from prodwatch.store.recording.redaction import Redaction, RedactionError
from prodwatch.store.recording.writer import SessionWriter
from prodwatch.store.state import StoreState
from prodwatch.store.store import Store
from prodwatch.text.units import format_bytes

FLUSH_S = 1.0
SNAPSHOT_S = 60.0
"""Longest time between two snapshots, from which a replay begins when it is moved."""
SNAPSHOT_LINES = 10_000
"""Most log lines between two snapshots."""
FRAME_RECORDS = 2_000
"""Records after which a frame is full, so that damage costs few of them."""
MOST_WAITING = 100_000
"""Records that may wait for a slow disk before the recording ends."""

_LOG = logging.getLogger(__name__)
Mode = Literal["dashboard", "gate", "check", "record"]


class Recorder:
    """One recording. The event loop's thread calls everything but `flush`."""

    def __init__(self, writer: SessionWriter, clock: Clock, *, mode: Mode, environment: Environment) -> None:
        """Events are written from `Opened` on, before which secrets are not known; earlier ones follow it."""
        self.path = writer.path
        self._writer = writer
        self._clock = clock
        self._started_s = clock.monotonic_s()
        self._header = Header(
            started_at=clock.now(),
            tool=TOOL,
            mode=mode,
            environment=environment.name,
            title=environment.title,
        )
        self._definitions: dict[str, tuple[CheckDefinition, int]] = {}
        """Check → its latest definition, and how often what it measures has changed."""
        self._store: Store | None = None
        self._waiting: list[Entry | _Snapshot] = []
        self._records = 0
        """Records in `_waiting`."""
        self._lines = 0
        """Log lines since the last snapshot."""
        self._snapshot_us = 0
        self._begun = False
        self._opened = threading.Event()
        self._closing = threading.Event()
        self._buffer = threading.Lock()
        """Held for a moment, while `_waiting` changes."""
        self._writing = threading.Lock()
        """Held while the writer is in use."""
        self._thread: threading.Thread | None = None
        self.failure: str | None = None
        """Why the recording ended before the session; None while it runs."""
        self._reported = False

    def subscribe(self, store: Store) -> None:
        """Record everything that a store reports from now on; `flush` writes it."""
        self._store = store
        store.subscribe(self._take)

    def start(self) -> None:
        """Write what is recorded about every second, until `close`."""
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def info(self) -> RecordingInfo:
        """Return size and digest of what has been written."""
        return RecordingInfo(
            file=str(self.path), bytes=self._writer.size, digest=self._writer.digest.hex(), ended=self.failure
        )

    def sentence(self) -> str:
        """Return size and rate of the recording in a few words, or why it ended."""
        if self.failure is not None:
            return f"recording ended: {self.failure}"
        elapsed_s = max(1.0, self._elapsed_us() / 1_000_000)
        rate = format_bytes(self._writer.size / elapsed_s * 60)
        return f"recording {format_bytes(self._writer.size)}, {rate} per minute"

    def flush(self) -> None:
        """Write what waits, as whole frames; a failure ends the recording."""
        if not (self._opened.is_set() or self._closing.is_set()):
            return
        with self._writing:
            with self._buffer:
                waiting, self._waiting, self._records = self._waiting, [], 0
            if self.failure is not None:
                return
            try:
                self._write(waiting)
            except (OSError, RedactionError) as error:
                self._fail(getattr(error, "strerror", None) or str(error))
            except Exception as error:  # noqa: BLE001 -- a bug here must not end the session that is recorded
                _LOG.exception("the recording failed")
                self._fail(f"{type(error).__name__}: {error}")

    def conclude(self, result: RunResult) -> RunResult:
        """Record the document of the run, close the file, and return the document with the recording in it."""
        if self._store is not None:
            self._store.note(Concluded(result=result))
        return replace(result, recording=self.close(result.run.ended_at))

    def close(self, ended_at: datetime | None = None) -> RecordingInfo:
        """Write everything, end the file, and return its size and digest. Again, it does nothing."""
        if self._closing.is_set():
            return self.info()
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
        self.flush()
        with self._writing:
            if self.failure is None:
                try:
                    end = End(ended_at=ended_at or self._clock.now(), events=self._writer.events)
                    self._writer.write_end(self._elapsed_us(), end)
                except OSError as error:
                    self._fail(error.strerror or str(error))
            try:
                self._writer.close()
            except OSError as error:
                self._fail(error.strerror or str(error))
        return self.info()

    def _run(self) -> None:
        while not self._closing.wait(FLUSH_S):
            self.flush()

    def _write(self, waiting: list[Entry | _Snapshot]) -> None:
        if not self._begun:
            self._begun = True
            self._writer.write_header(self._header)
        entries: list[Entry] = []
        records = 0
        for each in waiting:
            if isinstance(each, Entry):
                entries.append(each)
                records += _records_in(each.event)
            if records >= FRAME_RECORDS or not isinstance(each, Entry):
                self._writer.write_events(entries)
                entries, records = [], 0
            if not isinstance(each, Entry):
                self._writer.write_snapshot(each.elapsed_us, each.state)
        self._writer.write_events(entries)

    def _fail(self, why: str) -> None:
        self.failure = why

    def _elapsed_us(self) -> int:
        return round((self._clock.monotonic_s() - self._started_s) * 1_000_000)

    def _take(self, evidence: Evidence) -> None:
        """Note evidence that the store is about to apply."""
        if self.failure is not None:
            self._report_failure()
            return
        elapsed_us = self._elapsed_us()
        snapshot = self._snapshot(elapsed_us)
        entry = Entry(at=self._clock.now(), elapsed_us=elapsed_us, event=self._without_requests(evidence))
        records = _records_in(evidence)
        self._lines += records
        with self._buffer:
            self._records += 1 + records
            if self._records > MOST_WAITING:
                self._fail(f"the disk is too slow: {self._records:,} records were waiting to be written")
                return
            if snapshot is not None:
                self._waiting.append(snapshot)
            self._waiting.append(entry)
        if isinstance(evidence, Opened):
            self._opened.set()

    def _snapshot(self, elapsed_us: int) -> _Snapshot | None:
        """Return the state after everything so far when one is due; None otherwise."""
        due = self._lines >= SNAPSHOT_LINES or elapsed_us - self._snapshot_us >= SNAPSHOT_S * 1_000_000
        if not due or self._store is None or not self._opened.is_set():
            return None
        self._lines, self._snapshot_us = 0, elapsed_us
        state = self._store.state()
        tracks = tuple(
            replace(each, definition=self._shortened(each.definition)) if each.definition else each
            for each in state.checks.tracks
        )
        return _Snapshot(elapsed_us, replace(state, checks=replace(state.checks, tracks=tracks)))

    def _report_failure(self) -> None:
        if not self._reported and self._store is not None:
            self._reported = True
            self._store.notice(Notice(code="recording", message=f"{self.path}: {self.sentence()}"))

    def _without_requests(self, evidence: Evidence) -> Evidence:
        """Return evidence without what a check sends and an environment's own values: neither is needed to judge."""
        match evidence:
            case ChecksDefined():
                return ChecksDefined(checks=tuple(map(self._shortened, evidence.checks)))
            case Opened():
                return replace(evidence, environment=replace(evidence.environment, vars={}, secrets={}, stacks={}))
            case _:
                return evidence

    def _shortened(self, check: CheckDefinition) -> CheckDefinition:
        """Return a definition whose steps have a number instead of their request.

        The number changes when what the check measures has changed, so that a replay knows which results go on.
        """
        known = self._definitions.get(check.id)
        changed = known is not None and not measures_the_same(known[0], check)
        edition = (known[1] if known is not None else 0) + changed
        self._definitions[check.id] = check, edition

        def without(steps: tuple[StepDefinition, ...]) -> tuple[StepDefinition, ...]:
            return tuple(replace(each, params={"edition": edition}) for each in steps)

        return replace(check, vars={}, steps=without(check.steps), cleanup=without(check.cleanup))


def _records_in(evidence: Evidence) -> int:
    return len(evidence.batch.records) if isinstance(evidence, Delivered) else 0


class _Snapshot(msgspec.Struct, frozen=True):
    elapsed_us: int
    state: StoreState


def open_recorder(path: Path, redaction: Redaction, clock: Clock, *, mode: Mode, environment: Environment) -> Recorder:
    """Create the file of a recording. Raises OSError and FileInTheWayError."""
    return Recorder(SessionWriter(path, redaction), clock, mode=mode, environment=environment)
