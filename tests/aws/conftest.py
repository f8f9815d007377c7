"""Fixtures: an embedded AWS on a local port, in its own thread, whose state and faults tests can change."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import pytest
import pytest_asyncio

from prodwatch.aws.aws_calls import Aws
from prodwatch.clock import SystemClock
from prodwatch.demo.aws import EmbeddedAws
from prodwatch.model.check import SourcePosition
from prodwatch.model.environment import AwsTarget, Environment

ACCOUNT = "123456789012"
REGION = "eu-west-1"


def environment(url: str | None, **more: Any) -> Environment:
    target = {"region": REGION, "endpoint_url": url} | more.pop("aws", {})
    return Environment(name="test", title="Test", source=SourcePosition("test.toml"), aws=AwsTarget(**target), **more)


@pytest.fixture(scope="session")
def embedded() -> Iterator[EmbeddedAws]:
    """The server, in another thread so that a test's own event loop stays free."""
    server = EmbeddedAws()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(30)
    yield server
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.fixture
def world(embedded: EmbeddedAws) -> Iterator[EmbeddedAws]:
    """The server without faults and without recorded calls."""
    embedded.faults.clear()
    embedded.calls.clear()
    embedded.call_counts.clear()
    yield embedded
    embedded.faults.clear()


Connect = Callable[..., Aws]


@pytest_asyncio.fixture
async def connect(world: EmbeddedAws) -> AsyncIterator[Connect]:
    """Create sessions with the server; each is closed when the test ends."""
    opened: list[Aws] = []

    def open_session(environ: Mapping[str, str] | None = None, **more: Any) -> Aws:
        clock = more.pop("clock", SystemClock())
        aws = Aws(environment(world.url, **more), environ or {}, clock, jitter=lambda: 0.0)
        opened.append(aws)
        return aws

    yield open_session
    for aws in opened:
        await aws.__aexit__(None, None, None)


@pytest_asyncio.fixture
async def aws(connect: Connect) -> Aws:
    return connect()
