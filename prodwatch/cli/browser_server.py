"""textual-serve's server behind our guard; imported only when the extra is installed."""

from __future__ import annotations

from aiohttp import web
from textual_serve.server import Server as TextualServer

from prodwatch.cli.browser import guard


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
