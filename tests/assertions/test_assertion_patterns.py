from __future__ import annotations

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
