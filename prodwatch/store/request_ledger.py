"""Requests of one log group, joined from their log lines, and counted by version in batches that are closed once."""

from __future__ import annotations

import re
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

from prodwatch.model.comparison import BATCH_MS, RequestBatch, SignatureKey, VersionCounts
from prodwatch.model.identity import GroupId
from prodwatch.model.signal import Level, LogRecord, TraceSummary
from prodwatch.store.error_signatures import Fingerprint
from prodwatch.store.own_traffic import OwnTraffic

WARM_UP = 20
"""First requests of an environment, left out of its speed."""
UNKNOWN_VERSION = ""
"""Version of requests whose lines name none."""
_SEVERE = frozenset((Level.ERROR, Level.FATAL))
_OPEN = 50_000
_REMEMBERED = 200_000
"""Finished request ids that are kept, so that a retry of one does not count again."""
_STREAMS = 10_000
_UNHANDLED = ("Invoke Error", "Uncaught Exception", "Unhandled Promise Rejection")
"""Beginnings of the lines with which Lambda's runtime for Node ends an invocation."""
_TRACEBACK = "Traceback (most recent call last)"

_HTTP_STATUS = ("status", "statusCode", "status_code", "httpStatus")
_ROUTE = ("routeKey", "route", "resourcePath", "path")
_METHOD = ("httpMethod", "method", "requestMethod")
_VARIABLE_PART = re.compile(r".*\d|[^/]{25,}")


class _Request:
    """One request, as far as its lines were read."""

    __slots__ = (
        "client_error",
        "cold",
        "duration_ms",
        "error",
        "failed",
        "route",
        "signatures",
        "stream",
        "trace_id",
        "version",
        "warming_up",
    )

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self.version: str | None = None
        self.trace_id: str | None = None
        self.route: str | None = None
        self.error = self.failed = self.client_error = self.cold = self.warming_up = False
        self.duration_ms = 0.0
        self.signatures: set[SignatureKey] = set()


