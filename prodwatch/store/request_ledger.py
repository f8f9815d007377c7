"""Requests of one log group, joined from their log lines, and counted by version in batches that are closed once."""

from __future__ import annotations

import re
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from prodwatch.model.comparison import BATCH_MS, RequestBatch, SignatureKey, VersionCounts
from prodwatch.model.identity import FunctionId, GroupId
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
_CLIENT = ("ip", "sourceIp", "source_ip", "clientIp", "client_ip", "remoteAddr", "remote_addr")
_NOT_FOUND = 404
_LONGEST_VALUE = 100
_VARIABLE_PART = re.compile(r".*\d|[^/]{25,}")


class Response(NamedTuple):
    """Response of a request, as a trace or a line of an access log names it; None where it does not."""

    status: int | None = None
    route: str | None = None
    """`GET /orders/*`."""
    client: str | None = None
    """Address of the client."""
    is_logged: bool = False
    """Whether an access log names it, whose routes are those of the API rather than paths."""


_UNKNOWN = Response()


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
        "values",
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
        self.values: dict[str, str] | None = None
        """Field of `[compare] coverage_by` → value; None without any."""


class RequestLedger:
    """Requests of one group: open until their terminal record, then part of the batch in which they ended.

    A batch is closed once everything up to `BATCH_MS` after its end has been read, and never revised. Requests whose
    terminal record becomes visible later are counted apart, with the batch they belong to.
    """

    def __init__(
        self, fingerprint: Fingerprint, own: OwnTraffic, excluded: Sequence[str] = (), covered: Sequence[str] = ()
    ) -> None:
        """`excluded` are patterns of `[compare] exclude`, `covered` fields of `coverage_by`.

        prodwatch's `own` requests never count.
        """
        self._covered = {each: each.split(".")[1:] for each in covered}
        self._fingerprint = fingerprint
        self._own = own
        patterns: defaultdict[str, list[str]] = defaultdict(list)
        for each in excluded:
            kind, _, pattern = each.partition(":")
            patterns[kind].append(pattern)
        self._excluded_routes, self._excluded_streams = patterns["route"], patterns["stream"]
        self._excluded_clients = tuple(ip_network(each, strict=False) for each in patterns["client"])
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
        self._responses: OrderedDict[str, Response] = OrderedDict()
        """By trace id, until the request's batch is closed."""
        self._without_route: OrderedDict[str, tuple[int, str]] = OrderedDict()
        """Trace id → start of the batch and version, of counted requests whose route was not known in time."""
        self._late_routes: defaultdict[int, defaultdict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
        """Start of a batch → version → routes that became known after it was closed."""
        self._closed_up_to_ms: int | None = None
        self.excluded = 0
        """Finished requests that never count."""
        self.abandoned = 0
        """Requests without a terminal record that were given up because too many are open."""
        self.unnamed = 0
        """Terminal records that do not name the function that wrote them."""

    def add(self, records: Iterable[LogRecord]) -> None:
        """Take lines of the group into account, in the order in which they became visible."""
        for record in records:
            self.unnamed += record.kind == "report" and record.function is None
            request_id = record.request_id or self._current.get(record.stream)
            if request_id is None or request_id in self._done:
                continue
            request = self._request(request_id, record)
            if self._covered and record.fields is not None:
                self._note_values(request, record.fields)
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

    def add_response(self, trace_id: str, response: Response) -> None:
        """Take the response of a traced request into account.

        Its status counts if it is known when the batch is closed, its route even later.
        """
        late = self._without_route.get(trace_id)
        if late is not None:
            if response.route is not None:
                del self._without_route[trace_id]
                start_ms, version = late
                if response.status != _NOT_FOUND and not self._is_excluded(response, ""):
                    self._late_routes[start_ms][version][response.route] += 1
            return
        known = self._responses.get(trace_id, _UNKNOWN)
        first, second = (known, response) if known.is_logged and not response.is_logged else (response, known)
        self._responses[trace_id] = Response(
            first.status if first.status is not None else second.status,
            first.route or second.route,
            first.client or second.client,
            first.is_logged or second.is_logged,
        )
        while len(self._responses) > _REMEMBERED:
            self._responses.popitem(last=False)

    def close(self, function: str, read_up_to_ms: int) -> tuple[RequestBatch, ...]:
        """Return the batches that have been read to `BATCH_MS` after their end, oldest first; each is returned once.

        `read_up_to_ms` is the time up to which everything visible has been read, not the present: where nothing is
        read, no batch is closed.
        """
        end = (read_up_to_ms - BATCH_MS) // BATCH_MS * BATCH_MS
        if self._closed_up_to_ms is not None and end <= self._closed_up_to_ms:
            return ()
        closed = [self._batch(function, start, self._late.pop(start), late=True) for start in sorted(self._late)]
        closed.extend(self._routes_of(function, start) for start in sorted(self._late_routes))
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

    def _note_values(self, request: _Request, fields: Mapping[str, Any]) -> None:
        """Note the first value of each field that has to be covered; objects and lists are not values."""
        for name, path in self._covered.items():
            if request.values is not None and name in request.values:
                continue
            value: Any = fields
            for key in path:
                value = value.get(key) if isinstance(value, Mapping) else None
            if isinstance(value, str | int) and value != "":
                request.values = {**(request.values or {}), name: str(value)[:_LONGEST_VALUE]}

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

    def _routes_of(self, function: str, start_ms: int) -> RequestBatch:
        """Return the routes of requests that have been counted in an earlier batch."""
        return RequestBatch(
            function=function,
            start_ms=start_ms,
            end_ms=start_ms + BATCH_MS,
            versions={
                version: VersionCounts(routes=routes) for version, routes in self._late_routes.pop(start_ms).items()
            },
            late=True,
        )

    def _batch(self, function: str, start_ms: int, requests: dict[str, _Request], *, late: bool) -> RequestBatch:
        by_version: defaultdict[str, list[_Request]] = defaultdict(list)
        for request_id, request in requests.items():
            del self._ended[request_id]
            self._remember(request_id)
            response = self._responses.pop(request.trace_id, _UNKNOWN) if request.trace_id else _UNKNOWN
            # An own request may be known as such only once its check has ended.
            own = request_id in self._own or request.trace_id in self._own
            if own or self._is_excluded(response, request.stream):
                self.excluded += 1
                continue
            status, version = response.status, request.version or UNKNOWN_VERSION
            request.failed = request.failed or (status is not None and status >= 500)
            request.client_error = status is not None and 400 <= status < 500
            # A path that does not exist is not a route.
            request.route = response.route if status != _NOT_FOUND else None
            if response.route is None and request.trace_id:
                self._without_route[request.trace_id] = (start_ms, version)
                while len(self._without_route) > _OPEN:
                    self._without_route.popitem(last=False)
            by_version[version].append(request)
        return RequestBatch(
            function=function,
            start_ms=start_ms,
            end_ms=start_ms + BATCH_MS,
            versions={version: _counts(each) for version, each in sorted(by_version.items())},
            late=late,
        )

    def _is_excluded(self, response: Response, stream: str) -> bool:
        route, client = response.route, response.client
        if route is not None and any(fnmatchcase(route, each) for each in self._excluded_routes):
            return True
        if client is not None and self._excluded_clients and self._is_excluded_client(client):
            return True
        return any(fnmatchcase(stream, each) for each in self._excluded_streams)

    def _is_excluded_client(self, client: str) -> bool:
        try:
            address = ip_address(client.partition(",")[0].strip())
        except ValueError:
            return False  # such as a name: the client sent it, or a proxy did
        return any(address in each for each in self._excluded_clients)

    def _remember(self, request_id: str) -> None:
        self._done[request_id] = None
        while len(self._done) > _REMEMBERED:
            self._done.popitem(last=False)


class RequestStore:
    """Requests by function and alias, of those that are watched."""

    def __init__(self, fingerprint: Fingerprint, own: OwnTraffic) -> None:
        self._fingerprint = fingerprint
        self._own = own
        self._ledgers: dict[tuple[FunctionId, GroupId], RequestLedger] = {}
        self._by_group: defaultdict[GroupId, list[tuple[str, RequestLedger]]] = defaultdict(list)
        """Log group → the functions that write it, and their requests."""

    def watch(
        self,
        function: FunctionId,
        group: GroupId,
        kept: Iterable[LogRecord],
        traces: Iterable[TraceSummary] = (),
        excluded: Sequence[str] = (),
        covered: Sequence[str] = (),
    ) -> RequestLedger:
        """Return the requests of a function that writes a group.

        They are counted from the `kept` lines and `traces`, and from all that are added.
        """
        ledger = self._ledgers.get((function, group))
        if ledger is None:
            ledger = self._ledgers[function, group] = RequestLedger(self._fingerprint, self._own, excluded, covered)
            self._by_group[group].append((function.name, ledger))
            for record in kept:
                if record.group_id == group:
                    _add_line(function.name, ledger, record)
                elif (traced := _response_in(record)) is not None:
                    ledger.add_response(*traced)
            for trace in traces:
                ledger.add_response(trace.id, _response_of(trace))
        return ledger

    def add(self, records: Iterable[LogRecord]) -> None:
        """Take lines into account: those of watched groups, and those of access logs in others."""
        if not self._ledgers:
            return
        for record in records:
            writers = self._by_group.get(record.group_id)
            if writers is not None:
                for name, ledger in writers:
                    _add_line(name, ledger, record)
            elif (traced := _response_in(record)) is not None:
                self._respond(*traced)

    def add_trace(self, trace: TraceSummary) -> None:
        """Take the response of a traced request into account."""
        self._respond(trace.id, _response_of(trace))

    def _respond(self, trace_id: str, response: Response) -> None:
        for ledger in self._ledgers.values():
            ledger.add_response(trace_id, response)


def _add_line(function: str, ledger: RequestLedger, record: LogRecord) -> None:
    """Add a line of the function's group, unless it names another function."""
    if record.function is None or record.function == function:
        ledger.add((record,))


def _response_in(record: LogRecord) -> tuple[str, Response] | None:
    """Return the trace id and the response that a line of an access log names; None for any other line."""
    if not record.trace_id or record.fields is None or (status := http_status(record.fields)) is None:
        return None
    client = next((value for key in _CLIENT if isinstance(value := record.fields.get(key), str) and value), None)
    return record.trace_id, Response(status, route_of_access_line(record.fields), client, is_logged=True)


def _response_of(trace: TraceSummary) -> Response:
    return Response(trace.status, route_of(trace.method, trace.url) or event_source_of(trace), trace.client)


def event_source_of(trace: TraceSummary) -> str | None:
    """Return `from orders-topic` for a trace that begins at a topic, rule or state machine; None for any other."""
    entry = next((each for each in trace.services if each.name == trace.service), None)
    if trace.url or entry is None or not entry.kind.startswith("AWS::") or entry.kind.startswith("AWS::Lambda"):
        return None
    return f"from {entry.name}"


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
        values=_values_of(requests),
    )


def _values_of(requests: Iterable[_Request]) -> dict[str, Counter[str]]:
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for each in requests:
        for name, value in (each.values or {}).items():
            counts[name][value] += 1
    return dict(counts)


def _ends_the_invocation(record: LogRecord) -> bool:
    """Return whether the runtime wrote the line because the handler raised, rather than the program."""
    if record.message.startswith(_UNHANDLED):
        return True
    return record.request_id is None and _TRACEBACK in record.message
