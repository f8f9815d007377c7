"""The `redis` probe against a scripted server."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from prodwatch.model.quantity import Duration
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Observation
from prodwatch.testing.targets import Talk, serving

Send = Callable[..., Awaitable[Observation]]


def redis_server(*replies: bytes, heard: list[list[bytes]] | None = None) -> Talk:
    """Return a server that accepts every greeting and gives `replies` to the rest, then hangs up."""
    waiting = list(replies)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while header := await reader.readline():
            words = []
            for _ in range(int(header[1:])):
                length = int((await reader.readline())[1:])
                words.append((await reader.readexactly(length + 2))[:-2])
            if words[0].upper() in {b"CLIENT", b"SELECT", b"AUTH"}:
                writer.write(b"-WRONGPASS invalid\r\n" if words[-1] == b"hunter2" else b"+OK\r\n")
                continue
            if heard is not None:
                heard.append(words)
            if not waiting:
                return
            writer.write(waiting.pop(0))

    return talk


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        pytest.param(b"+PONG\r\n", "PONG", id="status"),
        pytest.param(b":42\r\n", 42, id="integer"),
        pytest.param(b"$2\r\n\xc3\xbc\r\n", "ü", id="text"),
        pytest.param(b"$1\r\n\xff\r\n", "/w==", id="bytes"),
        pytest.param(b"$-1\r\n", None, id="null"),
        pytest.param(b"*2\r\n$1\r\na\r\n*1\r\n:1\r\n", ["a", [1]], id="list"),
        pytest.param(b"*0\r\n", [], id="empty"),
    ],
)
async def test_replies(send: Send, reply: bytes, expected: Any) -> None:
    heard: list[list[bytes]] = []
    async with serving(redis_server(reply, heard=heard)) as server:
        seen = await send("redis", url=f"redis://127.0.0.1:{server.port}/0", command=["GET", "a key"])
    assert seen.failure is None
    assert seen.document["reply"] == expected
    assert isinstance(seen.document["latency"], Duration)
    assert heard == [[b"GET", b"a key"]]


async def test_a_text_is_split_like_a_shell_does(send: Send) -> None:
    heard: list[list[bytes]] = []
    async with serving(redis_server(b"+OK\r\n", heard=heard)) as server:
        await send("redis", url=f"redis://127.0.0.1:{server.port}", command="SET k 'two words' EX 5")
    assert heard == [[b"SET", b"k", b"two words", b"EX", b"5"]]


@pytest.mark.parametrize(
    ("replies", "status", "reason", "says"),
    [
        pytest.param([b"-ERR unknown command\r\n"], Status.FAIL, Reason.TARGET_ERROR, "unknown command", id="error"),
        pytest.param([b"*2\r\n+OK\r\n*1\r\n-ERR no\r\n"], Status.FAIL, Reason.TARGET_ERROR, "no", id="in a list"),
        pytest.param([b"-NOAUTH required\r\n"], Status.ERROR, Reason.ACCESS_DENIED, "refused the login", id="no auth"),
        pytest.param([b"-NOPERM no\r\n"], Status.ERROR, Reason.ACCESS_DENIED, "refused", id="no permission"),
        pytest.param([], Status.FAIL, Reason.CONNECT, "closed the connection", id="closes"),
        pytest.param([b"HTTP/1.1 400 Bad\r\n\r\n"], Status.FAIL, Reason.PROTOCOL, "is not Redis", id="http"),
    ],
)
async def test_bad_replies(send: Send, replies: list[bytes], status: Status, reason: Reason, says: str) -> None:
    heard: list[list[bytes]] = []
    async with serving(redis_server(*replies, heard=heard)) as server:
        seen = await send("redis", url=f"redis://127.0.0.1:{server.port}", command="INCR n")
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (status, reason)
    assert says in seen.failure.message
    assert len(heard) == 1  # sent once, whatever came


async def test_a_refused_login_never_shows_the_password(send: Send) -> None:
    async with serving(redis_server()) as server:
        seen = await send("redis", url=f"redis://ann:hunter2@127.0.0.1:{server.port}", command="PING")
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.ERROR, Reason.ACCESS_DENIED)
    assert "hunter2" not in repr(seen)


async def test_silence(send: Send) -> None:
    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()
        await reader.read()

    async with serving(silent) as server:
        seen = await send("redis", url=f"redis://127.0.0.1:{server.port}", command="PING", timeout_s=0.1)
    assert seen.failure is not None
    assert seen.failure.reason is Reason.TIMEOUT


async def test_refused(send: Send, closed_port: int) -> None:
    seen = await send("redis", url=f"redis://127.0.0.1:{closed_port}", command="PING")
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.FAIL, Reason.CONNECT)
    assert "refused the connection" in seen.failure.message


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"url": "http://x", "command": "PING"}, "is not a Redis URL"),
        ({"url": "redis://x", "command": ""}, "is empty"),
        ({"url": "redis://x", "command": ["GET", "\ud800"]}, "surrogate"),
        ({"url": "redis://x", "command": "GET 'a"}, "cannot be split"),
    ],
)
async def test_what_cannot_be_sent(send: Send, params: dict[str, Any], says: str) -> None:
    seen = await send("redis", **params)
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.ERROR, Reason.INVALID)
    assert says in seen.failure.message


async def test_without_the_extra(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis.exceptions", None)
    seen = await send("redis", url="redis://x", command="PING")
    assert seen.failure is not None
    assert seen.failure.reason is Reason.UNAVAILABLE
