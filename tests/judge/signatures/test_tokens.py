"""Constant and variable parts of a line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.judge.signatures.tokens import VARIABLE, collapsed, tokens_of


def text_of(line: str) -> str:
    return " ".join(tokens_of(line))


@pytest.mark.parametrize(
    ("line", "signature"),
    [
        ("cannot charge order 4711", "cannot charge order <*>"),
        ("order c0ffee00-1111-4222-8333-444455556666 failed", "order <*> failed"),
        ("connect to 10.0.0.12:5432 failed after 30.5 ms", "connect to <*> failed after <*>"),
        ("GET https://api.shop.com/orders/12?x=1 answered 502", "GET <*> answered <*>"),
        ("at 2026-01-15T11:55:00.123Z and at Jan 15 11:55:01", "at <*> and at <*>"),
        ("table arn:aws:dynamodb:eu-west-1:123456789012:table/orders", "table <*>"),
        ("no route to db.shop.internal", "no route to <*>"),
        ("open /var/task/data/rates.json: no such file", "open <*> : no such file"),
        ("lock 0xdeadbeef of session 9f4ef63a", "lock <*> of session <*>"),
        ("block blk_-1608999687919862906 is corrupt", "block <*> is corrupt"),
        ("read 12,345 bytes in 3 s", "read <*> in <*>"),
        ("user (id=12) has () no cart", "user ( id = <*> ) has no cart"),
        ("from fe80::c6b3:1ff:fecd:467f to 00:1a:2b:3c:4d:5e", "from <*> to <*>"),
        ('"POST /v2/refunds HTTP/1.1" status: 500', "POST <*> status : <*>"),
        ("mail to jane.doe@example.com bounced", "mail to <*> bounced"),
        ("trace 1-5f84c7a1-0123456789abcdef01234567 is lost", "trace <*> is lost"),
        ("", ""),
    ],
)
def test_parts_that_vary_by_their_form_are_variable(line: str, signature: str) -> None:
    assert text_of(line) == signature


def test_quoted_identifiers_tell_errors_apart_and_quoted_sentences_do_not() -> None:
    assert text_of("KeyError: 'currency'") != text_of("KeyError: 'tenant'")
    assert text_of("invalid name 'Jane Doe'") == text_of("invalid name 'John Smith'")
    assert text_of("invalid id 'a1'") == text_of("invalid id 'b2'")


def test_requests_of_other_methods_are_other_signatures() -> None:
    assert text_of('"GET /orders/1 HTTP/1.1" 500') != text_of('"POST /orders/1 HTTP/1.1" 500')


@given(st.text(max_size=200))
def test_any_text_has_tokens_that_depend_on_no_digit(line: str) -> None:
    other = line.translate(str.maketrans("0123456789", "9012345678"))
    assert tokens_of(line) == tokens_of(other)


@pytest.mark.parametrize(
    "line", ["a" * 100_000, "1." * 50_000, "a:" * 50_000, "/x" * 50_000, '"' * 50_000, "a-1" * 40_000]
)
def test_hostile_lines_are_read_up_to_a_bound(line: str) -> None:
    assert len(tokens_of(line)) <= 2000


@pytest.mark.parametrize(
    ("tokens", "kept"),
    [
        ("a ( * ) b", "a b"),
        ("a b ( * ) c", "a b c"),
        ("a ( b * ) c", "a ( b * ) c"),
        ("a ( ) b", "a b"),
        ("a [ ] b", "a b"),
        ("a { } b", "a b"),
        ("a [ * ] b", "a [ * ] b"),
        ("a * * b", "a * b"),
        ("a * : * b", "a * b"),
        ("a * / * - * b", "a * b"),
        ("a : * b", "a : * b"),
        ("a * b * c", "a * b * c"),
    ],
)
def test_variables_that_are_joined_are_one_and_brackets_without_a_constant_are_left_out(tokens: str, kept: str) -> None:
    given = [VARIABLE if token == "*" else token for token in tokens.split()]
    assert " ".join("*" if token == VARIABLE else token for token in collapsed(given)) == kept
