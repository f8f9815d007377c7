"""Writes one HTTP/1.x request and reads the response's headers; the caller reads the body.

Requests are written here rather than by an HTTP client, so that they go out exactly as checks say, once, and fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from multidict import CIMultiDictProxy

from prodwatch.probes.connect import Timings
from prodwatch.probes.http.request import Request
from prodwatch.probes.http.url import Url
from prodwatch.probes.http_pool import USER_AGENT, HttpConnection

if TYPE_CHECKING:
    from aiohttp.streams import StreamReader

MAX_HEADER_BYTES = 1 << 16
"""Longest single header line that is read; browsers accept more than the 8 kB of most HTTP clients."""
_READ_BYTES = 1 << 16
_BODY_EXPECTED = frozenset({"POST", "PUT", "PATCH"})
_DEFAULTS = {
    "user-agent": f"User-Agent: {USER_AGENT}",
    "accept": "Accept: */*",
    "accept-encoding": "Accept-Encoding: gzip, deflate",
}
"""Name in lower case → line of a header that is sent unless the check has it."""


class Answer(msgspec.Struct):
    """A response whose headers have arrived."""

    status: int
    reason: str
    http_version: str
    headers: CIMultiDictProxy[str]
    content: StreamReader
    """The body as sent; reading it raises aiohttp.ClientPayloadError when it is incomplete."""
    until_close: bool
    """Whether only the end of the connection ends the body."""
    connection: HttpConnection


async def ask(
    connection: HttpConnection,
    request: Request,
    pairs: list[tuple[str, str]],
    timings: Timings,
    *,
    version: str,
    absolute: bool = False,
) -> Answer:
    """Send `request` with the headers `pairs` and wait for the response's headers.

    Raises aiohttp.ClientOSError and ServerDisconnectedError when the connection ends first, and
    aiohttp.http_exceptions.HttpProcessingError when what comes is not HTTP.
    """
    protocol = connection.protocol
    protocol.set_response_params(
        skip_payload=request.method == "HEAD",
        read_until_eof=True,
        read_bufsize=_READ_BYTES,
        max_line_size=MAX_HEADER_BYTES,
        max_field_size=MAX_HEADER_BYTES,
        auto_decompress=False,
    )
    wire = serialize(request.method, request.url, pairs, request.body, version=version, absolute=absolute)
    timings.sent = timings.now()
    connection.transport.write(wire)
    while True:
        message, content = await protocol.read()
        if message.code >= 200 or message.code == 101:
            break
    timings.answered = timings.now()
    headers = message.headers
    return Answer(
        status=message.code,
        reason=message.reason,
        http_version=f"{message.version.major}.{message.version.minor}",
        headers=headers,
        content=content,
        until_close=not message.chunked and "Content-Length" not in headers,
        connection=connection,
    )


def serialize(
    method: str, url: Url, pairs: list[tuple[str, str]], body: bytes | None, *, version: str, absolute: bool = False
) -> bytes:
    """Return the request's bytes: the headers in the order given, after those that are missing from them.

    `absolute`: with the whole URL, as a proxy needs it.
    """
    given = {name.lower() for name, _ in pairs}
    lines = [f"{method} {url.bare if absolute else url.target} HTTP/{version}"]
    if "host" not in given:
        lines.append(f"Host: {url.host_header}")
    lines += [line for name, line in _DEFAULTS.items() if name not in given]
    lines += [f"{name}: {value}" for name, value in pairs]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    elif method in _BODY_EXPECTED:
        lines.append("Content-Length: 0")
    head = "\r\n".join(lines) + "\r\n\r\n"
    return head.encode() if body is None else head.encode() + body
