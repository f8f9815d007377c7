"""Servers that send noise, endless or nested replies: no probe is green by them, hangs, or reads without a bound."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest

from prodwatch.model.status import Reason
from prodwatch.probes.base import Observation
from prodwatch.testing.targets import Talk, serving

Send = Callable[..., Awaitable[Observation]]
TIMEOUT_S = 1.0
MOST_BYTES = 80_000_000
"""More than any probe reads of one reply, its buffers in the kernel included."""

PARAMS: dict[str, Callable[[int], dict[str, Any]]] = {
    "tls": lambda port: {"host": "127.0.0.1", "port": port},
    "smtp": lambda port: {"host": "127.0.0.1", "port": port},
    "redis": lambda port: {"url": f"redis://127.0.0.1:{port}/0", "command": ["GET", "k"]},
}
"""Keys of the probes that speak a protocol of their own over TCP."""

BEGINNINGS: dict[str, bytes] = {
    "nothing": b"",
    "a bulk of 2 GB": b"$2000000000\r\n",
    "a list of 10^9": b"*1000000000\r\n",
    "a nested list": b"*1\r\n" * 100_000,
    "a status without an end": b"+",
    "a greeting without an end": b"220-",
    "many lines of a greeting": b"220-x\r\n" * 50_000,
    "a TLS record": b"\x16\x03\x03\xff\xff",
}


class Flood:
    """Sends a beginning and then the same bytes for ever, and counts them."""

    def __init__(self, beginning: bytes, more: bytes) -> None:
        self.sent = 0
        self._beginning = beginning
        self._more = more

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self._beginning)
        while not reader.at_eof():
            writer.write(self._more)
            self.sent += len(self._more)
            try:
                await writer.drain()
            except ConnectionError:
                return


def noise(random: Random) -> Talk:
    """Return a server that sends noise, perhaps after a right beginning, and hangs up."""
    beginning = random.choice([b"", b"", *BEGINNINGS.values(), b"220 x ESMTP\r\n", b"+OK\r\n", b"-ERR\r\n"])
    content = beginning + random.randbytes(random.randrange(2000))

    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(content)

    return talk


@pytest.mark.parametrize("beginning", BEGINNINGS)
@pytest.mark.parametrize("type_", PARAMS)
async def test_an_endless_reply_ends_with_an_error_or_in_time(type_: str, beginning: str, send: Send) -> None:
    flood = Flood(BEGINNINGS[beginning], b"x" * 65536)
    async with serving(flood) as server, asyncio.timeout(10 * TIMEOUT_S):
        seen = await send(type_, timeout_s=TIMEOUT_S, **PARAMS[type_](server.port))
    assert seen.failure is not None
    assert seen.failure.reason is not Reason.INTERNAL
    assert flood.sent < MOST_BYTES


@pytest.mark.parametrize("type_", PARAMS)
async def test_noise_is_never_a_response(type_: str, send: Send) -> None:
    random = Random(type_)
    for number in range(60):
        async with serving(noise(random)) as server, asyncio.timeout(10 * TIMEOUT_S):
            seen = await send(type_, timeout_s=TIMEOUT_S, **PARAMS[type_](server.port))
        assert seen.failure is not None or type_ == "smtp", number
        if seen.failure is not None:
            assert seen.failure.reason is not Reason.INTERNAL, number
