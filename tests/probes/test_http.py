"""The `http` probe: what it sends, byte for byte, and what it reports of the answer."""

from __future__ import annotations

import gzip
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from prodwatch.model.quantity import Duration
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Observation
from prodwatch.testing.targets import TRACE_ID, answering, http_answer, serving

Send = Callable[..., Awaitable[Observation]]


def failed(seen: Observation) -> tuple[Status, Reason]:
    assert seen.failure is not None
    assert seen.document == {}
    return seen.failure.status, seen.failure.reason


async def sent(send: Send, path: str = "/", **params: Any) -> bytes:
    """Return the request that `params` make, its address as `HOST`."""
    talk, requests = answering(http_answer(b"ok"))
    async with serving(talk) as server:
        seen = await send("http", url=f"{server.url}{path}", **params)
        assert seen.failure is None
        return requests[0].replace(f"127.0.0.1:{server.port}".encode(), b"HOST")


async def test_a_plain_get_is_exactly_this(send: Send) -> None:
    assert (await sent(send, "/health")).split(b"\r\n") == [
        b"GET /health HTTP/1.1",
        b"Host: HOST",
        b"User-Agent: prodwatch/0.1.0",
        b"Accept: */*",
        b"Accept-Encoding: gzip, deflate",
        f"X-Amzn-Trace-Id: Root={TRACE_ID};Sampled=1".encode(),
        b"traceparent: 00-67891233abcdef012345678912345678-2345678912345678-01",
        b"",
        b"",
    ]


@pytest.mark.parametrize(
    ("path", "on_the_wire"),
    [
        pytest.param("", "/", id="no path"),
        pytest.param("?x=1", "/?x=1", id="no path, query"),
        pytest.param("/x?", "/x?", id="an empty query stays"),
        pytest.param("/a//b/../c", "/a//b/../c", id="dots and slashes stay"),
        pytest.param("/a%2Fb%7e", "/a%2Fb%7e", id="escapes stay as written"),
        pytest.param("/{id}?q={x}|^", "/{id}?q={x}|^", id="braces stay"),
        pytest.param("/a+b?c+d=e%20f", "/a+b?c+d=e%20f", id="plus stays"),
        pytest.param("/é?ü=ß", "/%C3%A9?%C3%BC=%C3%9F", id="what HTTP cannot carry is encoded"),
        pytest.param("/a b", "/a%20b", id="a space too"),
        pytest.param("/x#part", "/x", id="the fragment is not sent"),
    ],
)
async def test_the_url_goes_out_as_written(send: Send, path: str, on_the_wire: str) -> None:
    assert (await sent(send, path)).split(b" ")[1].decode() == on_the_wire


@pytest.mark.parametrize(
    ("params", "header", "body"),
    [
        pytest.param({"json": {"a": Decimal("1.10")}}, b"Content-Type: application/json", b'{"a":1.10}', id="json"),
        pytest.param(
            {"json": {"took": Duration.from_ms(5), "at": datetime(2026, 1, 2, tzinfo=UTC), "x": [True, None]}},
            b"Content-Type: application/json",
            b'{"took":"5ms","at":"2026-01-02T00:00:00Z","x":[true,null]}',
            id="json of captured values",
        ),
        pytest.param({"json": None}, b"Content-Type: application/json", b"null", id="json null"),
        pytest.param(
            {"form": {"a": ["1", 2], "b c": "ä&"}},
            b"Content-Type: application/x-www-form-urlencoded",
            b"a=1&a=2&b+c=%C3%A4%26",
            id="form",
        ),
        pytest.param({"body": "grüß"}, b"Content-Type: text/plain; charset=utf-8", "grüß".encode(), id="body"),
        pytest.param({"body": ""}, b"Content-Length: 0", b"", id="empty body"),
        pytest.param(
            {"body": "<x/>", "headers": {"content-type": "text/xml"}}, b"content-type: text/xml", b"<x/>", id="own type"
        ),
    ],
)
async def test_bodies(send: Send, params: dict[str, Any], header: bytes, body: bytes) -> None:
    request = await sent(send, method="post", **params)
    head, _, found = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST / HTTP/1.1")
    assert header in head.split(b"\r\n")
    assert f"Content-Length: {len(body)}".encode() in head.split(b"\r\n")
    assert found == body


