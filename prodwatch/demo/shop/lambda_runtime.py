"""Emulates Lambda: selects version, environment and thread for an invocation, and records its outcome."""

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
from prodwatch.demo.shop.handler_clients import CURRENT, CallRecorder
from prodwatch.demo.shop.handlers import Build, Clients, Code, Context, Handler
from prodwatch.demo.shop.live_telemetry import FinishedInvocation, Line, Telemetry
from prodwatch.demo.shop.log_formats import HandlerException
from prodwatch.demo.shop.trace_header import TraceHeader, fresh, read
from prodwatch.demo.shop.trace_segments import Invocation as TracedInvocation
from prodwatch.demo.workload import Invocation, InvocationResult

LATEST = "$LATEST"
COLD_START_S = 0.12
"""Duration of a cold start besides building the handler."""
_HANDLERS = str(Path(handlers.__file__).parent)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedFunction:
    """One deployed function."""

    service: Service
    build: Build
    environment: Callable[[str], Mapping[str, str]]
    """Version → its environment variables."""
    code: Callable[[str], Code] = lambda _version: Code()
    """Version → its code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Outcome of one invocation."""

    result: Any
    """Return value of the handler; the error document when it raised."""
    exception: HandlerException | None
    request_id: str
    version: str
    log: str


@dataclass(frozen=True, slots=True)
class Environment:
    """An execution environment: one invocation at a time."""

    stream: str
    handler: Handler


Route = Callable[[str, str | None], tuple[str, str]]
"""`route(function, qualifier)` → (version to run, qualifier as called); KeyError for an unknown one."""


class Runtime:
    """Runs handlers in threads, one environment per invocation at a time, with a cold start when none is idle."""

    def __init__(
        self,
        functions: Mapping[str, DeployedFunction],
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
        """Handle one Invoke of the API. Raises KeyError for an unknown function or qualifier."""
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
            function_error="Unhandled" if outcome.exception else None,
            log_tail=outcome.log[-4096:] if call.log_tail else None,
        )

    async def run(self, function: str, qualifier: str | None, event: Any, header: TraceHeader | None = None) -> Outcome:
        """Invoke a function for the API or a queue. Raises KeyError for an unknown function or qualifier."""
        version, called_as = self._resolve(function, qualifier)
        return await self._run(function, version, called_as, event, header)

    def warm(self, function: str, version: str) -> None:
        """Create one environment in advance, in this thread, like provisioned concurrency."""
        deployed = self._functions[function]
        handler = deployed.build(self._clients, deployed.environment(version), deployed.code(version))
        self._idle.setdefault((function, version), []).append(Environment(self._stream(version), handler))

    def close(self) -> None:
        """Start no more handlers; running ones finish."""
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
        recorder = CallRecorder(header.child(segment), self.new_id, self._wall)
        lines: list[Line] = []
        context = Context(
            function_name=function,
            function_version=version,
            aws_request_id=str(uuid.UUID(int=self._random.getrandbits(128), version=4)),
            log=_logger(lines, self._wall),
        )
        begin_s = self._wall()
        result, exception = await asyncio.get_running_loop().run_in_executor(
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
            exception=exception,
        )
        log = self._telemetry.record_invocation(
            FinishedInvocation(
                service=self._functions[function].service,
                stream=environment.stream,
                init_ms=round((begin_s - called_s) * 1000, 2) if cold else 0.0,
                lines=tuple(lines),
                sampled=header.sampled,
                trace=trace,
            )
        )
        if exception is not None:
            result = _error_document(exception, context.aws_request_id)
        return Outcome(result=result, exception=exception, request_id=context.aws_request_id, version=version, log=log)

    async def _environment(self, function: str, version: str) -> tuple[Environment, bool]:
        """Return an idle environment, or a new one after its cold start, and whether it was cold."""
        if idle := self._idle.get((function, version)):
            return idle.pop(), False
        deployed = self._functions[function]
        await self._sleep(COLD_START_S)
        handler = await asyncio.get_running_loop().run_in_executor(
            self._threads, deployed.build, self._clients, deployed.environment(version), deployed.code(version)
        )
        return Environment(self._stream(version), handler), True

    def _stream(self, version: str) -> str:
        return f"[{version}]{self.new_id()}{self.new_id()}"


def _error_document(exception: HandlerException, request_id: str) -> dict[str, Any]:
    return {
        "errorMessage": exception.message,
        "errorType": exception.type,
        "requestId": request_id,
        "stackTrace": exception.stack,
    }


def _call(
    handler: Handler, event: Any, context: Context, recorder: CallRecorder
) -> tuple[Any, HandlerException | None]:
    """Run the handler in this thread; an exception it raises is returned, as in Lambda."""
    CURRENT.set(recorder)
    try:
        return handler(event, context), None
    except Exception as error:  # noqa: BLE001 -- Lambda's runtime catches everything a handler raises
        return None, exception_of(error)


def exception_of(error: BaseException) -> HandlerException:
    """Return the exception as Lambda reports it: the handlers' own frames, their files as if in /var/task."""
    frames = tuple(
        (Path(frame.filename).name, frame.lineno or 0, frame.name, frame.line or "")
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename.startswith(_HANDLERS)
    )
    return HandlerException(
        type=type(error).__name__, message=str(error), frames=frames or (("bootstrap.py", 1, "handler", ""),)
    )


class _Sink(logging.Handler):
    def __init__(self, lines: list[Line], wall: Callable[[], float]) -> None:
        super().__init__()
        self._lines = lines
        self._wall = wall

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append((round(self._wall() * 1000), record.levelname, record.getMessage()))


def _logger(lines: list[Line], wall: Callable[[], float]) -> logging.Logger:
    # A separate logger outside the registry: log records of an invocation must not reach the process's handlers.
    logger = logging.Logger("shop", logging.INFO)  # noqa: LOG001 -- see above
    logger.addHandler(_Sink(lines, wall))
    return logger
