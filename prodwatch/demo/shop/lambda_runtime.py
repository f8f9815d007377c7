"""Plays Lambda: picks the version, the environment and the thread for an invocation, and tells what became of it."""

from __future__ import annotations

import asyncio
import json
import logging
import traceback
import uuid
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from prodwatch.demo.shop import handlers
from prodwatch.demo.shop.functions import Service
from prodwatch.demo.shop.handler_clients import CURRENT, Recorder
from prodwatch.demo.shop.handlers import Build, Clients, Code, Context, Handler
from prodwatch.demo.shop.log_formats import Mishap
from prodwatch.demo.shop.segments import Invocation as TracedInvocation
from prodwatch.demo.shop.telemetry import Finished, Line, Telemetry
from prodwatch.demo.shop.trace_header import TraceHeader, fresh, read
from prodwatch.demo.workload import Invocation, InvocationResult

LATEST = "$LATEST"
COLD_START_S = 0.12
"""What a cold start costs beyond building the handler."""
_HANDLERS = str(Path(handlers.__file__).parent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """One function as it is deployed."""

    service: Service
    build: Build
    environment: Mapping[str, str]
    code: Callable[[str], Code] = lambda _version: Code()
    """What the code of a version is like."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one invocation came to."""

    result: Any
    """What the handler returned; the error document when it raised."""
    mishap: Mishap | None
    request_id: str
    version: str
    log: str


@dataclass(frozen=True, slots=True)
class Environment:
    """An execution environment: one invocation at a time."""

    stream: str
    handler: Handler


Route = Callable[[str, str | None], tuple[str, str]]
"""`route(function, qualifier)` → (version to run, qualifier as called); KeyError when there is none."""


class Runtime:
    """Runs handlers in threads, one environment per invocation at a time, cold when there is no idle one."""

    def __init__(
        self,
        functions: Mapping[str, Deployed],
        *,
        clients: Clients,
        route: Route,
        telemetry: Telemetry,
        wall: Callable[[], float],
        random: Random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        traced: float = 1.0,
    ) -> None:
        self._functions = functions
        self._clients = clients
        self._route = route
        self._telemetry = telemetry
        self._wall = wall
        self._random = random
        self._sleep = sleep
        self._traced = traced
        self._threads = ThreadPoolExecutor(8, thread_name_prefix="lambda")
        self._idle: dict[tuple[str, str], list[Environment]] = {}
        self._background: set[asyncio.Task[Outcome]] = set()

    async def __call__(self, call: Invocation) -> InvocationResult:
        """Answer one Invoke of the API. Raises KeyError for an unknown function or qualifier."""
        version, qualifier = self._resolve(call.function, call.qualifier)
        if call.kind == "DryRun":
            return InvocationResult(payload=b"", executed_version=version, request_id=str(uuid.uuid4()))
        event = json.loads(call.payload or b"null")
        header = read(call.trace_header)
        if call.kind == "Event":
            task = asyncio.create_task(self._run(call.function, version, qualifier, event, header))
            self._background.add(task)
            task.add_done_callback(self._background.discard)
            return InvocationResult(payload=b"", executed_version=version, request_id=str(uuid.uuid4()))
        outcome = await self._run(call.function, version, qualifier, event, header)
        return InvocationResult(
            payload=json.dumps(outcome.result).encode(),
            executed_version=outcome.version,
            request_id=outcome.request_id,
            function_error="Unhandled" if outcome.mishap else None,
            log_tail=outcome.log[-4096:] if call.log_tail else None,
        )

    async def run(self, function: str, qualifier: str | None, event: Any, header: TraceHeader | None = None) -> Outcome:
        """Invoke a function for the API or a queue. Raises KeyError for an unknown function or qualifier."""
        version, called_as = self._resolve(function, qualifier)
        return await self._run(function, version, called_as, event, header)

    def warm(self, function: str, version: str) -> None:
        """Open one environment beforehand, in this thread, as provisioned concurrency does."""
        deployed = self._functions[function]
        handler = deployed.build(self._clients, deployed.environment, deployed.code(version))
        self._idle.setdefault((function, version), []).append(Environment(self._stream(version), handler))

    def close(self) -> None:
        """Let running handlers end; start no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def new_id(self) -> str:
        """Return 16 random hexadecimal digits."""
        return f"{self._random.getrandbits(64):016x}"

    def _resolve(self, function: str, qualifier: str | None) -> tuple[str, str]:
        self._functions[function]
        return self._route(function, qualifier)

    async def _run(
        self, function: str, version: str, qualifier: str, event: Any, header: TraceHeader | None
    ) -> Outcome:
        called_s = self._wall()
        if header is None:
            header = fresh(called_s, self.new_id, sampled=self._random.random() < self._traced)
        environment, cold = await self._environment(function, version)
        segment = self.new_id()
        recorder = Recorder(header.child(segment), self.new_id, self._wall)
        lines: list[Line] = []
        context = Context(
            function_name=function,
            function_version=version,
            aws_request_id=str(uuid.UUID(int=self._random.getrandbits(128), version=4)),
            log=_logger(lines, self._wall),
        )
        begin_s = self._wall()
        result, mishap = await asyncio.get_running_loop().run_in_executor(
            self._threads, copy_context().run, _call, environment.handler, event, context, recorder
        )
        self._idle.setdefault((function, version), []).append(environment)
        trace = TracedInvocation(
            trace_id=header.root,
            service_segment=self.new_id(),
            function_segment=segment,
            parent_id=header.parent,
            function=function,
            qualifier=qualifier,
            version=version,
            request_id=context.aws_request_id,
            called_s=round(called_s, 6),
            begin_s=round(begin_s, 6),
            end_s=round(max(self._wall(), begin_s + 0.001), 6),
            cold=cold,
            steps=tuple(recorder.steps),
            mishap=mishap,
        )
        log = self._telemetry.invoked(
            Finished(
                service=self._functions[function].service,
                stream=environment.stream,
                init_ms=round((begin_s - called_s) * 1000, 2) if cold else 0.0,
                lines=tuple(lines),
                sampled=header.sampled,
                trace=trace,
            )
        )
        if mishap is not None:
            result = _error_document(mishap, context.aws_request_id)
        return Outcome(result=result, mishap=mishap, request_id=context.aws_request_id, version=version, log=log)

    async def _environment(self, function: str, version: str) -> tuple[Environment, bool]:
        """Return an idle environment, or a fresh one after its cold start, and whether it was cold."""
        if idle := self._idle.get((function, version)):
            return idle.pop(), False
        deployed = self._functions[function]
        await self._sleep(COLD_START_S)
        handler = await asyncio.get_running_loop().run_in_executor(
            self._threads, deployed.build, self._clients, deployed.environment, deployed.code(version)
        )
        return Environment(self._stream(version), handler), True

    def _stream(self, version: str) -> str:
        return f"[{version}]{self.new_id()}{self.new_id()}"


def _error_document(mishap: Mishap, request_id: str) -> dict[str, Any]:
    return {
        "errorMessage": mishap.message,
        "errorType": mishap.type,
        "requestId": request_id,
        "stackTrace": mishap.stack,
    }


def _call(handler: Handler, event: Any, context: Context, recorder: Recorder) -> tuple[Any, Mishap | None]:
    """Run the handler in this thread; whatever it raises becomes a mishap, as in Lambda."""
    CURRENT.set(recorder)
    try:
        return handler(event, context), None
    except Exception as error:  # noqa: BLE001 -- Lambda's runtime catches everything a handler raises
        return None, mishap_of(error)


def mishap_of(error: BaseException) -> Mishap:
    """Return the exception as Lambda reports it: the handlers' own frames, their files as if in /var/task."""
    frames = tuple(
        (Path(frame.filename).name, frame.lineno or 0, frame.name, frame.line or "")
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename.startswith(_HANDLERS)
    )
    return Mishap(type=type(error).__name__, message=str(error), frames=frames or (("bootstrap.py", 1, "handler", ""),))


class _Sink(logging.Handler):
    def __init__(self, lines: list[Line], wall: Callable[[], float]) -> None:
        super().__init__()
        self._lines = lines
        self._wall = wall

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append((round(self._wall() * 1000), record.levelname, record.getMessage()))


def _logger(lines: list[Line], wall: Callable[[], float]) -> logging.Logger:
    # A logger of its own, outside the registry: nothing an invocation logs may reach the process's handlers.
    logger = logging.Logger("shop", logging.INFO)  # noqa: LOG001 -- see above
    logger.addHandler(_Sink(lines, wall))
    return logger
