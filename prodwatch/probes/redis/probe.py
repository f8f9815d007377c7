"""Sends one Redis command, without retries."""

from __future__ import annotations

import asyncio
import shlex
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from prodwatch.errors import UnusableError
from prodwatch.model.quantity import Duration
from prodwatch.model.result import Exchange
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Failure, Observation, ProbeContext
from prodwatch.probes.deadline import Deadline
from prodwatch.probes.failures import connection_failure, timed_out, unavailable, unusable
from prodwatch.probes.name_resolution import endpoint
from prodwatch.probes.scalar_text import text_value
from prodwatch.text.units import format_bytes

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection
    from redis.exceptions import RedisError

DEFAULT_PORT = 6379
MAX_REPLY_BYTES = 8 * 1024 * 1024
"""Size of all replies of one connection, the one to the command included."""
_RESP2 = 2
"""Protocol version with the documented reply types, which every server supports."""


class ReplyTooLargeError(Exception):
    """A reply is larger than prodwatch reads; the text is a clause about it."""


def warm(_params: Mapping[str, Any], _fill: Callable[[str], Any]) -> None:
    """Import redis-py where it is installed, which takes tenths of a second."""
    with suppress(ImportError):
        import_module("redis.asyncio")


async def probe(params: Mapping[str, Any], context: ProbeContext) -> Observation:
    """Send the command; the document is described on the type's reference page."""
    try:
        from redis.exceptions import RedisError
    except ImportError:
        return unavailable('a `redis` check needs redis-py: run `pip install "prodwatch[redis]"`')
    try:
        words = _words(params["command"])
        connection, target = _connection(params["url"])
    except UnusableError as error:
        return unusable(error)
    exchange = Exchange(request={"server": target, "command": words})
    now = context.clock.monotonic_s
    started_s = now()
    connected_s = None
    try:
        with Deadline(context.timeout_s) as deadline:
            await connection.connect()  # type: ignore[no-untyped-call]
            connected_s = now()
            await connection.send_command(*words)
            received = await connection.read_response()
            if (refused := _error_within(received)) is not None:
                raise refused
            reply = _plain(received)
    except (OSError, RedisError, ValueError, RecursionError, ReplyTooLargeError) as error:
        if deadline.expired:
            failure = timed_out(target, "accept the connection" if connected_s is None else "answer", context.timeout_s)
        elif isinstance(error, OSError | RedisError):
            failure = _failure(error, target)
        else:
            failure = _unreadable(error, target)
        return Observation(failure=failure, exchange=exchange)
    finally:
        await connection.disconnect(nowait=True)
    latency_s, connect_s = now() - connected_s, connected_s - started_s
    return Observation(
        document={
            "reply": reply,
            "latency": Duration.from_s(latency_s),
            "connect": Duration.from_s(connect_s),
        },
        exchange=Exchange(
            request=exchange.request,
            response={"reply": reply},
            phases_ms={"connect": round(connect_s * 1000, 3), "ttfb": round(latency_s * 1000, 3)},
        ),
    )


def _words(command: str | list[Any]) -> list[str]:
    if isinstance(command, list):
        words = [text_value(word, "an element of `command`") for word in command]
    else:
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise UnusableError(f"`command` cannot be split into words: {error}; write it as a list") from error
    if not words:
        raise UnusableError("`command` is empty; write one such as PING")
    if any("\ud800" <= character <= "\udfff" for word in words for character in word):
        raise UnusableError("`command` contains a lone surrogate, which UTF-8 cannot encode")
    return words


def _connection(url: str) -> tuple[AbstractConnection, str]:
    """Return a connection that is not open yet, and the name of its server for messages."""
    from redis.asyncio import ConnectionPool
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    try:
        pool = ConnectionPool.from_url(
            url,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=None,
            socket_connect_timeout=None,
            protocol=_RESP2,
        )
    except ValueError as error:
        raise UnusableError("`url` is not a Redis URL; write one like redis://user:password@host:6379/0") from error
    known = pool.connection_kwargs
    target = known.get("path") or endpoint(known.get("host", "localhost"), known.get("port", DEFAULT_PORT))
    connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]
    _bound(connection)
    return connection, str(target)


