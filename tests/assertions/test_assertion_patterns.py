from __future__ import annotations

import re

import pytest

from prodwatch.assertions import AssertionSyntaxError, evaluate, parse
from prodwatch.assertions.errors import PathError, UndecidableError
from prodwatch.assertions.patterns import compile_pattern, search

CATASTROPHIC = [("(a|aa)+$", "a" * 80 + "b"), ("(x+x+)+y", "x" * 5_000)]


@pytest.mark.parametrize(("pattern", "text"), CATASTROPHIC)
def test_a_catastrophic_pattern_is_stopped_and_undecided(pattern: str, text: str) -> None:
    result = evaluate(parse(f"a matches '{pattern}'"), {"a": text})
    assert result.ok is None
    assert "was stopped" in (result.message or "")


def test_the_limit_is_the_one_given() -> None:
    with pytest.raises(UndecidableError, match="after 5 ms and was stopped"):
        search(*CATASTROPHIC[0], limit_s=0.005)


def test_a_stopped_pattern_never_makes_none_hold() -> None:
    result = evaluate(parse("none a matches '(a|aa)+$'"), {"a": ["a" * 80 + "b", "x"]})
    assert result.ok is None


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        "[a",
        "a{99999999999}",
        "((a{100}){100}){100}",
        "(((a{100})b){100}c){100}",
        "(((a{100}b)c){100}d){100}",
        "(" * 100 + ")" * 100,
        "a" * 20_000,
        "*",
        "(?P<x",
        "a{200000}",
    ],
    ids=lambda pattern: pattern[:20],
)
def test_a_pattern_that_cannot_be_used_is_refused_while_parsing(pattern: str) -> None:
    with pytest.raises(AssertionSyntaxError, match="the pattern") as caught:
        parse(f"a matches '{pattern}'")
    assert caught.value.column == 11


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$", "2026-01-15T12:00:00.123Z"),
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "id 123e4567-e89b-12d3-a456-426614174000"),
        (r"[]{5}]", "5"),
        (r"\({3}", "((("),
        (r"(?i)hello", "Hello"),
        (r"(?#(((a)b{2}", "bb"),
        (r"[[a]", "["),
    ],
)
def test_ordinary_patterns_are_not_mistaken_for_explosive_ones(pattern: str, text: str) -> None:
    assert search(pattern, text)


def test_what_fills_a_hole_inside_a_pattern_has_no_meaning_there() -> None:
    parsed = parse("a matches '^${x}$'")
    assert evaluate(parsed, {"a": "a.c"}, holes=["a.c"]).ok is True
    assert evaluate(parsed, {"a": "abc"}, holes=["a.c"]).ok is False
    shown = evaluate(parsed, {"a": "abc"}, holes=["se-cr.et"])
    assert shown.expected == "^se-cr.et$"
    assert "se-cr.et" in (shown.message or "")


def test_a_bare_hole_is_the_pattern() -> None:
    assert evaluate(parse("a matches ${x}"), {"a": "abc"}, holes=["a.c"]).ok is True


def test_an_unreadable_pattern_is_one_sentence() -> None:
    with pytest.raises(PathError, match="not a regular expression: missing"):
        compile_pattern("(")


LINES = ["order 7 received", "cache miss", "order 7 stored", "order 7 sent"]


@pytest.mark.parametrize(
    ("claim", "ok", "sentence"),
    [
        ("lines matches in order ['received', 'stored', 'sent']", True, ""),
        ("lines matches in order ['^order 7 received$']", True, ""),
        ("lines  matches   in\torder ['miss', 'sent$']", True, ""),
        (
            "lines matches in order ['stored', 'received']",
            False,
            'has no element that matches "received" behind element 2, which matches "stored" (pattern 2 of 2)',
        ),
        ("lines matches in order ['received', 'order 7 received']", False, "behind element 0"),
        ("lines matches in order ['lost']", False, 'has no element that matches "lost" (pattern 1 of 1)'),
        ("lines matches in order ['${vars.id} received', '${vars.id} sent']", True, ""),
        ("lines matches in order ['order 7 sent', ${vars.id}]", False, "(pattern 2 of 2)"),
        ("none matches in order ['a']", False, "has no element"),
        ("numbers matches in order ['a']", False, "has a number, 1, and `matches in order` needs strings"),
        ("text matches in order ['a']", False, "needs an array of strings"),
        ("missing matches in order ['a']", False, "is missing"),
        ("all paths matches in order ['api', 'db']", False, 'element 1 has no element that matches "db"'),
        ("any paths matches in order ['api', 'db']", True, ""),
        ("none paths matches in order ['db', 'api']", True, ""),
    ],
)
def test_D_patterns_are_found_in_this_order(claim: str, ok: bool, sentence: str) -> None:
    document = {"lines": LINES, "none": [], "numbers": [1], "text": "a", "paths": [["api", "q", "db"], ["api"]]}
    assertion = parse(claim)
    result = evaluate(assertion, document, holes=["order 7"] * len(assertion.holes))
    assert result.ok is ok, result.message
    assert sentence in (result.message or "")
    assert parse(str(assertion)) == assertion


def test_D_an_order_that_was_found_stays_when_more_lines_are_read_and_one_that_was_not_decides_nothing() -> None:
    found, not_found = "lines matches in order ['received', 'sent']", "lines matches in order ['sent', 'received']"
    assert evaluate(parse(found), {"lines": LINES}, complete=False).ok is True
    assert evaluate(parse(not_found), {"lines": LINES}, complete=False).ok is None
    assert evaluate(parse("lines matches in order ['a']"), {"lines": []}, complete=False).ok is None


def test_D_the_searches_of_an_order_together_have_the_time_of_one() -> None:
    result = evaluate(parse("lines matches in order ['(x+x+)+y', 'a']"), {"lines": ["x" * 3000] * 3})
    assert result.ok is None
    assert "was stopped" in (result.message or "")


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("'a'", "`matches in order` needs a list of patterns"),
        ("[]", "needs a non-empty array"),
        ("[1]", "needs patterns in quotes"),
        ("['']", "needs patterns in quotes"),
        ("['([']", "is not a regular expression"),
        ("['(${vars.id}', 'a']", "is not a regular expression"),
    ],
)
def test_D_patterns_of_an_order_are_checked_when_the_file_is_read(value: str, sentence: str) -> None:
    with pytest.raises(AssertionSyntaxError, match=re.escape(sentence)):
        parse(f"lines matches in order {value}")


def test_groups_may_be_nested_59_deep_and_no_deeper() -> None:
    assert search("(" * 59 + "a" + ")" * 59, "a")
    with pytest.raises(PathError, match="nests groups more than"):
        compile_pattern("(" * 60 + "a" + ")" * 60)
