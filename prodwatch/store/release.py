"""Release states per function, alarms, and one time line of all events."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from prodwatch.model.signal import AlarmState, ReleaseEvent, ReleaseState
from prodwatch.store.ring import Ring


class ReleaseStore:
    """Release states and alarms by name, and a ring of events, each stored once however often it is reported."""

    def __init__(self, capacity: int) -> None:
        self.events: Ring[ReleaseEvent] = Ring(capacity)
        self._seen: set[tuple[str, str, str, str | None, int]] = set()
        self._states: dict[str, ReleaseState] = {}
        self._alarms: dict[str, AlarmState] = {}

    def add_event(self, event: ReleaseEvent) -> bool:
        """Add an event; return False when it was known."""
        key = _identity(event)
        if key in self._seen:
            return False
        self._seen.add(key)
        self._seen.difference_update(_identity(dropped) for dropped in self.events.extend((event,)))
        return True

    def set_state(self, state: ReleaseState) -> None:
        """Replace the release state of a function."""
        self._states[_unique(f"{state.function}:{state.alias or ''}", state.place)] = state

    def set_alarm(self, alarm: AlarmState, received_at: datetime) -> bool:
        """Replace an alarm's state and add an event if it changed; return whether it did."""
        name = _unique(alarm.name, alarm.place)
        previous = self._alarms.get(name)
        self._alarms[name] = alarm
        if previous is not None and previous.state == alarm.state:
            return False
        if previous is None and (alarm.state == "OK" or alarm.since is None):
            return False  # first seen as OK, or since an unknown time: not an event
        return self.add_event(
            ReleaseEvent(
                at=alarm.since or received_at,
                source="alarm",
                subject=alarm.name,
                what="state",
                from_=previous.state if previous else None,
                to=alarm.state,
                detail=alarm.reason,
            )
        )

    @property
    def states(self) -> Mapping[str, ReleaseState]:
        """Release states by function and alias, and place if it is not the environment's own."""
        return self._states

    @property
    def alarms(self) -> Mapping[str, AlarmState]:
        """Alarms by name, and place if it is not the environment's own."""
        return self._alarms


def _unique(name: str, place: str | None) -> str:
    return f"{name} in {place}" if place else name


def _identity(event: ReleaseEvent) -> tuple[str, str, str, str | None, int]:
    # An alarm's change may be reported twice, by its source and by its state, with the same second but other words.
    what = "" if event.source == "alarm" else event.what
    return (event.source, event.subject, what, event.to, int(event.at.timestamp()))


def mark_event(at: datetime, note: str) -> ReleaseEvent:
    """Return the event of a user's mark."""
    return ReleaseEvent(at=at, source="mark", subject="mark", what="note", to=note)
