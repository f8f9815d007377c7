"""The HTTP connections that all checks of a run share, without shared cookies, credentials or hidden retries."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import defaultdict
from types import TracebackType
from typing import Self

import aiohttp
import msgspec
from aiohttp.client_proto import ResponseHandler

import prodwatch
from prodwatch.probes.connect import Timings, open_socket
from prodwatch.probes.name_resolution import Lookups, endpoint
from prodwatch.probes.tls_contexts import ClientCertificate, client_context

USER_AGENT = f"prodwatch/{prodwatch.__version__}"
KEPT_S = 15.0
"""Seconds after which an idle connection is closed; servers close theirs after 5 to 60 s."""

HTTP1 = ("http/1.1",)
"""Application protocols that a connection offers."""
_MAX_PROXY_BYTES = 1 << 16
"""Longest answer of a proxy to CONNECT."""


class Proxy(msgspec.Struct, frozen=True):
    """An HTTP proxy."""

    host: str
    port: int
    authorization: str | None
    """Value of `Proxy-Authorization`; None without credentials."""
    source: str
    """Key or environment variable that names it, for messages."""

    @property
    def shown(self) -> str:
        """Name in messages, without credentials."""
        return f"{endpoint(self.host, self.port)} ({self.source})"


class ProxyError(Exception):
    """A proxy did not open a tunnel; the text is one sentence."""


class Means(msgspec.Struct, frozen=True):
    """Settings of a connection; connections with different settings are never shared."""

    verify_tls: bool = True
    certificate: ClientCertificate | None = None
    family: socket.AddressFamily = socket.AF_UNSPEC
    proxy: Proxy | None = None

    def tls_context(self) -> ssl.SSLContext:
        """Return the TLS context; UnusableError for a client certificate that cannot be used."""
        return client_context(verify=self.verify_tls, alpn=HTTP1, certificate=self.certificate)


DIRECT = Means()
_Key = tuple[str, int, bool, Means]
"""Host, port, TLS, means."""


class HttpProtocol(ResponseHandler):
    """aiohttp's response reader, which also records how the connection ended."""

    lost: BaseException | None = None
    """Error that ended the connection; None while it is open and after an orderly end."""
    first: bytes = b""
    """The first bytes that arrived on this connection, for messages about what is not HTTP."""

    def data_received(self, data: bytes) -> None:
        """Take data; called by the event loop."""
        if not self.first:
            self.first = data[:64]
        super().data_received(data)

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


async def _open_tunnel(connected: socket.socket, proxy: Proxy, target: str) -> None:
    """Ask the proxy for a tunnel to `target`. Raises ProxyError and OSError."""
    loop = asyncio.get_running_loop()
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", f"User-Agent: {USER_AGENT}"]
    if proxy.authorization is not None:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    await loop.sock_sendall(connected, "\r\n".join([*lines, "", ""]).encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        data = await loop.sock_recv(connected, 4096)
        answer += data
        if not data or len(answer) > _MAX_PROXY_BYTES:
            raise ProxyError(f"the proxy {proxy.shown} closed the connection without opening a tunnel to {target}")
    status = answer.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 1)[-1].strip()
    if not status.startswith("2"):
        raise ProxyError(f"the proxy {proxy.shown} did not open a tunnel to {target}: {status}")


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
        self, host: str, port: int, timings: Timings, *, tls: bool, means: Means = DIRECT, fresh: bool = False
    ) -> HttpConnection:
        """Return a connection, a kept-alive one if there is any and it need not be `fresh`.

        A fresh one is for one request: it is not kept after it.

        `timings` is filled on the way. OSError, socket.gaierror and ssl.SSLError as the network raises them, and
        ProxyError.
        """
        key = (host, port, tls, means)
        if not fresh and (kept := self._take(key)) is not None:
            return HttpConnection(self, key, kept, reused=True)
        return HttpConnection(self, key, await self._open(key, timings), single=fresh)

    def session(self, *, verify_tls: bool = True) -> aiohttp.ClientSession:
        """Return an aiohttp session for checks that want one; never close it."""
        session = self._sessions.get(verify_tls)
        if session is None:
            session = self._sessions[verify_tls] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=verify_tls, limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": USER_AGENT},
            )
        return session

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
        host, port, tls, means = key
        loop = asyncio.get_running_loop()
        proxy = means.proxy
        at = (proxy.host, proxy.port) if proxy is not None else (host, port)
        connected = await open_socket(*at, timings, self._lookups.resolve, family=means.family)
        try:
            if tls:
                if proxy is not None:
                    timings.tunnelling = True
                    await _open_tunnel(connected, proxy, endpoint(host, port))
                    timings.tunnelling = False
                context = means.tls_context()
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
