"""The HTTP session below the SDK: it repeats nothing and reads no endless response.

A request that must be sent once has a connection of its own.
"""

from __future__ import annotations

from typing import Any

import aiohttp
from aiobotocore.httpsession import AIOHTTPSession
from botocore.exceptions import HTTPClientError

from prodwatch.aws.call_time_limits import SENT_ONCE
from prodwatch.aws.foreign_responses import ResponseLimitError
from prodwatch.text.units import format_bytes

MAX_RESPONSE_BYTES = 32 * 1024 * 1024
"""Largest body of a response that is read as a whole; AWS's own documents end at about 6 MiB. Streams have a limit of
their own."""
_LONG_HEADER = "Got more than"
"""Beginning of aiohttp's message about a status line or header that is too long."""


class BoundedResponse(aiohttp.ClientResponse):
    """A response whose body is read up to `MAX_RESPONSE_BYTES`."""

    async def read(self) -> bytes:
        """Return the body. Raises ResponseLimitError for a longer one, whose connection is closed."""
        if self._body is None:
            try:
                self._body = await self._read_bounded()
            except BaseException:
                self.close()
                raise
        return await super().read()

    async def _read_bounded(self) -> bytes:
        chunks, size = [], 0
        while chunk := await self.content.readany():
            size += len(chunk)
            if size > MAX_RESPONSE_BYTES:
                raise ResponseLimitError(f"it is larger than {format_bytes(MAX_RESPONSE_BYTES)}")
            chunks.append(chunk)
        return b"".join(chunks)


class HttpSession(AIOHTTPSession):  # type: ignore[misc]  # aiobotocore has no types
    """aiobotocore's session without aiohttp's own second request on a connection that the server closed."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._single: dict[str | None, aiohttp.ClientSession] = {}

    async def send(self, request: Any) -> Any:
        """Return the response, with its body unless it is a stream. Raises botocore's errors and ResponseLimitError."""
        try:
            return await super().send(request)
        except HTTPClientError as error:
            cause = error.kwargs.get("error")
            if isinstance(cause, ResponseLimitError):
                raise cause from None
            if isinstance(cause, aiohttp.ClientResponseError) and _LONG_HEADER in cause.message:
                raise ResponseLimitError("it has a header that is longer than 8 kB") from error
            raise

    async def _get_session(self, proxy_url: str | None) -> aiohttp.ClientSession:
        session: aiohttp.ClientSession = await super()._get_session(proxy_url)
        session._retry_connection = False  # noqa: SLF001 -- aiohttp has no option for it
        session._response_class = BoundedResponse  # noqa: SLF001 -- aiobotocore passes no option of aiohttp on
        if not SENT_ONCE.get():
            return session
        single = self._single.get(proxy_url)
        if single is None:
            async with self._sessions_lock:
                single = self._single.get(proxy_url)
                if single is None:
                    single = self._single[proxy_url] = await self._open_single(proxy_url)
        return single

    async def _open_single(self, proxy_url: str | None) -> aiohttp.ClientSession:
        connector = await self._create_connector(proxy_url)
        connector._force_close = True  # noqa: SLF001 -- the option excludes aiobotocore's other ones
        session = aiohttp.ClientSession(
            connector=connector,
            timeout=self._timeout,
            skip_auto_headers={"CONTENT-TYPE"},
            auto_decompress=False,
            response_class=BoundedResponse,
        )
        session._retry_connection = False  # noqa: SLF001 -- as above
        await self._exit_stack.enter_async_context(session)
        return session
