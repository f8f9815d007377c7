"""Where the shop's real invocations leave their traces: the same signals, in the same words, as the history tells."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from prodwatch.demo.aws.server import EmbeddedAws
from prodwatch.demo.shop.functions import ACCESS_GROUP, API_ID, API_STAGE, ORDERS, Service
from prodwatch.demo.shop.log_formats import WRITERS, Mishap, access_line, day
from prodwatch.demo.shop.log_history import DAY_S
from prodwatch.demo.shop.metric_history import MINUTE_S, SHORTEST_LAG_S
from prodwatch.demo.shop.segments import Document, Invocation, api_segment, function_segments

LOG_LAG_S = 0.4
"""Log lines can be read so long after they were written."""
TRACE_LAG_S = 1.5
"""Segments can be read so long after they were sent."""

Line = tuple[int, str, str]
"""(epoch ms, level, message) of the application."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """One invocation that has ended, with all that is to be told of it."""

    service: Service
    stream: str
    """Without the date."""
    init_ms: float
    lines: tuple[Line, ...]
    sampled: bool
    trace: Invocation

    @property
    def duration_ms(self) -> float:
        """How long the handler ran."""
        return round((self.trace.end_s - self.trace.begin_s) * 1000, 2)


class Telemetry(Protocol):
    """Takes in what happened."""

    def invoked(self, finished: Finished) -> str:
        """Tell of an invocation; return the log lines it wrote."""
        ...

    def answered(self, answer: Answered) -> None:
        """Tell of a request to the HTTP API."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One request the HTTP API has answered."""

    request_id: str
    route: str
    method: str
    path: str
    url: str
    status: int
    start_s: float
    end_s: float
    trace_id: str
    parent_id: str | None
    segment_id: str
    call_id: str
    """Of the subsegment that calls the function or the queue."""
    sampled: bool
    target: tuple[str, str]
    """(`Lambda` or `SQS`, function or queue)."""
    integration_id: str


class AwsTelemetry:
    """Puts everything into the embedded AWS, visible a little later, as in the real one."""

    def __init__(self, aws: EmbeddedAws, *, wall: Callable[[], float], alias: str) -> None:
        self._aws = aws
        self._wall = wall
        self._alias = alias

    def invoked(self, finished: Finished) -> str:
        """Write log lines, segments and metrics of an invocation; return the lines."""
        events = list(_lines(finished))
        begin_s = int(finished.trace.begin_s)
        stream = day(begin_s // DAY_S * DAY_S) + finished.stream
        self._aws.logs.put(finished.service.group, stream, events, int((self._wall() + LOG_LAG_S) * 1000))
        if finished.sampled:
            self._send(function_segments(finished.trace))
        for dimensions in self._views(finished):
            for metric, value, unit in (
                ("Invocations", 1.0, "Count"),
                ("Errors", float(finished.trace.mishap is not None), "Count"),
                ("Duration", finished.duration_ms, "Milliseconds"),
                ("Throttles", 0.0, "Count"),
            ):
                self._count("AWS/Lambda", metric, dimensions, finished.trace.begin_s, value, unit)
        return "".join(message if message.endswith("\n") else message + "\n" for _, message in events)

    def answered(self, answer: Answered) -> None:
        """Write the access log line, the API's segment and its metrics."""
        at_ms = int(answer.end_s * 1000)
        latency_ms = (answer.end_s - answer.start_s) * 1000
        line = access_line(
            at_ms,
            answer.request_id,
            answer.route,
            answer.path,
            answer.status,
            latency_ms,
            answer.integration_id,
            answer.trace_id,
        )
        stream = f"{day(at_ms // 1000 // DAY_S * DAY_S)}shop-access-2"
        self._aws.logs.put(ACCESS_GROUP, stream, [(at_ms, line)], int((self._wall() + LOG_LAG_S) * 1000))
        if answer.sampled:
            segment = api_segment(
                trace_id=answer.trace_id,
                segment_id=answer.segment_id,
                integration_id=answer.call_id,
                method=answer.method,
                url=answer.url,
                status=answer.status,
                start_s=answer.start_s,
                end_s=answer.end_s,
                target=answer.target,
                # Measured, and nothing is done before or after the call.
                around_s=(0.0, 0.0),
            )
            self._send([segment if answer.parent_id is None else {**segment, "parent_id": answer.parent_id}])
        dimensions = {"ApiId": API_ID, "Stage": API_STAGE}
        for metric, value, unit in (
            ("Count", 1.0, "Count"),
            ("4xx", float(400 <= answer.status < 500), "Count"),
            ("5xx", float(answer.status >= 500), "Count"),
            ("Latency", round(latency_ms), "Milliseconds"),
        ):
            self._count("AWS/ApiGateway", metric, dimensions, answer.start_s, value, unit)

    def _send(self, documents: Iterable[Document]) -> None:
        for document in documents:
            self._aws.traces.put(document, self._wall() + TRACE_LAG_S)

    def _count(
        self, namespace: str, metric: str, dimensions: dict[str, str], at_s: float, value: float, unit: str
    ) -> None:
        minute = int(at_s) // MINUTE_S * MINUTE_S
        seen_s = minute + MINUTE_S + SHORTEST_LAG_S
        self._aws.metrics.put(namespace, metric, dimensions, minute, [value], [1.0], unit, seen_s)

    def _views(self, finished: Finished) -> Iterable[dict[str, str]]:
        name, trace = finished.service.name, finished.trace
        yield {"FunctionName": name}
        if trace.qualifier:
            view = {"FunctionName": name, "Resource": f"{name}:{trace.qualifier}"}
            yield view
            if name == ORDERS and trace.qualifier == self._alias and self._weighted(name):
                yield {**view, "ExecutedVersion": trace.version}

    def _weighted(self, function: str) -> bool:
        alias = self._aws.functions.alias(function, self._alias)
        return alias is not None and bool(alias.weights)


def _lines(finished: Finished) -> Iterable[tuple[int, str]]:
    trace, writer = finished.trace, WRITERS[finished.service.logs]
    begin_ms, end_ms = round(trace.begin_s * 1000), round(trace.end_s * 1000)
    if trace.cold:
        called_ms = round(trace.called_s * 1000)
        yield called_ms, writer.init(called_ms, trace.version)
    yield begin_ms, writer.start(begin_ms, trace.request_id, trace.version)
    for at_ms, level, message in finished.lines:
        yield at_ms, writer.app(at_ms, trace.request_id, level, message, trace.trace_id)
    mishap: Mishap | None = trace.mishap
    if mishap is not None:
        yield end_ms, writer.error(end_ms, trace.request_id, mishap)
    if closing := writer.end(trace.request_id):
        yield end_ms, closing
    sampled = (trace.trace_id, trace.function_segment) if finished.sampled else None
    error_type = mishap.type if mishap else ""
    yield (
        end_ms,
        writer.report(
            end_ms,
            trace.request_id,
            finished.duration_ms,
            finished.init_ms,
            finished.service.memory_mb,
            sampled,
            error_type,
        ),
    )
