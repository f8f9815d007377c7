"""The embedded AWS in a thread of its own, with responses that a test may replace."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, TypeVar

from aiohttp import web

from prodwatch.aws.aws_calls import Aws
from prodwatch.clock import SystemClock
from prodwatch.demo.aws import EmbeddedAws
from prodwatch.demo.aws.protocols.identify import HttpRequest, identify
from prodwatch.model.check import SourcePosition
from prodwatch.model.environment import AwsTarget, Environment

REGION = "eu-west-1"
T = TypeVar("T")

Forgery = Callable[[HttpRequest], web.Response]
"""A response in place of the embedded AWS's own."""
Edit = Callable[[dict[str, Any]], dict[str, Any]]
"""Makes another document of a JSON response."""


class ForgedAws(EmbeddedAws):
    """Answers as the embedded AWS, except for the operations in `forgeries` and `edits`."""

    def __init__(self) -> None:
        self.ahead_s = 0.0
        """Seconds by which its clock is ahead of this machine's."""
        super().__init__(region=REGION, wall=lambda: time.time() + self.ahead_s)
        self.forgeries: dict[str, Forgery] = {}
        """By `service:Operation`."""
        self.edits: dict[str, Edit] = {}
        """By `service:Operation`."""
        self.received: list[HttpRequest] = []
        """Every request since the record was cleared."""

    async def _serve_aws(self, request: web.Request, incoming: HttpRequest) -> web.StreamResponse:
        self.received.append(incoming)
        if not self.forgeries and not self.edits:
            return await super()._serve_aws(request, incoming)
        identity = identify(incoming)
        name = f"{identity.service}:{identity.operation}"
        if name in self.forgeries:
            self._record(identity.service, identity.operation)
            return self.forgeries[name](incoming)
        response = await super()._serve_aws(request, incoming)
        if name not in self.edits or not isinstance(response, web.Response):
            return response
        assert isinstance(response.body, bytes)
        body = json.dumps(self.edits[name](json.loads(response.body))).encode()
        return web.Response(body=body, headers={"Content-Type": response.headers["Content-Type"]})


def replaced(
    body: bytes,
    *,
    status: int = 200,
    content_type: str = "application/json",
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Forgery:
    """Return a forgery that always gives this response."""
    return lambda _request: web.Response(body=body, status=status, headers={"Content-Type": content_type, **headers})


class World:
    """One forged AWS for all tests of a process, and the loop in another thread that serves it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.aws = ForgedAws()
        self._door: Aws | None = None

    def wait(self, work: Awaitable[T]) -> T:
        """Run something in the serving loop and return its result."""

        async def run() -> T:
            return await work

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(60)

    def call(self, service: str, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Call an operation of the embedded AWS, to lay out what a test needs."""
        if self._door is None:
            target = AwsTarget(region=REGION, endpoint_url=self.aws.url)
            environment = Environment(name="test", title="Test", source=SourcePosition("t.toml"), aws=target)
            keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
            self._door = Aws(environment, keys, SystemClock(), jitter=lambda: 0.0)
        return self.wait(self._door.call(service, operation, params))

    @property
    def environ(self) -> dict[str, str]:
        """Environment variables by which a command reaches this AWS."""
        return {
            "AWS_ENDPOINT_URL": self.aws.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
        }

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve until the block ends."""
        self._thread.start()
        self.wait(self.aws.start())
        try:
            yield
        finally:
            if self._door is not None:
                self.wait(self._door.__aexit__(None, None, None))
            self.wait(self.aws.stop())
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(10)
            self.loop.close()
