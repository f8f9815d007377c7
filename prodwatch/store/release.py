"""Release states per function, alarms, and one time line of all events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from prodwatch.model.identity import AlarmId, FunctionId, Place, PlaceNames
from prodwatch.model.signal import AlarmState, ReleaseEvent, ReleaseState
from prodwatch.store.ring import Ring

_EventKey = tuple[str, str, Place, str, str | None, int]
"""Source, subject, place, phrase, target and second of an event."""


class ReleaseStore:
    """Release states and alarms by name, and a ring of events, each stored once however often it is reported."""

    def __init__(self, capacity: int) -> None:
        self.events: Ring[ReleaseEvent] = Ring(capacity)
        self._seen: set[_EventKey] = set()
        self._states: dict[FunctionId, ReleaseState] = {}
        self._configurations: dict[FunctionId, ReleaseState] = {}
        self._alarms: dict[AlarmId, AlarmState] = {}
        self._names: dict[str, PlaceNames] = {}
        """Source of events → names of what they are about."""

    def add_event(self, event: ReleaseEvent) -> bool:
        """Add an event; return False when it was known."""
        key = _identity(event)
        if key in self._seen:
            return False
        self._seen.add(key)
        self._name(event.source, event.owner, event.place)
        self._seen.difference_update(_identity(dropped) for dropped in self.events.extend((event,)))
        return True

    def set_state(self, state: ReleaseState) -> None:
        """Replace the release state of a function or configuration."""
        if state.kind == "configuration":
            self._configurations[state.id] = state
            return
        self._states[state.id] = state
        self._name("lambda", state.function, state.place)

    def restore(
        self, states: Iterable[ReleaseState], alarms: Iterable[AlarmState], events: Iterable[ReleaseEvent]
    ) -> None:
        """Fill an empty store with what another one had."""
        for state in states:
            self.set_state(state)
        for alarm in alarms:
            self._alarms[alarm.id] = alarm
            self._name("alarm", alarm.name, alarm.place)
        for event in events:
            self.add_event(event)

    def set_alarm(self, alarm: AlarmState, received_at: datetime) -> bool:
        """Replace an alarm's state and add an event if it changed; return whether it did."""
        previous = self._alarms.get(alarm.id)
        self._alarms[alarm.id] = alarm
        self._name("alarm", alarm.name, alarm.place)
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
                place=alarm.place,
            )
        )

    def subject_of(self, event: ReleaseEvent) -> str:
        """Return the subject as shown: with account and region where what it belongs to exists in several."""
        names = self._names.get(event.source)
        return event.subject + (names.suffix(event.owner, event.place) if names else "")

    def alarm_name(self, alarm: AlarmId) -> str:
        """Return an alarm's name as shown: with account and region where alarms of this name exist in several."""
        names = self._names.get("alarm")
        return names.of(alarm.name, alarm.place) if names else alarm.name

    def _name(self, source: str, name: str, place: Place) -> None:
        self._names.setdefault(source, PlaceNames()).add(name, place)

    @property
    def states(self) -> Mapping[FunctionId, ReleaseState]:
        """Release states by function and alias."""
        return self._states

    @property
    def configurations(self) -> Mapping[FunctionId, ReleaseState]:
        """Release states of configurations in AppConfig."""
        return self._configurations

    @property
    def all_states(self) -> tuple[ReleaseState, ...]:
        """Release states of functions, then of configurations."""
        return (*self._states.values(), *self._configurations.values())

    @property
    def alarms(self) -> Mapping[AlarmId, AlarmState]:
        """Alarms by name and place."""
        return self._alarms


def _identity(event: ReleaseEvent) -> _EventKey:
    # An alarm's change may be reported twice, by its source and by its state, with the same second but other words.
    what = "" if event.source == "alarm" else event.what
    return (event.source, event.subject, event.place, what, event.to, int(event.at.timestamp()))


def mark_event(at: datetime, note: str) -> ReleaseEvent:
    """Return the event of a user's mark."""
    return ReleaseEvent(at=at, source="mark", subject="mark", what="note", to=note)