async def test_a_body_comes_from_a_file_under_the_root(send: Send, tmp_path: Path) -> None:
    (tmp_path / "event.bin").write_bytes(b"\x00\xff")
    request = await sent(send, method="PUT", body_file="event.bin")
    assert request.endswith(b"\r\n\r\n\x00\xff")


async def test_query_is_added_and_encoded(send: Send) -> None:
    assert b"GET /?a=1&b=x%20y&b=%26&c=true HTTP" in await sent(send, "/?a=1#f", query={"b": ["x y", "&"], "c": True})


async def test_own_headers_replace_the_defaults(send: Send) -> None:
    lines = (
        await sent(
            send,
            headers={"host": "shop.example", "User-Agent": "me", "accept": ["a", "b"], "X-Count": 3, "x-empty": ""},
            trace=False,
        )
    ).split(b"\r\n")
    assert lines[1:] == [
        b"Accept-Encoding: gzip, deflate",
        b"host: shop.example",
        b"User-Agent: me",
        b"accept: a",
        b"accept: b",
        b"X-Count: 3",
        b"x-empty: ",
        b"",
        b"",
    ]


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        pytest.param({"bearer": "t0ken"}, b"Authorization: Bearer t0ken", id="bearer"),
        pytest.param({"basic": {"user": "ann", "password": "s:ä"}}, b"Authorization: Basic YW5uOnM6w6Q=", id="basic"),
        pytest.param({"header": {"name": "x-api-key", "value": "k3y"}}, b"x-api-key: k3y", id="header"),
    ],
)
async def test_auth(send: Send, auth: dict[str, Any], header: bytes) -> None:
    assert header in (await sent(send, auth=auth)).split(b"\r\n")


async def test_a_password_in_the_url_is_basic_auth_and_never_shown(send: Send) -> None:
    talk, requests = answering(http_answer())
    async with serving(talk) as server:
        seen = await send("http", url=f"http://ann:s%3Acret@127.0.0.1:{server.port}/")
    assert b"Authorization: Basic YW5uOnM6Y3JldA==" in requests[0].split(b"\r\n")
    assert "s%3Acret" not in repr(seen.exchange)


async def test_http_1_0_is_asked_for(send: Send) -> None:
    assert (await sent(send, http_version="1.0")).startswith(b"GET / HTTP/1.0\r\n")


async def test_the_document(send: Send) -> None:
    body = b'{"status": "ok", "price": 1.10, "big": 123456789012345678901234567890}'
    talk, _ = answering(
        http_answer(body, Content_Type="application/json", X_Version="v7", x_amzn_requestid="r-1", Set_Cookie="a=1")
    )
    async with serving(talk) as server:
        url = f"http://localhost:{server.port}/x"
        seen = await send("http", url=url)
    document = seen.document
    assert document["status"] == 200
    assert document["json"] == {"status": "ok", "price": Decimal("1.10"), "big": 123456789012345678901234567890}
    assert str(document["json"]["price"]) == "1.10"
    assert document["body"] == body.decode()
    assert document["headers"]["x-version"] == "v7"
    assert (document["size"], document["url"], document["redirects"], document["http_version"]) == (
        len(body),
        url,
        [],
        "1.1",
    )
    assert set(document["phases"]) == {"dns", "connect", "ttfb", "download"}
    assert all(isinstance(each, Duration) and each.ns >= 0 for each in document["phases"].values())
    assert document["latency"] >= max(document["phases"].values())
    assert seen.complete
    assert seen.correlation.trace_id == TRACE_ID
    assert seen.correlation.request_ids == ("r-1",)
    assert seen.exchange is not None
    assert list(seen.exchange.phases_ms) == ["dns", "connect", "ttfb", "download"]
    assert seen.exchange.response["headers"]["Set-Cookie"] == "•••"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b"<html>", {}, id="not json"),
        pytest.param(b"", {}, id="empty"),
        pytest.param(b'{"a":', {}, id="half"),
        pytest.param(b"NaN", {}, id="NaN"),
        pytest.param(b'"NaN', {}, id="unended text"),
        pytest.param(b"[" * 100_000, {}, id="too deep"),
        pytest.param(b"\xef\xbb\xbf[1]", {"json": [1]}, id="byte order mark"),
        pytest.param(b"null", {"json": None}, id="null is json"),
        pytest.param(b' "x"', {"json": "x"}, id="text"),
        pytest.param(rb'"\ud800"', {"json": "\ud800"}, id="lone surrogate"),
        pytest.param(b"1e99999999999999999999", {}, id="beyond every decimal"),
    ],
)
async def test_json_is_there_only_when_the_body_is_json(send: Send, body: bytes, expected: dict[str, Any]) -> None:
    talk, _ = answering(http_answer(body))
    async with serving(talk) as server:
        document = (await send("http", url=server.url)).document
    assert {name: value for name, value in document.items() if name == "json"} == expected


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("text/plain; charset=latin-1", b"\xe9", "é"),
        ("text/plain", b"\xe9", "�"),
        ('text/plain; charset="utf-16"', "é".encode("utf-16"), "é"),
        ("text/plain; charset=klingon", "é".encode(), "é"),
    ],
)
async def test_text_by_its_charset(send: Send, content_type: str, body: bytes, text: str) -> None:
    talk, _ = answering(http_answer(body, Content_Type=content_type))
    async with serving(talk) as server:
        assert (await send("http", url=server.url)).document["body"] == text


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
            "abcde",
            id="chunked",
        ),
        pytest.param(http_answer(gzip.compress(b"squeezed"), Content_Encoding="gzip"), "squeezed", id="gzip"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + http_answer(b"late"), "late", id="after 100"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + http_answer(b"hint"), "hint", id="after 103"),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", "", id="no content"),
        pytest.param(b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n", "", id="not modified"),
    ],
)
async def test_bodies_of_every_framing(send: Send, answer: bytes, body: str) -> None:
    talk, _ = answering(answer)
    async with serving(talk) as server:
        seen = await send("http", url=server.url)
    assert seen.failure is None
    assert seen.document["body"] == body


