from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from itertools import count
from random import Random
from threading import Event as Signal
from typing import Any

import pytest

from prodwatch.demo.shop.functions import OTHERS
from prodwatch.demo.shop.handler_clients import CURRENT
from prodwatch.demo.shop.handlers import Clients, Code, Context, Event, Handler
from prodwatch.demo.shop.lambda_runtime import DeployedFunction, Runtime
from prodwatch.demo.shop.live_telemetry import FinishedInvocation, ServedRequest, _lines
from prodwatch.demo.shop.trace_header import TraceHeader, read
from prodwatch.demo.workload import Invocation
from tests.support.waiting import turn


class RecordingTelemetry:
    """Keeps the recorded invocations."""

    def __init__(self) -> None:
        self.finished: list[FinishedInvocation] = []
        self.recorded = asyncio.Event()

    def record_invocation(self, finished: FinishedInvocation) -> str:
        self.finished.append(finished)
        self.recorded.set()
        return "".join(message for _, message in _lines(finished))

    def record_request(self, request: ServedRequest) -> None:
        raise AssertionError(request)


class Stage:
    """A runtime with one function whose handler follows the event."""

    def __init__(self) -> None:
        self.telemetry = RecordingTelemetry()
        self.gate = Signal()
        self.arrived = asyncio.Event()
        """Set when a handler waits at `gate`."""
        self.loop = asyncio.get_running_loop()
        self.built: list[str] = []
        self.clock = count(1_000_000)
        self.runtime = Runtime(
            {
                "shop-payments": DeployedFunction(
                    service=OTHERS[3], build=self.build, environment=lambda _version: {}, code=self.code
                )
            },
            clients=_NoClients(),
            route=self.route,
            telemetry=self.telemetry,
            wall=lambda: next(self.clock) / 100,
            random=Random(1),
            sleep=self.sleep,
            traced=0.0,
        )

    @staticmethod
    async def sleep(_seconds: float) -> None:
        await turn()

    @staticmethod
    def route(function: str, qualifier: str | None) -> tuple[str, str]:
        known = {None: "7", "7": "7", "6": "6", "live": "7"}
        if qualifier not in known:
            raise KeyError(f"{function}:{qualifier}")
        return known[qualifier], qualifier or ""

    def code(self, version: str) -> Code:
        self.built.append(version)
        return Code()

    def build(self, _aws: Clients, _environment: Mapping[str, str], _code: Code) -> Handler:
        return self.handle

    def handle(self, event: Event, context: Context) -> Any:
        context.log.info("asked %s", event)
        if event and "raise" in event:
            raise ValueError(event["raise"])
        if event and "wait" in event:
            self.loop.call_soon_threadsafe(self.arrived.set)
            assert self.gate.wait(60)
        recorder = CURRENT.get()
        assert recorder is not None
        return {"version": context.function_version, "trace": str(recorder.header)}

    async def ask(self, qualifier: str | None = None, kind: str = "RequestResponse", **event: Any) -> Any:
        return await self.runtime(
            Invocation(
                function="shop-payments",
                qualifier=qualifier,
                payload=json.dumps(event).encode(),
                kind=kind,
                trace_header="Root=1-6b00531c-01cbd904827b35567d64d4a5;Sampled=1",
                log_tail=True,
            )
        )


class _NoClients:
    dynamodb = None
    sqs = None


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    staged = Stage()
    yield staged
    staged.gate.set()
    staged.runtime.close()


@pytest.mark.parametrize(("qualifier", "version"), [(None, "7"), ("6", "6"), ("live", "7")])
async def test_the_qualifier_decides_the_version(stage: Stage, qualifier: str | None, version: str) -> None:
    result = await stage.ask(qualifier)
    assert result.executed_version == version
    assert json.loads(result.payload)["version"] == version
    assert stage.telemetry.finished[0].stream.startswith(f"[{version}]")
    assert stage.telemetry.finished[0].trace.qualifier == (qualifier or "")


@pytest.mark.parametrize(("function", "qualifier"), [("other", None), ("shop-payments", "99")])
async def test_an_unknown_function_or_qualifier_is_a_key_error(
    stage: Stage, function: str, qualifier: str | None
) -> None:
    with pytest.raises(KeyError):
        await stage.runtime.run(function, qualifier, {})


async def test_the_first_invocation_is_cold_and_the_next_warm(stage: Stage) -> None:
    await stage.ask()
    await stage.ask()
    first, second = stage.telemetry.finished
    assert first.init_ms > 0
    assert first.trace.cold
    assert (second.init_ms, second.trace.cold) == (0.0, False)
    assert first.stream == second.stream


async def test_a_busy_environment_is_not_shared(stage: Stage) -> None:
    waiting = asyncio.create_task(stage.ask(wait=True))
    await stage.arrived.wait()
    await stage.ask()
    stage.gate.set()
    await waiting
    assert len({item.stream for item in stage.telemetry.finished}) == 2


async def test_a_warmed_environment_is_not_cold(stage: Stage) -> None:
    stage.runtime.warm("shop-payments", "7")
    await stage.ask()
    assert not stage.telemetry.finished[0].trace.cold
    assert stage.built == ["7"]


async def test_an_exception_of_a_handler_is_lambdas_error_document(stage: Stage) -> None:
    result = await stage.ask(**{"raise": "no such coin"})
    document = json.loads(result.payload)
    assert result.function_error == "Unhandled"
    assert (document["errorType"], document["errorMessage"]) == ("ValueError", "no such coin")
    assert document["requestId"] == result.request_id
    assert result.log_tail is not None
    assert "[ERROR] ValueError: no such coin" in result.log_tail
    assert "Status: error\tError Type: ValueError" in result.log_tail


async def test_lines_are_in_lambdas_order(stage: Stage) -> None:
    result = await stage.ask(say="hello")
    assert result.log_tail is not None
    starts = [line.split()[0] for line in result.log_tail.splitlines()]
    assert starts == ["INIT_START", "START", "[INFO]", "END", "REPORT", "XRAY"]
    assert result.request_id in result.log_tail


async def test_the_callers_trace_continues(stage: Stage) -> None:
    result = await stage.ask()
    trace = stage.telemetry.finished[0].trace
    assert trace.trace_id == "1-6b00531c-01cbd904827b35567d64d4a5"
    header = read(json.loads(result.payload)["trace"])
    assert header == TraceHeader(root=trace.trace_id, parent=trace.function_segment, sampled=True)


async def test_without_a_header_sampling_decides(stage: Stage) -> None:
    await stage.runtime.run("shop-payments", None, {})
    assert not stage.telemetry.finished[0].sampled


async def test_an_event_runs_after_the_response_and_a_dry_run_never(stage: Stage) -> None:
    assert (await stage.ask(kind="DryRun")).payload == b""
    assert (await stage.ask(kind="Event", say="later")).payload == b""
    async with asyncio.timeout(60):
        await stage.telemetry.recorded.wait()
    assert len(stage.telemetry.finished) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("", None),
        ("Self=1-2-3", None),
        ("Root=1-a-b", TraceHeader(root="1-a-b")),
        ("Root=1-a-b;Parent=c;Sampled=1", TraceHeader(root="1-a-b", parent="c", sampled=True)),
        ("Sampled=0; Root=1-a-b", TraceHeader(root="1-a-b", sampled=False)),
    ],
)
def test_trace_headers(text: str | None, expected: TraceHeader | None) -> None:
    assert read(text) == expected
