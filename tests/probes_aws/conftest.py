"""Probes run against an AWS on a port of this machine, as the runner would run them."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import pytest
import pytest_asyncio

from prodwatch.aws.session import Aws
from prodwatch.clock import SystemClock
from prodwatch.demo.aws import EmbeddedAws
from prodwatch.model.check import SourcePosition
from prodwatch.model.environment import AwsTarget, Environment
from prodwatch.probes.base import Observation, ProbeContext
from prodwatch.probes.registry import probe

TRACE_ID = "1-5f84c7a5-cd52b1d2e1c4a3b2c1d0e9f8"


class Bench:
    """One door to the server, and a way to run a probe through it."""

    def __init__(self, world: EmbeddedAws, root: str) -> None:
        self.world = world
        self.environment = Environment(
            name="test",
            title="Test",
            source=SourcePosition("test.toml"),
            aws=AwsTarget(region="eu-west-1", endpoint_url=world.url),
        )
        self.aws = Aws(self.environment, {}, SystemClock(), jitter=lambda: 0.0)
        self._root = root
        self.name = f"t{uuid.uuid4().hex[:10]}"
        """Unique to this test: names what it makes."""

    async def run(self, type_: str, params: Mapping[str, Any], **more: Any) -> Observation:
        context = {
            "clock": SystemClock(),
            "environment": self.environment,
            "timeout_s": 5.0,
            "http": None,
            "aws": self.aws,
            "trace_id": TRACE_ID,
            "run_id": "run",
            "root": self._root,
            "own_marks": ("uid123",),
        } | more
        return await probe(type_)(params, ProbeContext(**context))  # type: ignore[arg-type]

    async def call(self, service: str, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        return await self.aws.call(service, operation, params)


@pytest.fixture(scope="session")
def embedded() -> Iterator[EmbeddedAws]:
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


@pytest_asyncio.fixture
async def bench(embedded: EmbeddedAws, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    embedded.faults.clear()
    embedded.call_counts.clear()
    made = Bench(embedded, str(tmp_path_factory.mktemp("project")))
    yield made
    embedded.faults.clear()
    await made.aws.__aexit__(None, None, None)


Run = Callable[..., Observation]
