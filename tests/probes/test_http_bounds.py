"""Responses beyond prodwatch's bounds, and in forms that it does not read, are errors that say so; never a failure."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.assertions import parse
from prodwatch.assertions.evaluate import evaluate
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Observation
from prodwatch.probes.decode import AmbiguousObject, read_json
from prodwatch.probes.http.content_coding import CodingError, body_decoder, can_decode, codings_of
from prodwatch.testing.targets import answering, http_answer, responding, serving

Send = Callable[..., Awaitable[Observation]]

LIMIT, UNAVAILABLE = (Status.ERROR, Reason.LIMIT), (Status.ERROR, Reason.UNAVAILABLE)


@pytest.mark.parametrize("depth", [1_500, 200_000])
@pytest.mark.parametrize("ends", [True, False])
def test_B6_deeply_nested_json_is_a_limit(depth: int, ends: bool) -> None:
    found = read_json(b"[" * depth + (b"]" * depth if ends else b""))
    assert found.fields == {}
    assert found.beyond_limits


def test_B6_a_number_of_thousands_of_digits_is_a_limit() -> None:
    found = read_json(b'{"n": ' + b"9" * 4301 + b"}")
    assert found.beyond_limits
    assert "digits" in str(found.problem)


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_B6_json_in_every_unicode_encoding_is_read(coding: str) -> None:
    assert read_json('{"status": "é"}'.encode(coding)).fields == {"json": {"status": "é"}}


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        (b"<html>Sign in</html>", "text/html; charset=utf-8", 'is text/html and begins with "<html>Sign in</html>"'),
        (b"OK", None, 'is not JSON and begins with "OK"'),
        (b"", "application/json", "is empty"),
        (b" \r\n", None, "is empty"),
        (b'{"a": [1, 2', None, "is JSON that breaks off at byte 11"),
        (b'{"a": NaN}', None, 'is not JSON from byte 6 on, where "NaN}" is'),
        (b'{"a":1}\n{"b":2}', None, 'is not JSON from byte 8 on, where "{\\"b\\":2}" is'),
        (b'{"a": "\xff"}', None, "is not UTF-8, as JSON must be"),
        (b"\x00\x01\x02\x03", None, "begins with"),
        (b"true story", "text/plain", "is not JSON from byte 5 on"),
    ],
)
def test_B6_what_came_in_place_of_json_is_said(body: bytes, kind: str | None, says: str) -> None:
    found = read_json(body, kind)
    assert found.fields == {}
    assert not found.beyond_limits
    assert says in str(found.problem)


@given(st.binary(max_size=60))
def test_every_body_is_json_or_has_a_reason(body: bytes) -> None:
    found = read_json(body)
    assert (found.problem is None) is ("json" in found.fields)


@pytest.mark.parametrize(
    ("text", "claim", "ok"),
    [
        ('{"a": 1, "a": 1}', "json.a == 1", None),
        ('{"a": 1, "a": 2}', "json.a exists", None),
        ('{"a": 1, "a": 2}', "json.b absent", True),
        ('{"a": 1, "a": 2, "b": 3}', "json.b == 3", True),
        ('{"a": 1, "a": 2, "b": 3}', "json.b == 4", False),
        ('{"a": 1, "a": 2}', 'json == {"a": 2}', None),
        ('{"a": 1, "a": 2}', 'json includes {"a": 2}', None),
        ('{"l": [{"a": 1}, {"a": 1, "a": 2}]}', "all json.l[*].a > 0", None),
        ('{"l": [{"a": 1}, {"a": 1, "a": 2}]}', "json.l[0].a == 1", True),
        ('{"l": [{"a": 1, "a": 2}]}', "length(json.l[?a == `2`]) == 1", None),
        ('{"l": {"a": 1, "a": 2}}', "values(json.l) contains 2", None),
        ('{"l": {"a": 1, "\\u0061": 2}}', "json.l.a == 2", None),
    ],
)
def test_A11_a_claim_on_a_repeated_member_is_undecided(text: str, claim: str, ok: bool | None) -> None:
    result = evaluate(parse(claim), read_json(text.encode()).fields)
    assert result.ok is ok, result
    if ok is None:
        assert 'the key "a" twice' in str(result.message)


def test_A11_only_an_object_with_a_repeated_member_is_ambiguous() -> None:
    assert type(read_json(b'{"a": {"b": 1}, "c": {"b": 1}}').fields["json"]) is dict
    assert isinstance(read_json(b'{"a": 1, "a": 1}').fields["json"], AmbiguousObject)


CODED = {
    "gzip": gzip.compress(b"x" * 5000 + b"end"),
    "x-gzip": gzip.compress(b"x" * 5000 + b"end"),
    "deflate": zlib.compress(b"x" * 5000 + b"end"),
}
CODED["deflate raw"] = CODED["deflate"][2:-4]
CODED["gzip of two members"] = gzip.compress(b"x" * 5000) + gzip.compress(b"end")


@pytest.mark.parametrize("name", CODED)
@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_A2_a_coded_body_is_decoded_in_any_parts(name: str, step: int) -> None:
    decoder, body = body_decoder([name.split(" ", maxsplit=1)[0]]), CODED[name]
    decoded = b"".join(decoder.feed(body[at : at + step], 10_000) for at in range(0, len(body), step))
    decoder.finish()
    assert decoded == b"x" * 5000 + b"end"


@pytest.mark.parametrize("name", ["gzip", "deflate", "deflate raw"])
def test_A2_every_cut_of_a_coded_body_is_noticed(name: str) -> None:
    body = CODED[name]
    for length in range(len(body)):
        decoder = body_decoder([name.split(" ", maxsplit=1)[0]])
        decoder.feed(body[:length], 10_000)
        with pytest.raises(CodingError):
            decoder.finish()


def test_a_coded_body_is_decoded_up_to_the_bound() -> None:
    bomb = gzip.compress(b"\x00" * 50_000_000)
    assert len(body_decoder(["gzip"]).feed(bomb, 1001)) == 1001


@pytest.mark.parametrize(
    ("header", "codings", "can"),
    [
        ("", [], True),
        ("identity", [], True),
        (" GZIP ", ["gzip"], True),
        ("br", ["br"], False),
        ("zstd", ["zstd"], False),
        ("gzip, gzip", ["gzip", "gzip"], False),
    ],
)
def test_codings_that_cannot_be_decoded_are_known(header: str, codings: list[str], can: bool) -> None:
    assert codings_of(header) == codings
    assert can_decode(codings) is can


async def test_B6_a_coding_that_was_not_asked_for_is_an_error_for_claims_on_the_body(send: Send) -> None:
    talk, _ = answering(http_answer(b"\x0b\x02\x80ok\x03", Content_Encoding="br"))
    async with serving(talk) as server:
        seen = await send("http", url=server.url)
    assert seen.failure is None
    assert seen.document["status"] == 200
    assert set(seen.unreadable) == {"body", "json", "size", "event"}
    failure = seen.unreadable["json"]
    assert (failure.status, failure.reason) == UNAVAILABLE
    assert "Content-Encoding br" in failure.message


@pytest.mark.parametrize(
    ("reply", "expected", "says"),
    [
        (b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 80_000 + b"\r\n\r\n", LIMIT, "more headers than prodwatch reads"),
        (
            b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(200)) + b"\r\n",
            LIMIT,
            "more headers than prodwatch reads",
        ),
        (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + b"\x00" * 18, UNAVAILABLE, "speaks only HTTP/2"),
        (b"SSH-2.0-OpenSSH_9\r\n", (Status.FAIL, Reason.PROTOCOL), "is not HTTP"),
    ],
    ids=["a long header", "many headers", "HTTP/2", "another protocol"],
)
async def test_B6_a_head_beyond_the_bounds_is_an_error(
    send: Send, reply: bytes, expected: tuple[Status, Reason], says: str
) -> None:
    async with serving(responding(reply)) as server:
        seen = await send("http", url=server.url)
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == expected, seen.failure
    assert says in seen.failure.message


@pytest.mark.parametrize("status", [204, 304])
async def test_a_response_without_a_body_needs_no_end_of_its_coding(send: Send, status: int) -> None:
    async with serving(responding(f"HTTP/1.1 {status} X\r\nContent-Encoding: gzip\r\n\r\n".encode())) as server:
        seen = await send("http", url=server.url)
    assert seen.failure is None


SSE = b': ping\n\nevent: tick\nid: 7\ndata: {"n": 1}\ndata: \n\ndata: second\n\n'


def streamed(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: text/event-stream\r\n\r\n".encode() + body


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
async def test_the_first_event_of_a_stream_that_never_ends_is_judged(send: Send, ending: str) -> None:
    body = SSE.replace(b"\n", ending.encode())
    async with serving(responding(streamed(body), hold=True)) as server:
        seen = await send("http", url=server.url, stream="event", timeout_s=30.0)
    assert seen.failure is None
    assert seen.document["event"] == {"name": "tick", "id": "7", "data": '{"n": 1}\n'}
    assert seen.document["json"] == {"n": 1}
    assert "body" not in seen.document


async def test_the_first_line_of_a_stream_is_judged(send: Send) -> None:
    async with serving(responding(streamed(b'\n{"token": "a"}\n{"tok'), hold=True)) as server:
        seen = await send("http", url=server.url, stream="line", timeout_s=30.0)
    assert seen.document["event"] == {"data": '{"token": "a"}'}
    assert seen.document["json"] == {"token": "a"}


async def test_the_headers_of_a_stream_are_judged_without_its_body(send: Send) -> None:
    async with serving(responding(streamed(b""), hold=True)) as server:
        seen = await send("http", url=server.url, stream="headers", timeout_s=30.0)
    assert seen.failure is None
    assert seen.document["status"] == 200
    assert "body" not in seen.document


async def test_a_stream_that_ends_before_its_first_event_is_a_failure(send: Send) -> None:
    async with serving(responding(streamed(b": ping\n\ndata: cut"))) as server:
        seen = await send("http", url=server.url, stream="event")
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.FAIL, Reason.PROTOCOL)
    assert "ended its stream before its first event" in seen.failure.message


async def test_an_event_longer_than_the_bound_is_a_limit(send: Send) -> None:
    async with serving(responding(streamed(b"data: " + b"x" * 5000), hold=True)) as server:
        seen = await send("http", url=server.url, stream="event", max_body="1KiB", timeout_s=30.0)
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == LIMIT


@pytest.mark.parametrize("hold", [True, False])
async def test_a_refused_stream_is_judged_by_its_status(send: Send, hold: bool) -> None:
    async with serving(responding(streamed(b"oh", "500 No"), hold=hold)) as server:
        seen = await send("http", url=server.url, stream="event", timeout_s=0.5)
    assert seen.failure is None
    assert seen.document["status"] == 500


names = st.sampled_from(["a", "b", 'c":', "\\u0061", "d: "])
texts = st.recursive(
    st.sampled_from(["1", "null", '"x"', '"y\\":"', '": "', '"\\u0022:"']),
    lambda inner: (
        st.lists(st.tuples(names, inner), max_size=4).map(
            lambda pairs: (
                "{" + ", ".join(f'"{name.replace(chr(34), chr(92) + chr(34))}" : {each}' for name, each in pairs) + "}"
            )
        )
        | st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]")
    ),
    max_leaves=12,
)


@given(texts)
def test_A11_every_repeated_member_is_found(text: str) -> None:
    repeated = False

    def look(pairs: list[tuple[str, object]]) -> None:
        nonlocal repeated
        repeated = repeated or len(dict(pairs)) != len(pairs)

    try:
        json.loads(text, object_pairs_hook=look)
    except ValueError:
        assert read_json(text.encode()).fields == {}
        return
    found: list[object] = [read_json(text.encode()).fields["json"]]
    ambiguous = False
    while found:
        each = found.pop()
        ambiguous = ambiguous or isinstance(each, AmbiguousObject)
        found.extend(dict.values(each) if isinstance(each, dict) else each if isinstance(each, list) else ())
    assert ambiguous is repeated
