"""The release: its state per function, its alarms, and one time line of everything that happened."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from prodwatch.model.signal import AlarmState, ReleaseEvent, ReleaseState
from prodwatch.store.ring import Ring


class ReleaseBook:
    """States and alarms by name; events in a ring, each observation once however often it is told."""

    def __init__(self, capacity: int) -> None:
        self.events: Ring[ReleaseEvent] = Ring(capacity)
        self._seen: set[tuple[str, str, str, str | None, int]] = set()
        self._states: dict[str, ReleaseState] = {}
        self._alarms: dict[str, AlarmState] = {}

    def add_event(self, event: ReleaseEvent) -> bool:
        """File one observation; return False when it was known."""
        key = _identity(event)
        if key in self._seen:
            return False
        self._seen.add(key)
        self._seen.difference_update(_identity(gone) for gone in self.events.extend((event,)))
        return True

    def set_state(self, state: ReleaseState) -> None:
        """Replace the state of one function's release."""
        self._states[_unique(f"{state.function}:{state.alias or ''}", state.place)] = state

    def set_alarm(self, alarm: AlarmState, received_at: datetime) -> bool:
        """Replace one alarm's state; a change goes on the time line, and the answer is whether there was one."""
        name = _unique(alarm.name, alarm.place)
        known = self._alarms.get(name)
        self._alarms[name] = alarm
        if known is not None and known.state == alarm.state:
            return False
        if known is None and (alarm.state == "OK" or alarm.since is None):
            return False  # an alarm that was always quiet, or nobody knows since when, is not an event
        return self.add_event(
            ReleaseEvent(
                at=alarm.since or received_at,
                source="alarm",
                subject=alarm.name,
                what="state",
                from_=known.state if known else None,
                to=alarm.state,
                detail=alarm.reason,
            )
        )

    @property
    def states(self) -> Mapping[str, ReleaseState]:
        """Release state by what tells it from others."""
        return self._states

    @property
    def alarms(self) -> Mapping[str, AlarmState]:
        """Alarm by name, and place where that is not the environment's own."""
        return self._alarms


def _unique(name: str, place: str | None) -> str:
    return f"{name} in {place}" if place else name


def _identity(event: ReleaseEvent) -> tuple[str, str, str, str | None, int]:
    # An alarm's change may be told twice, by its source and by its state: in other words, of the same second.
    what = "" if event.source == "alarm" else event.what
    return (event.source, event.subject, what, event.to, int(event.at.timestamp()))


def mark_event(at: datetime, note: str) -> ReleaseEvent:
    """Return the event of a moment a person marked."""
    return ReleaseEvent(at=at, source="mark", subject="mark", what="note", to=note)