def _bound(connection: Any) -> None:
    """Let the reading of `connection` end with ReplyTooLargeError after `MAX_REPLY_BYTES`; redis-py has no limit."""
    connect = connection._connect  # noqa: SLF001 -- the only place between the socket and the first reply

    async def connect_bounded() -> None:
        await connect()
        reader = connection._reader  # noqa: SLF001 -- as above
        reader.feed_data = _Bounded(reader)

    connection._connect = connect_bounded  # noqa: SLF001 -- as above


class _Bounded:
    """`feed_data` of a stream reader, up to `MAX_REPLY_BYTES`."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._feed = reader.feed_data
        self._received = 0

    def __call__(self, data: bytes) -> None:
        self._received += len(data)
        if self._received <= MAX_REPLY_BYTES:
            self._feed(data)
        elif self._reader.exception() is None:
            self._reader.set_exception(ReplyTooLargeError(f"it is larger than {format_bytes(MAX_REPLY_BYTES)}"))


def _unreadable(error: ValueError | RecursionError | ReplyTooLargeError, target: str) -> Failure:
    """Return the failure of a reply that redis-py does not read: beyond a limit of ours, or not Redis."""
    beyond = str(error) if isinstance(error, ReplyTooLargeError) else None
    if isinstance(error, RecursionError):
        beyond = "it is nested too deeply"
    elif isinstance(error.__context__, asyncio.LimitOverrunError):
        beyond = "it has a line that is longer than 64 kB"
    if beyond is not None:
        message = f"the reply of {target} was not read: {beyond}; nothing was measured"
        return Failure(status=Status.ERROR, reason=Reason.LIMIT, message=message)
    message = f"{target} sent a reply that is not Redis: {error}"
    return Failure(status=Status.FAIL, reason=Reason.PROTOCOL, message=message)


def _error_within(reply: Any) -> RedisError | None:
    """Return an error that is an element of a reply, as in that of `EXEC`; None without one."""
    from redis.exceptions import RedisError

    if isinstance(reply, RedisError):
        return reply
    if isinstance(reply, list | tuple):
        return next((error for each in reply if (error := _error_within(each)) is not None), None)
    return None


def _plain(reply: Any) -> Any:
    """Return a reply as JSON."""
    if isinstance(reply, bytes):
        try:
            return reply.decode()
        except UnicodeDecodeError:
            return b64encode(reply).decode()
    if isinstance(reply, list | tuple | set | frozenset):
        return [_plain(each) for each in reply]
    if isinstance(reply, Mapping):
        return {str(_plain(name)): _plain(each) for name, each in reply.items()}
    return reply if reply is None or isinstance(reply, bool | int | str) else str(reply)


def _failure(error: OSError | RedisError, target: str) -> Failure:
    from redis.exceptions import (
        AuthenticationError,
        AuthenticationWrongNumberOfArgsError,
        InvalidResponse,
        NoPermissionError,
    )
    from redis.exceptions import (
        ConnectionError as RedisConnectionError,
    )

    message = next(iter(str(error).splitlines()), type(error).__name__)
    if isinstance(error, AuthenticationError | AuthenticationWrongNumberOfArgsError | NoPermissionError) or (
        message.startswith(("NOAUTH", "WRONGPASS"))
    ):
        return Failure(
            status=Status.ERROR,
            reason=Reason.ACCESS_DENIED,
            message=f"{target} refused the login or command: {message}",
        )
    if isinstance(error, InvalidResponse):
        return Failure(
            status=Status.FAIL, reason=Reason.PROTOCOL, message=f"{target} sent a reply that is not Redis: {message}"
        )
    if isinstance(error, RedisConnectionError):
        cause = error.__cause__ or error.__context__
        if isinstance(cause, OSError) and cause.errno is not None:
            return connection_failure(cause, target)
        return Failure(
            status=Status.FAIL,
            reason=Reason.CONNECT,
            message=f"{target} closed the connection without a reply",
            transient=True,
        )
    if isinstance(error, OSError):
        return connection_failure(error, target)
    return Failure(status=Status.FAIL, reason=Reason.TARGET_ERROR, message=f"{target} refused the command: {message}")
