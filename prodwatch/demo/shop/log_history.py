"""Log lines of any window, computed from the requests of that window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

from prodwatch.demo.shop.functions import ACCESS_GROUP, ORDERS, WORKER_GROUP, Service
from prodwatch.demo.shop.log_formats import WRITERS, HandlerException, access_line, day, stamp
from prodwatch.demo.shop.request_ids import RequestIds, ids_of
from prodwatch.demo.shop.scenario import Behaviour
from prodwatch.demo.shop.seeded_random import SeededRandom
from prodwatch.demo.shop.traffic import Request, Traffic
from prodwatch.demo.shop.version_behaviour import LIST, LONGEST_MS, SLOW_QUERY_MS, ServingVersion
from prodwatch.demo.workload import LogEvent

DAY_S = 86400
SPILL_S = LONGEST_MS // 1000 + 1
"""Largest difference between a request's start and the timestamps of its lines."""

WrittenLine = tuple[int, str, str, int]
"""(timestamp ms, stream, message, visible ms)."""


class LogHistory:
    """Log groups and their events by time; caches the minutes read last."""

    def __init__(self, traffic: Traffic, seed: int) -> None:
        self._traffic = traffic
        self._worker = SeededRandom(seed, "worker")
        self._writers: dict[str, Callable[[int], Iterator[WrittenLine]]] = {
            ACCESS_GROUP: self._access,
            WORKER_GROUP: self._work,
        }
        for service in traffic.services.values():
            self._writers[service.group] = self._function(service)
        self._written = lru_cache(maxsize=4096)(self._begun_in)
        self.second = lru_cache(maxsize=1024)(self._second)
        """`second(group, second)`: the events with timestamps in an epoch second, in order."""

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of all log groups."""
        return tuple(sorted(self._writers))

    def _second(self, group: str, second: int) -> tuple[LogEvent, ...]:
        start_ms = second * 1000
        end_ms = start_ms + 1000
        lines = [
            line
            for begun in range(second - SPILL_S, second + 1)
            for line in self._written(group, begun)
            if start_ms <= line[0] < end_ms
        ]
        lines.sort(key=_by_time)
        return tuple(
            LogEvent(timestamp_ms=at, stream=stream, message=message, ingested_ms=visible - 100, visible_ms=visible)
            for at, stream, message, visible in lines
        )

    def _begun_in(self, group: str, second: int) -> tuple[WrittenLine, ...]:
        return tuple(self._writers[group](second))

    def _function(self, service: Service) -> Callable[[int], Iterator[WrittenLine]]:
        def write(second: int) -> Iterator[WrittenLine]:
            for request in self._traffic.requests(service.name, second):
                serving = self._traffic.serving(service.name, request.version)
                yield from invocation(service, serving, request, ids_of(service, serving, request))

        return write

    def _access(self, second: int) -> Iterator[WrittenLine]:
        for service in self._traffic.services.values():
            if not service.api:
                continue
            for request in self._traffic.requests(service.name, second):
                ids = ids_of(service, self._traffic.serving(service.name, request.version), request)
                at_ms = ids.responded_ms
                yield (
                    at_ms,
                    f"{day(at_ms // 1000 // DAY_S * DAY_S)}shop-access-{ids.number % 2}",
                    access_line(
                        at_ms,
                        ids.api_id,
                        service.operations[request.operation].route,
                        ids.path,
                        request.status,
                        at_ms - ids.received_ms,
                        ids.request_id,
                        ids.trace_id,
                    ),
                    at_ms + ids.lag_ms,
                )

    def _work(self, second: int) -> Iterator[WrittenLine]:
        draw = self._worker.digest(second)
        at_ms = second * 1000 + draw[0] * 3
        level, text = ("WARN", "warehouse answered late, retried") if draw[1] < 3 else ("INFO", "parcel label printed")
        yield at_ms, "worker/1", f"{stamp(at_ms)} {level} {text} parcel={draw[2:6].hex()}", at_ms + 250 + draw[6] * 4


def invocation(service: Service, serving: ServingVersion, request: Request, ids: RequestIds) -> Iterator[WrittenLine]:
    """Yield the lines of one invocation in the order of writing."""
    writer, version = WRITERS[service.logs], request.version
    begin_ms = request.start_ms + round(request.init_ms)
    end_ms = begin_ms + int(request.duration_ms)
    stream = day(begin_ms // 1000 // DAY_S * DAY_S) + request.stream
    visible_ms = end_ms + ids.lag_ms
    if request.init_ms:
        yield request.start_ms, stream, writer.init(request.start_ms, version), visible_ms
    yield begin_ms, stream, writer.start(begin_ms, ids.request_id, version), visible_ms
    error_type = ""
    if request.failed:
        problem = raised_exception(serving.behaviour)
        error_type = problem.type
        yield end_ms, stream, writer.error(end_ms, ids.request_id, problem), visible_ms
    else:
        if service.name == ORDERS and request.operation == LIST and request.duration_ms >= SLOW_QUERY_MS:
            slow = f"slow query {request.duration_ms - 60:.0f} ms table orders"
            yield end_ms - 2, stream, writer.app(end_ms - 2, ids.request_id, "WARNING", slow, ids.trace_id), visible_ms
        text = service.operations[request.operation].line
        if request.status == 404:
            text = "order not found  id=ORD-{number}"
        line = text.format(number=ids.number, code=ids.number % 83 + 10)
        yield end_ms - 1, stream, writer.app(end_ms - 1, ids.request_id, "INFO", line, ids.trace_id), visible_ms
    if closing := writer.end(ids.request_id):
        yield end_ms, stream, closing, visible_ms
    trace = (ids.trace_id, ids.function_segment) if request.traced else None
    report = writer.report(
        end_ms, ids.request_id, request.duration_ms, request.init_ms, service.memory_mb, trace, error_type
    )
    yield end_ms, stream, report, visible_ms


def raised_exception(behaviour: Behaviour) -> HandlerException:
    """Return the exception that the failing share of a version's requests raises."""
    return _exception(behaviour.error, behaviour.frames)


@lru_cache(maxsize=16)
def _exception(error: str, frames: tuple[tuple[str, int, str, str], ...]) -> HandlerException:
    kind, _, message = error.partition(": ")
    return HandlerException(type=kind, message=message, frames=frames)


def _by_time(event: WrittenLine) -> int:
    return event[0]
