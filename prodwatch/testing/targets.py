"""Targets on the loopback that answer by script, and the context with which a probe can be tried on them."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

from msgspec.structs import replace

from prodwatch.clock import SystemClock
from prodwatch.model.check import SourcePosition
from prodwatch.model.environment import Environment
from prodwatch.probes.base import ProbeContext
from prodwatch.probes.http_pool import Pool

TRACE_ID = "1-67891233-abcdef012345678912345678"

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Handles one connection of a target; returning closes it."""


@dataclass(slots=True)
class Target:
    """A TCP server on a free port of the loopback."""

    port: int
    connections: int = 0

    @property
    def url(self) -> str:
        """Its address as the beginning of a URL, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def serving(talk: Talk, **options: Any) -> AsyncIterator[Target]:
    """Serve `talk`, once per connection; `options` go to `asyncio.start_server`, such as `ssl`."""
    target = Target(0)
    running: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        running.add(task)
        target.connections += 1
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return  # the other side left, or the target is being closed
        finally:
            running.discard(task)
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, **options)
    target.port = server.sockets[0].getsockname()[1]
    try:
        yield target
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await server.wait_closed()


def answering(*answers: bytes, keep_alive: bool = True) -> tuple[Talk, list[bytes]]:
    """Return a talk that writes these responses in turn, the last one repeatedly, and the list of its requests."""
    requests: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            requests.append(await read_request(reader))
            writer.write(answers[min(len(requests), len(answers)) - 1])
            await writer.drain()
            if not keep_alive:
                return

    return talk, requests


def responding(data: bytes, end: Callable[[asyncio.StreamWriter], None] | None = None, *, hold: bool = False) -> Talk:
    """Return a talk that reads a request, writes `data`, and then ends or keeps the connection open."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(data)
        await writer.drain()
        if hold:
            await reader.read()
        if end is not None:
            end(writer)

    return talk


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Return one HTTP request, its body by Content-Length included; IncompleteReadError when there is none."""
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return head + await reader.readexactly(int(line.split(b":")[1]))
    return head


def http_answer(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    """Return the bytes of an HTTP response; `_` in a header's name means `-`."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


@asynccontextmanager
async def probe_context(**keys: Any) -> AsyncIterator[ProbeContext]:
    """Give a probe what it needs to run by itself: real time, connections of its own, no AWS unless `aws` is given."""
    async with Pool() as pool:
        context = ProbeContext(
            clock=SystemClock(),
            environment=Environment(name="test", title="Test", source=SourcePosition("config/test.toml")),
            timeout_s=5.0,
            http=pool,
            aws=cast("Any", None),
            trace_id=TRACE_ID,
            run_id="run",
            root=".",
        )
        yield replace(context, **keys)


def __getattr__(name: str) -> Any:
    """Return `responding` under its old name, with a warning."""
    if name != "saying":
        raise AttributeError(f"module {__name__} has no attribute {name}")
    warnings.warn("`saying` is now `responding`", DeprecationWarning, stacklevel=2)
    return responding
