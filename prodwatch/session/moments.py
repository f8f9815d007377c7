"""The moments of a recording that a replay jumps to: release events, changes of the verdict, red checks and marks."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from prodwatch.model.event import CheckFinished
from prodwatch.model.evidence import CheckReported, Delivered, GateLooked, Judged, Marked
from prodwatch.model.result import VerdictStatus
from prodwatch.model.signal import ReleaseEvent
from prodwatch.model.status import Status
from prodwatch.store.recording.events import Entry
from prodwatch.store.recording.reader import SessionFile

RED = (Status.FAIL, Status.ERROR)
_WORDS = (b'"release_events"', b'"judged"', b'"gate_looked"', b'"check_reported"', b'"marked"')
"""Types and kinds of the lines that hold a moment: one of them is in each such line."""


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """An event and its position in the recording, which is the time at which it was received."""

    elapsed_us: int
    event: ReleaseEvent


def moments(file: SessionFile) -> Iterator[Moment]:
    """Yield the moments in their order. Raises DamagedFrameError at the first frame that is damaged.

    Events from before the recording are left out. A gate's own verdicts take the place of those of its session.
    """
    changes = _Changes(file)
    for entry in file.entries_with(_WORDS):
        for event in changes.of(entry):
            yield Moment(elapsed_us=entry.elapsed_us, event=event)


class _Changes:
    """Remembers the statuses so far, whose changes are moments."""

    def __init__(self, file: SessionFile) -> None:
        self._started_at = file.header.started_at
        self._verdicts = GateLooked if file.header.mode == "gate" else Judged
        self._verdict: VerdictStatus | None = None
        self._checks: dict[str, Status] = {}

    def of(self, entry: Entry) -> Iterator[ReleaseEvent]:
        """Yield the moments in an entry."""
        match entry.event:
            case Delivered():
                for record in entry.event.batch.records:
                    if isinstance(record, ReleaseEvent) and record.at >= self._started_at:
                        yield record
            case Marked():
                yield entry.event.event
            case GateLooked() | Judged() if isinstance(entry.event, self._verdicts):
                yield from self._judged(entry, entry.event)
            case CheckReported():
                if isinstance(entry.event.event, CheckFinished):
                    yield from self._finished(entry, entry.event.event)
            case _:
                pass

    def _judged(self, entry: Entry, judged: GateLooked | Judged) -> Iterator[ReleaseEvent]:
        before, self._verdict = self._verdict, judged.verdict.status
        if before != self._verdict:
            yield ReleaseEvent(
                at=entry.at,
                source="verdict",
                subject="verdict",
                what="status",
                from_=before,
                to=self._verdict,
                detail=judged.verdict.reason,
            )

    def _finished(self, entry: Entry, finished: CheckFinished) -> Iterator[ReleaseEvent]:
        result = finished.result
        before = self._checks.get(result.id)
        self._checks[result.id] = result.status
        if result.status in RED and before not in RED:
            yield ReleaseEvent(
                at=entry.at,
                source="check",
                subject=result.title,
                what="status",
                from_=before,
                to=result.status,
                detail=result.message,
            )
