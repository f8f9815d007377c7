from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from prodwatch.assertions import MISSING, evaluate, parse
from prodwatch.assertions.operators import OPERATORS
from prodwatch.model.quantity import Duration, Headers

ZONED = datetime(2026, 1, 15, 12, tzinfo=UTC)
NAIVE = datetime(2026, 1, 15, 12)  # noqa: DTZ001 -- a time without a zone is the case


def judge(actual: Any, claim: str, *holes: Any) -> tuple[bool | None, str]:
    document = {} if actual is MISSING else {"a": actual}
    result = evaluate(parse(f"a {claim}"), document, holes=holes)
    return result.ok, result.message or ""


@pytest.mark.parametrize(
    ("actual", "claim", "holds"),
    [
        (1, "== 1", True),
        (1, "== 1.0", True),
        (Decimal("0.1"), "== 0.1", True),
        (0.1, "== 0.1", True),
        (0.1 + 0.2, "== 0.3", False),
        (Decimal("0.10"), "== 0.1", True),
        (10**30, "== 1e30", True),
        (2**53 + 1, f"== {2**53}", False),
        (True, "== true", True),
        (True, "!= false", True),
        ("a", "== 'a'", True),
        ("a", "== 'A'", False),
        (None, "== null", True),
        (None, "!= null", False),
        (0, "!= null", True),
        ("", "!= null", True),
        ({"a": 1, "b": [1, 2]}, "== {'b': [1, 2.0], 'a': 1}", True),
        ({"a": 1}, "== {'a': '1'}", False),
        ({"a": 1}, "!= {'a': '1'}", True),
        ([1, 2], "== [2, 1]", False),
        ((1, 2), "== [1, 2]", True),
        (Headers((("A", "1"),)), "== {'a': '1'}", True),
        (Duration.from_ms(1500), "== 1.5s", True),
        (Duration.from_ms(1500), "== 1500ms", True),
        (Duration(90 * 10**9), "== 1m30s", True),
        (Duration(-5), "< 0s", True),
        (ZONED, "== 2026-01-15T13:00:00+01:00", True),
        (ZONED, "< 2026-01-15T12:00:00.000001Z", True),
        (5, "between 5 and 5", True),
        (5.5, "between 5 and 5.4", False),
        (Duration.from_ms(5), "between 1ms and 1s", True),
        (404, "in [200, 404]", True),
        (404, "not in [200, 404]", False),
        (None, "in [null, 1]", True),
        ([1], "in [[1], [2]]", True),
        ("x", "in ['a', 1]", False),
        ("x", "not in ['a', 1]", True),
        ("error: x", "contains 'error'", True),
        ("error: x", "not contains 'fatal'", True),
        ([1, 2], "contains 2.0", True),
        ([], "contains 2", False),
        ([], "not contains 2", True),
        ([{"a": 1}], "contains {'a': 1}", True),
        (["x", 1], "not contains 'y'", True),
        ("abc", "starts with 'ab'", True),
        ("abc", "ends with 'ab'", False),
        ("line 1\nline 2", "matches '(?m)^line 2$'", True),
        ("a1", "matches '^\\d'", False),
        (5, "is integer", True),
        (5.0, "is integer", True),
        (Decimal("5.00"), "is integer", True),
        (5.5, "is integer", False),
        (math.inf, "is integer", False),
        (5.5, "is number", True),
        (True, "is integer", False),
        (True, "is boolean", True),
        (None, "is null", True),
        ([], "is array", True),
        ({}, "is object", True),
        (Headers(), "is object", True),
        ("", "is string", True),
        (Duration(1), "is number", False),
        (None, "exists", True),
        (False, "exists", True),
        (None, "absent", False),
        ({"a": {"b": 1, "c": 2}, "d": 3}, "includes {'a': {'b': 1}}", True),
        ({"a": None}, "includes {'a': null}", True),
        ({}, "includes {'a': null}", False),
        ([{"a": 1, "b": 2}, {"a": 1}], "includes [{'a': 1}, {'a': 1, 'b': 2}]", True),
        ([{"a": 1, "b": 2}], "includes [{'a': 1}, {'b': 2}]", False),
        ([1, 1, 2], "includes [1, 1]", True),
        ([1, 2], "includes [1, 1]", False),
        ([[1, 2]], "includes [[2]]", True),
        ([1, "1", True], "equals unordered ['1', true, 1]", True),
        ([1, 1, 2], "equals unordered [1, 2, 2]", False),
        ([[1, 2]], "equals unordered [[2, 1]]", False),
        ([{"a": 1, "b": 2}, 3], "equals unordered [3.0, {'b': 2, 'a': 1}]", True),
        ([], "equals unordered []", True),
    ],
    ids=str,
)
def test_claim(actual: Any, claim: str, holds: bool) -> None:
    assert judge(actual, claim)[0] is holds


