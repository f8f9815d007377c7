"""textual-serve's server behind our guard; imported only when the extra is installed."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware
from textual_serve.server import Server as TextualServer

COOKIE = "prodwatch-token"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server(TextualServer):
    """Serves one command's Textual app to those who have the token."""

    def __init__(self, command: str, *, host: str, port: int, token: str) -> None:
        super().__init__(command, host=host, port=port, title="prodwatch")
        self._token = token

    async def _make_app(self) -> web.Application:
        app: web.Application = await super()._make_app()
        app.middlewares.append(guard(self._token))
        return app

    async def on_startup(self, app: web.Application) -> None:
        """Say nothing: the address was told already."""

    def initialize_logging(self) -> None:
        """Leave logging as it is: the terminal is for the address alone."""


def guard(token: str) -> Middleware:
    """Return a middleware that lets only requests with the token through, by link first and by cookie then."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.query.get("token", "")
        if given and hmac.compare_digest(given.encode(), token.encode()):
            answer = web.Response(status=302, headers={"Location": request.path})
            # Out of the address bar, out of the history, out of referrers.
            answer.set_cookie(COOKIE, token, httponly=True, samesite="Strict")
            return answer
        if not hmac.compare_digest(request.cookies.get(COOKIE, "").encode(), token.encode()):
            return web.Response(status=403, text="This dashboard needs the address with the token prodwatch printed.\n")
        origin = request.headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != request.host:
            return web.Response(status=403, text="Another site asked for this dashboard; refused.\n")
        return await handler(request)

    return check
