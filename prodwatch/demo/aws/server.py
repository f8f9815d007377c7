"""The embedded AWS: one HTTP server with its own signal services, and moto behind it for the rest."""

from __future__ import annotations

import asyncio
import socket
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate

from aiohttp import web

from prodwatch.demo.aws import eventstream, fault_admin, mounted_paths
from prodwatch.demo.aws.dispatch import Dispatcher, Stream
from prodwatch.demo.aws.distorted_response import distorted
from prodwatch.demo.aws.faults import Active, FaultPlan
from prodwatch.demo.aws.logs.live_tail import DroppedError
from prodwatch.demo.aws.moto_backend import Moto, MotoTransport
from prodwatch.demo.aws.protocols.encode import HttpResponse
from prodwatch.demo.aws.protocols.identify import HttpRequest, identify
from prodwatch.demo.aws.region import Region, RegionDependencies
from prodwatch.demo.workload import History, Invoker, WebHandler

_MAX_BODY = 64 * 1024 * 1024
_MAX_CALLS = 200_000


class EmbeddedAws:
    """An AWS account on one port.

    `logs`, `traces`, `metrics`, `alarms`, `deployments`, `configurations`, `functions` and `stack_events` are the
    stores of the home region; their `put` methods add records in-process. `wall` returns epoch seconds; all times in
    responses, the `Date` header included, come from it.
    """

    def __init__(
        self,
        *,
        region: str = "eu-west-1",
        account: str = "123456789012",
        history: History | None = None,
        faults: FaultPlan | None = None,
        wall: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.region = region
        self.account = account
        self._faults = faults if faults is not None else FaultPlan()
        self.calls: list[tuple[str, str]] = []
        """(service, operation) of the calls received, oldest first; the last 200,000 at most."""
        self.call_counts: Counter[str] = Counter()
        """Calls by `service:Operation` since the start."""
        self._wall = wall
        self._sleep = sleep
        self._dependencies = RegionDependencies(account=account, faults=self._faults, wall=wall, sleep=sleep)
        home = Region(region, self._dependencies, history)
        self._regions = {region: home}
        self.logs = home.logs
        self.traces = home.traces
        self.metrics = home.metrics
        self.alarms = home.alarms
        self.deployments = home.deployments
        self.configurations = home.configurations
        self.functions = home.functions
        self.stack_events = home.stack_events
        self.live_tail = home.live_tail
        self._moto = Moto(account)
        self._pool = ThreadPoolExecutor(16, thread_name_prefix="embedded-aws")
        self._mounts = mounted_paths.Mounts()
        self._runner: web.AppRunner | None = None
        self.url = ""
        """The endpoint, once started."""
        self._dispatcher = Dispatcher(
            account=account, home=region, region=self._region_named, moto=self._moto, pool=self._pool, wall=wall
        )

    @property
    def faults(self) -> FaultPlan:
        """The injected faults; assigning a plan replaces them."""
        return self._faults

    @faults.setter
    def faults(self, plan: FaultPlan) -> None:
        self._faults.adopt(plan)

    @property
    def on_invoke(self) -> Invoker | None:
        """Implementation of Lambda's Invoke; moto's when it is None."""
        return self.functions.on_invoke

    @on_invoke.setter
    def on_invoke(self, invoker: Invoker | None) -> None:
        self.functions.on_invoke = invoker

    def populate(self, action: Callable[[MotoTransport], None]) -> None:
        """Let `action` fill moto through a transport, in a worker thread, before moto handles any other request."""
        self._moto.populate = action

    def mount(self, prefix: str, handler: WebHandler) -> None:
        """Serve plain HTTP below a path; the handler gets the path without the prefix."""
        self._mounts.add(prefix, handler)

    async def start(self, host: str = "127.0.0.1", port: int = 0, *, sock: socket.socket | None = None) -> str:
        """Listen on `host:port` (0: any free port), or on a socket already bound; return the URL.

        Raises OSError when the port is in use.
        """
        app = web.Application(client_max_size=_MAX_BODY)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.2)
        await self._runner.setup()
        site: web.BaseSite = (
            web.SockSite(self._runner, sock) if sock is not None else web.TCPSite(self._runner, host, port)
        )
        await site.start()
        bound = self._runner.addresses[0]
        self.url = f"http://{bound[0]}:{bound[1]}"
        return self.url

    async def stop(self) -> None:
        """Close the port and every connection, and reset moto."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        await self._moto.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def warm(self) -> None:
        """Import moto now, in a thread, rather than with the first call that needs it."""
        await self._moto.warm()

    def _region_named(self, name: str) -> Region:
        if name not in self._regions:
            self._regions[name] = Region(name, self._dependencies, None)
        return self._regions[name]

    def _record(self, service: str, operation: str) -> None:
        self.calls.append((service, operation))
        self.call_counts[f"{service}:{operation}"] += 1
        if len(self.calls) > _MAX_CALLS:
            del self.calls[: _MAX_CALLS // 2]

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        incoming = HttpRequest(
            method=request.method,
            path=request.rel_url.raw_path,
            query=request.rel_url.raw_query_string,
            headers=request.headers,
            body=await request.read(),
        )
        if incoming.path.startswith(fault_admin.PREFIX):
            return self._response(fault_admin.respond(self.faults, incoming))
        if mount := self._mounts.match(incoming):
            return await self._serve_mounted(request, incoming, *mount)
        return await self._serve_aws(request, incoming)

    async def _serve_mounted(
        self, request: web.Request, incoming: HttpRequest, path: str, handler: WebHandler
    ) -> web.StreamResponse:
        active = self.faults.draw("web", f"{incoming.method} {incoming.path}", self._wall())
        if active.delay_s:
            await self._sleep(active.delay_s)
        if active.has("drop"):
            return _cut(request)
        response = mounted_paths.refusal(active) or await mounted_paths.respond(handler, path, incoming)
        return await self._deliver(request, response, active)

    async def _serve_aws(self, request: web.Request, incoming: HttpRequest) -> web.StreamResponse:
        identity = await asyncio.get_running_loop().run_in_executor(self._pool, identify, incoming)
        self._record(identity.service, identity.operation)
        active = self.faults.draw(identity.service, identity.operation, self._wall())
        if active.delay_s:
            await self._sleep(active.delay_s)
        if active.has("drop"):
            return _cut(request)
        result = await self._dispatcher.dispatch(identity, incoming, active, str(uuid.uuid4()))
        if isinstance(result, HttpResponse):
            return await self._deliver(request, distorted(result, active, identity.protocol), active)
        return await self._stream(request, result)

    async def _deliver(self, request: web.Request, content: HttpResponse, active: Active) -> web.StreamResponse:
        if active.has("drop_after"):
            return _cut(request)
        if active.has("truncate"):
            half = web.StreamResponse(status=content.status, headers=content.headers)
            half.content_length = len(content.body)
            await half.prepare(request)
            await half.write(content.body[: len(content.body) // 2])
            return _cut(request)
        return self._response(content)

    def _response(self, content: HttpResponse) -> web.Response:
        response = web.Response(status=content.status, headers=content.headers, body=content.body)
        response.headers["Date"] = formatdate(self._wall(), usegmt=True)
        return response

    async def _stream(self, request: web.Request, frames: Stream) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": eventstream.CONTENT_TYPE})
        response.headers["Date"] = formatdate(self._wall(), usegmt=True)
        await response.prepare(request)
        try:
            async for frame in frames:
                await response.write(frame)
        except DroppedError:
            return _cut(request)
        await response.write_eof()
        return response


def _cut(request: web.Request) -> web.Response:
    """Close the connection; the returned response is never sent."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
