"""Past traces: computed minute by minute on read, with the latest minutes cached."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

from prodwatch.demo.aws.xray.segment_document import end_s, start_s
from prodwatch.demo.aws.xray.trace_record import Record
from prodwatch.demo.workload import History, TracedCall

CHUNK_S = 60
_KEEP_DOCUMENTS = 60_000
_REACH = 3
"""A trace may continue for this many chunks after the one in which it starts."""
_DELAY_S = 5.0
"""Delay between the end of a segment and its visibility."""
_KEEP_PLACES = 200_000

_Chunk = Mapping[str, list[Mapping[str, Any]]]


class PastTraces:
    """History's traces by the minute they start in. The caller holds the lock."""

    def __init__(self, history: History | None) -> None:
        self._history = history
        self._chunks: OrderedDict[int, dict[str, list[Mapping[str, Any]]]] = OrderedDict()
        self._records: OrderedDict[int, dict[str, Record]] = OrderedDict()
        self._held = 0
        self._place: OrderedDict[str, int] = OrderedDict()

    @property
    def present(self) -> bool:
        """Whether a history exists."""
        return self._history is not None

    def starting(self, index: int) -> Mapping[str, Record]:
        """Return the traces that start in minute `index` of the epoch, complete."""
        if (cached := self._records.get(index)) is not None:
            self._records.move_to_end(index)
            return cached
        before = [self._chunk(index - back) for back in range(1, _REACH + 1)]
        records: dict[str, Record] = {}
        for trace_id in self._chunk(index):
            if not any(trace_id in earlier for earlier in before):
                records[trace_id] = Record()
                self._place[trace_id] = index
        for chunk in [self._chunk(index + ahead) for ahead in range(_REACH + 1)]:
            for trace_id, record in records.items():
                for document in chunk.get(trace_id, ()):
                    record.add((end_s(document) or start_s(document)) + _DELAY_S, document)
        self._records[index] = records
        self._trim()
        return records

    def calls(self, begin_s: float, end_s: float, now_s: float) -> list[TracedCall] | None:
        """Return the calls of the traces that start in begin ≤ t < end, None while not all of them are visible."""
        assert self._history is not None
        calls = list(self._history.calls(begin_s, end_s))
        return calls if all(call.end_s + _DELAY_S <= now_s for call in calls) else None

    def find(self, trace_id: str) -> Record | None:
        """Return one trace, searched at its last known minute, then near the time in its id; None when not found."""
        if self._history is None:
            return None
        for index in self._candidates(trace_id):
            if (record := self.starting(index).get(trace_id)) is not None:
                return record
        return None

    def _candidates(self, trace_id: str) -> Iterator[int]:
        if (index := self._place.get(trace_id)) is not None:
            yield index
        try:
            guess = int(trace_id.split("-")[1], 16) // CHUNK_S
        except (IndexError, ValueError):
            return
        yield from (guess, guess - 1, guess + 1)

    def _chunk(self, index: int) -> _Chunk:
        assert self._history is not None
        if (cached := self._chunks.get(index)) is not None:
            self._chunks.move_to_end(index)
            return cached
        chunk: dict[str, list[Mapping[str, Any]]] = {}
        for document in self._history.segments(index * CHUNK_S, (index + 1) * CHUNK_S):
            if index * CHUNK_S <= start_s(document) < (index + 1) * CHUNK_S:
                chunk.setdefault(str(document["trace_id"]), []).append(document)
                self._held += 1
        self._chunks[index] = chunk
        return chunk

    def _trim(self) -> None:
        while self._held > _KEEP_DOCUMENTS and len(self._chunks) > 4 * _REACH:
            index, dropped = self._chunks.popitem(last=False)
            self._held -= sum(map(len, dropped.values()))
            self._records.pop(index, None)
        while len(self._place) > _KEEP_PLACES:
            self._place.popitem(last=False)
