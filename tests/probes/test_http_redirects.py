"""Redirects: followed as browsers do, without carrying secrets to strangers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Observation, ProbeContext
from prodwatch.probes.registry import probe as load_probe
from prodwatch.testing.targets import answering, http_answer, serving

Send = Callable[..., Awaitable[Observation]]


def to(location: str, status: str = "302 Found", **headers: str) -> bytes:
    return http_answer(b"elsewhere", status, Location=location, **headers)


async def test_followed_silently_and_listed(send: Send) -> None:
    talk, requests = answering(to("/b?x=%2f"), to("c"), http_answer(b"here"))
    async with serving(talk) as server:
        seen = await send("http", url=f"{server.url}/a/start")
    assert seen.document["body"] == "here"
    assert seen.document["redirects"] == [f"{server.url}/a/start", f"{server.url}/b?x=%2f"]
    assert seen.document["url"] == f"{server.url}/c"
    assert [request.split(b" ")[1] for request in requests] == [b"/a/start", b"/b?x=%2f", b"/c"]


@pytest.mark.parametrize(
    ("body", "connections"),
    [pytest.param(b"short", 1, id="short body"), pytest.param(b"x" * 20_000, 2, id="long body")],
)
async def test_a_short_answer_keeps_its_connection(send: Send, body: bytes, connections: int) -> None:
    talk, _ = answering(http_answer(body, "302 Found", Location="/b"), http_answer(b"here"))
    async with serving(talk) as server:
        seen = await send("http", url=server.url)
        assert server.connections == connections
    assert seen.document["body"] == "here"


async def test_not_followed_when_asked(send: Send) -> None:
    talk, requests = answering(to("/b"))
    async with serving(talk) as server:
        seen = await send("http", url=server.url, follow_redirects=False)
    assert (seen.document["status"], seen.document["headers"]["location"]) == (302, "/b")
    assert seen.document["redirects"] == []
    assert len(requests) == 1


@pytest.mark.parametrize(
    ("status", "method", "then", "body"),
    [
        ("301 Moved", "POST", "GET", False),
        ("302 Found", "POST", "GET", False),
        ("303 See Other", "PUT", "GET", False),
        ("307 Temporary", "POST", "POST", True),
        ("308 Permanent", "PUT", "PUT", True),
        ("302 Found", "PUT", "PUT", True),
        ("303 See Other", "HEAD", "HEAD", False),
    ],
)
async def test_methods(send: Send, status: str, method: str, then: str, body: bool) -> None:
    first = f"HTTP/1.1 {status}\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n".encode()
    talk, requests = answering(first, http_answer())
    async with serving(talk) as server:
        params: dict[str, Any] = {} if method == "HEAD" else {"json": [1]}
        await send("http", url=server.url, method=method, **params)
    assert requests[1].startswith(f"{then} /b ".encode())
    assert requests[1].endswith(b"[1]") is body
    assert (b"content-type" in requests[1].lower()) is body


async def test_secrets_stay_with_the_host_they_are_for(send: Send) -> None:
    stranger, asked = answering(http_answer())
    async with serving(stranger) as other:
        talk, requests = answering(to(f"{other.url}/x"))
        async with serving(talk) as server:
            await send(
                "http",
                url=server.url,
                headers={"Cookie": "a=1", "X-Api-Key": "k", "X-Plain": "p", "Host": "shop.example"},
                auth={"bearer": "t0ken"},
            )
    assert b"t0ken" in requests[0]
    head = asked[0].lower()
    assert b"x-plain: p" in head
    assert f"host: 127.0.0.1:{other.port}".encode() in head
    assert not any(word in head for word in (b"authorization", b"cookie", b"x-api-key", b"shop.example"))


async def test_auth_goes_along_on_the_same_host(send: Send) -> None:
    talk, requests = answering(to("/b"), http_answer())
    async with serving(talk) as server:
        await send("http", url=server.url, auth={"bearer": "t0ken"})
    assert all(b"Bearer t0ken" in request for request in requests)


async def test_cookies_live_as_long_as_the_redirects(send: Send) -> None:
    talk, requests = answering(to("/b", Set_Cookie="session=abc; Path=/; HttpOnly"), http_answer())
    async with serving(talk) as server:
        await send("http", url=server.url)
        await send("http", url=server.url)
    assert b"Cookie: session=abc" in requests[1].split(b"\r\n")
    assert b"cookie" not in requests[2].lower()


@pytest.mark.parametrize(
    ("location", "says"),
    [
        pytest.param("/again", "redirects more than 10 times", id="loop"),
        pytest.param("app://open", "is not a usable URL", id="other scheme"),
        pytest.param("http://:80/", "is not a usable URL", id="no host"),
    ],
)
async def test_where_nobody_can_follow(send: Send, location: str, says: str) -> None:
    talk, requests = answering(to(location))
    async with serving(talk) as server:
        seen = await send("http", url=server.url)
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.FAIL, Reason.PROTOCOL)
    assert says in seen.failure.message
    assert len(requests) <= 11


async def test_phases_and_the_exchange_are_honest_about_hops(send: Send) -> None:
    talk, _ = answering(to("/b"), http_answer(b"here"))
    async with serving(talk) as server:
        seen = await send("http", url=server.url)
    assert seen.exchange is not None
    assert seen.exchange.request["url"] == server.url
    assert seen.exchange.response["body"] == "here"
    assert seen.document["latency"] >= max(seen.document["phases"].values())


async def test_whatever_carries_a_secret_stays_with_its_host(context: ProbeContext) -> None:
    stranger, asked = answering(http_answer())
    async with serving(stranger) as other:
        talk, _ = answering(to(f"{other.url}/x"), to(f"{other.url}/x", status="307 Temporary"))
        async with serving(talk) as server:
            knowing = replace(context, holds_secret=lambda text: "t0ken" in text)
            headers = {"X-Shop-Token": "t0ken", "X-Plain": "p"}
            await load_probe("http")({"url": server.url, "headers": headers}, knowing)
            refused = await load_probe("http")({"url": server.url, "method": "POST", "body": "my t0ken"}, knowing)
    assert len(asked) == 1
    assert b"t0ken" not in asked[0]
    assert b"X-Plain: p" in asked[0]
    assert refused.failure is not None
    assert "the body carries a secret" in refused.failure.message