class RequestLedger:
    """Requests of one group: open until their terminal record, then part of the batch in which they ended.

    A batch is closed once everything up to `BATCH_MS` after its end has been read, and never revised. Requests whose
    terminal record becomes visible later are counted apart, with the batch they belong to.
    """

    def __init__(self, fingerprint: Fingerprint, own: OwnTraffic, excluded: Sequence[str] = ()) -> None:
        """`excluded` are `route:GET /health` and `stream:2026/01/*`; prodwatch's `own` requests never count."""
        self._fingerprint = fingerprint
        self._own = own
        self._excluded_routes = tuple(each.partition(":")[2] for each in excluded if each.startswith("route:"))
        self._excluded_streams = tuple(each.partition(":")[2] for each in excluded if each.startswith("stream:"))
        self._open: OrderedDict[str, _Request] = OrderedDict()
        self._current: dict[str, str] = {}
        """Stream → id of the request that runs in it, for lines that name none."""
        self._finished: defaultdict[int, dict[str, _Request]] = defaultdict(dict)
        """Start of a batch → its requests by id, until it is closed."""
        self._late: defaultdict[int, dict[str, _Request]] = defaultdict(dict)
        self._ended: dict[str, _Request] = {}
        """Finished requests by id, until their batch is closed."""
        self._done: OrderedDict[str, None] = OrderedDict()
        self._served: OrderedDict[str, int] = OrderedDict()
        """Stream → requests that it has finished."""
        self._statuses: OrderedDict[str, tuple[int | None, str | None]] = OrderedDict()
        """Trace id → HTTP status and route."""
        self._closed_up_to_ms: int | None = None
        self.excluded = 0
        """Finished requests that never count."""
        self.abandoned = 0
        """Requests without a terminal record that were given up because too many are open."""

    def add(self, records: Iterable[LogRecord]) -> None:
        """Take lines of the group into account, in the order in which they became visible."""
        for record in records:
            request_id = record.request_id or self._current.get(record.stream)
            if request_id is None or request_id in self._done:
                continue
            request = self._request(request_id, record)
            if record.kind == "start":
                self._current[record.stream] = request_id
                while len(self._current) > _STREAMS:
                    del self._current[next(iter(self._current))]
            elif record.kind == "report" and record.report is not None:
                self._finish(request_id, request, record)
            elif record.level in _SEVERE and record.kind != "end":
                request.error = True
                request.signatures.add((record.writer, self._fingerprint(record)))
                request.failed = request.failed or _ends_the_invocation(record)

    def add_response(self, trace_id: str, status: int | None, route: str | None) -> None:
        """Take the response of a traced request into account; it counts if it is known when the batch is closed."""
        self._statuses[trace_id] = (status, route)
        while len(self._statuses) > _REMEMBERED:
            self._statuses.popitem(last=False)

    def close(self, function: str, read_up_to_ms: int) -> tuple[RequestBatch, ...]:
        """Return the batches that have been read to `BATCH_MS` after their end, oldest first; each is returned once.

        `read_up_to_ms` is the time up to which everything visible has been read, not the present: where nothing is
        read, no batch is closed.
        """
        end = (read_up_to_ms - BATCH_MS) // BATCH_MS * BATCH_MS
        if self._closed_up_to_ms is not None and end <= self._closed_up_to_ms:
            return ()
        closed = [self._batch(function, start, self._late.pop(start), late=True) for start in sorted(self._late)]
        ready = sorted(each for each in self._finished if each + BATCH_MS <= end)
        closed.extend(self._batch(function, start, self._finished.pop(start), late=False) for start in ready)
        self._closed_up_to_ms = end
        return tuple(closed)

    def _request(self, request_id: str, record: LogRecord) -> _Request:
        request = self._ended.get(request_id) or self._open.get(request_id)
        if request is None:
            request = self._open[request_id] = _Request(record.stream)
            while len(self._open) > _OPEN:
                self._open.popitem(last=False)
                self.abandoned += 1
        request.version = request.version or record.version
        request.trace_id = request.trace_id or record.trace_id
        return request

    def _finish(self, request_id: str, request: _Request, record: LogRecord) -> None:
        report = record.report
        if report is None or self._open.pop(request_id, None) is None:
            return
        if self._current.get(record.stream) == request_id:
            del self._current[record.stream]
        self._served[record.stream] = self._served.pop(record.stream, 0) + 1
        while len(self._served) > _STREAMS:
            self._served.popitem(last=False)
        request.stream = record.stream
        request.duration_ms = report.duration_ms
        request.cold = report.init_ms is not None
        request.warming_up = self._served[record.stream] <= WARM_UP
        request.failed = request.failed or report.status is not None
        start = record.timestamp_ms // BATCH_MS * BATCH_MS
        closed = self._closed_up_to_ms is not None and start < self._closed_up_to_ms
        (self._late if closed else self._finished)[start][request_id] = request
        self._ended[request_id] = request

    def _batch(self, function: str, start_ms: int, requests: dict[str, _Request], *, late: bool) -> RequestBatch:
        by_version: defaultdict[str, list[_Request]] = defaultdict(list)
        for request_id, request in requests.items():
            del self._ended[request_id]
            self._remember(request_id)
            status, route = self._statuses.pop(request.trace_id, (None, None)) if request.trace_id else (None, None)
            # An own request may be known as such only once its check has ended.
            own = request_id in self._own or request.trace_id in self._own
            if own or self._is_excluded(route, request.stream):
                self.excluded += 1
                continue
            request.failed = request.failed or (status is not None and status >= 500)
            request.client_error = status is not None and 400 <= status < 500
            request.route = route
            by_version[request.version or UNKNOWN_VERSION].append(request)
        return RequestBatch(
            function=function,
            start_ms=start_ms,
            end_ms=start_ms + BATCH_MS,
            versions={version: _counts(each) for version, each in sorted(by_version.items())},
            late=late,
        )

    def _is_excluded(self, route: str | None, stream: str) -> bool:
        if route is not None and any(fnmatchcase(route, each) for each in self._excluded_routes):
            return True
        return any(fnmatchcase(stream, each) for each in self._excluded_streams)

    def _remember(self, request_id: str) -> None:
        self._done[request_id] = None
        while len(self._done) > _REMEMBERED:
            self._done.popitem(last=False)


