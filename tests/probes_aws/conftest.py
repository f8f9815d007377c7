"""Probes run against an AWS on a port of this machine, as the runner would run them."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from prodwatch.aws.aws_calls import Aws
from prodwatch.clock import SystemClock
from prodwatch.demo.aws import EmbeddedAws
from prodwatch.model.check import SourcePosition
from prodwatch.model.environment import AwsTarget, Environment
from prodwatch.probes.base import Observation, ProbeContext
from prodwatch.probes.registry import probe, spec
from prodwatch.settings.expressions import fields_of

TRACE_ID = "1-5f84c7a5-cd52b1d2e1c4a3b2c1d0e9f8"


def environment(world: EmbeddedAws) -> Environment:
    target = AwsTarget(region="eu-west-1", endpoint_url=world.url)
    return Environment(name="test", title="Test", source=SourcePosition("test.toml"), aws=target)


class HurriedClock(SystemClock):
    """The machine's clock, but a sleep only counts as long as it was asked for; requests keep their real time."""

    def __init__(self, meanwhile: Callable[[], None] | None = None) -> None:
        self._meanwhile = meanwhile
        """Done whenever somebody sleeps."""
        self._skipped_s = 0.0

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self._skipped_s

    async def sleep(self, seconds: float) -> None:
        wake_s = self.monotonic_s() + seconds
        if self._meanwhile is not None:
            self._meanwhile()
        await super().sleep(0)
        self.skip(wake_s - self.monotonic_s())

    def skip(self, seconds: float) -> None:
        self._skipped_s += max(0.0, seconds)


class Bench:
    """One door to the server, and a way to run a probe through it."""

    def __init__(self, world: EmbeddedAws, aws: Aws, root: str) -> None:
        self.world = world
        self.aws = aws
        self.environment = environment(world)
        self._root = root
        self.name = f"t{uuid.uuid4().hex[:10]}"
        """Unique to this test: names what it makes."""

    async def run(self, type_: str, params: Mapping[str, Any], **more: Any) -> Observation:
        context = {
            "clock": HurriedClock(),
            "environment": self.environment,
            # Long: moto makes its first answer of a service slowly, and a machine may be busy.
            "timeout_s": 60.0,
            "http": None,
            "aws": self.aws,
            "trace_id": TRACE_ID,
            "run_id": "run",
            "root": self._root,
            "own_marks": ("uid123",),
        } | more
        seen = await probe(type_)(params, ProbeContext(**context))  # type: ignore[arg-type]
        promised = fields_of(spec(type_))  # type: ignore[arg-type]  # every type here has one
        refused = {"latency"} if "error" in seen.document else set()
        assert promised is None or set(seen.document) <= {*promised, *refused}, "a field that no page tells of"
        return seen

    def clock(self, meanwhile: Callable[[], None]) -> HurriedClock:
        """Return a clock for a run's context: whenever the probe sleeps, this happens."""
        return HurriedClock(meanwhile)

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


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def aws(embedded: EmbeddedAws) -> AsyncIterator[Aws]:
    """One door for all tests: making clients anew for each would take most of their time."""
    async with Aws(environment(embedded), {}, HurriedClock(), jitter=lambda: 0.0) as door:
        yield door


@pytest_asyncio.fixture(loop_scope="session")
async def bench(embedded: EmbeddedAws, aws: Aws, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    embedded.faults.clear()
    embedded.call_counts.clear()
    # What one test taught the door about AWS's rates must not slow down the next.
    aws.limiter.reset()
    yield Bench(embedded, aws, str(tmp_path_factory.mktemp("project")))
    embedded.faults.clear()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent and item.get_closest_marker("asyncio") is not None:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
