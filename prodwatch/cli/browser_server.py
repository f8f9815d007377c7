"""textual-serve's server behind an access token; importable only with the extra `web`."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware
from textual_serve.server import Server as TextualServer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server(TextualServer):
    """Serves one command's Textual app to requests with the token."""

    def __init__(self, command: str, *, host: str, port: int, token: str, public_url: str) -> None:
        super().__init__(command, host=host, port=port, title="prodwatch", public_url=public_url)
        self._token = token

    async def _make_app(self) -> web.Application:
        app: web.Application = await super()._make_app()
        app.middlewares.append(guard(self._token, self.port))
        return app

    async def handle_index(self, request: web.Request) -> web.StreamResponse:
        """Serve the page with the addresses of its parts under the host by which the browser reached it."""
        self.public_url = f"{request.scheme}://{request.host}"
        # Makes the page without giving way, so no other request's address comes in between.
        return await super().handle_index(request)

    async def on_startup(self, app: web.Application) -> None:
        """Print nothing: the address is already on the terminal."""

    def initialize_logging(self) -> None:
        """Leave the logging configuration unchanged, so that only the address appears on the terminal."""


def cookie_name(port: int) -> str:
    """Return the name of the cookie: browsers send cookies to every port of a host, so the name has the port."""
    return f"prodwatch-token-{port}"


def guard(token: str, port: int) -> Middleware:
    """Return a middleware that rejects requests without the token, which arrives by link first and then by cookie."""
    cookie = cookie_name(port)

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        query_token = request.query.get("token", "")
        if query_token and hmac.compare_digest(query_token.encode(), token.encode()):
            # Redirecting keeps the token out of the address bar, the history and referrers.
            response = web.Response(status=302, headers={"Location": request.path})
            response.set_cookie(cookie, token, httponly=True, samesite="Strict")
            return response
        if not hmac.compare_digest(request.cookies.get(cookie, "").encode(), token.encode()):
            return web.Response(
                status=403, text="This dashboard needs the address that prodwatch printed, with its token.\n"
            )
        origin = request.headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != request.host:
            return web.Response(status=403, text="Refused: the request came from another site.\n")
        return await handler(request)

    return check