async def test_head_has_no_body_and_keeps_the_connection(send: Send) -> None:
    talk, requests = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n")
    async with serving(talk) as server:
        for _ in range(2):
            seen = await send("http", url=server.url, method="HEAD")
            assert (seen.document["status"], seen.document["size"]) == (200, 0)
        assert server.connections == 1
    assert requests[0].startswith(b"HEAD / ")


async def test_head_has_no_body_to_judge(send: Send) -> None:
    talk, _ = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n")
    async with serving(talk) as server:
        seen = await send("http", url=server.url, method="HEAD")
    assert "body" not in seen.document
    assert "json" not in seen.document


@pytest.mark.parametrize("charset", ["idna", "undefined", "hex", "no-such"])
async def test_a_charset_that_is_none_for_this_text_falls_back(send: Send, charset: str) -> None:
    talk, _ = answering(http_answer(b"{}", Content_Type=f"text/plain; charset={charset}"))
    async with serving(talk) as server:
        seen = await send("http", url=server.url)
    assert seen.document["body"] == "{}"


async def test_a_kept_alive_connection_has_no_connect_phase(send: Send) -> None:
    talk, requests = answering(http_answer(b"x"))
    async with serving(talk) as server:
        first = await send("http", url=server.url)
        second = await send("http", url=server.url)
        assert server.connections == 1
    assert "connect" in first.document["phases"]
    assert set(second.document["phases"]) == {"ttfb", "download"}
    assert len(requests) == 2


async def test_cookies_are_not_shared_between_checks(send: Send) -> None:
    talk, requests = answering(http_answer(Set_Cookie="session=1; Path=/"))
    async with serving(talk) as server:
        for _ in range(2):
            await send("http", url=server.url)
    assert not any(b"cookie" in request.lower() for request in requests)


async def test_a_long_body_is_cut_and_said_so(send: Send) -> None:
    talk, _ = answering(http_answer(b'"' + b"x" * 5000 + b'"'))
    async with serving(talk) as server:
        seen = await send("http", url=server.url, max_body="1kB")
    assert seen.document["size"] == 1000
    assert len(seen.document["body"]) == 1000
    assert "json" not in seen.document
    assert not seen.complete
    assert seen.exchange is not None
    assert seen.exchange.truncated
    assert seen.notices == (
        "the body is longer than 1.0 kB: only that much was read; raise `max_body` to judge all of it",
    )


async def test_a_body_of_just_that_length_is_whole(send: Send) -> None:
    talk, _ = answering(http_answer(b"x" * 1000))
    async with serving(talk) as server:
        seen = await send("http", url=server.url, max_body="1kB")
    assert seen.complete
    assert seen.notices == ()


