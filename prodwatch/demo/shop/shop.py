"""The shop: an embedded AWS with resources, a staged release, an API and queues."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from random import Random
from typing import Any

from prodwatch.demo.aws.moto_backend import MotoTransport
from prodwatch.demo.aws.server import EmbeddedAws
from prodwatch.demo.shop import resource_names
from prodwatch.demo.shop.api_gateway import Gateway
from prodwatch.demo.shop.event_sources import EventSources, QueueMapping
from prodwatch.demo.shop.functions import ACCOUNT, ORDERS, REGION
from prodwatch.demo.shop.handler_clients import LATENCY_S, HandlerClients
from prodwatch.demo.shop.handlers import Code, catalog, orders, queues
from prodwatch.demo.shop.lambda_runtime import LATEST, DeployedFunction, Runtime
from prodwatch.demo.shop.live_telemetry import AwsTelemetry
from prodwatch.demo.shop.release_staging import ReleaseStaging
from prodwatch.demo.shop.release_timeline import Timeline
from prodwatch.demo.shop.scenario import Scenario
from prodwatch.demo.shop.signal_history import ShopHistory
from prodwatch.demo.shop.stack_resources import Secrets, create_resources

ENVIRONMENT = {
    "ORDERS_TABLE": resource_names.ORDERS_TABLE,
    "PRODUCTS_TABLE": resource_names.PRODUCTS_TABLE,
    "TEST_TABLE": resource_names.TEST_TABLE,
    "OUTBOX_URL": resource_names.queue_url(resource_names.OUTBOX),
}


class Shop:
    """One staged release, from `start` to `stop`."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        at: str | None = None,
        speed: float = 1.0,
        seed: int | None = None,
        wall: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        latency_s: Mapping[str, float] = LATENCY_S,
    ) -> None:
        self._seed = scenario.seed if seed is None else seed
        self._wall = wall
        self._sleep = sleep
        self._latency_s = latency_s
        self._random = Random(self._seed)  # noqa: S311 -- a demo needs no cryptography
        self.scenario = scenario
        self.timeline = Timeline(scenario, opened_s=wall(), at=at, speed=speed)
        self.history = ShopHistory(self.timeline, seed=self._seed)
        self.secrets = Secrets.of(self._seed)
        self.aws = EmbeddedAws(region=REGION, account=ACCOUNT, history=self.history, wall=wall, sleep=sleep)
        self._runtime: Runtime | None = None
        self._tasks: list[asyncio.Task[Any]] = []

    @property
    def url(self) -> str:
        """The endpoint of the embedded AWS, once started."""
        return self.aws.url

    async def start(self, host: str = "127.0.0.1", port: int = 0, *, sock: socket.socket | None = None) -> str:
        """Start the shop and return the endpoint's URL; requests that need moto wait until it is populated."""
        url = await self.aws.start(host, port, sock=sock)
        api_url = url + resource_names.MOUNT
        staging = ReleaseStaging(self.timeline, tuple(self.history.traffic.services.values()), self._seed)
        staging.write(self.aws)
        telemetry = AwsTelemetry(self.aws, wall=self._wall, alias=self.scenario.release.alias)
        clients = HandlerClients(url, latency_s=self._latency_s)
        runtime = Runtime(
            self._deployed(),
            clients=clients,
            route=self._route,
            telemetry=telemetry,
            wall=self._wall,
            random=self._random,
            sleep=self._sleep,
            traced=self.scenario.traffic.traced,
        )
        self._runtime = runtime
        self.aws.on_invoke = runtime

        def populate(send: MotoTransport) -> None:
            create_resources(send, api_url=api_url, secrets=self.secrets)
            clients.warm()
            for name in self._deployed():
                for version in self._published(name):
                    runtime.warm(name, version)

        self.aws.populate(populate)
        gateway = Gateway(
            runtime,
            clients=clients,
            telemetry=telemetry,
            alias=self.scenario.release.alias,
            inbox_url=resource_names.queue_url(resource_names.INBOX),
            secrets=self.secrets,
            public_url=api_url,
            wall=self._wall,
            traced=lambda: self._random.random() < self.scenario.traffic.traced,
        )
        self.aws.mount(resource_names.MOUNT, gateway)
        sources = EventSources(_mappings(), runtime=runtime, clients=clients, waiting=_waiting, sleep=self._sleep)
        self._tasks = [
            asyncio.create_task(self._work(sources), name="shop queues"),
            asyncio.create_task(staging.follow(self.aws, self._wall, self._sleep), name="shop script"),
        ]
        return url

    async def ready(self) -> None:
        """Wait until moto is populated."""
        await self.aws.warm()

    async def stop(self) -> None:
        """Stop the shop."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._runtime is not None:
            self._runtime.close()
        await self.aws.stop()

    async def _work(self, sources: EventSources) -> None:
        await self.ready()
        await sources.run()

    def _deployed(self) -> dict[str, DeployedFunction]:
        services = self.history.traffic.services
        builds = {
            ORDERS: orders.build,
            "shop-catalog": catalog.build,
            "shop-inbox": queues.build_inbox,
            "shop-outbox": queues.build_outbox,
        }
        return {
            name: DeployedFunction(
                service=services[name],
                build=build,
                environment=self._environment if name == ORDERS else lambda _version: ENVIRONMENT,
                code=self._code if name == ORDERS else lambda _version: Code(),
            )
            for name, build in builds.items()
        }

    def _code(self, version: str) -> Code:
        behaviour = self.scenario.of(version)
        return Code(
            table_scan=behaviour.table_scan,
            strict_currency=behaviour.strict_currency,
            missing_module=behaviour.missing_module,
        )

    def _environment(self, version: str) -> Mapping[str, str]:
        return {**ENVIRONMENT, **self.scenario.of(version).environment}

    def _published(self, function: str) -> list[str]:
        stored = self.aws.functions.get(function)
        if stored is None:
            return []
        return [version.version for version in stored.versions if version.published_s <= self._wall()]

    def _route(self, function: str, qualifier: str | None) -> tuple[str, str]:
        """Return (version that runs, qualifier as called), by the alias's current weights."""
        published = self._published(function)
        if not published:
            raise KeyError(function)
        if qualifier in {None, "", LATEST}:
            return published[-1], ""
        assert qualifier is not None
        if qualifier in published:
            return qualifier, qualifier
        alias = self.aws.functions.alias(function, qualifier)
        if alias is None:
            raise KeyError(f"{function}:{qualifier}")
        if not self.scenario.traffic.reaches_new:
            return self.timeline.scenario.release.previous, qualifier
        draw = self._random.random()
        for version, weight in alias.weights.items():
            if draw < weight:
                return version, qualifier
            draw -= weight
        return alias.version, qualifier


def _mappings() -> tuple[QueueMapping, ...]:
    return (
        QueueMapping(
            queue=resource_names.INBOX, url=resource_names.queue_url(resource_names.INBOX), function="shop-inbox"
        ),
        *(
            QueueMapping(queue=queue, url=resource_names.queue_url(queue), function="shop-outbox", filter_type="TEST")
            for queue in (resource_names.OUTBOX, resource_names.INBOX_DLQ)
        ),
    )


def _waiting(queue: str) -> int:
    """Return how many messages can be received, read from moto's own object, which is cheap."""
    from moto.sqs.models import sqs_backends

    stored = sqs_backends[ACCOUNT][REGION].queues.get(queue)
    return len(stored.messages) if stored is not None else 0
