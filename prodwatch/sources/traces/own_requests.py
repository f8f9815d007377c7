"""The edges of prodwatch's own requests in X-Ray's service graph, so that they can be taken out of it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.formats.xray_service_graph import CLIENT, parse_edges, sum_of, without
from prodwatch.model.signal import ServiceEdge
from prodwatch.sources.redaction import SignalRedactor

OwnTraces = Callable[[float, float], Sequence[str]]
"""`own_traces(start_s, end_s)` returns the ids of own traces that began in a span, in epoch seconds."""

SETTLES_S = 60.0
"""Time after the start of a trace from which it is taken out: a younger one may be only in part in the graph."""
GROWS_S = 300.0
"""Time for which the traces of a minute are read again: asynchronous calls join them late."""
MINUTE_S = 60
IDS_PER_CALL = 50
FEW_IDS_PER_CALL = 5
"""Ids per call after X-Ray has refused more; it documents no limit."""


class OwnCalls(NamedTuple):
    """A graph without own requests."""

    edges: tuple[ServiceEdge, ...]
    taken_out: int
    """Calls from outside that were left out."""
    until_ms: int
    """Start before which own requests were left out, epoch milliseconds."""


class _Minute(NamedTuple):
    ids: tuple[str, ...]
    read_s: float
    edges: tuple[ServiceEdge, ...]


class OwnRequests:
    """Reads the graph of own traces, a minute at a time, each until it can no longer grow."""

    def __init__(self, aws: AwsApi, own_traces: OwnTraces, signal_redactor: SignalRedactor) -> None:
        self.problem: str | None = None
        """The reason for which own requests are in the graph, one sentence; None while they are taken out."""
        self._aws = aws
        self._own_traces = own_traces
        self._signal_redactor = signal_redactor
        self._minutes: dict[tuple[int, int], _Minute] = {}
        """By start and end in epoch seconds."""
        self._ids_per_call = IDS_PER_CALL

    async def read(self, start: datetime, end: datetime) -> tuple[tuple[ServiceEdge, ...], int] | None:
        """Return the edges of own requests in a window, and the epoch second before which they began; None on an error.

        To be called before the graph of the window is read, which then has all that is returned.
        """
        self.problem = None
        first_s, until_s = math.ceil(start.timestamp()), math.floor(end.timestamp() - SETTLES_S)
        if until_s <= first_s:
            return (), first_s
        edges: list[ServiceEdge] = []
        borders = [first_s, *range((first_s // MINUTE_S + 1) * MINUTE_S, until_s, MINUTE_S), until_s]
        try:
            for from_s, to_s in itertools.pairwise(borders):
                edges += await self._minute(from_s, to_s, end.timestamp())
        except AwsError as error:
            self.problem = f"requests of prodwatch's own are included: {error.message}"
            return None
        self._minutes = {span: each for span, each in self._minutes.items() if span[1] > first_s - 3600}
        return sum_of(edges), until_s

    def taken_out_of(self, edges: tuple[ServiceEdge, ...], own: tuple[tuple[ServiceEdge, ...], int] | None) -> OwnCalls:
        """Return the edges without `own`, or as they are where the difference would not be exact."""
        if own is None or not own[0]:
            return OwnCalls(edges, 0, 0 if own is None else own[1] * 1000)
        rest = without(edges, own[0])
        if rest is None:
            self.problem = "requests of prodwatch's own are included: X-Ray's graph does not have all their calls yet"
            return OwnCalls(edges, 0, 0)
        return OwnCalls(rest, sum(edge.calls for edge in own[0] if edge.caller.kind == CLIENT), own[1] * 1000)

    async def _minute(self, from_s: int, to_s: int, now_s: float) -> tuple[ServiceEdge, ...]:
        ids = tuple(self._own_traces(from_s, to_s))
        known = self._minutes.get((from_s, to_s))
        if known is not None and known.ids == ids and known.read_s >= to_s + GROWS_S:
            return known.edges
        edges = await self._edges(ids) if ids else ()
        self._minutes[from_s, to_s] = _Minute(ids, now_s, edges)
        return edges

    async def _edges(self, ids: tuple[str, ...]) -> tuple[ServiceEdge, ...]:
        try:
            return await self._edges_by(ids, self._ids_per_call)
        except AwsError as error:
            if error.code != "InvalidRequestException" or len(ids) <= FEW_IDS_PER_CALL:
                raise
            self._ids_per_call = FEW_IDS_PER_CALL
            return await self._edges_by(ids, self._ids_per_call)

    async def _edges_by(self, ids: tuple[str, ...], count: int) -> tuple[ServiceEdge, ...]:
        edges: list[ServiceEdge] = []
        for index in range(0, len(ids), count):
            services: list[dict[str, Any]] = []
            async for page in self._aws.pages("xray", "GetTraceGraph", {"TraceIds": list(ids[index : index + count])}):
                services += page.get("Services") or ()
            edges += map(self._signal_redactor.edge, parse_edges(services))
        return sum_of(edges)
