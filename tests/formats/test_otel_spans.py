"""Spans of the log group aws/spans become the same values as X-Ray's, whatever they lack."""

from __future__ import annotations

from typing import Any

import pytest

from prodwatch.formats.otel_spans import span_of, trace_of_spans

ID = "1-5f84c7a5-cd52b1d2e1c4a3b2c1d0e9f8"
W3C = ID.replace("-", "")[1:]


def span(id_: str, parent: str = "", start_s: float = 100.0, end_s: float = 101.0, **more: Any) -> dict[str, Any]:
    return {
        "traceId": W3C,
        "spanId": id_,
        "parentSpanId": parent,
        "name": f"span {id_}",
        "kind": "SERVER",
        "startTimeUnixNano": int(start_s * 1e9),
        "endTimeUnixNano": str(int(end_s * 1e9)),
        "resource": {"attributes": {"service.name": "shop-orders", "cloud.resource_id": "arn:f"}},
        **more,
    }


def test_spans_of_one_trace_become_a_trace() -> None:
    other = {**span("x"), "traceId": "0" * 32}
    parsed = trace_of_spans(ID, [span("b", "a", 100.2, 100.9), span("a"), other, {"noise": 1}])
    assert parsed is not None
    assert [(each.id, each.parent_id) for each in parsed.spans] == [("a", None), ("b", "a")]
    assert (parsed.id, parsed.complete) == (ID, True)
    assert parsed.duration_s == pytest.approx(1.0)


@pytest.mark.parametrize("skew_s", [-0.05, 0.0, 0.05])
def test_K21_the_clock_of_a_child_does_not_decide_whether_a_trace_is_whole(skew_s: float) -> None:
    parsed = trace_of_spans(ID, [span("a", "untraced caller"), span("b", "a", 100.0 + skew_s, 100.9)])
    assert parsed is not None
    assert parsed.complete
    assert parsed.duration_s == pytest.approx(max(1.0, 1.0 - skew_s))


def test_a_missing_parent_leaves_the_trace_incomplete() -> None:
    parsed = trace_of_spans(ID, [span("a", "untraced caller"), span("b", "lost", 100.5)])
    assert parsed is not None
    assert not parsed.complete
    assert trace_of_spans(ID, [span("a", "untraced caller")]).complete  # type: ignore[union-attr]
    assert trace_of_spans(ID, []) is None


@pytest.mark.parametrize(
    ("more", "flags"),
    [
        ({}, (False, False, False)),
        ({"status": {"code": "ERROR"}}, (True, False, False)),
        ({"attributes": {"http.response.status_code": 503}}, (True, False, False)),
        ({"attributes": {"http.status_code": 404}, "status": {"code": "STATUS_CODE_ERROR"}}, (False, True, False)),
        ({"attributes": {"http.response.status_code": 429}}, (False, True, True)),
    ],
    ids=["ok", "failed", "5xx", "4xx", "throttled"],
)
def test_errors_are_reported_in_x_rays_terms(more: dict[str, Any], flags: tuple[bool, bool, bool]) -> None:
    parsed = span_of(span("a", **more))
    assert parsed is not None
    assert (parsed.fault, parsed.error, parsed.throttle) == flags


def test_sql_calls_http_and_exceptions_are_kept() -> None:
    event = {"name": "exception", "attributes": {"exception.type": "KeyError", "exception.message": "'c'"}}
    attributes = {"db.statement": "SELECT 1", "rpc.method": "Query", "http.method": "POST", "url.path": "/orders"}
    parsed = span_of(span("a", attributes=attributes, events=[event, "odd", {"attributes": 1}]))
    assert parsed is not None
    assert parsed.exceptions == ("KeyError: 'c'",)
    assert parsed.sql == {"sanitized_query": "SELECT 1"}
    assert parsed.aws == {"operation": "Query"}
    assert parsed.http == {"request": {"method": "POST", "url": "/orders"}}
    assert (parsed.origin, parsed.resource_arn) == ("shop-orders SERVER", "arn:f")
    assert parsed.annotations == attributes


@pytest.mark.parametrize(
    "document",
    [{}, {"spanId": "a"}, {"spanId": "", "startTimeUnixNano": 1}, {"spanId": "a", "startTimeUnixNano": "soon"}],
)
def test_what_is_no_span_is_none(document: dict[str, Any]) -> None:
    assert span_of(document) is None


def test_an_open_span_has_no_end() -> None:
    document = span("a")
    del document["endTimeUnixNano"]
    assert span_of(document).end_s is None  # type: ignore[union-attr]
