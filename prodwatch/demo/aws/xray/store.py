"""Segment documents by trace, those that were put merged with those history computes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import RLock
from typing import Any, Literal

from prodwatch.demo.aws.faults import Lateness
from prodwatch.demo.aws.xray.document import end_s, start_s
from prodwatch.demo.aws.xray.trace import Trace
from prodwatch.demo.world import History

TimeRange = Literal["TraceId", "Event", "Service"]
_CHUNK_S = 300
_KEEP_DOCUMENTS = 40_000
_PAST_DELAY_S = 5.0
"""Segments of history became visible this long after they ended."""


@dataclass(slots=True)
class _Record:
    """Everything that arrived for one trace, in order of visibility."""

    arrivals: list[tuple[float, int, Mapping[str, Any]]] = field(default_factory=list)
    built: Trace | None = None

    def add(self, visible_s: float, document: Mapping[str, Any]) -> None:
        self.arrivals.append((visible_s, len(self.arrivals), document))
        self.arrivals.sort(key=lambda one: one[:2])
        self.built = None

    def at(self, trace_id: str, now_s: float) -> Trace | None:
        """Return the trace as visible at `now_s`, None when nothing is."""
        seen = [one for one in self.arrivals if one[0] <= now_s]
        if not seen:
            return None
        if self.built is None or self.built.revision != len(seen):
            documents = [document for _, _, document in seen]
            self.built = Trace(trace_id, documents, revision=len(seen), updated_s=seen[-1][0])
        return self.built


class TraceStore:
    """All traces of one region. Safe to use from any thread."""

    def __init__(
        self,
        *,
        wall: Callable[[], float],
        lateness: Lateness,
        history: History | None = None,
        max_traces: int = 50_000,
    ) -> None:
        self._wall = wall
        self._lateness = lateness
        self._history = history
        self._max_traces = max_traces
        self._lock = RLock()
        self._records: OrderedDict[str, _Record] = OrderedDict()
        self._past: OrderedDict[int, dict[str, _Record]] = OrderedDict()
        self._past_documents: dict[int, int] = {}
        self._past_chunk_of: dict[str, int] = {}
        self.destination: tuple[str, str] = ("XRay", "ACTIVE")
        """What GetTraceSegmentDestination answers: `("CloudWatchLogs", "ACTIVE")` is Transaction Search."""
        self.sampling_percent = 1.0
        """What GetIndexingRules answers."""
        self.discarded = 0
        """Oldest traces given up because the store was full."""

    def put(self, document: Mapping[str, Any], visible_s: float | None = None) -> None:
        """Take in one segment or subsegment document; the same id again replaces what it was.

        Reads see it from wall time `visible_s` on, by default at once (later under a `late` fault). Raises
        ValueError for a document without trace id or id.
        """
        trace_id = document.get("trace_id")
        if not trace_id or not document.get("id"):
            raise ValueError("a segment document needs a trace_id and an id")
        now_s = self._wall()
        seen_s = (now_s if visible_s is None else visible_s) + self._lateness("xray", "PutTraceSegments", now_s)
        with self._lock:
            self._records.setdefault(str(trace_id), _Record()).add(seen_s, dict(document))
            while len(self._records) > self._max_traces:
                self._records.popitem(last=False)
                self.discarded += 1

    def get(self, trace_id: str) -> Trace | None:
        """Return one trace as it can be seen now."""
        now_s = self._wall()
        with self._lock:
            record = self._records.get(trace_id) or self._past_record(trace_id)
            return record.at(trace_id, now_s) if record is not None else None

    def between(self, start: float, end: float, kind: TimeRange = "TraceId") -> list[Trace]:
        """Return the traces of a window, newest first.

        `TraceId` looks at the trace's start, `Event` at its last update, `Service` at the end of any segment.
        """
        now_s = self._wall()
        found: dict[str, Trace] = {}
        with self._lock:
            records = [*self._past_between(start - 60.0, end + 60.0), *self._records.items()]
            for trace_id, record in records:
                trace = record.at(trace_id, now_s)
                if trace is not None and _inside(trace, start, end, kind):
                    found[trace_id] = trace
        return sorted(found.values(), key=lambda one: (-one.start_s, one.id))

    def _past_between(self, start: float, end: float) -> list[tuple[str, _Record]]:
        if self._history is None:
            return []
        merged: dict[str, _Record] = {}
        for index in range(int(start // _CHUNK_S), int(end // _CHUNK_S) + 1):
            for trace_id, record in self._chunk(index).items():
                if trace_id in merged:
                    joined = _Record()
                    for visible_s, _, document in (*merged[trace_id].arrivals, *record.arrivals):
                        joined.add(visible_s, document)
                    merged[trace_id] = joined
                else:
                    merged[trace_id] = record
        return list(merged.items())

    def _past_record(self, trace_id: str) -> _Record | None:
        if self._history is None:
            return None
        index = self._past_chunk_of.get(trace_id)
        if index is None:
            try:
                index = int(int(trace_id.split("-")[1], 16) // _CHUNK_S)
            except (IndexError, ValueError):
                return None
        window = (index - 1) * _CHUNK_S, (index + 2) * _CHUNK_S - 1
        return dict(self._past_between(*window)).get(trace_id)

    def _chunk(self, index: int) -> dict[str, _Record]:
        assert self._history is not None
        if index in self._past:
            self._past.move_to_end(index)
            return self._past[index]
        records: dict[str, _Record] = {}
        count = 0
        for document in self._history.segments(index * _CHUNK_S, (index + 1) * _CHUNK_S):
            if not index * _CHUNK_S <= start_s(document) < (index + 1) * _CHUNK_S:
                continue
            visible_s = (end_s(document) or start_s(document)) + _PAST_DELAY_S
            records.setdefault(str(document["trace_id"]), _Record()).add(visible_s, document)
            count += 1
        self._past[index] = records
        self._past_documents[index] = count
        for trace_id in records:
            self._past_chunk_of.setdefault(trace_id, index)
        while sum(self._past_documents.values()) > _KEEP_DOCUMENTS and len(self._past) > 3:
            dropped, _ = self._past.popitem(last=False)
            self._past_documents.pop(dropped)
        return records


def _inside(trace: Trace, start: float, end: float, kind: TimeRange) -> bool:
    match kind:
        case "Event":
            return start <= trace.updated_s <= end
        case "Service":
            return any(start <= (end_s(one) or 0.0) <= end for one in trace.segments)
        case _:
            return start <= trace.start_s <= end
