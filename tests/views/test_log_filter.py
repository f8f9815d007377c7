from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.model.signal import Level, LogRecord
from prodwatch.views.log_filter import FilterError, parse_filter

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
