"""Latest result and history of each check."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import msgspec

from prodwatch.model.check import CheckDefinition, measures_the_same
from prodwatch.model.result import CheckResult
from prodwatch.model.status import Status

MAX_ROUNDS = 240
"""Finished rounds kept per check: two hours at one round every 30 s."""


class RoundOutcome(msgspec.Struct, frozen=True, gc=False):
    """One finished round of a check."""

    at: datetime
    """Time of completion."""
    status: Status
    duration_ms: int
    flaky: bool = False


class CheckTrack(msgspec.Struct, frozen=True, kw_only=True):
    """One check over time. Immutable and replaced with each event, so a view may keep a reference."""

    id: str
    definition: CheckDefinition | None = None
    """None when a result arrived for a check that was not defined."""
    latest: CheckResult | None = None
    finished_at: datetime | None = None
    running_since: datetime | None = None
    history: tuple[RoundOutcome, ...] = ()
    """Finished rounds, oldest first, at most `MAX_ROUNDS`; includes skipped ones."""
    status_since: datetime | None = None
    """Start of the current sequence of equal statuses."""
    streak: int = 0
    """Length of that sequence, in rounds."""
    rounds: int = 0
    """Finished rounds in all, including those no longer in `history`."""

    @property
    def status(self) -> Status | None:
        """Status of the latest round; None before the first."""
        return self.latest.status if self.latest else None

    @property
    def title(self) -> str:
        """Title for display."""
        if self.latest:
            return self.latest.title
        return self.definition.title if self.definition else self.id

    @property
    def kind(self) -> str:
        """`smoke` or `diagnostic`."""
        if self.definition:
            return self.definition.kind
        return self.latest.kind if self.latest else "smoke"

    def has(self, flag: str) -> bool:
        """Return whether the check has a flag such as `advisory`, by definition or in its latest result."""
        if self.definition and getattr(self.definition, flag, None) is True:
            return True
        return bool(self.latest and flag in self.latest.flags)


class CheckState(msgspec.Struct, frozen=True, kw_only=True):
    """Checks, their rounds, and the progress of the present round."""

    defined: bool = False
    tracks: tuple[CheckTrack, ...] = ()
    done: int = 0
    total: int = 0


class CheckStore:
    """Tracks by check id, in order of definition; undefined checks follow in order of arrival."""

    def __init__(self) -> None:
        self._tracks: dict[str, CheckTrack] = {}
        self.defined = False
        """Whether the set of checks has been defined."""
        self.past: Mapping[str, tuple[Status, ...]] = {}
        """Outcomes of earlier runs by check id, oldest first, to show; no verdict rests on them."""
        self.done = 0
        """Checks finished in the current round."""
        self.total = 0
        """Checks of the current round; 0 when it was not announced."""

    def define(self, definitions: Iterable[CheckDefinition]) -> None:
        """Replace the set of checks; the track of a check that measures the same is kept, the others are dropped."""
        self.defined = True
        previous = self._tracks
        self._tracks = {each.id: _kept(previous.get(each.id), each) for each in definitions}

    def restore(self, state: CheckState) -> None:
        """Replace everything by the checks and rounds of another time."""
        self._tracks = {each.id: each for each in state.tracks}
        self.defined, self.done, self.total = state.defined, state.done, state.total

    def started(self, check_id: str, at: datetime) -> None:
        """Record the start of a check's round."""
        track = self._tracks.get(check_id, CheckTrack(id=check_id))
        self._tracks[check_id] = msgspec.structs.replace(track, running_since=at)

    def finished(self, result: CheckResult, received_at: datetime) -> tuple[Status | None, Status]:
        """Record a result; return the status before and after.

        Results of diagnostics that ran as part of another check are also recorded under their own ids.
        """
        for diagnostic in result.diagnosed_by:
            if not self._has(diagnostic):
                self._record(diagnostic, received_at)
        return self._record(result, received_at)

    def _has(self, result: CheckResult) -> bool:
        """Return whether this execution is the latest one on record."""
        track = self._tracks.get(result.id)
        latest = track.latest if track is not None else None
        return latest is not None and result.started_at is not None and latest.started_at == result.started_at

    def _record(self, result: CheckResult, received_at: datetime) -> tuple[Status | None, Status]:
        track = self._tracks.get(result.id, CheckTrack(id=result.id))
        at = result.started_at + timedelta(milliseconds=result.duration_ms) if result.started_at else received_at
        outcome = RoundOutcome(at, result.status, result.duration_ms, "flaky" in result.flags)
        unchanged = track.status == result.status
        self._tracks[result.id] = msgspec.structs.replace(
            track,
            latest=result,
            finished_at=at,
            running_since=None,
            history=(*track.history[-(MAX_ROUNDS - 1) :], outcome),
            status_since=track.status_since if unchanged else at,
            streak=track.streak + 1 if unchanged else 1,
            rounds=track.rounds + 1,
        )
        return track.status, result.status

    @property
    def tracks(self) -> Mapping[str, CheckTrack]:
        """All tracks by check id."""
        return self._tracks

    def get(self, check_id: str) -> CheckTrack | None:
        """Return the track of a check; None when unknown."""
        return self._tracks.get(check_id)


def _kept(track: CheckTrack | None, definition: CheckDefinition) -> CheckTrack:
    """Return the track to go on with: a result of another definition does not count for this one."""
    if track is None or (track.definition is not None and not measures_the_same(track.definition, definition)):
        track = CheckTrack(id=definition.id)
    return msgspec.structs.replace(track, definition=definition)
