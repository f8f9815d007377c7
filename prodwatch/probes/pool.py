"""The HTTP sessions all checks of a run share: connections are kept, cookies and retries are not."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

import prodwatch
from prodwatch.probes.resolve import Address, resolve

if TYPE_CHECKING:
    from aiohttp.client import ClientTimeout
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

USER_AGENT = f"prodwatch/{prodwatch.__version__}"
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
"""Probes bring their own deadline, which also knows what the target still owed."""


@dataclass(slots=True)
class Timings:
    """When one request passed which point, in monotonic seconds; None where it did not."""

    now: Callable[[], float]
    connecting: float | None = None
    """A new connection was begun; None on a kept-alive one."""
    resolving: float | None = None
    resolved: float | None = None
    handshaking: float | None = None
    connected: float | None = None
    sent: float | None = None


TIMINGS: ContextVar[Timings] = ContextVar("TIMINGS")
"""The timings of the request that the current task makes."""


class ConnectionLostError(aiohttp.ClientError):
    """The connection ended before an answer came; `__cause__` says how.

    Not a ClientOSError: aiohttp would send the request a second time by itself.
    """


class Response(aiohttp.ClientResponse):
    """An answer that knows the TLS connection it came over and when it was asked for."""

    tls: ssl.SSLObject | None = None

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Wait for the answer's headers."""
        timings = TIMINGS.get(None)
        if timings is not None:
            timings.sent = timings.now()
        transport = connection.transport
        self.tls = transport.get_extra_info("ssl_object") if transport is not None else None
        try:
            return await super().start(connection)
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
            raise ConnectionLostError(str(error)) from error


class _TimedContext(ssl.SSLContext):
    """Notes when a handshake begins; reads this machine's certificates only when one does."""

    _loaded = False

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        if not self._loaded and self.verify_mode != ssl.CERT_NONE:
            self.load_default_certs()
        self._loaded = True
        timings = TIMINGS.get(None)
        if timings is not None:
            timings.handshaking = timings.now()
        return super().wrap_bio(*args, **kwargs)


def client_context(*, verify: bool = True) -> ssl.SSLContext:
    """Return a TLS context for clients: this machine's certificates, or none at all checked."""
    context = _TimedContext(ssl.PROTOCOL_TLS_CLIENT)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(("http/1.1",))
    return context


class _Resolver(AbstractResolver):
    """Asks for each name once at a time, whoever waits for it, and times the wait of each."""

    def __init__(self) -> None:
        self._under_way: dict[tuple[str, int, int], asyncio.Task[list[Address]]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        timings = TIMINGS.get(None)
        if timings is not None:
            timings.resolving = timings.now()
        key = (host, port, family)
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.ensure_future(resolve(host, port, family))
            task.add_done_callback(lambda done: self._forget(key, done))
        addresses = await asyncio.shield(task)
        if timings is not None:
            timings.resolved = timings.now()
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=address[1],
                family=each,
                proto=proto,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for each, _kind, proto, _name, address in addresses
        ]

    def _forget(self, key: tuple[str, int, int], task: asyncio.Task[list[Address]]) -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # seen here too, since everybody who waited may be gone

    async def close(self) -> None:
        """Give up every look-up."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Connector(aiohttp.TCPConnector):
    """Notes when a request needs a new connection."""

    async def _create_connection(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: ClientTimeout
    ) -> ResponseHandler:
        timings = TIMINGS.get(None)
        if timings is not None:
            timings.connecting = timings.now()
        protocol = await super()._create_connection(req, traces, timeout)
        if timings is not None:
            timings.connected = timings.now()
        return protocol


class Pool:
    """Makes each session when it is first asked for, in the running event loop, and closes them all.

    The runner bounds concurrency, so the sessions do not.
    """

    def __init__(self) -> None:
        self._sessions: dict[tuple[bool, bool, str], aiohttp.ClientSession] = {}
        self._resolver: _Resolver | None = None

    def session(
        self, *, verify_tls: bool = True, keep_alive: bool = True, http_version: Literal["1.0", "1.1"] = "1.1"
    ) -> aiohttp.ClientSession:
        """Return the session to use; never close it. Without `keep_alive` each request gets a connection of its own."""
        key = (verify_tls, keep_alive, http_version)
        found = self._sessions.get(key)
        if found is None:
            found = self._sessions[key] = self._open(verify_tls, keep_alive, http_version)
        return found

    def _open(self, verify_tls: bool, keep_alive: bool, http_version: str) -> aiohttp.ClientSession:  # noqa: FBT001 -- private, called once
        if self._resolver is None:
            self._resolver = _Resolver()
        return aiohttp.ClientSession(
            connector=_Connector(
                ssl=client_context(verify=verify_tls),
                resolver=self._resolver,
                use_dns_cache=False,
                limit=0,
                force_close=not keep_alive,
            ),
            version=aiohttp.HttpVersion10 if http_version == "1.0" else aiohttp.HttpVersion11,
            timeout=_NO_TIMEOUT,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": USER_AGENT},
            response_class=Response,
        )

    async def close(self) -> None:
        """Close every session and connection."""
        sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            await session.close()
        if self._resolver is not None:
            await self._resolver.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
