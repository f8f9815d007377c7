"""Time window of triage: up to now, or in the past."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

MAX_LEAD = timedelta(minutes=15)


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """The time window of triage."""

    start: datetime
    end: datetime | None = None
    """None: the window extends to the present."""

    @property
    def is_past(self) -> bool:
        """Whether the window has ended, so that its data no longer changes."""
        return self.end is not None

    def until(self, now: datetime) -> datetime:
        """Return its end, `now` for a window without one."""
        return self.end or now

    def span(self, now: datetime) -> timedelta:
        """Return its length at `now`, at least one minute."""
        return max(self.until(now) - self.start, timedelta(minutes=1))

    def compared_from(self, now: datetime) -> datetime:
        """Return the start of the equally long window before it, with which metrics are compared."""
        return self.start - self.span(now)

    def lines_from(self, now: datetime) -> datetime:
        """Return the start of reading log lines: some time before the window, to know which errors are new in it."""
        return self.start - min(MAX_LEAD, self.span(now))

    def has(self, at: datetime, now: datetime) -> bool:
        """Return whether a time is in it, both ends included."""
        return self.start <= at <= self.until(now)

    def named(self, now: datetime) -> str:
        """Return its length in words: `hour`, `30m`, `1h 30m`."""
        return named_length(self.span(now).total_seconds())


def named_length(seconds: float) -> str:
    """Return a length in words: `hour`, `30m`, `1h 30m`."""
    minutes = max(1, round(seconds / 60))
    hours, rest = divmod(minutes, 60)
    if (hours, rest) == (1, 0):
        return "hour"
    return " ".join(part for part in (f"{hours}h" if hours else "", f"{rest}m" if rest else "") if part)
