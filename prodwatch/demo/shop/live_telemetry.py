"""Writes the signals of real requests and invocations, in the same form as the computed history."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from prodwatch.demo.aws.server import EmbeddedAws
from prodwatch.demo.shop.functions import ACCESS_GROUP, API_ID, API_STAGE, ORDERS, Service
from prodwatch.demo.shop.log_formats import WRITERS, HandlerException, access_line, day
from prodwatch.demo.shop.log_history import DAY_S
from prodwatch.demo.shop.metric_history import MINUTE_S, SHORTEST_LAG_S
from prodwatch.demo.shop.trace_segments import Document, Invocation, api_segment, function_segments

LOG_LAG_S = 0.4
"""Delay between writing log lines and their visibility."""
TRACE_LAG_S = 1.5
"""Delay between sending segments and their visibility."""

Line = tuple[int, str, str]
"""(epoch ms, level, message) of the application."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedInvocation:
    """One invocation that has ended, with the content of its signals."""

    service: Service
    stream: str
    """Without the date."""
    init_ms: float
    lines: tuple[Line, ...]
    sampled: bool
    trace: Invocation

    @property
    def duration_ms(self) -> float:
        """Run time of the handler."""
        return round((self.trace.end_s - self.trace.begin_s) * 1000, 2)


class Telemetry(Protocol):
    """Sink for invocations and requests."""

    def record_invocation(self, finished: FinishedInvocation) -> str:
        """Record an invocation; return its log lines."""
        ...

    def record_request(self, request: ServedRequest) -> None:
        """Record a request to the HTTP API."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedRequest:
    """One request that the HTTP API has served."""

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
    """Id of the subsegment that calls the function or the queue."""
    sampled: bool
    target: tuple[str, str]
    """(`Lambda` or `SQS`, function or queue)."""
    integration_id: str


class AwsTelemetry:
    """Writes all signals into the embedded AWS, visible after a delay as in AWS."""

    def __init__(self, aws: EmbeddedAws, *, wall: Callable[[], float], alias: str) -> None:
        self._aws = aws
        self._wall = wall
        self._alias = alias

    def record_invocation(self, finished: FinishedInvocation) -> str:
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
                ("Errors", float(finished.trace.exception is not None), "Count"),
                ("Duration", finished.duration_ms, "Milliseconds"),
                ("Throttles", 0.0, "Count"),
            ):
                self._count("AWS/Lambda", metric, dimensions, finished.trace.begin_s, value, unit)
        return "".join(message if message.endswith("\n") else message + "\n" for _, message in events)

    def record_request(self, request: ServedRequest) -> None:
        """Write the access log line, the API's segment and its metrics."""
        at_ms = int(request.end_s * 1000)
        latency_ms = (request.end_s - request.start_s) * 1000
        line = access_line(
            at_ms,
            request.request_id,
            request.route,
            request.path,
            request.status,
            latency_ms,
            request.integration_id,
            request.trace_id,
        )
        stream = f"{day(at_ms // 1000 // DAY_S * DAY_S)}shop-access-2"
        self._aws.logs.put(ACCESS_GROUP, stream, [(at_ms, line)], int((self._wall() + LOG_LAG_S) * 1000))
        if request.sampled:
            segment = api_segment(
                trace_id=request.trace_id,
                segment_id=request.segment_id,
                integration_id=request.call_id,
                method=request.method,
                url=request.url,
                status=request.status,
                start_s=request.start_s,
                end_s=request.end_s,
                target=request.target,
                # The measured time includes no work before or after the call.
                around_s=(0.0, 0.0),
            )
            self._send([segment if request.parent_id is None else {**segment, "parent_id": request.parent_id}])
        dimensions = {"ApiId": API_ID, "Stage": API_STAGE}
        for metric, value, unit in (
            ("Count", 1.0, "Count"),
            ("4xx", float(400 <= request.status < 500), "Count"),
            ("5xx", float(request.status >= 500), "Count"),
            ("Latency", round(latency_ms), "Milliseconds"),
        ):
            self._count("AWS/ApiGateway", metric, dimensions, request.start_s, value, unit)

    def _send(self, documents: Iterable[Document]) -> None:
        for document in documents:
            self._aws.traces.put(document, self._wall() + TRACE_LAG_S)

    def _count(
        self, namespace: str, metric: str, dimensions: dict[str, str], at_s: float, value: float, unit: str
    ) -> None:
        minute = int(at_s) // MINUTE_S * MINUTE_S
        visible_s = minute + MINUTE_S + SHORTEST_LAG_S
        self._aws.metrics.put(namespace, metric, dimensions, minute, [value], [1.0], unit, visible_s)

    def _views(self, finished: FinishedInvocation) -> Iterable[dict[str, str]]:
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


def _lines(finished: FinishedInvocation) -> Iterable[tuple[int, str]]:
    trace, writer = finished.trace, WRITERS[finished.service.logs]
    begin_ms, end_ms = round(trace.begin_s * 1000), round(trace.end_s * 1000)
    if trace.cold:
        called_ms = round(trace.called_s * 1000)
        yield called_ms, writer.init(called_ms, trace.version)
    yield begin_ms, writer.start(begin_ms, trace.request_id, trace.version)
    for at_ms, level, message in finished.lines:
        yield at_ms, writer.app(at_ms, trace.request_id, level, message, trace.trace_id)
    exception: HandlerException | None = trace.exception
    if exception is not None:
        yield end_ms, writer.error(end_ms, trace.request_id, exception)
    if closing := writer.end(trace.request_id):
        yield end_ms, closing
    sampled = (trace.trace_id, trace.function_segment) if finished.sampled else None
    error_type = exception.type if exception else ""
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
