"""Log events by group in AWS's reading order: put events merged with computed history."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from heapq import merge
from threading import RLock

from prodwatch.demo.aws.faults import FaultPlan
from prodwatch.demo.aws.logs.history import PastEvents
from prodwatch.demo.aws.logs.stored_event import StoredEvent
from prodwatch.demo.workload import History


@dataclass(slots=True)
class StreamState:
    """State of one stream in DescribeLogStreams."""

    created_ms: int
    first_ms: int | None = None
    last_ms: int | None = None
    ingested_ms: int | None = None
    stored_bytes: int = 0


@dataclass(slots=True)
class GroupState:
    """One log group."""

    name: str
    created_ms: int
    retention_days: int | None = None
    log_class: str = "STANDARD"
    streams: dict[str, StreamState] = field(default_factory=dict)
    events: list[StoredEvent] = field(default_factory=list)
    stored_bytes: int = 0


_LATEST_MS = 120_000
_AHEAD_MS = 7_200_000
"""Furthest timestamp in the future that is accepted."""
_LOOKS_BACK_MS = (600_000, 7_200_000, 86_400_000)
_DESCRIBED_MS = 180_000

Listener = Callable[[str, list[StoredEvent]], None]
"""(group, events) as they are put; called by the thread that puts them."""


class LogStore:
    """All log groups of one region. Safe to use from any thread."""

    def __init__(
        self,
        *,
        wall: Callable[[], float],
        faults: FaultPlan,
        history: History | None = None,
        max_events_per_group: int = 1_000_000,
    ) -> None:
        self._wall = wall
        self._faults = faults
        self._max_events = max_events_per_group
        self._lock = RLock()
        self._groups: dict[str, GroupState] = {}
        self._past = PastEvents(history)
        self._sequence = 0
        self._listeners: list[Listener] = []
        self.discarded = 0
        """Number of oldest events discarded because a group was full."""
        for name, created_ms in self._past.groups().items():
            self._groups[name] = GroupState(name=name, created_ms=created_ms)

    def create_group(self, name: str, *, retention_days: int | None = None, log_class: str = "STANDARD") -> bool:
        """Create a group; False when it exists."""
        with self._lock:
            if name in self._groups:
                return False
            self._groups[name] = GroupState(
                name=name, created_ms=self._now_ms(), retention_days=retention_days, log_class=log_class
            )
            return True

    def delete_group(self, name: str) -> bool:
        """Delete a group with its events; False when it does not exist."""
        with self._lock:
            return self._groups.pop(name, None) is not None

    def create_stream(self, group: str, stream: str) -> bool:
        """Create a stream in an existing group; False when it exists. Raises KeyError without the group."""
        with self._lock:
            streams = self._groups[group].streams
            if stream in streams:
                return False
            streams[stream] = StreamState(created_ms=self._now_ms())
            return True

    def delete_stream(self, group: str, stream: str) -> bool:
        """Delete a stream and its events; False when it does not exist. Raises KeyError without the group."""
        with self._lock:
            state = self._groups[group]
            state.events = [event for event in state.events if event.stream != stream]
            return state.streams.pop(stream, None) is not None

    def put(
        self, group: str, stream: str, events: Iterable[tuple[int, str]], visible_ms: int | None = None
    ) -> list[StoredEvent]:
        """Store (timestamp_ms, message) pairs; group and stream are created when missing.

        Reads return them from wall time `visible_ms` on, by default immediately (later under a `late` fault).
        """
        now_s = self._wall()
        now_ms = int(now_s * 1000)
        late_ms = int(self._faults.lateness_s("logs", "PutLogEvents", now_s) * 1000)
        seen_ms = (now_ms if visible_ms is None else visible_ms) + late_ms
        with self._lock:
            state = self._groups.get(group)
            if state is None:
                self.create_group(group)
                state = self._groups[group]
            if stream not in state.streams:
                self.create_stream(group, stream)
            stored = [self._stored(stamp, message, stream, now_ms, seen_ms) for stamp, message in events]
            self._insert(state, stored)
            self._account(state, state.streams[stream], stored, now_ms)
            listeners = list(self._listeners)
        for listener in listeners:
            listener(group, stored)
        return stored

    def group(self, name: str) -> GroupState | None:
        """Return a group's state, None when it does not exist."""
        with self._lock:
            return self._groups.get(name)

    def groups(self) -> list[GroupState]:
        """Return all groups by name."""
        with self._lock:
            return [self._groups[name] for name in sorted(self._groups)]

    def streams(self, group: str) -> dict[str, StreamState]:
        """Return a group's streams and those of history's last three minutes. Raises KeyError without the group."""
        now_ms = self._now_ms()
        streams: dict[str, StreamState] = {}
        for event in self._past.window(group, now_ms - _DESCRIBED_MS, now_ms):
            state = streams.setdefault(event.stream, StreamState(created_ms=event.timestamp_ms))
            state.first_ms = event.timestamp_ms if state.first_ms is None else state.first_ms
            state.last_ms, state.ingested_ms = event.timestamp_ms, event.ingested_ms
        with self._lock:
            streams.update(self._groups[group].streams)
        return streams

    def read(
        self, group: str, start_ms: int, end_ms: int, *, after: tuple[int, int, int] | None = None
    ) -> Iterator[StoredEvent]:
        """Yield visible events with start ≤ timestamp ≤ end in order, starting after the position `after`.

        A position is (timestamp_ms, ingested_ms, sequence). Raises KeyError without the group.
        """
        now_ms = self._now_ms()
        with self._lock:
            state = self._groups[group]
            created_ms = state.created_ms
            low = bisect_left(state.events, (start_ms,) if after is None else (*after[:2], after[2] + 1))
            high = bisect_left(state.events, (end_ms + 1,))
            put = state.events[low:high]
        past_start = max(start_ms if after is None else max(after[0], start_ms), created_ms)
        # A history may be endless: events in the future cannot be visible.
        past = self._delayed(self._past.ordered(group, past_start, min(end_ms, now_ms)))
        for event in merge(past, put) if self._past.present else put:
            if event.visible_ms <= now_ms and (after is None or event[:3] > after):
                yield event

    def has_stream(self, group: str, stream: str) -> bool:
        """Return whether a stream exists; in a group with a history every stream may."""
        with self._lock:
            return stream in self._groups[group].streams or self._past.has(group)

    def tail(
        self, group: str, stream: str, start_ms: int, end_ms: int, limit: int, *, before: tuple[int, int, int] | None
    ) -> list[StoredEvent]:
        """Return a stream's last visible events before a position, looking back only as far as needed."""
        newest_ms = min(end_ms, self._now_ms() + _AHEAD_MS)
        if before is not None:
            newest_ms = min(newest_ms, before[0])
        events: list[StoredEvent] = []
        for back_ms in (*_LOOKS_BACK_MS, newest_ms):
            oldest_ms = max(start_ms, newest_ms - back_ms)
            events = [
                event
                for event in self.read(group, oldest_ms, newest_ms)
                if event.stream == stream and (before is None or event[:3] < before)
            ]
            if len(events) >= limit or oldest_ms == start_ms:
                break
        return events[-limit:]

    def becoming_visible(self, group: str, after_ms: int, until_ms: int) -> list[StoredEvent]:
        """Return history's events that become visible in (after, until]; put events go to listeners.

        Events more than two minutes late are left out: live tail does not promise completeness.
        """
        nearby = self._past.ordered(group, after_ms - _LATEST_MS, until_ms)
        return [event for event in self._delayed(nearby) if after_ms < event.visible_ms <= until_ms]

    def _delayed(self, past: Iterable[StoredEvent]) -> Iterable[StoredEvent]:
        """Return events of history with the lateness that the fault plan gives them."""
        late = self._faults.record_lateness("logs", "PutLogEvents")
        if late is None:
            return past
        return (
            event._replace(visible_ms=event.visible_ms + int(late(event.ingested_ms / 1000, event.sequence) * 1000))
            for event in past
        )

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` for every put from now on; return a function that ends it."""
        with self._lock:
            self._listeners.append(listener)

        def stop() -> None:
            with self._lock:
                self._listeners.remove(listener)

        return stop

    def _now_ms(self) -> int:
        return int(self._wall() * 1000)

    def _stored(self, stamp: int, message: str, stream: str, now_ms: int, seen_ms: int) -> StoredEvent:
        self._sequence += 1
        return StoredEvent(int(stamp), now_ms, self._sequence, seen_ms, stream, message)

    def _insert(self, state: GroupState, stored: list[StoredEvent]) -> None:
        events = state.events
        for event in stored:
            if not events or event > events[-1]:
                events.append(event)
            else:
                insort(events, event)
        if (excess := len(events) - self._max_events) > 0:
            del events[: excess + self._max_events // 20]
            self.discarded += excess + self._max_events // 20

    @staticmethod
    def _account(state: GroupState, stream: StreamState, stored: list[StoredEvent], now_ms: int) -> None:
        for event in stored:
            size = len(event.message.encode()) + 26
            stream.first_ms = (
                event.timestamp_ms if stream.first_ms is None else min(stream.first_ms, event.timestamp_ms)
            )
            stream.last_ms = event.timestamp_ms if stream.last_ms is None else max(stream.last_ms, event.timestamp_ms)
            stream.stored_bytes += size
            state.stored_bytes += size
        stream.ingested_ms = now_ms
