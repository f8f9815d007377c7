"""The poll loop shared by all polling sources: poll, yield, pause, back off."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

from msgspec.structs import replace

from prodwatch.aws.interface import AwsError
from prodwatch.clock import Clock
from prodwatch.model.signal import Batch, Record, SourcePhase, SourceStatus
from prodwatch.sources.backoff import Backoff
from prodwatch.sources.error_status import error_status, retry_delay_s

RECORDS_PER_BATCH = 500
"""Most records in one batch."""


class PollingSource(ABC):
    """Calls `poll` repeatedly; an AwsError becomes a status and a pause, never an exception."""

    name: str

    def __init__(self, *, clock: Clock, backoff: Callable[[], Backoff] = Backoff) -> None:
        self._clock = clock
        self._backoff = backoff()

    @abstractmethod
    async def poll(self) -> list[Record]:
        """Read once and return the new records; raises AwsError."""

    @abstractmethod
    def pause_s(self) -> float:
        """Return the seconds until the next poll."""

    async def pause(self) -> None:
        """Wait until the next poll is due."""
        await self._clock.sleep(self.pause_s())

    def note(self) -> str | None:
        """Return a message about the last poll, None without one."""
        return None

    def unread(self) -> tuple[str, ...]:
        """Return one sentence per target that the last poll could not read."""
        return ()

    def status(self, began_s: float) -> SourceStatus:
        """Return the status after a successful poll that began at epoch second `began_s`."""
        return SourceStatus(
            source=self.name,
            phase=SourcePhase.LIVE,
            message=self.note(),
            unread=self.unread(),
            fresh_at=datetime.fromtimestamp(began_s, UTC),
        )

    async def batches(self) -> AsyncIterator[Batch]:
        """Yield batches until cancelled."""
        fresh_at: datetime | None = None
        while True:
            began_s = self._now_s()
            try:
                records = await self.poll()
            except AwsError as error:
                wait_s = retry_delay_s(error, self._backoff)
                # Keep the time of the last successful poll: an error does not make old data fresh.
                status = replace(error_status(self.name, error, self._now_s() + wait_s), fresh_at=fresh_at)
                yield Batch(source=self.name, status=status)
                await self._clock.sleep(wait_s)
                continue
            self._backoff.reset()
            status = self.status(began_s)
            fresh_at = status.fresh_at
            for start in range(0, len(records), RECORDS_PER_BATCH):
                yield Batch(source=self.name, records=tuple(records[start : start + RECORDS_PER_BATCH]))
            yield Batch(source=self.name, status=status)
            await self.pause()

    def _now_s(self) -> float:
        return self._clock.now().timestamp()
