"""Decides when a stream with an end is complete: by what the sources have read, never by silence alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from prodwatch.clock import Clock
from prodwatch.model.signal import Batch, SourcePhase, SourceStatus
from prodwatch.sources.logs.scan_plan import PROMISED_S

SETTLE_S = 10.0
"""Seconds after the end of a window up to which it is read, because lines become visible late."""
FAILED_FOR_S = 20.0
"""Give up on a source after this many seconds of continuous failure."""
THROTTLED_FOR_S = 120.0
"""Give up on a source after this many seconds of continuous throttling."""
SWEEP_S = 60.0
"""Time limit in seconds for the final search for late lines."""

_HOPELESS = frozenset((SourcePhase.DENIED, SourcePhase.EXPIRED, SourcePhase.WAITING, SourcePhase.STOPPED))
_PATIENCE_S = {SourcePhase.FAILED: FAILED_FOR_S, SourcePhase.THROTTLED: THROTTLED_FOR_S}


class Patience:
    """Follows the phases of sources until they recover or are given up."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._phases: dict[str, SourcePhase] = {}
        self._failing_since_s: dict[str, float] = {}

    def update(self, status: SourceStatus) -> None:
        """Store the phase of a source."""
        if self._phases.get(status.source) is not status.phase:
            self._failing_since_s[status.source] = self._clock.monotonic_s()
        self._phases[status.source] = status.phase

    def is_over(self, source: str) -> bool:
        """Return whether a source cannot be read, or has failed for too long."""
        phase = self._phases.get(source)
        if phase not in _PATIENCE_S:
            return phase in _HOPELESS
        return self._clock.monotonic_s() - self._failing_since_s[source] >= _PATIENCE_S[phase]


class StreamCompletion:
    """Follows the statuses of the expected sources until all are read, or cannot be."""

    def __init__(
        self,
        expected: Iterable[str],
        *,
        clock: Clock,
        idle_s: float | None = None,
        until: datetime | None = None,
        counts_news: bool = True,
        sweep: Callable[[], None] | None = None,
    ) -> None:
        """Expect sources by name.

        Without `idle_s` and `until` the stream has no end. With `counts_news=False` new records do not postpone the
        end. `sweep` starts a final search for late lines, which the end waits for.
        """
        self._expected = frozenset(expected)
        self._clock = clock
        self._idle_s = idle_s
        self._until = until
        self._counts_news = counts_news
        self._sweep = sweep
        self._sweep_at: datetime | None = None
        self._latest_news = clock.now()
        self._statuses: dict[str, SourceStatus] = {}
        self._patience = Patience(clock)

    @property
    def follows(self) -> bool:
        """Whether the stream has no end."""
        return self._idle_s is None and self._until is None

    @property
    def caught_up(self) -> bool:
        """Whether every source has been read up to the present once, or cannot be."""
        return all(self._given_up(name) or self._fresh_at(name) for name in self._expected)

    def restart_idle(self) -> None:
        """Restart the idle time, because a new record was shown."""
        if self._counts_news:
            self._latest_news = self._clock.now()

    def update(self, batch: Batch) -> None:
        """Store the status of a batch's source."""
        if batch.status is not None:
            self._statuses[batch.status.source] = batch.status
            self._patience.update(batch.status)

    def done(self) -> bool:
        """Return whether the stream is complete, or none of its sources may be read."""
        if self.follows:
            return bool(self._expected) and all(self._is_closed(name) for name in self._expected)
        if self._sweep_at is None:
            if not self._is_read() or self._sweep is None:
                return self._is_read()
            self._sweep_at = self._clock.now()
            if self.unswept():
                self._sweep()
        taken_s = (self._clock.now() - self._sweep_at).total_seconds()
        return not self.unswept() or not 0 <= taken_s < SWEEP_S

    def _is_read(self) -> bool:
        goal = self._latest_news + timedelta(seconds=self._idle_s or 0.0)
        if self._until is not None:
            goal = self._until + timedelta(seconds=SETTLE_S)
        return all(
            self._given_up(name) or ((fresh_at := self._fresh_at(name)) is not None and fresh_at >= goal)
            for name in self._expected
        )

    def unread(self) -> list[str]:
        """Return the expected sources that were never read to their end, or only in part."""
        return sorted(
            name
            for name in self._expected
            if not self._fresh_at(name) or self._given_up(name) or self._statuses[name].unread
        )

    def unswept(self) -> list[str]:
        """Return the expected sources that were read, but not searched for late lines at the end."""
        if self._sweep is None or self._sweep_at is None:
            return []
        goal = self._sweep_at
        if self._until is not None:
            # Lines dated before the end are visible by then, unless they are later than promised.
            goal = min(goal, self._until + timedelta(seconds=PROMISED_S))
        return sorted(
            name
            for name in self._expected
            if not self._given_up(name) and ((swept_at := self._swept_at(name)) is None or swept_at < goal)
        )

    def reach(self) -> tuple[datetime, datetime] | None:
        """Return the times up to which visible lines have been shown and late lines have been searched.

        None when nothing was read, or when no further line can become visible.
        """
        read = [(each.fresh_at, each.swept_at) for each in self._statuses.values() if each.fresh_at and each.swept_at]
        if not read:
            return None
        fresh_at, swept_at = min(fresh for fresh, _ in read), min(swept for _, swept in read)
        if self._until is not None and swept_at >= self._until + timedelta(seconds=PROMISED_S):
            return None
        return fresh_at, swept_at

    def _swept_at(self, name: str) -> datetime | None:
        status = self._statuses.get(name)
        return status.swept_at if status else None

    def _fresh_at(self, name: str) -> datetime | None:
        status = self._statuses.get(name)
        return status.fresh_at if status else None

    def _is_closed(self, name: str) -> bool:
        """Return whether a source has been denied from the start; waiting for it would look like silence."""
        status = self._statuses.get(name)
        return status is not None and status.phase is SourcePhase.DENIED and status.fresh_at is None

    def _given_up(self, name: str) -> bool:
        return self._patience.is_over(name)
