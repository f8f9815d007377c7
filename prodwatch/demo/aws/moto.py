"""moto's WSGI application behind asyncio: imported late, called in a thread pool, its failures made AWS errors."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Lock
from typing import Any
from urllib.parse import unquote

from prodwatch.demo.aws.protocols.encode import HttpAnswer
from prodwatch.demo.aws.protocols.identify import HttpRequest

_DROPPED = frozenset({"connection", "content-length", "date", "server", "transfer-encoding"})
_WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Ask = Callable[[HttpRequest], HttpAnswer]
"""Gives a request to moto in this thread; raises MotoError where moto has no answer."""


class MotoError(Exception):
    """moto has no working answer; the text says which way it failed."""


class Moto:
    """Answers HTTP requests with moto. The first request waits for the import, the port does not.

    moto holds one world per account and process: whoever loads last starts that account afresh.
    """

    def __init__(self, account: str, *, workers: int = 8) -> None:
        self._account = account
        self._closed = False
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="moto")
        self._lock = Lock()
        self._app: _WsgiApp | None = None
        self.furnish: Callable[[Ask], None] | None = None
        """Given a way to ask moto, fills it once it is imported; nobody else is answered before."""

    def load(self) -> None:
        """Import moto now; later calls return at once. Blocks for about a second, so call it in a thread."""
        with self._lock:
            if self._app is not None:
                return
            from moto.core.config import default_user_config
            from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

            default_user_config["lambda"]["use_docker"] = False
            _forget(self._account)
            app: _WsgiApp = DomainDispatcherApplication(create_backend_app)
            if self.furnish is not None:
                self.furnish(partial(self._ask, app))
            self._app = app

    async def warm(self) -> None:
        """Import moto in a worker thread."""
        await asyncio.get_running_loop().run_in_executor(self._pool, self.load)

    async def answer(self, request: HttpRequest) -> HttpAnswer:
        """Return moto's answer. Raises MotoError where moto raised or answered with an HTML error page."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._call, request)

    async def close(self) -> None:
        """End the worker threads, also one that is still filling moto, and forget what this account holds."""
        self._closed = True
        await asyncio.to_thread(self._pool.shutdown, wait=True, cancel_futures=True)
        if self._app is not None:
            _forget(self._account)

    def _call(self, request: HttpRequest) -> HttpAnswer:
        self.load()
        assert self._app is not None
        return self._ask(self._app, request)

    def _ask(self, app: _WsgiApp, request: HttpRequest) -> HttpAnswer:
        if self._closed:
            raise MotoError("the embedded AWS has been stopped")
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], _exc_info: Any = None) -> None:
            started.append((status, headers))

        try:
            result = app(self._environ(request), start_response)
            body = b"".join(result)
            if close := getattr(result, "close", None):
                close()
        except Exception as error:
            raise MotoError(f"{type(error).__name__}: {error}") from error
        status, pairs = started[-1]
        dropped = _DROPPED - {"content-length"} if request.method == "HEAD" else _DROPPED
        headers = {name: value for name, value in pairs if name.lower() not in dropped}
        code = int(status.split(" ", 1)[0])
        # To HEAD, S3 says with the status alone that nothing is there.
        told = request.method == "HEAD" and code < 500
        if code >= 400 and not told and headers.get("Content-Type", "").startswith("text/html"):
            raise MotoError(f"HTTP {status}")
        return HttpAnswer(status=code, headers=headers, body=body)

    def _environ(self, request: HttpRequest) -> dict[str, Any]:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(request.path).encode().decode("latin-1"),
            "RAW_URI": request.path + (f"?{request.query}" if request.query else ""),
            "QUERY_STRING": request.query,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "CONTENT_LENGTH": str(len(request.body)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(request.body),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "HTTP_X_MOTO_ACCOUNT_ID": self._account,
        }
        for name, value in request.headers.items():
            key = name.upper().replace("-", "_")
            if key == "CONTENT_TYPE":
                environ[key] = value
            elif key not in {"CONTENT_LENGTH", "CONTENT_ENCODING"} or "aws-chunked" in value:
                environ[f"HTTP_{key}"] = value
        return environ


def _forget(account: str) -> None:
    from moto.core.base_backend import BackendDict, backend_lock

    with backend_lock:
        held: list[Any] = BackendDict._instances  # type: ignore[misc]  # noqa: SLF001 -- moto's list of what is in use
        for service in list(held):
            if account in service.keys():  # noqa: SIM118 -- its own lookup by item makes what is missing
                dict.pop(service, account).reset()
