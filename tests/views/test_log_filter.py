from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.model.signal import Level, LogRecord
from prodwatch.views.log_filter import FilterError, parse_filter, parse_find

LINE = LogRecord(
    timestamp_ms=0,
    message="Slow query 512 ms: KeyError:x at http://h/p",
    group="/aws/lambda/shop-orders",
    stream="2026/01/15/[42]abc",
    level=Level.WARN,
    version="42",
    request_id="8f2c41d7",
    trace_id="1-abc",
    fields={"table": "orders", "user": {"id": 7, "name": "Zoë"}, "a.b": "dotted"},
)


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("   ", True),
        ("slow", True),
        ("SLOW", True),
        ("fast", False),
        ("slow query", True),
        ("query slow", True),
        ('"query slow"', False),
        ('"slow query"', True),
        ("slow fast", False),
        ("!fast", True),
        ("!slow", False),
        (r"/\d+ ms/", True),
        (r"/^\d+/", False),
        (r"!/^\d+/", True),
        ("/SLOW/", True),
        (r"/http:\/\/h/", True),
        ("level:warn", True),
        ("level:WARN", True),
        ("level:warning", True),
        ("level:error", False),
        ("level:info+", True),
        ("level:error+", False),
        ("!level:debug", True),
        ("group:shop-orders", True),
        ("group:other", False),
        ("version:42", True),
        ("request:8f2c", True),
        ("trace:1-abc", True),
        ("8f2c41d7", True),
        ("table:orders", True),
        ("table:customers", False),
        ("user.id:7", True),
        ("user.name:zoë", True),
        ("user.missing:7", False),
        ("a.b:dotted", True),
        ('table:"orders"', True),
        ("KeyError:x", True),
        ("KeyError:y", False),
        ("http://h", True),
        ("kind:app", True),
        ("!", False),
        ("shop-orders", True),
    ],
)
def test_terms(text: str, matches: bool) -> None:
    assert parse_filter(text).matches(LINE) is matches


@pytest.mark.parametrize(
    ("text", "says"),
    [("/(/", "is not a regular expression"), ("level:loud", 'no level "loud"')],
)
def test_what_cannot_be_understood_is_said_at_once(text: str, says: str) -> None:
    with pytest.raises(FilterError, match=says):
        parse_filter(text)


@given(st.text(max_size=60))
def test_no_text_breaks_the_filter(text: str) -> None:
    with contextlib.suppress(FilterError):
        assert parse_filter(text).matches(LINE) in {True, False}


@given(st.text(alphabet="abcdefgh", min_size=1, max_size=6))
def test_a_term_and_its_inverse_never_agree(word: str) -> None:
    assert parse_filter(word).matches(LINE) is not parse_filter(f"!{word}").matches(LINE)


@pytest.mark.parametrize(
    "source",
    [
        "a{99999999999}",
        "(" * 2000 + "a" + ")" * 2000,
        "[[a]x",
        "(",
        "a**",
        "(a{1000}){1000}",
        "[a--b]",
        "\\",
        "a{5}{6}{7}{99999}",
    ],
    ids=lambda source: source[:20],
)
@pytest.mark.parametrize("negated", ["", "!"])
def test_K33_an_expression_that_is_refused_in_any_way_is_an_error_in_one_sentence(source: str, negated: str) -> None:
    with pytest.raises(FilterError, match="is not a regular expression") as caught:
        parse_filter(f"{negated}/{source}/")
    assert "\n" not in str(caught.value)
    with pytest.raises(FilterError, match="is not a regular expression"):
        parse_find(f"/{source}/")


@pytest.mark.parametrize("source", ["(a|a)*$", "(?:a|aa)+$"])
def test_K26_a_search_that_does_not_end_is_an_error(source: str) -> None:
    record = LogRecord(1, "a" * 60 + "!", "g")
    with pytest.raises(FilterError, match="was stopped after 20 ms"):
        parse_filter(f"/{source}/").matches(record)
    with pytest.raises(FilterError, match="was stopped"):
        parse_filter(f"!/{source}/").matches(record)
    find = parse_find(f"/{source}/")
    assert find is not None
    with pytest.raises(FilterError, match="was stopped"):
        find.hits(record.message)
    with pytest.raises(FilterError, match="was stopped"):
        find.expression.spans(record.message)


def test_K26_nested_repetition_alone_is_searched_to_its_end() -> None:
    record = LogRecord(1, "a" * 60 + "!", "g")
    assert not parse_filter(r"/(\w+\s?)+$/").matches(record)