@pytest.mark.parametrize(
    ("actual", "claim", "words"),
    [
        ("1", "== 1", 'is "1", a string, which cannot be compared with a number, 1; convert text with'),
        (1, "== '1'", "cannot be compared"),
        (1, "== true", "cannot be compared"),
        (0, "== false", "cannot be compared"),
        (Duration(5), "== 5", "a duration needs a unit"),
        (Duration(5), "== '5ns'", "write a duration without quotes"),
        ("2026-01-15T12:00:00Z", "> 2026-01-15T12:00:00Z", "convert text with parse_time()"),
        ({}, "== []", "cannot be compared"),
        (b"a", "== 'a'", "binary data"),
        (None, "!= 5", "is null, null, which cannot be compared"),
        (NAIVE, "< 2026-01-15T12:00:00Z", "without a zone"),
        ("x", "in [1, 2]", "cannot be compared"),
        ("x", "not in [1, 2]", "cannot be compared"),
        (None, "not in [1, 2]", "is null"),
        (5, "contains 5", "only strings and arrays contain something"),
        ({"a": 1}, "contains 'a'", "for the keys of an object use `includes` or `exists`"),
        ("abc", "contains 5", "a string is needed"),
        ([1, 2], "not contains 'x'", "none of whose elements can be compared"),
        (5, "starts with '5'", "is a number, and a string is needed"),
        ([1], "matches '1'", "is an array, and a string is needed"),
        (math.nan, "< 5", "NaN"),
        (math.nan, "!= 5", "NaN"),
        (Decimal("sNaN"), "> 5", "NaN"),
        ({}, "includes [1]", "two objects or two arrays"),
        ("ab", "equals unordered ['a', 'b']", "is a string, and two arrays are needed"),
        (True, "< 5", "cannot be compared"),
    ],
    ids=str,
)
def test_what_cannot_be_compared_fails_and_says_so(actual: Any, claim: str, words: str) -> None:
    ok, message = judge(actual, claim)
    assert ok is False
    assert words in message


@pytest.mark.parametrize(
    ("actual", "claim", "hole", "words"),
    [
        ("10", "< ${x}", "9", "strings have no order"),
        (True, "< ${x}", False, "booleans have no order"),
        (None, "< ${x}", None, "null has no order"),
        ("abc", "contains ${x}", "", "empty text, which every text contains"),
        ("abc", "not contains ${x}", "", "empty text"),
        ("abc", "starts with '${x}'", "", "empty text"),
        ("abc", "matches ${x}", "", "empty text"),
        ("abc", "matches ${x}", 5, "compared with a number, and a string is needed"),
        ("abc", "matches ${x}", "(", "not a regular expression"),
        (5, "in ${x}", "5", "needs a list"),
        (5, "in ${x}", [], "not one of []"),
        (5, "not in ${x}", [], "empty list, which proves nothing"),
        ({"a": 1}, "includes ${x}", {}, "empty subset"),
        ([1], "equals unordered ${x}", "1", "compared with a string"),
        ("x", "satisfies ${x}", 5, "needs the name of a schema file"),
        (Duration(5), "< ${x}ms", "5", "needs a number before `ms`, not '5'"),
        (Duration(5), "< ${x}ms", math.inf, "at most 60 digits"),
        (Duration(5), "< ${x}ms", True, "needs a number"),
        (5, "between ${x} and 9", "1", "cannot be compared"),
    ],
    ids=str,
)
def test_a_hole_of_the_wrong_kind_fails_and_says_so(actual: Any, claim: str, hole: Any, words: str) -> None:
    ok, message = judge(actual, claim, hole)
    assert ok is False
    assert words in message


@pytest.mark.parametrize("name", [each for each in OPERATORS if each != "absent"])
def test_a_missing_path_fails_every_operator_but_absent(name: str) -> None:
    operand = {
        "exists": "",
        "is": "null",
        "between": "1 and 2",
        "in": "[null]",
        "not in": "['x']",
        "includes": "[1]",
        "matches in order": "['x']",
        "equals unordered": "[]",
        "<": "1",
        "<=": "1",
        ">": "-1",
        ">=": "-1",
        "==": "null",
        "!=": "null",
    }.get(name, "'x'")
    ok, message = judge(MISSING, f"{name} {operand}")
    assert ok is False
    assert message == "`a` is missing: the document is empty"


def test_a_missing_field_is_absent() -> None:
    assert judge(MISSING, "absent") == (True, "")


