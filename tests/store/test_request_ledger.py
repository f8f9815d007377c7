"""Requests joined from their log lines, and counted by version in batches that are closed once."""

from __future__ import annotations

import random

import pytest
from msgspec.structs import replace

from prodwatch.judge.comparison.version_comparison import VersionComparison
from prodwatch.model.comparison import BATCH_MS, RequestBatch, VersionCounts
from prodwatch.model.environment import Compare
from prodwatch.model.identity import GroupId
from prodwatch.model.signal import LambdaReport, Level, LogRecord, ServiceNode, TraceSummary
from prodwatch.model.status import Status
from prodwatch.store.own_traffic import OwnTraffic
from prodwatch.store.request_ledger import (
    WARM_UP,
    RequestLedger,
    Response,
    event_source_of,
    http_status,
    route_of,
    route_of_access_line,
)

GROUP = "/aws/lambda/pay"


def line(
    at_s: float,
    request_id: str | None = None,
    *,
    kind: str = "app",
    level: Level = Level.INFO,
    message: str = "hello",
    version: str | None = "42",
    stream: str = "env",
    report: LambdaReport | None = None,
    trace_id: str | None = None,
) -> LogRecord:
    return LogRecord(
        int(at_s * 1000),
        message,
        GROUP,
        stream=stream,
        level=level,
        version=version,
        request_id=request_id,
        trace_id=trace_id,
        kind=kind,  # type: ignore[arg-type]
        report=report,
    )


def report(
    at_s: float, request_id: str, *, status: str | None = None, init_ms: float | None = None, **more: object
) -> LogRecord:
    values = LambdaReport(duration_ms=100.0, init_ms=init_ms, status=status)
    return line(at_s, request_id, kind="report", level=Level.PLATFORM, report=values, **more)  # type: ignore[arg-type]


def ledger(*own: str, excluded: tuple[str, ...] = ()) -> RequestLedger:
    traffic = OwnTraffic()
    traffic.learn(own)
    return RequestLedger(lambda record: record.message, traffic, excluded)


def closed(one: RequestLedger, read_up_to_s: float) -> tuple[RequestBatch, ...]:
    return one.close("pay", int(read_up_to_s * 1000))


def only(one: RequestLedger, read_up_to_s: float = 60, version: str = "42") -> VersionCounts:
    (batch,) = closed(one, read_up_to_s)
    return batch.versions[version]


def test_a_request_counts_with_its_report_in_the_batch_in_which_it_ended() -> None:
    one = ledger()
    one.add([line(29, "a"), report(31, "a"), report(10, "b"), line(12, "c", level=Level.ERROR)])
    first, second = closed(one, 90)
    assert (first.start_ms, first.versions["42"].requests) == (0, 1)
    assert (second.start_ms, second.versions["42"].requests) == (BATCH_MS, 1)


@pytest.mark.parametrize("read_up_to_s", [0, 30, 59.9])
def test_a_batch_is_closed_only_when_thirty_seconds_after_its_end_have_been_read(read_up_to_s: float) -> None:
    one = ledger()
    one.add([report(10, "a")])
    assert closed(one, read_up_to_s) == ()
    assert len(closed(one, 60)) == 1
    assert closed(one, 60) == ()


def test_what_becomes_visible_after_the_closing_is_a_stratum_of_its_own() -> None:
    one = ledger()
    one.add([report(10, "a")])
    closed(one, 60)
    one.add([report(20, "late"), report(40, "in time")])
    late, ordinary = closed(one, 90)
    assert (late.late, late.start_ms, late.versions["42"].requests) == (True, 0, 1)
    assert (ordinary.late, ordinary.start_ms) == (False, BATCH_MS)


def test_a_retry_of_a_request_does_not_count_again() -> None:
    one = ledger()
    one.add([report(1, "a", status="error"), report(2, "a", version="41"), line(3, "a", level=Level.ERROR)])
    assert only(one).failed == 1
    one.add([line(70, "a"), report(71, "a")])
    assert closed(one, 200) == ()


def test_an_error_line_of_a_request_that_succeeds_is_no_failure() -> None:
    one = ledger()
    one.add([line(1, "a", level=Level.ERROR, message="careful"), report(2, "a"), report(3, "b", status="timeout")])
    counts = only(one)
    assert (counts.requests, counts.failed, counts.error_lines) == (2, 1, 1)
    assert dict(counts.signatures) == {(GroupId(GROUP), "careful"): 1}


def test_an_error_line_that_is_read_after_the_report_still_counts_until_the_batch_is_closed() -> None:
    one = ledger()
    one.add([report(2, "a"), line(1, "a", level=Level.ERROR), line(1, "a", level=Level.ERROR)])
    assert only(one).error_lines == 1


