"""Signatures as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.judge.signatures.readable import readable
from prodwatch.judge.signatures.signature import SignatureReader, signature_id, signature_text


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("KeyError: 'currency'", "KeyError: 'currency'"),
        ('can\'t charge order 12 (card declined): "no funds"', "can't charge order <*> (card declined): <*>"),
        ("java.lang.Bad: x=12, y = abc [main] {a: 1}", "java.lang.Bad: x=<*>, y=abc [main] {a: <*>}"),
        ("error at orders.py:12 in `handle`", "error at orders.py:<*> in `handle`"),
        ("don't 'quote' it; disk at 50%", "don't 'quote' it; disk at <*>"),
        ('PG::Error: relation "orders" is gone!', 'PG::Error: relation "orders" is gone!'),
        ("", ""),
    ],
)
def test_no_blanks_within_quotes_and_around_punctuation(line: str, shown: str) -> None:
    assert readable(signature_text(SignatureReader().read(line))) == shown


@given(st.text(alphabet="ab1 '\"`:;,.()[]{}=%#$/!?-<>", max_size=60))
def test_only_blanks_differ_from_the_text_that_is_the_identity(line: str) -> None:
    text = signature_text(SignatureReader().read(line))
    shown = readable(text)
    assert shown.replace(" ", "") == text.replace(" ", "")
    assert "  " not in shown


def test_the_identity_is_that_of_the_tokens() -> None:
    text = signature_text(SignatureReader().read("KeyError: 'tenant'"))
    assert signature_id("pay", text) == signature_id("pay", "KeyError : ' tenant '")
