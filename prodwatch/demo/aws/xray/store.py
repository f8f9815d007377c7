"""Segment documents by trace: put documents merged with computed history."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from heapq import merge
from threading import RLock
from typing import Any, Literal

from prodwatch.demo.aws.faults import FaultPlan
from prodwatch.demo.aws.xray.history import CHUNK_S, PastTraces
from prodwatch.demo.aws.xray.segment_document import end_s
from prodwatch.demo.aws.xray.service_graph import Tally, tally_of, tally_of_calls
from prodwatch.demo.aws.xray.trace import Trace
from prodwatch.demo.aws.xray.trace_record import Record
from prodwatch.demo.workload import History

TimeRange = Literal["TraceId", "Event", "Service"]
Position = tuple[float, str]
"""Position of a trace in the list: minus its start, its id."""
_LONGEST_S = 300.0
"""A trace updated or ended in a window may have started this much before it."""
_KEEP_MINUTES = 500
"""Past minutes whose counts are cached: more than the longest window has."""


class TraceStore:
    """All traces of one region. Safe to use from any thread."""

    def __init__(
        self,
        *,
        wall: Callable[[], float],
        faults: FaultPlan,
        history: History | None = None,
        max_traces: int = 50_000,
    ) -> None:
        self._wall = wall
        self._faults = faults
        self._max_traces = max_traces
        self._lock = RLock()
        self._records: OrderedDict[str, Record] = OrderedDict()
        self._past = PastTraces(history)
        self._minutes: OrderedDict[int, Tally] = OrderedDict()
        self.destination: tuple[str, str] = ("XRay", "ACTIVE")
        """Response of GetTraceSegmentDestination: `("CloudWatchLogs", "ACTIVE")` is Transaction Search."""
        self.sampling_percent = 1.0
        """Percentage in the response of GetIndexingRules."""
        self.discarded = 0
        """Number of oldest traces discarded because the store was full."""

    def put(self, document: Mapping[str, Any], visible_s: float | None = None) -> None:
        """Add one segment or subsegment document; a later one with the same id replaces it.

        Reads return it from wall time `visible_s` on, by default immediately (later under a `late` fault). Raises
        ValueError for a document without trace id or id.
        """
        trace_id = document.get("trace_id")
        if not trace_id or not document.get("id"):
            raise ValueError("a segment document needs a trace_id and an id")
        now_s = self._wall()
        seen_s = (now_s if visible_s is None else visible_s) + self._faults.lateness_s(
            "xray", "PutTraceSegments", now_s
        )
        with self._lock:
            record = self._records.get(str(trace_id))
            if record is None:
                record = self._records[str(trace_id)] = Record()
            record.add(seen_s, dict(document))
            while len(self._records) > self._max_traces:
                self._records.popitem(last=False)
                self.discarded += 1

    def get(self, trace_id: str) -> Trace | None:
        """Return one trace as visible now, None without one."""
        now_s = self._wall()
        with self._lock:
            record = self._records.get(trace_id) or self._past.find(trace_id)
            return record.at(trace_id, now_s) if record is not None else None

    def newest_first(
        self, start_s: float, end_s: float, kind: TimeRange = "TraceId", *, after: Position | None = None
    ) -> Iterator[Trace]:
        """Yield the traces of a window by start, the latest first, starting after the position `after`.

        `TraceId` selects by the trace's start, `Event` by its last update, `Service` by the end of any segment. Traces
        are computed as the caller iterates.
        """
        now_s = self._wall()
        earliest_s = start_s if kind == "TraceId" else start_s - _LONGEST_S
        latest_s = min(end_s, now_s)
        if after is not None:
            latest_s = min(latest_s, -after[0])
        for trace in merge(self._put_traces(now_s), self._past_traces(earliest_s, latest_s, now_s), key=position):
            if (after is None or position(trace) > after) and _inside(trace, start_s, end_s, kind):
                yield trace

    def tally(self, start_s: float, end_s: float) -> Tally:
        """Count the traces that start in a window; whole past minutes are counted once and cached."""
        now_s = self._wall()
        total = tally_of(trace for trace in self._put_traces(now_s) if start_s <= trace.start_s <= end_s)
        if not self._past.present:
            return total
        for index in range(int(start_s // CHUNK_S), int(min(end_s, now_s) // CHUNK_S) + 1):
            begin_s = index * CHUNK_S
            if start_s <= begin_s and begin_s + CHUNK_S <= end_s:
                total.merge(self._minute(index, now_s))
            else:
                total.merge(self._part(index, max(start_s, begin_s), min(end_s, begin_s + CHUNK_S), now_s))
        return total

    def _minute(self, index: int, now_s: float) -> Tally:
        with self._lock:
            cached = self._minutes.get(index)
        if cached is not None:
            return cached
        begin_s = index * CHUNK_S
        calls = self._past.calls(begin_s, begin_s + CHUNK_S, now_s) if begin_s + CHUNK_S <= now_s else None
        if calls is None:
            return tally_of(self._past_minute(index, now_s))
        counted = tally_of_calls(calls)
        with self._lock:
            self._minutes[index] = counted
            while len(self._minutes) > _KEEP_MINUTES:
                self._minutes.popitem(last=False)
        return counted

    def _part(self, index: int, start_s: float, end_s: float, now_s: float) -> Tally:
        """Count the traces that start in a part of a minute; by their calls when the part includes the minute's end."""
        if end_s == (index + 1) * CHUNK_S and (calls := self._past.calls(start_s, end_s, now_s)) is not None:
            return tally_of_calls(calls)
        return tally_of(trace for trace in self._past_minute(index, now_s) if start_s <= trace.start_s <= end_s)

    def _past_minute(self, index: int, now_s: float) -> list[Trace]:
        with self._lock:
            traces = [record.at(trace_id, now_s) for trace_id, record in self._past.starting(index).items()]
        return [trace for trace in traces if trace is not None]

    def _put_traces(self, now_s: float) -> list[Trace]:
        with self._lock:
            traces = [record.at(trace_id, now_s) for trace_id, record in self._records.items()]
        return sorted((trace for trace in traces if trace is not None), key=position)

    def _past_traces(self, earliest_s: float, latest_s: float, now_s: float) -> Iterator[Trace]:
        if not self._past.present:
            return
        for index in range(int(latest_s // CHUNK_S), int(earliest_s // CHUNK_S) - 1, -1):
            yield from sorted(self._past_minute(index, now_s), key=position)


def position(trace: Trace) -> Position:
    """Return a trace's position in the list."""
    return -trace.start_s, trace.id


def _inside(trace: Trace, start: float, end: float, kind: TimeRange) -> bool:
    match kind:
        case "Event":
            return start <= trace.updated_s <= end
        case "Service":
            return any(start <= (end_s(segment) or 0.0) <= end for segment in trace.segments)
        case _:
            return start <= trace.start_s <= end
