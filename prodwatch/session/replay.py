"""Feeds recorded evidence to a store and to the comparison of versions, as the session did that received it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import chain
from typing import NamedTuple

from prodwatch.model.environment import Compare, Environment
from prodwatch.model.evidence import (
    CheckReported,
    ChecksDefined,
    Compared,
    Concluded,
    Delivered,
    Evidence,
    FunctionsWatched,
    GateLooked,
    GateOpened,
    Judged,
    LastWeekRead,
    Looked,
    Marked,
    NoticeAdded,
    Opened,
    SourceForgotten,
    Stalled,
    TraceFetched,
    UsageCounted,
)
from prodwatch.model.signal import LogRecord
from prodwatch.session.release_comparison import ReleaseComparisons
from prodwatch.store.recording.events import Entry
from prodwatch.store.recording.frames import FrameHead
from prodwatch.store.recording.reader import SessionFile
from prodwatch.store.state import StoreState
from prodwatch.store.store import Store

Stored = (
    Delivered
    | CheckReported
    | ChecksDefined
    | SourceForgotten
    | TraceFetched
    | Marked
    | NoticeAdded
    | UsageCounted
    | Stalled
)
"""Evidence that enters a store as it is."""
LINES_SHOWN = 20_000
"""Log lines from before a moment that a replay shows when it is moved there."""


class Replay:
    """Applies evidence to a store, whose clock has to show the time at which each value was received."""

    def __init__(self, store: Store, *, compares: bool, limits: Compare | None = None) -> None:
        """With `compares` the versions are compared again, by `limits` or those recorded; without, as was recorded."""
        self._store = store
        self._compares = compares
        self._limits = limits
        self._comparisons: ReleaseComparisons | None = None

    def feed(self, evidence: Evidence) -> None:
        """Apply the next value."""
        match evidence:
            case Opened():
                self._open(evidence.environment)
            case Compared():
                if not self._compares:
                    self._store.compare(evidence.functions)
                    self._store.set_comparisons(
                        evidence.comparisons,
                        evidence.signatures,
                        evidence.coverage,
                        compared=frozenset(evidence.releases),
                    )
            case Judged():
                self._store.set_verdict(evidence.verdict)
            case FunctionsWatched() | Looked() | LastWeekRead():
                if self._compares and self._comparisons is not None:
                    _compare(self._comparisons, evidence)
            case GateOpened() | GateLooked() | Concluded():
                pass  # of the gate and of the document, which a store does not hold
            case _:
                _store(self._store, evidence)

    def _open(self, environment: Environment) -> None:
        if self._comparisons is not None:
            return  # edited files change no threshold of a session that is open
        limits = self._limits or environment.compare
        functions = len(environment.functions)
        self._comparisons = ReleaseComparisons(self._store, limits, functions, baseline=environment.release.baseline)


def _compare(comparisons: ReleaseComparisons, evidence: FunctionsWatched | Looked | LastWeekRead) -> None:
    match evidence:
        case FunctionsWatched():
            comparisons.watch(evidence.functions, evidence.metrics)
        case Looked():
            comparisons.update(evidence.at)
        case LastWeekRead():
            comparisons.add_last_week(evidence.release, evidence.minutes)


def _store(store: Store, evidence: Stored) -> None:
    match evidence:
        case Delivered():
            store.apply(evidence.batch)
        case CheckReported():
            store.apply_event(evidence.event)
        case ChecksDefined():
            store.define(evidence.checks)
        case SourceForgotten():
            store.forget_source(evidence.source)
        case TraceFetched():
            store.add_trace(evidence.trace)
        case Marked():
            store.add_mark(evidence.event)
        case NoticeAdded():
            store.notice(evidence.notice)
        case UsageCounted():
            store.set_usage(evidence.usage)
        case Stalled():
            store.set_slow(evidence.slow_ms)


class ReplayClock:
    """Clock that shows the time of the evidence that is fed."""

    def __init__(self, started_at: datetime) -> None:
        self._now = started_at
        self._elapsed_us = 0

    def set(self, at: datetime, elapsed_us: int) -> None:
        """Show this moment from now on."""
        self._now, self._elapsed_us = at, elapsed_us

    def now(self) -> datetime:
        """Return the recorded wall time."""
        return self._now

    def monotonic_s(self) -> float:
        """Return the seconds since the start of the recording."""
        return self._elapsed_us / 1_000_000

    async def sleep(self, seconds: float) -> None:
        """Sleep on the real clock: a replay decides itself how fast its time passes."""
        await asyncio.sleep(seconds)


class Loaded(NamedTuple):
    """A snapshot as read, to which a player moves."""

    position_us: int
    state: StoreState
    lines: Sequence[LogRecord]
    """The last log lines before it."""
    given: GateLooked | None
    entries: Iterator[Entry]
    """Everything after it."""


class Player:
    """Position in a session file, movable both ways; the store has the state at that position.

    The store must have been made with the player's clock. The comparisons and verdicts are those recorded.
    """

    def __init__(self, file: SessionFile, clock: ReplayClock, store: Store) -> None:
        """Begin before the first event."""
        self._file = file
        self._clock = clock
        self._store = store
        self._replay = Replay(store, compares=False)
        self._next: Iterator[Entry] = file.entries()
        self._ahead: Entry | None = None
        self.position_us = 0
        self.given: GateLooked | Concluded | None = None
        """Latest verdict of a recorded gate or check; None before it, and in the recording of a session."""

    @property
    def duration_us(self) -> int:
        """Microseconds from the start to the last whole event."""
        return self._file.duration_us

    def play(self, up_to_us: int, *, most_records: int = sys.maxsize) -> int:
        """Apply the events up to a later position, which `most_records` may end, and return their number.

        Raises DamagedFrameError.
        """
        count = records = 0
        while (entry := self._ahead or next(self._next, None)) is not None:
            if entry.elapsed_us > up_to_us:
                self._ahead = entry
                break
            self._ahead = None
            self._clock.set(entry.at, entry.elapsed_us)
            self._replay.feed(entry.event)
            if isinstance(entry.event, GateLooked | Concluded):
                self.given = entry.event
            count += 1
            records += len(entry.event.batch.records) if isinstance(entry.event, Delivered) else 1
            if records >= most_records and entry.elapsed_us < up_to_us:
                self._show(entry.elapsed_us)
                return count
        self._show(up_to_us)
        return count

    def plays_on(self, to_us: int) -> bool:
        """Return whether a position is reached by playing on: no snapshot between shortens the way."""
        snapshot = self._file.snapshot_at(to_us)
        return (-1 if snapshot is None else snapshot.elapsed_us) <= self.position_us <= to_us

    def seek(self, to_us: int) -> None:
        """Move to any position: the snapshot before it, and the events between. Raises DamagedFrameError."""
        to_us = max(0, min(to_us, self.duration_us))
        if not self.plays_on(to_us):
            self.show(self.load(to_us))
        self.play(to_us)

    def load(self, to_us: int) -> Loaded:
        """Read the snapshot before a position and the events between, without changing anything.

        Another thread may do so while nothing else is read. Raises DamagedFrameError.
        """
        snapshot = self._file.snapshot_at(to_us)
        entries = self._file.entries(snapshot)
        if snapshot is None:
            return Loaded(position_us=0, state=StoreState(), lines=(), given=None, entries=entries)
        between = []
        for entry in entries:
            between.append(entry)
            if entry.elapsed_us > to_us:
                break
        return Loaded(
            position_us=snapshot.elapsed_us,
            state=self._file.state(snapshot),
            lines=self._lines_before(snapshot),
            given=self._look_before(snapshot),
            entries=chain(between, entries),
        )

    def show(self, loaded: Loaded) -> None:
        """Move to a snapshot, from which `play` goes on."""
        self._next, self._ahead = loaded.entries, None
        self._clock.set(self._file.header.started_at + timedelta(microseconds=loaded.position_us), loaded.position_us)
        self.given = loaded.given
        self._store.restore(loaded.state, loaded.lines)
        self.position_us = loaded.position_us

    def _look_before(self, snapshot: FrameHead) -> GateLooked | None:
        """Return the last look of a gate before a snapshot, which does not hold it."""
        if self._file.header.mode != "gate":
            return None
        looks = (
            entry.event
            for entries in self._file.entries_before(snapshot)
            for entry in reversed(entries)
            if isinstance(entry.event, GateLooked)
        )
        return next(looks, None)

    def _lines_before(self, snapshot: FrameHead) -> list[LogRecord]:
        """Return the last log lines before a snapshot, oldest first."""
        frames: list[list[LogRecord]] = []
        count = 0
        for entries in self._file.entries_before(snapshot):
            lines = [
                record
                for entry in entries
                if isinstance(entry.event, Delivered)
                for record in entry.event.batch.records
                if isinstance(record, LogRecord)
            ]
            frames.append(lines)
            count += len(lines)
            if count >= LINES_SHOWN:
                break
        return [line for lines in reversed(frames) for line in lines][-LINES_SHOWN:]

    def _show(self, position_us: int) -> None:
        """Let the clock go on from the last event to the position itself."""
        since_us = max(0, position_us - round(self._clock.monotonic_s() * 1_000_000))
        self._clock.set(self._clock.now() + timedelta(microseconds=since_us), position_us)
        self.position_us = position_us
