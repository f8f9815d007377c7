"""moto's WSGI application behind asyncio: imported on first use, called in a thread pool."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Lock
from typing import Any
from urllib.parse import unquote

from prodwatch.demo.aws.protocols.encode import HttpResponse
from prodwatch.demo.aws.protocols.identify import HttpRequest

_DROPPED = frozenset({"connection", "content-length", "date", "server", "transfer-encoding"})
_WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
MotoTransport = Callable[[HttpRequest], HttpResponse]
"""Sends a request to moto in this thread; raises MotoError when moto cannot handle it."""


class MotoError(Exception):
    """moto cannot handle a request; the text names its failure."""


class Moto:
    """Passes HTTP requests to moto, which the first request imports.

    moto has one state per account and process; a new instance resets it.
    """

    def __init__(self, account: str, *, workers: int = 8) -> None:
        self._account = account
        self._closed = False
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="moto")
        self._lock = Lock()
        self._app: _WsgiApp | None = None
        self.populate: Callable[[MotoTransport], None] | None = None
        """Called with a transport to fill moto after its import, before any other request is handled."""

    def load(self) -> None:
        """Import moto now; later calls return immediately. Blocks for about a second, so call it in a thread."""
        with self._lock:
            if self._app is not None:
                return
            from moto.core.config import default_user_config
            from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

            default_user_config["lambda"]["use_docker"] = False
            _reset(self._account)
            app: _WsgiApp = DomainDispatcherApplication(create_backend_app)
            if self.populate is not None:
                self.populate(partial(self._send, app))
            self._app = app

    async def warm(self) -> None:
        """Import moto in a worker thread."""
        await asyncio.get_running_loop().run_in_executor(self._pool, self.load)

    async def respond(self, request: HttpRequest) -> HttpResponse:
        """Return moto's response. Raises MotoError when moto raised an exception or returned an HTML error page."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._call, request)

    async def close(self) -> None:
        """End the worker threads, even one that still fills moto, and reset this account's state."""
        self._closed = True
        await asyncio.to_thread(self._pool.shutdown, wait=True, cancel_futures=True)
        if self._app is not None:
            _reset(self._account)

    def _call(self, request: HttpRequest) -> HttpResponse:
        self.load()
        assert self._app is not None
        return self._send(self._app, request)

    def _send(self, app: _WsgiApp, request: HttpRequest) -> HttpResponse:
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
        # In a response to HEAD, the status alone reports that an S3 object does not exist.
        is_status_only = request.method == "HEAD" and code < 500
        if code >= 400 and not is_status_only and headers.get("Content-Type", "").startswith("text/html"):
            raise MotoError(f"HTTP {status}")
        return HttpResponse(status=code, headers=headers, body=body)

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


def _reset(account: str) -> None:
    from moto.core.base_backend import BackendDict, backend_lock

    with backend_lock:
        services: list[Any] = BackendDict._instances  # type: ignore[misc]  # noqa: SLF001 -- moto's list of services in use
        for service in list(services):
            if account in service.keys():  # noqa: SIM118 -- its lookup by item creates missing entries
                dict.pop(service, account).reset()