@pytest.mark.parametrize(
    ("source", "document", "ok"),
    [
        ("json.error absent", {"json": {}}, True),
        ("json.error absent", {"json": {"error": None}}, False),
        ("json.error absent", {}, None),
        ("json.error absent", {"json": None}, None),
        ("json.error absent", {"json": "busy"}, False),
        ("json.error absent", {"json": []}, False),
        ("json.a.b absent", {"json": {}}, True),
        ("json.a.b absent", {"json": {"a": None}}, True),
        ("json.items[0] absent", {"json": {"items": []}}, True),
        ("json.items[0] absent", {"json": {"items": {}}}, False),
        ("json.items[*].x absent", {"json": {}}, True),
        ("json.items[*].x absent", {"json": {"items": []}}, False),
        ("items[*].x absent", {}, None),
        ("header('x') absent", {"headers": {"y": "1"}}, True),
        ("header('x') absent", {"headers": Headers()}, True),
        ("header('x') absent", {}, False),
        ("json.a || json.b absent", {}, None),
        ("json.a || json.b absent", {"json": {}}, True),
        ("length(json.a) absent", {"json": {}}, False),
        ("json | error absent", {}, None),
        ("json | error absent", {"json": {}}, True),
        ('json."a b" absent', {"json": {}}, True),
    ],
)
def test_an_absence_is_proven_only_where_one_could_have_looked(source: str, document: Any, ok: bool | None) -> None:
    result = evaluate(parse(source), document)
    assert result.ok is ok
    assert (result.message is None) is (ok is True)


def test_numbers_of_any_size_are_judged_and_shown() -> None:
    huge = 10**5000
    result = evaluate(parse("a == 1"), {"a": huge})
    assert result.ok is False
    assert isinstance(result.actual, str)
    assert evaluate(parse("a > 1"), {"a": huge}).ok is True
    assert evaluate(parse("a < 1"), {"a": Decimal("1e400000")}).ok is False


def test_numbers_json_readers_would_round_are_shown_as_text() -> None:
    shown = evaluate(parse("a exists"), {"a": [2**70, Decimal("0.1"), Decimal("0.1000000000000000000001"), Decimal(5)]})
    assert shown.actual == [str(2**70), 0.1, "0.1000000000000000000001", 5]


def test_a_result_shows_expression_actual_and_expected() -> None:
    result = evaluate(
        parse(" latency  <  ${limit}ms "), {"latency": Duration.from_ms(212)}, holes=[100], severity="warn"
    )
    assert result.expression == "latency < 100ms"
    assert (result.actual, result.expected, result.severity) == ("212ms", "100ms", "warn")
    assert result.message == "`latency` is 212ms, not < 100ms"


def test_the_expression_without_holes_is_shown_as_written() -> None:
    assert evaluate(parse(" a=='b' "), {"a": "b"}).expression == "a=='b'"


def test_too_few_values_for_the_holes_decide_nothing() -> None:
    result = evaluate(parse("a == ${x}"), {"a": 1})
    assert result.ok is None
    assert result.message == "values are needed for 1 references, and there are 0"


def test_long_values_are_described_in_sentences_and_never_cut() -> None:
    ok, message = judge("x" * 500, "== 'y'")
    assert (ok, message) == (False, '`a` is a string of 500 characters, not "y"')
    assert judge(list(range(500)), "== [1]")[1] == "`a` is an array of 500 elements, not [1]"
    assert judge({"k": "x" * 500}, "== {'a': 1}")[1] == "`a` is an object of 1 key, not {'a': 1}"


def test_a_value_nested_beyond_the_interpreter_is_inconclusive_and_shown_in_part() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    result = evaluate(parse("a == ${x}"), {"a": deep}, holes=[deep])
    assert (result.ok, result.message) == (None, "the value is nested too deeply to be judged")
    assert evaluate(parse("a == 1"), {"a": deep}).ok is False
    while isinstance(deep, list):  # freed step by step, not by recursion
        deep = deep[0]


def test_a_document_that_contains_itself_is_inconclusive() -> None:
    loop: dict[str, Any] = {}
    loop["a"] = loop
    assert evaluate(parse("a == ${x}"), loop, holes=[dict(loop)]).ok is None


def test_a_document_that_breaks_is_reported_as_a_bug_and_not_raised() -> None:
    class Broken(dict[str, Any]):
        def get(self, *_: Any) -> Any:
            raise OSError

    result = evaluate(parse("a.b == 1"), {"a": Broken()})
    assert result.ok is None
    assert "bug in prodwatch (OSError)" in (result.message or "")