class RequestStore:
    """Requests by log group, of the groups that are watched."""

    def __init__(self, fingerprint: Fingerprint, own: OwnTraffic) -> None:
        self._fingerprint = fingerprint
        self._own = own
        self._ledgers: dict[GroupId, RequestLedger] = {}

    def watch(self, group: GroupId, kept: Iterable[LogRecord], excluded: Sequence[str] = ()) -> RequestLedger:
        """Return the requests of a group, counted from the `kept` lines and from all that are added."""
        ledger = self._ledgers.get(group)
        if ledger is None:
            ledger = self._ledgers[group] = RequestLedger(self._fingerprint, self._own, excluded)
            ledger.add(record for record in kept if group in {record.writer, record.group_id})
        return ledger

    def add(self, records: Iterable[LogRecord]) -> None:
        """Take lines into account: those of watched groups, and those of access logs in others."""
        if not self._ledgers:
            return
        for record in records:
            ledger = self._ledgers.get(record.writer) or self._ledgers.get(record.group_id)
            if ledger is not None:
                ledger.add((record,))
            elif record.trace_id and record.fields is not None:
                status = http_status(record.fields)
                if status is not None:
                    self._respond(record.trace_id, status, route_of_access_line(record.fields))

    def add_trace(self, trace: TraceSummary) -> None:
        """Take the response of a traced request into account."""
        self._respond(trace.id, trace.status, route_of(trace.method, trace.url))

    def _respond(self, trace_id: str, status: int | None, route: str | None) -> None:
        for ledger in self._ledgers.values():
            ledger.add_response(trace_id, status, route)


def route_of(method: str | None, url: str | None) -> str | None:
    """Return `GET /orders/*` for a request: segments of the path that hold ids are `*`; None without a valid URL."""
    if not url:
        return None
    try:
        path = urlsplit(url).path or "/"
    except ValueError:
        return None  # such as a bracket that is not closed: X-Ray holds whatever the client sent
    segments = ("*" if _VARIABLE_PART.fullmatch(each) else each for each in path.split("/"))
    return " ".join(filter(None, (method, "/".join(segments))))


def http_status(fields: Mapping[str, Any]) -> int | None:
    """Return the HTTP status in a line of an access log, None without one."""
    for key in _HTTP_STATUS:
        text = str(fields.get(key, ""))
        if text.isdigit() and len(text) == 3:
            return int(text)
    return None


def route_of_access_line(fields: Mapping[str, Any]) -> str | None:
    """Return the route in a line of an access log, None without one."""
    route = next((value for key in _ROUTE if isinstance(value := fields.get(key), str) and value), None)
    if route is None or " " in route:
        return route
    method = next((value for key in _METHOD if isinstance(value := fields.get(key), str) and value), None)
    return route_of(method, route)


def _counts(requests: list[_Request]) -> VersionCounts:
    environments: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for each in requests:
        environments[each.stream][0] += 1
        environments[each.stream][1] += each.failed
    return VersionCounts(
        requests=len(requests),
        failed=sum(each.failed for each in requests),
        error_lines=sum(each.error and not each.failed for each in requests),
        client_errors=sum(each.client_error for each in requests),
        cold_starts=sum(each.cold for each in requests),
        warm_ms=tuple(each.duration_ms for each in requests if not (each.cold or each.warming_up)),
        environments={name: (own, failed) for name, (own, failed) in environments.items()},
        signatures=Counter(key for each in requests for key in each.signatures),
        routes=Counter(each.route for each in requests if each.route is not None),
    )


def _ends_the_invocation(record: LogRecord) -> bool:
    """Return whether the runtime wrote the line because the handler raised, rather than the program."""
    if record.message.startswith(_UNHANDLED):
        return True
    return record.request_id is None and _TRACEBACK in record.message
