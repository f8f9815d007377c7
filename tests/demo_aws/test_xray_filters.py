"""X-Ray filter expressions: which traces they match, and which expressions are refused."""

from __future__ import annotations

from typing import Any

import pytest

from prodwatch.demo.aws.expression_parser import ExpressionError
from prodwatch.demo.aws.xray.filter_expressions import parse_filter
from prodwatch.demo.aws.xray.filter_scope import trace_scope
from prodwatch.demo.aws.xray.trace import Trace

FN = "AWS::Lambda::Function"
API = {
    "trace_id": "1-a-b",
    "id": "1",
    "name": "api",
    "origin": "AWS::ApiGateway::Stage",
    "start_time": 100.0,
    "end_time": 101.5,
    "error": True,
    "user": "frank",
    "http": {"request": {"url": "https://x/orders?id=1", "method": "GET"}, "response": {"status": 404}},
    "subsegments": [{"id": "2", "name": "Lambda", "namespace": "aws", "start_time": 100.1, "end_time": 101.0}],
}
ORDERS = {
    "trace_id": "1-a-b",
    "id": "3",
    "parent_id": "2",
    "name": "orders",
    "origin": FN,
    "start_time": 100.2,
    "end_time": 100.9,
    "fault": True,
    "annotations": {"tier": "gold", "size": 3, "retry": True, "release": "v42"},
    "subsegments": [
        {
            "id": "4",
            "name": "handler",
            "start_time": 100.3,
            "end_time": 100.8,
            "cause": {"exceptions": [{"type": "KeyError", "message": "no such sku"}]},
        },
        {"id": "5", "name": "DynamoDB", "namespace": "aws", "start_time": 100.3, "end_time": 100.4},
    ],
}


def matches(expression: str, *documents: dict[str, Any]) -> bool:
    trace = Trace("1-a-b", documents or (API, ORDERS), revision=1, updated_s=102.0)
    return parse_filter(expression)(trace_scope(trace))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("error", True),
        ("error = true", True),
        ("error = false", False),
        ("error != false", True),
        ("!error", False),
        ("NOT fault", True),
        ("fault", False),
        ("ok", False),
        ("throttle OR error", True),
        ("partial", False),
        ("responsetime > 1", True),
        ("responsetime >= 1.5", True),
        ("responsetime < 1.5", False),
        ("duration <= 1.5", True),
        ("http.status = 404", True),
        ("http.status != 404", False),
        ("http.status >= 400 AND http.status < 500", True),
        ('http.url CONTAINS "/orders"', True),
        ('http.url BEGINSWITH "https://x"', True),
        ('http.url ENDSWITH "id=2"', False),
        ('http.method = "GET"', True),
        ('user = "frank"', True),
        ('message CONTAINS "sku"', True),
        ('annotation.tier = "gold"', True),
        ('annotation.tier = "silver"', False),
        ("annotation.size > 2", True),
        ("annotation.size = 3", True),
        ("annotation.retry = true", True),
        ('annotation[release] = "v42"', True),
        ("annotation.tier", True),
        ("annotation.none", False),
        ('service("orders")', True),
        ('service("none")', False),
        ('service("orders") { fault }', True),
        ('service("api") { fault }', False),
        ('service("orders") { fault = true AND responsetime < 1 }', True),
        ('service(id(name: "orders", type: "AWS::Lambda::Function"))', True),
        ('service(id(type: "AWS::DynamoDB::Table"))', True),
        ('service(id(name: "orders", type: "AWS::SQS::Queue"))', False),
        ("service() { fault }", True),
        ('service("DynamoDB") { inferred }', True),
        ('edge("api", "orders")', True),
        ('edge("orders", "api")', False),
        ('edge("api", "orders") { fault }', True),
        ('edge("api", id(name: "orders", type: "AWS::Lambda::Function")) { ok }', False),
        ('edge("orders", "DynamoDB") { ok }', True),
        ('id(name: "orders")', True),
        ('(fault OR error) AND !(http.status = 500) and service("api")', True),
        ("fault or fault or error", True),
        ('resource.arn = "x"', False),
    ],
)
def test_expressions(expression: str, expected: bool) -> None:
    assert matches(expression) is expected


def test_an_open_trace_is_partial_and_has_no_response_time() -> None:
    opened = {"trace_id": "1-a-b", "id": "1", "name": "api", "start_time": 1.0, "in_progress": True}
    assert matches("partial", opened)
    assert not matches("responsetime >= 0", opened)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("fault AND", "ends too early"),
        ("fault fault", "after its end"),
        ("nonsense = 1", "keyword"),
        ('"text"', "keyword should be"),
        ("fault = 3", "true or false"),
        ('responsetime > "x"', "wrong type"),
        ("http.url = 3", "wrong type"),
        ("http.status CONTAINS 3", "needs text"),
        ("annotation.x = y", "value should be"),
        ('service("x"', "ends too early"),
        ("service(x)", "name should be"),
        ('edge("a" "b")', "should be"),
        ("fault #", "cannot be read"),
        ("x" * 2001, "2000"),
    ],
)
def test_refused(expression: str, problem: str) -> None:
    with pytest.raises(ExpressionError, match=problem):
        parse_filter(expression)