async def test_a_large_request_body_arrives_whole(send: Send) -> None:
    text = "x" * 3_000_000
    talk, requests = answering(http_answer(b"ok"))
    async with serving(talk) as server:
        seen = await send("http", url=server.url, method="POST", body=text)
    assert seen.failure is None
    assert requests[0].endswith(b"\r\n\r\n" + text.encode())


@pytest.mark.parametrize(
    ("returned", "trace_id"),
    [
        ("Root=1-11111111-222222222222222222222222;Parent=3;Sampled=1", "1-11111111-222222222222222222222222"),
        ("nonsense", TRACE_ID),
    ],
)
async def test_the_trace_id_the_server_names_wins(send: Send, returned: str, trace_id: str) -> None:
    talk, _ = answering(http_answer(X_Amzn_Trace_Id=returned))
    async with serving(talk) as server:
        seen = await send("http", url=server.url)
    assert seen.correlation.trace_id == trace_id


async def test_without_trace_there_is_no_trace_id(send: Send) -> None:
    talk, requests = answering(http_answer())
    async with serving(talk) as server:
        seen = await send("http", url=server.url, trace=False)
    assert seen.correlation.trace_id is None
    assert b"trace" not in requests[0].lower()


async def test_an_own_trace_header_stays(send: Send) -> None:
    talk, requests = answering(http_answer())
    own = "Root=1-99999999-888888888888888888888888"
    async with serving(talk) as server:
        seen = await send("http", url=server.url, headers={"x-amzn-trace-id": own})
    assert seen.correlation.trace_id == "1-99999999-888888888888888888888888"
    assert requests[0].lower().count(b"x-amzn-trace-id") == 1


@pytest.mark.parametrize(
    "params",
    [
        pytest.param({"url": "ftp://x/"}, id="scheme"),
        pytest.param({"url": "http:///x"}, id="no host"),
        pytest.param({"url": "http://[::1/x"}, id="broken host"),
        pytest.param({"url": "http://x:99999/"}, id="port"),
        pytest.param({"url": "http://x/\r\nEvil: 1"}, id="line break in the url"),
        pytest.param({"url": "http://x/", "headers": {"a": "b\r\nc: d"}}, id="line break in a header"),
        pytest.param({"url": "http://x/", "headers": {"a b": "c"}}, id="header name"),
        pytest.param({"url": "http://x/", "headers": {"Content-Length": "3"}}, id="framing"),
        pytest.param({"url": "http://x/", "method": "GET /"}, id="method"),
        pytest.param({"url": "http://x/", "auth": {"bearer": "hunter2\n"}}, id="line break in a token"),
        pytest.param({"url": "http://x/\ud800"}, id="half a character in the url"),
        pytest.param({"url": "http://x/", "headers": {"a": "\ud800"}}, id="half a character in a header"),
        pytest.param({"url": "http://x/", "body": "\ud800"}, id="half a character in the body"),
        pytest.param({"url": "http://x/", "json": ["\ud800"]}, id="half a character in json"),
        pytest.param({"url": "http://x/", "form": {"a": "\ud800"}}, id="half a character in a form"),
        pytest.param({"url": "http://x/", "query": {"a": "\ud800"}}, id="half a character in the query"),
        pytest.param({"url": "http://ann:hunter2@x:port/"}, id="a password in a broken url"),
        pytest.param({"url": "http://x/", "headers": {"a": None}}, id="null in a header"),
        pytest.param({"url": "http://x/", "query": {"a": {"b": 1}}}, id="a table in the query"),
        pytest.param({"url": "http://x/", "form": {"a": [[1]]}}, id="a list in a list of a form"),
        pytest.param({"url": "http://x/", "auth": {"bearer": None}}, id="null for a token"),
        pytest.param({"url": "http://x/", "json": {"a": object()}}, id="no json"),
        pytest.param({"url": "http://x/", "body_file": "missing"}, id="no such file"),
        pytest.param({"url": "http://x/", "body_file": "../../etc/passwd"}, id="out of the root"),
        pytest.param({"url": "http://x/", "max_body": "much"}, id="size"),
    ],
)
async def test_what_cannot_be_sent_is_an_error_that_says_why(send: Send, params: dict[str, Any]) -> None:
    seen = await send("http", **params)
    assert failed(seen) == (Status.ERROR, Reason.INVALID)
    assert "hunter2" not in repr(seen)