@pytest.mark.parametrize(
    ("message", "request_id"),
    [
        ("KeyError: 'tenant'⏎Traceback (most recent call last):⏎  File x", None),
        ('Invoke Error {"errorType":"TypeError"}', "a"),
        ("Unhandled Promise Rejection x", "a"),
    ],
)
def test_the_line_with_which_a_runtime_ends_an_invocation_is_a_failure(message: str, request_id: str | None) -> None:
    one = ledger()
    one.add([line(1, "a", kind="start"), line(2, request_id, level=Level.ERROR, message=message), report(3, "a")])
    assert (only(one).failed, one.abandoned) == (1, 0)


def test_lines_without_an_id_belong_to_the_request_that_runs_in_their_stream() -> None:
    one = ledger()
    one.add([line(1, "a", kind="start"), line(1, "b", kind="start", stream="other"), report(2, "a")])
    one.add(
        [
            line(3, None, level=Level.ERROR),
            line(3, None, level=Level.ERROR, stream="other"),
            report(4, "b", stream="other"),
        ]
    )
    assert only(one).error_lines == 1


def test_responses_count_by_their_trace() -> None:
    one = ledger()
    one.add([report(1, "a", trace_id="t1"), report(1, "b", trace_id="t2"), report(1, "c", trace_id="t3")])
    one.add_response("t1", Response(503, "GET /orders"))
    one.add_response("t2", Response(409, "GET /orders"))
    one.add_response("t3", Response(200, "POST /refunds"))
    counts = only(one)
    assert (counts.failed, counts.client_errors) == (1, 1)
    assert dict(counts.routes) == {"GET /orders": 2, "POST /refunds": 1}


def test_cold_starts_and_the_first_requests_of_an_environment_are_no_measure_of_speed() -> None:
    one = ledger()
    one.add([report(1, "cold", init_ms=800.0), *(report(1, f"r{number}") for number in range(WARM_UP + 4))])
    counts = only(one)
    assert (counts.requests, counts.cold_starts, len(counts.warm_ms)) == (WARM_UP + 5, 1, 5)
    assert dict(counts.environments) == {"env": (WARM_UP + 5, 0)}


def test_own_and_excluded_requests_never_count_and_are_counted_apart() -> None:
    one = ledger("own", "t-own", excluded=("stream:2026/01/*", "route:GET /health"))
    one.add(
        [report(1, "own"), report(1, "b", trace_id="t-own"), report(1, "c", stream="2026/01/canary"), report(1, "d")]
    )
    assert only(one).requests == 1
    assert one.excluded == 3


@pytest.mark.parametrize(
    ("pattern", "response", "counts"),
    [
        ("client:10.0.0.0/8", Response(200, client="10.1.2.3"), False),
        ("client:10.0.0.0/8", Response(200, client="10.1.2.3, 192.0.2.1"), False),
        ("client:10.0.0.0/8", Response(200, client="192.0.2.1"), True),
        ("client:10.0.0.0/8", Response(200), True),
        ("client:10.0.0.0/8", Response(200, client="proxy"), True),
        ("client:2001:db8::/32", Response(200, client="2001:db8::1"), False),
        ("route:GET /health", Response(200, "GET /health"), False),
        ("route:GET /health", Response(200, "GET /orders"), True),
        ("route:GET *", Response(200, "GET /orders"), False),
    ],
)
def test_requests_are_excluded_by_route_and_by_client(pattern: str, response: Response, counts: bool) -> None:
    one = ledger(excluded=(pattern,))
    one.add([report(1, "a", trace_id="t"), report(1, "b")])
    one.add_response("t", response)
    assert only(one).requests == 1 + counts
    assert one.excluded == (not counts)


def test_a_route_that_becomes_known_after_the_closing_still_counts_once_without_the_request() -> None:
    one = ledger(excluded=("route:GET /health",))
    traces = {"a": "t1", "b": "t2", "c": "t3", "d": "t4"}
    one.add([report(1, request_id, trace_id=trace_id) for request_id, trace_id in traces.items()])
    one.add_response("t1", Response(200, "GET /orders"))
    assert dict(only(one).routes) == {"GET /orders": 1}
    for _ in range(2):
        one.add_response("t1", Response(200, "GET /orders"))
        one.add_response("t2", Response(500, "POST /refunds"))
        one.add_response("t3", Response(200, "GET /health"))
        one.add_response("t4", Response(404, "GET /wp-admin"))
    (batch,) = closed(one, 90)
    assert (batch.late, batch.start_ms, dict(batch.versions)) == (
        True,
        0,
        {"42": VersionCounts(routes={"POST /refunds": 1})},
    )
    assert closed(one, 120) == ()


def test_a_path_that_does_not_exist_is_not_a_route() -> None:
    one = ledger()
    one.add([report(1, "a", trace_id="t1")])
    one.add_response("t1", Response(404, "GET /wp-admin"))
    counts = only(one)
    assert (counts.client_errors, dict(counts.routes)) == (1, {})


@pytest.mark.parametrize("first", ["log", "trace"])
def test_the_route_of_an_access_log_comes_before_that_of_a_trace(first: str) -> None:
    one = ledger()
    one.add([report(1, "a", trace_id="t")])
    responses = [
        Response(200, "GET /orders/{id}", is_logged=True),
        Response(200, "GET /prod/orders/*", client="192.0.2.1"),
    ]
    for each in responses if first == "log" else reversed(responses):
        one.add_response("t", each)
    assert dict(only(one).routes) == {"GET /orders/{id}": 1}


