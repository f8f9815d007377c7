"""The HTTP connections that all checks of a run share, without shared cookies, credentials or hidden retries."""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp.client_proto import ResponseHandler

import prodwatch
from prodwatch.probes.connect import Timings, open_socket
from prodwatch.probes.name_resolution import Lookups
from prodwatch.probes.tls_contexts import client_context

USER_AGENT = f"prodwatch/{prodwatch.__version__}"
KEPT_S = 15.0
"""Seconds after which an idle connection is closed; servers close theirs after 5 to 60 s."""

_Key = tuple[str, int, bool, bool]
"""Host, port, TLS, TLS verified."""


def tls_context(*, verify: bool) -> ssl.SSLContext:
    """Return the TLS context of HTTP connections."""
    return client_context(verify=verify, alpn=("http/1.1",))


class HttpProtocol(ResponseHandler):
    """aiohttp's response reader, which also records how the connection ended."""

    lost: BaseException | None = None
    """Error that ended the connection; None while it is open and after an orderly end."""

    def connection_lost(self, exc: BaseException | None) -> None:
        """Record the error; called by the event loop."""
        self.lost = exc
        super().connection_lost(exc)

    def end(self) -> None:
        """Close at once, without sending buffered data."""
        if self.transport is not None:
            self.transport.abort()
        self.close()


class HttpConnection:
    """A connection for one request: call `release` after a complete response, else `close`."""

    __slots__ = ("_key", "_pool", "protocol", "reused", "single", "tls", "transport")

    def __init__(
        self, pool: Pool, key: _Key, protocol: HttpProtocol, *, reused: bool = False, single: bool = False
    ) -> None:
        transport = protocol.transport
        assert transport is not None
        self._pool = pool
        self._key = key
        self.protocol = protocol
        self.transport = transport
        self.reused = reused
        self.single = single
        """Whether it was opened for one request alone, and is closed after it."""
        self.tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object") if key[2] else None

    def release(self) -> None:
        """Return the connection to the pool, which keeps it if the server does; close it if it was for one request."""
        if self.single:
            self.protocol.close()
        else:
            self._pool.keep(self._key, self.protocol)

    def close(self) -> None:
        """End the connection at once, whatever state it is in."""
        self.protocol.end()


class Pool:
    """Keeps idle connections per host; the runner bounds how many are in use, so this does not.

    Belongs to the event loop it is first used in, and is closed there.
    """

    def __init__(self) -> None:
        self._idle: defaultdict[_Key, list[tuple[HttpProtocol, float]]] = defaultdict(list)
        self._lookups = Lookups()
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._closed = False
        self._pruning: asyncio.TimerHandle | None = None

    async def connection(
        self, host: str, port: int, timings: Timings, *, tls: bool, verify_tls: bool = True, fresh: bool = False
    ) -> HttpConnection:
        """Return a connection, a kept-alive one if there is any and it need not be `fresh`.

        A fresh one is for one request: it is not kept after it.

        `timings` is filled on the way. OSError, socket.gaierror and ssl.SSLError as the network raises them.
        """
        key = (host, port, tls, verify_tls)
        if not fresh and (kept := self._take(key)) is not None:
            return HttpConnection(self, key, kept, reused=True)
        return HttpConnection(self, key, await self._open(key, timings), single=fresh)

    def session(self, *, verify_tls: bool = True) -> aiohttp.ClientSession:
        """Return an aiohttp session for checks that want one; never close it."""
        found = self._sessions.get(verify_tls)
        if found is None:
            found = self._sessions[verify_tls] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=verify_tls, limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": USER_AGENT},
            )
        return found

    def keep(self, key: _Key, protocol: HttpProtocol) -> None:
        """Keep a connection for the next request, unless it is over or something unread is in it."""
        if self._closed or protocol.should_close or not protocol.is_connected():
            protocol.close()
        else:
            loop = asyncio.get_running_loop()
            self._idle[key].append((protocol, loop.time()))
            if self._pruning is None:
                self._pruning = loop.call_later(KEPT_S, self._prune, loop)

    def _prune(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close idle connections that are too old to be reused, and forget those that the server closed."""
        self._pruning = None
        oldest = loop.time() - KEPT_S
        for key, idle in list(self._idle.items()):
            kept = [(protocol, since) for protocol, since in idle if since > oldest and protocol.is_connected()]
            for protocol, since in idle:
                if since <= oldest:
                    protocol.close()
            if kept:
                self._idle[key] = kept
            else:
                del self._idle[key]
        if self._idle:
            self._pruning = loop.call_later(KEPT_S, self._prune, loop)

    def _take(self, key: _Key) -> HttpProtocol | None:
        idle = self._idle.get(key)
        oldest = asyncio.get_running_loop().time() - KEPT_S if idle else 0.0
        while idle:
            protocol, since = idle.pop()  # the one used last is the one least likely to be closing
            if protocol.is_connected() and not protocol.should_close:
                if since >= oldest:
                    return protocol
                protocol.close()
        return None

    async def _open(self, key: _Key, timings: Timings) -> HttpProtocol:
        host, port, tls, verify = key
        loop = asyncio.get_running_loop()
        connected = await open_socket(host, port, timings, self._lookups.resolve)
        try:
            if tls:
                context = tls_context(verify=verify)
                timings.handshaking = timings.now()
                _, protocol = await loop.create_connection(
                    lambda: HttpProtocol(loop), sock=connected, ssl=context, server_hostname=host.rstrip(".")
                )
                timings.shaken = timings.now()
            else:
                _, protocol = await loop.create_connection(lambda: HttpProtocol(loop), sock=connected)
        except BaseException:
            connected.close()
            raise
        return protocol

    async def close(self) -> None:
        """Close every connection and session."""
        self._closed = True
        if self._pruning is not None:
            self._pruning.cancel()
        for idle in self._idle.values():
            for protocol, _ in idle:
                protocol.end()
        self._idle.clear()
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()
        await self._lookups.close()
        await asyncio.sleep(0)  # lets the event loop finish what was aborted

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
