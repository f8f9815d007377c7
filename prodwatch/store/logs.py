"""The latest log lines, indexed by number, request id and trace id."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

import msgspec

from prodwatch.model.identity import GroupId, PlaceNames
from prodwatch.model.signal import Level, LogRecord
from prodwatch.store.own_traffic import OwnTraffic
from prodwatch.store.ring import Ring

RATE_WINDOW_S = 10.0
"""Period over which the line rate is averaged."""
_SEVERE = frozenset((Level.ERROR, Level.FATAL))


class GroupTally(msgspec.Struct):
    """Counts of one log group since the start."""

    lines: int = 0
    errors: int = 0
    late: int = 0
    newest_ms: int = 0


class InvocationTally(msgspec.Struct):
    """Invocations of one version of a function, counted from its REPORT lines."""

    count: int = 0
    own: int = 0
    """Of them for requests of prodwatch's own."""
    cold_starts: int = 0
    timeouts: int = 0
    max_memory_mb: int = 0


class LogState(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of log lines, whose lines themselves are read from the events before the state."""

    groups: tuple[tuple[GroupId, GroupTally], ...] = ()
    invocations: tuple[tuple[GroupId, str, InvocationTally], ...] = ()
    """Log group, version, counts."""
    lost: int = 0


class LogStore:
    """A ring of lines with two indexes; every operation takes time proportional to the lines given."""

    def __init__(self, capacity: int) -> None:
        self.ring: Ring[LogRecord] = Ring(capacity)
        self._by_request: dict[str, list[int]] = {}
        self._by_trace: dict[str, list[int]] = {}
        self.groups: dict[GroupId, GroupTally] = {}
        self.names = PlaceNames()
        """Names of the groups, to show where one name exists in several accounts or regions."""
        self.invocations: dict[tuple[GroupId, str], InvocationTally] = {}
        """(log group, version) → invocation counts."""
        self.lost = 0
        """Lines that Lambda reports as dropped before CloudWatch received them."""
        self._own: set[int] = set()
        """Numbers of the kept lines that were written for own requests."""
        self._arrivals: deque[tuple[float, int]] = deque()

    def add(self, records: Sequence[LogRecord], monotonic_s: float, own: OwnTraffic | None = None) -> None:
        """Add lines in the order given; invocations for `own` requests are counted apart, too."""
        if not records:
            return
        for record in records:
            self._count(record, own)
        self._keep(records, own)
        self._arrivals.append((monotonic_s, len(records)))
        self._expire(monotonic_s)

    def _keep(self, records: Sequence[LogRecord], own: OwnTraffic | None) -> None:
        """Add lines that are counted already."""
        number = self.ring.tail
        for record in records:
            if record.request_id:
                self._by_request.setdefault(record.request_id, []).append(number)
            if record.trace_id:
                self._by_trace.setdefault(record.trace_id, []).append(number)
            if own is not None and own.owns(record):
                self._own.add(number)
            number += 1
        head = self.ring.head
        for place, dropped in enumerate(self.ring.extend(records)):
            self._own.discard(head + place)
            _forget(self._by_request, dropped.request_id)
            _forget(self._by_trace, dropped.trace_id)

    def restore(self, state: LogState, records: Sequence[LogRecord], own: OwnTraffic) -> None:
        """Replace counts and lines by those of another time. Numbers of lines go on."""
        self.ring.clear()
        self._by_request.clear()
        self._by_trace.clear()
        self._own.clear()
        self._arrivals.clear()
        self._keep(records, own)
        self.groups.clear()
        self.names = PlaceNames()
        for group, tally in state.groups:
            self.groups[group] = tally
            self.names.add(group.name, group.place)
        self.invocations = {(group, version): tally for group, version, tally in state.invocations}
        self.lost = state.lost

    @property
    def own_lines(self) -> int:
        """Number of the kept lines that were written for prodwatch's own requests."""
        return len(self._own)

    @property
    def own_invocations(self) -> int:
        """Number of invocations known to be prodwatch's own, of all functions; there may be more."""
        return sum(tally.own for tally in self.invocations.values())

    def set_aside(self, ids: Iterable[str]) -> None:
        """Count the kept lines with these ids as those of own requests."""
        for id_ in ids:
            self._own.update(self._by_request.get(id_, ()), self._by_trace.get(id_, ()))

    def rate_per_s(self, monotonic_s: float) -> float:
        """Return lines per second over the last ten seconds."""
        self._expire(monotonic_s)
        return sum(count for _, count in self._arrivals) / RATE_WINDOW_S

    def find(self, request_ids: Iterable[str] = (), trace_id: str | None = None) -> list[LogRecord]:
        """Return the kept lines with any of the ids, in order of time, each once."""
        numbers = {number for request_id in request_ids for number in self._by_request.get(request_id, ())}
        if trace_id:
            numbers.update(self._by_trace.get(trace_id, ()))
        lines = (self.ring.get(number) for number in sorted(numbers))
        return sorted((record for record in lines if record is not None), key=lambda record: record.timestamp_ms)

    def _count(self, record: LogRecord, own: OwnTraffic | None) -> None:
        group = record.group_id
        tally = self.groups.get(group)
        if tally is None:
            tally = self.groups[group] = GroupTally()
            self.names.add(group.name, group.place)
        tally.lines += 1
        tally.errors += record.level in _SEVERE
        tally.late += record.late_ms > 0
        self.lost += lines_lost(record)
        tally.newest_ms = max(tally.newest_ms, record.timestamp_ms)
        if record.report and record.version:
            key = (record.writer, record.version)
            report = self.invocations.setdefault(key, InvocationTally())
            report.count += 1
            report.own += own is not None and own.owns(record)
            report.cold_starts += record.report.init_ms is not None
            report.timeouts += record.report.status == "timeout"
            report.max_memory_mb = max(report.max_memory_mb, record.report.used_mb)

    def _expire(self, monotonic_s: float) -> None:
        while self._arrivals and self._arrivals[0][0] <= monotonic_s - RATE_WINDOW_S:
            self._arrivals.popleft()


def lines_lost(record: LogRecord) -> int:
    """Return the number of dropped lines that a `platform.logsDropped` record reports; 0 for all other lines."""
    if record.kind != "dropped":
        return 0
    report_fields = (record.fields or {}).get("record")
    count = report_fields.get("droppedRecords") if isinstance(report_fields, dict) else None
    return count if isinstance(count, int) and count > 0 else 1


def _forget(index: dict[str, list[int]], key: str | None) -> None:
    """Remove the oldest number under `key`: lines leave the ring in order of arrival."""
    if not key:
        return
    numbers = index[key]
    if len(numbers) == 1:
        del index[key]
    else:
        del numbers[0]
