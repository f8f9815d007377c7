"""A name server on the loopback that replies by script, over UDP and TCP on one port."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from prodwatch.testing.targets import Talk, serving

Reply = Callable[[bytes], bytes | None]
"""The datagram that responds to a query; None is silence."""


async def hung_up(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Close the connection at once."""


class _Responder(asyncio.DatagramProtocol):
    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        reply = self._reply(data)
        if reply is not None:
            self._transport.sendto(reply, address)


@asynccontextmanager
async def name_server(over_udp: Reply, over_tcp: Talk = hung_up) -> AsyncIterator[str]:
    """Serve DNS; yields host and port."""
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        while True:
            stream = await stack.enter_async_context(serving(over_tcp))
            try:
                datagrams, _ = await loop.create_datagram_endpoint(
                    lambda: _Responder(over_udp), local_addr=("127.0.0.1", stream.port)
                )
            except OSError as taken:
                # UDP's numbers are not TCP's. The server stays open, so that the next one gets another number.
                if taken.errno != errno.EADDRINUSE:
                    raise
            else:
                break
        stack.callback(datagrams.close)
        yield f"127.0.0.1:{stream.port}"
