"""One trace at a given time: its segments, merged from all documents that have arrived."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from prodwatch.demo.aws.xray.segment_document import (
    Segment,
    ServiceId,
    children,
    end_s,
    inferred,
    service_id,
    start_s,
    walk,
)


class Trace:
    """A trace's segments with the links between them; immutable once built."""

    def __init__(
        self, trace_id: str, documents: Iterable[Mapping[str, Any]], *, revision: int, updated_s: float
    ) -> None:
        self.id = trace_id
        self.revision = revision
        """Number of documents it was built from."""
        self.updated_s = updated_s
        self.scope: object = None
        """Cache of `filter_scope.trace_scope`."""
        self.segments: list[Segment] = _merge(documents)
        """Segments that were sent, by start."""

    @cached_property
    def by_id(self) -> dict[str, Segment]:
        """Every segment and subsegment by id."""
        return {str(entity.get("id")): entity for segment in self.segments for entity in walk(segment)}

    @cached_property
    def downstream(self) -> dict[str, list[Segment]]:
        """Sent segments by the id of the subsegment that called them."""
        by_caller: dict[str, list[Segment]] = {}
        for segment in self.segments:
            if parent := segment.get("parent_id"):
                by_caller.setdefault(str(parent), []).append(segment)
        return by_caller

    @cached_property
    def inferred(self) -> list[dict[str, Any]]:
        """Inferred segments of called services that send none."""
        return [
            document
            for segment in self.segments
            for entity in walk(segment)
            if entity is not segment and str(entity.get("id")) not in self.downstream
            if (document := inferred(entity, self.id)) is not None
        ]

    @cached_property
    def root(self) -> Segment | None:
        """The earliest segment without a caller in the trace; None when only subsegments arrived."""
        if not self.segments or not self.segments[0].get("parent_id"):
            return self.segments[0] if self.segments else None
        tops = (segment for segment in self.segments if str(segment.get("parent_id") or "") not in self.by_id)
        return next(tops, self.segments[0])

    @cached_property
    def start_s(self) -> float:
        """Start of the first segment, epoch seconds."""
        return min((start_s(segment) for segment in self.segments), default=self.updated_s)

    @cached_property
    def end_s(self) -> float:
        """End of the last finished segment, epoch seconds."""
        return max((end_s(segment) or start_s(segment) for segment in self.segments), default=self.start_s)

    @property
    def duration_s(self) -> float:
        """Time from the first start to the last end."""
        return max(0.0, self.end_s - self.start_s)

    @property
    def partial(self) -> bool:
        """Whether a segment is still in progress."""
        return any(end_s(segment) is None for segment in self.segments)

    def services(self) -> Iterator[tuple[ServiceId, Segment]]:
        """Yield each segment, inferred ones included, with its service."""
        for segment in (*self.segments, *self.inferred):
            yield service_id(segment), segment

    def calls(self) -> Iterator[tuple[Segment, Segment, Segment]]:
        """Yield (calling segment, calling entity, called segment)."""
        inferred_by_parent = {str(document["parent_id"]): document for document in self.inferred}
        for segment in self.segments:
            for entity in walk(segment):
                key = str(entity.get("id"))
                for called in self.downstream.get(key, ()):
                    yield segment, entity, called
                if entity is not segment and key in inferred_by_parent:
                    yield segment, entity, inferred_by_parent[key]


def _merge(documents: Iterable[Mapping[str, Any]]) -> list[Segment]:
    """Merge documents: a later one replaces an earlier one of its id; separate subsegments join their parents."""
    segments: dict[str, dict[str, Any]] = {}
    loose: dict[str, dict[str, Any]] = {}
    for document in documents:
        key = str(document.get("id"))
        (loose if document.get("type") == "subsegment" else segments)[key] = dict(document)
    by_parent: dict[str, list[dict[str, Any]]] = {}
    for subsegment in loose.values():
        by_parent.setdefault(str(subsegment.get("parent_id")), []).append(subsegment)
    merged = [_adopt(segment, by_parent) for segment in segments.values()] if loose else list(segments.values())
    return sorted(merged, key=start_s)


def _adopt(entity: Mapping[str, Any], by_parent: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    own = by_parent.get(str(entity.get("id")), [])
    replaced = {subsegment.get("id") for subsegment in own}
    below = [*(child for child in children(entity) if child.get("id") not in replaced), *own]
    adopted = dict(entity)
    if below:
        adopted["subsegments"] = sorted((_adopt(child, by_parent) for child in below), key=start_s)
    return adopted
