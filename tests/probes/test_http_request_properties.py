"""Whatever text comes into a request, it stays where it belongs, or the request is refused."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from prodwatch.errors import UnusableError
from prodwatch.probes.decode import read_json
from prodwatch.probes.http.request import as_json, header_pair
from prodwatch.probes.http.url import parse_url
from prodwatch.probes.http.wire import serialize

ANYTHING = st.text(st.characters(exclude_categories=()))


@given(st.one_of(ANYTHING, ANYTHING.map("http://x/".__add__), ANYTHING.map("http://".__add__)))
@example("http://x/\r\nEvil: 1")
@example("http://x\u2028/")
@example("http://user:p@ss@x/")
@example("http://[::1]:80/")
@example("http://x:/")
@example("http://x/\ud800")
@example("http://\ud800/")
@example("http://\ud800@x/")
def test_a_url_is_refused_or_one_request_line(text: str) -> None:
    try:
        url = parse_url(text)
    except UnusableError:
        return
    head = serialize("GET", url, [], None, version="1.1")
    first, host, *_ = head.split(b"\r\n")
    assert first.count(b" ") == 2
    assert first.startswith(b"GET /")
    assert first.isascii()
    assert host.startswith(b"Host: ")
    assert head.count(b"\r\n\r\n") == 1


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#")))
def test_what_http_can_carry_is_sent_as_written(path: str) -> None:
    written = "/" + path
    url = parse_url(f"http://x{written}")
    assert serialize("GET", url, [], None, version="1.1").split(b" ")[1].decode() == written


@given(ANYTHING, ANYTHING)
@example("a", "\ud800")
@example("a", "\x85\u2028")
def test_a_header_is_refused_or_one_line(name: str, value: str) -> None:
    try:
        pair = header_pair(name, value)
    except UnusableError:
        return
    wire = serialize("GET", parse_url("http://x/"), [pair], None, version="1.1")
    assert wire.count(b"\r\n\r\n") == 1
    assert not any(byte in wire.replace(b"\r\n", b"") for byte in b"\r\n\0")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_json_keeps_every_digit_there_and_back(value: Any) -> None:
    sent = as_json(value)
    found = read_json(sent).fields["json"]
    assert found == value
    assert json.loads(sent, parse_float=Decimal, parse_int=int) is not None or value is None


@given(st.binary())
@example(b'{"a":' * 2000)
@example(b"9" * 5000)
@example(b'"\\ud800')
def test_no_body_breaks_the_decoder(body: bytes) -> None:
    assert set(read_json(body).fields) <= {"json"}


@pytest.mark.parametrize("constant", [b"NaN", b"Infinity", b"-Infinity", b"[NaN]", b'{"\\ud800": NaN}'])
def test_what_is_no_json(constant: bytes) -> None:
    assert read_json(constant).fields == {}
