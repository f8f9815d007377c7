"""The HTTP session below the SDK: it repeats nothing, and a request that must be sent once has its own connection."""

from __future__ import annotations

from typing import Any

import aiohttp
from aiobotocore.httpsession import AIOHTTPSession

from prodwatch.aws.call_time_limits import SENT_ONCE


class HttpSession(AIOHTTPSession):  # type: ignore[misc]  # aiobotocore has no types
    """aiobotocore's session without aiohttp's own second request on a connection that the server closed."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._single: dict[str | None, aiohttp.ClientSession] = {}

    async def _get_session(self, proxy_url: str | None) -> aiohttp.ClientSession:
        session: aiohttp.ClientSession = await super()._get_session(proxy_url)
        session._retry_connection = False  # noqa: SLF001 -- aiohttp has no option for it
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
        )
        session._retry_connection = False  # noqa: SLF001 -- as above
        await self._exit_stack.enter_async_context(session)
        return session
