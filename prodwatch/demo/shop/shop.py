"""The shop, open for business: an embedded AWS furnished, staged and served."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from random import Random
from typing import Any

from prodwatch.demo.aws.moto import Ask
from prodwatch.demo.aws.server import EmbeddedAws
from prodwatch.demo.shop import names
from prodwatch.demo.shop.api_gateway import Gateway
from prodwatch.demo.shop.event_sources import EventSources, QueueMapping
from prodwatch.demo.shop.functions import ACCOUNT, ORDERS, REGION
from prodwatch.demo.shop.handler_clients import LATENCY_S, Toolbox
from prodwatch.demo.shop.handlers import Code, catalog, orders, queues
from prodwatch.demo.shop.lambda_runtime import LATEST, Deployed, Runtime
from prodwatch.demo.shop.release_staging import Staging
from prodwatch.demo.shop.release_timeline import Timeline
from prodwatch.demo.shop.resources import Secrets, furnish
from prodwatch.demo.shop.scenario import Scenario
from prodwatch.demo.shop.signal_history import ShopHistory
from prodwatch.demo.shop.telemetry import AwsTelemetry

ENVIRONMENT = {
    "ORDERS_TABLE": names.ORDERS_TABLE,
    "PRODUCTS_TABLE": names.PRODUCTS_TABLE,
    "TEST_TABLE": names.TEST_TABLE,
    "OUTBOX_URL": names.queue_url(names.OUTBOX),
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
        self._random = Random(self._seed)  # noqa: S311 -- a play needs no cryptography
        self.scenario = scenario
        self.timeline = Timeline(scenario, opened_s=wall(), at=at, speed=speed)
        self.history = ShopHistory(self.timeline, seed=self._seed)
        self.secrets = Secrets.of(self._seed)
        self.aws = EmbeddedAws(region=REGION, account=ACCOUNT, history=self.history, wall=wall, sleep=sleep)
        self._runtime: Runtime | None = None
        self._tasks: list[asyncio.Task[Any]] = []

    @property
    def url(self) -> str:
        """Where the embedded AWS answers, once started."""
        return self.aws.url

    async def start(self, host: str = "127.0.0.1", port: int = 0, *, sock: socket.socket | None = None) -> str:
        """Open the shop and return the endpoint's URL; what needs moto waits until it is furnished."""
        url = await self.aws.start(host, port, sock=sock)
        api_url = url + names.MOUNT
        staging = Staging(self.timeline, tuple(self.history.traffic.services.values()), self._seed)
        staging.write(self.aws)
        telemetry = AwsTelemetry(self.aws, wall=self._wall, alias=self.scenario.release.alias)
        clients = Toolbox(url, latency_s=self._latency_s)
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

        def settle_in(ask: Ask) -> None:
            furnish(ask, api_url=api_url, secrets=self.secrets)
            clients.warm()
            for name in self._deployed():
                for version in self._published(name):
                    runtime.warm(name, version)

        self.aws.furnish(settle_in)
        gateway = Gateway(
            runtime,
            clients=clients,
            telemetry=telemetry,
            alias=self.scenario.release.alias,
            inbox_url=names.queue_url(names.INBOX),
            secrets=self.secrets,
            public_url=api_url,
            wall=self._wall,
            traced=lambda: self._random.random() < self.scenario.traffic.traced,
        )
        self.aws.mount(names.MOUNT, gateway)
        sources = EventSources(_mappings(), runtime=runtime, clients=clients, waiting=_waiting, sleep=self._sleep)
        self._tasks = [
            asyncio.create_task(self._work(sources), name="shop queues"),
            asyncio.create_task(staging.follow(self.aws, self._wall, self._sleep), name="shop script"),
        ]
        return url

    async def ready(self) -> None:
        """Wait until everything is in place."""
        await self.aws.warm()

    async def stop(self) -> None:
        """Close the shop and forget it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._runtime is not None:
            self._runtime.close()
        await self.aws.stop()

    async def _work(self, sources: EventSources) -> None:
        await self.ready()
        await sources.run()

    def _deployed(self) -> dict[str, Deployed]:
        services = self.history.traffic.services
        builds = {
            ORDERS: orders.build,
            "shop-catalog": catalog.build,
            "shop-inbox": queues.build_inbox,
            "shop-outbox": queues.build_outbox,
        }
        return {
            name: Deployed(
                service=services[name],
                build=build,
                environment=ENVIRONMENT,
                code=self._code if name == ORDERS else lambda _version: Code(),
            )
            for name, build in builds.items()
        }

    def _code(self, version: str) -> Code:
        behaviour = self.scenario.of(version)
        return Code(table_scan=behaviour.table_scan, strict_currency=behaviour.strict_currency)

    def _published(self, function: str) -> list[str]:
        known = self.aws.functions.get(function)
        return [one.version for one in known.versions if one.published_s <= self._wall()] if known else []

    def _route(self, function: str, qualifier: str | None) -> tuple[str, str]:
        """Return (version that runs, qualifier as called), by what the alias says at this moment."""
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
        draw = self._random.random()
        for version, weight in alias.weights.items():
            if draw < weight:
                return version, qualifier
            draw -= weight
        return alias.version, qualifier


def _mappings() -> tuple[QueueMapping, ...]:
    return (
        QueueMapping(queue=names.INBOX, url=names.queue_url(names.INBOX), function="shop-inbox"),
        *(
            QueueMapping(queue=queue, url=names.queue_url(queue), function="shop-outbox", filter_type="TEST")
            for queue in (names.OUTBOX, names.INBOX_DLQ)
        ),
    )


def _waiting(queue: str) -> int:
    """Return how many messages can be received; asked of moto's own object, which costs nothing."""
    from moto.sqs.models import sqs_backends

    found = sqs_backends[ACCOUNT][REGION].queues.get(queue)
    return len(found.messages) if found is not None else 0
