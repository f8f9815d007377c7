"""What each check said last, and how it went before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import msgspec

from prodwatch.model.check import CheckDefinition
from prodwatch.model.result import CheckResult
from prodwatch.model.status import Status

HISTORY = 240
"""Outcomes kept per check: two hours at one round every 30 s."""


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """One finished round of one check."""

    at: datetime
    """When it finished."""
    status: Status
    duration_ms: int
    flaky: bool = False


class CheckTrack(msgspec.Struct, frozen=True, kw_only=True):
    """One check over time. Replaced as a whole by each event, so a view may keep it."""

    id: str
    definition: CheckDefinition | None = None
    """None when a result came for a check nobody announced."""
    latest: CheckResult | None = None
    finished_at: datetime | None = None
    running_since: datetime | None = None
    history: tuple[Outcome, ...] = ()
    """Oldest first, at most `HISTORY`; skipped rounds are in it."""
    status_since: datetime | None = None
    """When the present run of equal statuses began."""
    streak: int = 0
    """How many rounds in a row ended as the latest did."""
    rounds: int = 0
    """How many rounds finished, those no longer in `history` included."""

    @property
    def status(self) -> Status | None:
        """Status of the latest round, None before the first."""
        return self.latest.status if self.latest else None

    @property
    def title(self) -> str:
        """What people call the check."""
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
        """Tell whether the check is `advisory`, `critical`, `muted` …: by definition or by its latest result."""
        if self.definition and getattr(self.definition, flag, None) is True:
            return True
        return bool(self.latest and flag in self.latest.flags)


class CheckBook:
    """Tracks by id, in the order the checks were defined; unknown ones follow in order of arrival."""

    def __init__(self) -> None:
        self._tracks: dict[str, CheckTrack] = {}
        self.defined = False
        """Whether anybody has said which checks there are."""
        self.done = 0
        """Checks finished in the running round."""
        self.total = 0
        """Checks of the running round; 0 when none was announced."""

    def define(self, definitions: Iterable[CheckDefinition]) -> None:
        """Replace the set of checks; what is known of those that stay is kept, the others are forgotten."""
        self.defined = True
        known = self._tracks
        self._tracks = {
            each.id: msgspec.structs.replace(known.get(each.id, CheckTrack(id=each.id)), definition=each)
            for each in definitions
        }

    def started(self, check_id: str, at: datetime) -> None:
        """Note that a round of the check began."""
        track = self._tracks.get(check_id, CheckTrack(id=check_id))
        self._tracks[check_id] = msgspec.structs.replace(track, running_since=at)

    def finished(self, result: CheckResult, received_at: datetime) -> tuple[Status | None, Status]:
        """File a result; return the status before and after.

        Results of diagnostics that ran under another check are filed under their own id as well.
        """
        for diagnostic in result.diagnosed_by:
            self._file(diagnostic, received_at)
        return self._file(result, received_at)

    def _file(self, result: CheckResult, received_at: datetime) -> tuple[Status | None, Status]:
        track = self._tracks.get(result.id, CheckTrack(id=result.id))
        at = result.started_at + timedelta(milliseconds=result.duration_ms) if result.started_at else received_at
        outcome = Outcome(at, result.status, result.duration_ms, "flaky" in result.flags)
        same = track.status == result.status
        self._tracks[result.id] = msgspec.structs.replace(
            track,
            latest=result,
            finished_at=at,
            running_since=None,
            history=(*track.history[-(HISTORY - 1) :], outcome),
            status_since=track.status_since if same else at,
            streak=track.streak + 1 if same else 1,
            rounds=track.rounds + 1,
        )
        return track.status, result.status

    @property
    def tracks(self) -> Mapping[str, CheckTrack]:
        """Every check by id."""
        return self._tracks

    def get(self, check_id: str) -> CheckTrack | None:
        """Return one check, None when it is unknown."""
        return self._tracks.get(check_id)
