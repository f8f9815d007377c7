"""A stretch of time people ask about: the last hour up to now, or one that has ended and stands still."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

MAX_LEAD = timedelta(minutes=15)


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """What triage looks at."""

    start: datetime
    end: datetime | None = None
    """None: it goes on with the present."""

    @property
    def is_past(self) -> bool:
        """Whether it has ended, so that nothing in it can change any more."""
        return self.end is not None

    def until(self, now: datetime) -> datetime:
        """Return where it ends at `now`."""
        return self.end or now

    def span(self, now: datetime) -> timedelta:
        """Return how long it is at `now`."""
        return max(self.until(now) - self.start, timedelta(minutes=1))

    def compared_from(self, now: datetime) -> datetime:
        """Return the start of the stretch of equal length before it, which its figures are compared with."""
        return self.start - self.span(now)

    def lines_from(self, now: datetime) -> datetime:
        """Return from when on log lines are read: a while before it, to know which errors are new in it."""
        return self.start - min(MAX_LEAD, self.span(now))

    def has(self, at: datetime, now: datetime) -> bool:
        """Tell whether a moment is in it, both ends included."""
        return self.start <= at <= self.until(now)

    def named(self, now: datetime) -> str:
        """Return what its length is called: `hour`, `30m`, `1h 30m`."""
        minutes = round(self.span(now).total_seconds() / 60)
        hours, rest = divmod(minutes, 60)
        if (hours, rest) == (1, 0):
            return "hour"
        return " ".join(part for part in (f"{hours}h" if hours else "", f"{rest}m" if rest else "") if part)
