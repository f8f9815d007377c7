"""The embedded AWS: one HTTP server that answers as AWS does, moto behind it for all it can."""

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

from prodwatch.demo.aws import eventstream, fault_admin
from prodwatch.demo.aws import web as plain
from prodwatch.demo.aws.dispatch import Dispatcher, Stream
from prodwatch.demo.aws.distorted_response import distorted
from prodwatch.demo.aws.faults import Active, FaultPlan
from prodwatch.demo.aws.logs.live_tail import DroppedError
from prodwatch.demo.aws.moto import Ask, Moto
from prodwatch.demo.aws.protocols.encode import HttpAnswer
from prodwatch.demo.aws.protocols.identify import HttpRequest, identify
from prodwatch.demo.aws.region import Region, Surroundings
from prodwatch.demo.workload import History, Invoker, WebHandler

_MAX_BODY = 64 * 1024 * 1024
_MAX_CALLS = 200_000


class EmbeddedAws:
    """An AWS of one account on one port.

    `logs`, `traces`, `metrics`, `alarms`, `deployments`, `functions` and `stack_events` are the stores of the home
    region; their `put` methods are the in-process way in. `wall` gives epoch seconds; everything the server says
    about time, its `Date` header included, comes from it.
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
        self._around = Surroundings(account=account, faults=self._faults, wall=wall, sleep=sleep)
        home = Region(region, self._around, history)
        self._regions = {region: home}
        self.logs = home.logs
        self.traces = home.traces
        self.metrics = home.metrics
        self.alarms = home.alarms
        self.deployments = home.deployments
        self.functions = home.functions
        self.stack_events = home.stack_events
        self.live_tail = home.live_tail
        self._moto = Moto(account)
        self._pool = ThreadPoolExecutor(16, thread_name_prefix="embedded-aws")
        self._mounts = plain.Mounts()
        self._runner: web.AppRunner | None = None
        self.url = ""
        """Where it answers, once started."""
        self._dispatcher = Dispatcher(
            account=account, home=region, region=self._at, moto=self._moto, pool=self._pool, wall=wall
        )

    @property
    def faults(self) -> FaultPlan:
        """What goes wrong; assigning a plan puts its faults into force in the place of those before."""
        return self._faults

    @faults.setter
    def faults(self, plan: FaultPlan) -> None:
        self._faults.adopt(plan)

    @property
    def on_invoke(self) -> Invoker | None:
        """Who plays Lambda; without one, moto answers Invoke."""
        return self.functions.on_invoke

    @on_invoke.setter
    def on_invoke(self, invoker: Invoker | None) -> None:
        self.functions.on_invoke = invoker

    def furnish(self, action: Callable[[Ask], None]) -> None:
        """Have `action` fill moto, in a worker thread, before moto answers anybody else; it is given a way to ask."""
        self._moto.furnish = action

    def mount(self, prefix: str, handler: WebHandler) -> None:
        """Serve plain HTTP below a path; the handler sees the path without the prefix."""
        self._mounts.add(prefix, handler)

    async def start(self, host: str = "127.0.0.1", port: int = 0, *, sock: socket.socket | None = None) -> str:
        """Answer on `host:port` (0: any free port), or on a socket already bound; return the URL.

        Raises OSError when the port is taken.
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
        """Close the port and every connection, and forget what moto holds."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        await self._moto.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def warm(self) -> None:
        """Import moto now, in a thread, rather than with the first call that needs it."""
        await self._moto.warm()

    def _at(self, name: str) -> Region:
        if name not in self._regions:
            self._regions[name] = Region(name, self._around, None)
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
            return self._response(fault_admin.answer(self.faults, incoming))
        if found := self._mounts.match(incoming):
            return await self._serve_mounted(request, incoming, *found)
        return await self._serve_aws(request, incoming)

    async def _serve_mounted(
        self, request: web.Request, incoming: HttpRequest, path: str, handler: WebHandler
    ) -> web.StreamResponse:
        active = self.faults.draw("web", f"{incoming.method} {incoming.path}", self._wall())
        if active.delay_s:
            await self._sleep(active.delay_s)
        if active.has("drop"):
            return _cut(request)
        answer = plain.refusal(active) or await plain.answer(handler, path, incoming)
        return await self._deliver(request, answer, active)

    async def _serve_aws(self, request: web.Request, incoming: HttpRequest) -> web.StreamResponse:
        identity = await asyncio.get_running_loop().run_in_executor(self._pool, identify, incoming)
        self._record(identity.service, identity.operation)
        active = self.faults.draw(identity.service, identity.operation, self._wall())
        if active.delay_s:
            await self._sleep(active.delay_s)
        if active.has("drop"):
            return _cut(request)
        answer = await self._dispatcher.answer(identity, incoming, active, str(uuid.uuid4()))
        if isinstance(answer, HttpAnswer):
            return await self._deliver(request, distorted(answer, active, identity.protocol), active)
        return await self._stream(request, answer)

    async def _deliver(self, request: web.Request, answer: HttpAnswer, active: Active) -> web.StreamResponse:
        if active.has("drop_after"):
            return _cut(request)
        if active.has("truncate"):
            half = web.StreamResponse(status=answer.status, headers=answer.headers)
            half.content_length = len(answer.body)
            await half.prepare(request)
            await half.write(answer.body[: len(answer.body) // 2])
            return _cut(request)
        return self._response(answer)

    def _response(self, answer: HttpAnswer) -> web.Response:
        response = web.Response(status=answer.status, headers=answer.headers, body=answer.body)
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
    """Cut the connection; the response returned can reach nobody any more."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