def test_the_version_comes_from_the_start_line_where_streams_name_none() -> None:
    one = ledger()
    one.add([line(1, "a", kind="start", version="41"), report(2, "a", version=None)])
    assert only(one, version="41").requests == 1


@pytest.mark.parametrize(("rate", "delay_s"), [(0.02, 20), (0.05, 40), (0.05, 70)])
def test_reports_that_come_later_than_error_lines_on_one_version_fail_no_harmless_release(
    rate: float, delay_s: float
) -> None:
    """Both versions fail equally; the canary's reports become visible later, and the evidence is read at every look."""
    rng = random.Random(int(rate * 100) + delay_s)
    for run in range(2):
        one, comparison = ledger(), VersionComparison("pay", "42", "41", Compare())
        arriving: list[tuple[float, int, LogRecord]] = []
        number = 0
        for second in range(420):
            for _ in range(46):
                version = "42" if rng.random() < 0.1 else "41"
                failed = rng.random() < rate
                number += 1
                at = second + rng.random()
                seen = at + 1 + (delay_s if version == "42" else 0)
                if failed:
                    arriving.append((at + 1, number, line(at, f"{run}-{number}", level=Level.ERROR, version=version)))
                arriving.append(
                    (seen, number, report(at, f"{run}-{number}", version=version, status="error" if failed else None))
                )
        arriving.sort(key=lambda each: each[:2])
        index = 0
        for look in range(0, 500, 5):
            while index < len(arriving) and arriving[index][0] <= look:
                one.add([arriving[index][2]])
                index += 1
            for batch in closed(one, look):
                comparison.add(batch)
                errors = next(each for each in comparison.results() if each.kind == "errors")
                assert errors.status is not Status.FAIL
        assert all(each.canary.requests for each in comparison.results() if each.kind == "errors")


@pytest.mark.parametrize(
    ("method", "url", "route"),
    [
        ("GET", "https://api.shop.com/orders/4711/items?x=1", "GET /orders/*/items"),
        ("POST", "https://api.shop.com/refunds", "POST /refunds"),
        (None, "/health", "/health"),
        ("GET", "https://api.shop.com", "GET /"),
        ("GET", None, None),
    ],
)
def test_a_route_is_the_method_and_the_path_without_ids(method: str | None, url: str | None, route: str | None) -> None:
    assert route_of(method, url) == route


@pytest.mark.parametrize(
    ("fields", "status", "route"),
    [
        ({"status": "502", "routeKey": "GET /orders/{id}"}, 502, "GET /orders/{id}"),
        ({"statusCode": 404, "httpMethod": "GET", "path": "/orders/12"}, 404, "GET /orders/*"),
        ({"status": "ok"}, None, None),
        ({}, None, None),
    ],
)
def test_a_line_of_an_access_log_names_status_and_route(
    fields: dict[str, object], status: int | None, route: str | None
) -> None:
    assert (http_status(fields), route_of_access_line(fields)) == (status, route)


def test_the_first_value_of_a_covered_field_is_that_of_the_request() -> None:
    requests = RequestLedger(
        lambda record: record.message, OwnTraffic(), (), ("json.tenant", "json.call.name", "json.n")
    )
    for at_s, fields in ((1, {"tenant": "acme", "call": {"name": "refund"}}), (2, {"tenant": "other", "n": 7})):
        requests.add([replace(line(at_s, "r-1"), fields=fields)])
    requests.add([replace(line(3, "r-2"), fields={"tenant": "", "call": "refund", "n": [1]})])
    requests.add([report(4, "r-1"), report(4, "r-2")])
    (batch,) = requests.close("pay", 10 * BATCH_MS)
    assert batch.of("42").requests == 2
    assert batch.of("42").values == {"json.tenant": {"acme": 1}, "json.call.name": {"refund": 1}, "json.n": {"7": 1}}


@pytest.mark.parametrize(
    ("kind", "url", "expected"),
    [
        ("AWS::SNS::Topic", None, "from orders"),
        ("AWS::StepFunctions::StateMachine", None, "from orders"),
        ("AWS::SNS::Topic", "https://api.shop/orders", None),
        ("AWS::Lambda", None, None),
        ("AWS::Lambda::Function", None, None),
        ("client", None, None),
    ],
)
def test_the_event_source_of_a_trace_without_a_url_is_its_route(
    kind: str, url: str | None, expected: str | None
) -> None:
    services = (ServiceNode("pay", "AWS::Lambda::Function"), ServiceNode("orders", kind))
    trace = TraceSummary(id="t", start_ms=0, duration_s=1.0, url=url, service="orders", services=services)
    assert event_source_of(trace) == expected


def test_a_trace_that_names_no_service_has_no_event_source() -> None:
    assert event_source_of(TraceSummary(id="t", start_ms=0, duration_s=1.0)) is None
