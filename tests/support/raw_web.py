"""An HTTP server on the loopback whose responses are the bytes a test gives."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

Reply = bytes | Callable[[bytes], bytes | None]
"""The bytes of a response, or a function of the whole request; None cuts the connection without a response."""


class RawWeb:
    """Serves `routes` by method and path, or by path alone; everything else is a 200 with `{"ok": true}`."""

    def __init__(self) -> None:
        self.routes: dict[str, Reply] = {}
        self.requests: list[bytes] = []
        """Each request with its body, in order of arrival."""
        self.arrived: dict[str, threading.Semaphore] = {}
        """Released for each request for a path that has one."""
        self.held: dict[str, threading.Event] = {}
        """Paths that get their response only when the event is set."""
        self.url = ""
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def clear(self) -> None:
        """Forget the routes and the requests of an earlier test; requests that are held are let through."""
        for event in self.held.values():
            event.set()
        self.routes, self.requests, self.arrived, self.held = {}, [], {}, {}

    @property
    def seen(self) -> list[str]:
        """Method and path of each request, in order."""
        return [" ".join(each.split(b" ", 2)[n].decode() for n in (0, 1)) for each in self.requests]

    @property
    def open_connections(self) -> int:
        """How many connections clients hold open now."""
        return len(self._tasks)

    def hold(self, path: str) -> tuple[threading.Semaphore, threading.Event]:
        """Hold the responses for a path back; returns the signal of a request's arrival and the release."""
        self.arrived[path], self.held[path] = threading.Semaphore(0), threading.Event()
        return self.arrived[path], self.held[path]

    async def start(self) -> None:
        """Serve on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Close the port and every connection."""
        self.clear()
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while await self._one(await _request(reader), writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return  # the client left, or the server is being closed
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _one(self, request: bytes, writer: asyncio.StreamWriter) -> bool:
        self.requests.append(request)
        method, path = (each.decode() for each in request.split(b" ", 2)[:2])
        if path in self.arrived:
            self.arrived[path].release()
        if path in self.held:
            await asyncio.to_thread(self.held[path].wait, 60)
        reply = self.routes.get(f"{method} {path}", self.routes.get(path, response(b'{"ok": true}')))
        answer = reply(request) if callable(reply) else reply
        if answer is None:
            return False
        writer.write(answer)
        await writer.drain()
        return b"\r\nconnection: close\r\n" not in answer.lower().partition(b"\r\n\r\n")[0] + b"\r\n"


def response(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    """Return a whole response; `_` in the name of a header is written as `-`."""
    wanted = {"Content_Type": "application/json", "Content_Length": str(len(body))} | headers
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in wanted.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return head + await reader.readexactly(int(line.split(b":")[1]))
    return head
