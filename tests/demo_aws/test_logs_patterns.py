"""Filter patterns: which messages they match, and which patterns are refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.demo.aws.expression_parser import ExpressionError
from prodwatch.demo.aws.logs.filter_patterns import compile_pattern


def matches(pattern: str, message: str) -> bool:
    predicate = compile_pattern(pattern)
    return predicate is None or predicate(message)


@pytest.mark.parametrize(
    ("pattern", "message", "expected"),
    [
        ("", "anything", True),
        ("   ", "anything", True),
        ("ERROR", "an ERROR here", True),
        ("ERROR", "an error here", False),
        ("ERROR timeout", "timeout after ERROR", True),
        ("ERROR timeout", "ERROR only", False),
        ("?ERROR ?WARN", "a WARN", True),
        ("?ERROR ?WARN", "an INFO", False),
        ("ERROR -retry", "ERROR final", True),
        ("ERROR -retry", "ERROR retry", False),
        ("-health", "GET /orders", True),
        ("-health", "GET /health", False),
        ('"task timed out"', "the task timed out after 3 s", True),
        ('"task timed out"', "task was timed out", False),
        ('"say \\"hi\\""', 'please say "hi" now', True),
        ('?"first one" ?"second one"', "the second one", True),
        ('ERROR -"known issue"', "ERROR known issue", False),
        ("%4[0-9]{2}%", "status 404", True),
        ("%4[0-9]{2}%", "status 200", False),
        ("ERROR ?never", "ERROR", True),
        ("a-b", "x a-b y", True),
    ],
)
def test_terms(pattern: str, message: str, expected: bool) -> None:
    assert matches(pattern, message) is expected


EVENT = {
    "level": "ERROR",
    "latency": 512.5,
    "status": "404",
    "user": None,
    "ok": False,
    "cold": True,
    "nested": {"name": "orders", "tags": ["a", "b"]},
    "items": [{"sku": "x1"}, {"sku": "y2"}],
    "odd key": 1,
}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ('{ $.level = "ERROR" }', True),
        ("{ $.level = ERROR }", True),
        ('{$.level="INFO"}', False),
        ('{ $.level != "INFO" }', True),
        ('{ $.absent != "INFO" }', False),
        ('{ $.level = "ERR*" }', True),
        ('{ $.level = "*R*R" }', True),
        ('{ $.level = "RR*" }', False),
        ("{ $.latency > 500 }", True),
        ("{ $.latency >= 512.5 }", True),
        ("{ $.latency < 5.125e2 }", False),
        ("{ $.latency <= 512.5 && $.latency > 512 }", True),
        ("{ $.latency = 512.5 }", True),
        ("{ $.status = 404 }", True),
        ("{ $.status = 4* }", True),
        ('{ $.level = "ERROR" && $.latency > 1000 }', False),
        ('{ $.level = "ERROR" || $.latency > 1000 }', True),
        ('{ ($.level = "X" || $.level = "ERROR") && $.latency > 1 }', True),
        ('{ $.level = "X" || $.level = "ERROR" && $.latency > 1000 }', False),
        ("{ $.user IS NULL }", True),
        ("{ $.level IS NULL }", False),
        ("{ $.ok IS FALSE }", True),
        ("{ $.cold IS TRUE }", True),
        ("{ $.ok is true }", False),
        ("{ $.absent NOT EXISTS }", True),
        ("{ $.level NOT EXISTS }", False),
        ("{ $.nested.name EXISTS }", True),
        ('{ $.nested.name = "orders" }', True),
        ('{ $.nested.tags[1] = "b" }', True),
        ('{ $.nested.tags[7] = "b" }', False),
        ('{ $.items[*].sku = "y*" }', True),
        ("{ $['odd key'] = 1 }", True),
        ("{ $.level = %^ERR% }", True),
        ("{ $.level != %^ERR% }", False),
        ("{ $.cold = true }", True),
    ],
)
def test_json(pattern: str, expected: bool) -> None:
    assert matches(pattern, json.dumps(EVENT)) is expected


def test_a_json_pattern_never_matches_text() -> None:
    assert not matches('{ $.level = "ERROR" }', "level ERROR")
    assert not matches("{ $.a NOT EXISTS }", "{broken")


LINE = '127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534'


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("[ip, id, user, when, request, status, bytes]", True),
        ("[ip, id, user, when, request, status = 4*, bytes]", True),
        ("[ip, id, user, when, request, status = 5*, bytes]", False),
        ("[..., status = 404, bytes > 1000]", True),
        ("[..., status = 404, bytes > 9000]", False),
        ("[ip, ..., bytes]", True),
        ("[ip, id]", False),
        ('[ip, id, user, when, request = "*index*", status, bytes]', True),
        ("[..., status = 404 || status = 500, bytes]", True),
        ("[ip = %^127%, ...]", True),
        ("[..., (status = 404) && status != 500, bytes]", True),
    ],
)
def test_space_delimited(pattern: str, expected: bool) -> None:
    assert matches(pattern, LINE) is expected


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("{ $.level }", "no operator"),
        ("{ level = 1 }", "selector"),
        ("{ $.a = 1", "ends too early"),
        ("{ $.a = 1 } x", "after its end"),
        ("{ $.a < abc }", "needs a number"),
        ("{ $.a > %x% }", "regular expression"),
        ("{ $.a NOT 1 }", "EXISTS"),
        ("{ $.a IS 1 }", "NULL"),
        ("{ $.a = } ", "value"),
        ('"open', "cannot be read"),
        ("%[%", "not valid"),
        ("{ $.a = %[% }", "not valid"),
        ("[a, ..., b, ...]", "only once"),
        ("[a b]", "should be"),
        ("[=1]", "name of a field"),
        ("x" * 1025, "1024"),
    ],
)
def test_refused(pattern: str, problem: str) -> None:
    with pytest.raises(ExpressionError, match=problem):
        compile_pattern(pattern)


@given(st.dictionaries(st.sampled_from("abc"), st.integers(-9, 9)), st.sampled_from("abc"), st.integers(-9, 9))
def test_numbers_compare_as_in_python(document: dict[str, int], key: str, limit: int) -> None:
    text = json.dumps(document)
    present = key in document
    assert matches(f"{{ $.{key} >= {limit} }}", text) is (present and document[key] >= limit)
    assert matches(f"{{ $.{key} = {limit} }}", text) is (present and document[key] == limit)
    assert matches(f"{{ $.{key} EXISTS }}", text) is present
