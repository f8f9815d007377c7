"""The `smtp` probe against a small mail server of our own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from prodwatch.model.quantity import Duration
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Observation
from prodwatch.testing.targets import Talk, serving

Send = Callable[..., Awaitable[Observation]]

HELLO = b"250-relay.example greets you\r\n250-SIZE 1000\r\n250-AUTH PLAIN LOGIN\r\n250 STARTTLS\r\n"
HELLO_TLS = b"250-relay.example greets you\r\n250-PIPELINING\r\n250 8BITMIME\r\n"


def mail_server(
    *, greeting: bytes = b"220 relay.example ESMTP ready\r\n", tls: Any = None, heard: list[bytes] | None = None
) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        secure = False
        while line := await reader.readline():
            word = line.split()[0].upper()
            if heard is not None:
                heard.append(word)
            if word == b"EHLO":
                writer.write(HELLO_TLS if secure else HELLO)
            elif word == b"STARTTLS" and tls is not None:
                writer.write(b"220 go ahead\r\n")
                await writer.start_tls(tls)
                secure = True
            elif word == b"QUIT":
                writer.write(b"221 bye\r\n")
                await writer.drain()
                return
            else:
                writer.write(b"454 not now\r\n")

    return talk


async def test_the_document_and_the_manners(send: Send) -> None:
    heard: list[bytes] = []
    async with serving(mail_server(heard=heard)) as server:
        seen = await send("smtp", host="127.0.0.1", port=server.port)
    assert seen.failure is None
    document = dict(seen.document)
    assert isinstance(document.pop("connect"), Duration)
    assert isinstance(document.pop("latency"), Duration)
    assert document == {
        "banner": "relay.example ESMTP ready",
        "code": 220,
        "extensions": ["size", "auth", "starttls"],
        "auth": ["plain", "login"],
        "tls": False,
    }
    assert heard == [b"EHLO", b"QUIT"]


async def test_starttls_asks_again_under_tls(send: Send, trusted: Any) -> None:
    async with serving(mail_server(tls=trusted.server("good"))) as server:
        seen = await send("smtp", host="127.0.0.1", port=server.port, starttls=True)
    assert seen.failure is None
    assert seen.document["tls"] is True
    assert seen.document["extensions"] == ["pipelining", "8bitmime"]


@pytest.mark.parametrize("kind", ["expired", "other", "self"])
async def test_a_certificate_nobody_should_trust(send: Send, trusted: Any, kind: str) -> None:
    async with serving(mail_server(tls=trusted.server(kind))) as server:
        seen = await send("smtp", host="127.0.0.1", port=server.port, starttls=True)
        careless = await send("smtp", host="127.0.0.1", port=server.port, starttls=True, verify_tls=False)
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.FAIL, Reason.TLS)
    assert careless.failure is None


def responding(data: bytes, *, hold: bool = False) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        if hold:
            await reader.read()

    return talk


@pytest.mark.parametrize(
    ("talk", "params", "reason", "says"),
    [
        pytest.param(responding(b""), {}, Reason.CONNECT, "closed the connection", id="closes"),
        pytest.param(
            responding(b"220 hello\r\n"), {}, Reason.CONNECT, "closed the connection", id="closes after greeting"
        ),
        pytest.param(responding(b"554 no\r\n"), {}, Reason.TARGET_ERROR, "refused: 554 no", id="refuses"),
        pytest.param(responding(b"HTTP/1.1 400 Bad\r\n\r\n"), {}, Reason.PROTOCOL, "is not SMTP", id="http"),
        pytest.param(responding(b"", hold=True), {}, Reason.TIMEOUT, "did not greet within 300 ms", id="silent"),
        pytest.param(
            responding(b"220 hello\r\n", hold=True),
            {},
            Reason.TIMEOUT,
            "did not finish the session within",
            id="silent after greeting",
        ),
        pytest.param(mail_server(), {"starttls": True}, Reason.TARGET_ERROR, "refused: 454 not now", id="no starttls"),
    ],
)
async def test_bad_servers(send: Send, talk: Talk, params: dict[str, Any], reason: Reason, says: str) -> None:
    async with serving(talk) as server:
        # Only who is to run out of time gets little; a greeting must be in time on a busy machine too.
        timeout_s = 0.3 if reason is Reason.TIMEOUT else 60.0
        seen = await send("smtp", host="127.0.0.1", port=server.port, timeout_s=timeout_s, **params)
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.FAIL, reason)
    assert says in seen.failure.message
    assert seen.failure.message.startswith(f"127.0.0.1:{server.port}")


async def test_refused(send: Send, closed_port: int) -> None:
    seen = await send("smtp", host="127.0.0.1", port=closed_port)
    assert seen.failure is not None
    assert seen.failure.reason is Reason.CONNECT
