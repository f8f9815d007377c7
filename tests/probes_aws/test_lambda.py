"""Lambda: one invocation per copy, whatever happens on the way, and everything Lambda says about it."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from prodwatch.assertions import evaluate, parse
from prodwatch.clock import SystemClock
from prodwatch.demo.aws import Fault, Function, FunctionVersion
from prodwatch.demo.workload import Invocation, InvocationResult
from prodwatch.model.quantity import Duration
from prodwatch.model.status import Reason, Status
from prodwatch.probes.lambda_.probe import version_of

TAIL = (
    "START RequestId: 8f5d9e2a-1111-4222-8333-123456789abc Version: 7\nhello\n"
    "REPORT RequestId: 8f5d9e2a-1111-4222-8333-123456789abc\tDuration: 12.34 ms\tBilled Duration: 13 ms\t"
    "Memory Size: 512 MB\tMax Memory Used: 90 MB\tInit Duration: 301.50 ms\t\n"
)

STAGGER_S = 1.0
Answer = Callable[[Invocation], InvocationResult]


@pytest.fixture
def play(bench: Any) -> Any:
    """Install a function whose invocations are kept and answered by `answer`."""
    bench.world.functions.put(Function(name=bench.name, versions=[FunctionVersion(version="7", published_s=0)]))
    bench.world.functions.put_alias(bench.name, "live", "7")
    met: list[Invocation] = []

    def install(answer: Answer) -> list[Invocation]:
        async def invoke(invocation: Invocation) -> InvocationResult:
            if invocation.function != bench.name:
                raise KeyError(invocation.function)
            met.append(invocation)
            return answer(invocation)

        bench.world.on_invoke = invoke
        return met

    yield install
    bench.world.on_invoke = None


@pytest.fixture
def in_turn(bench: Any) -> SystemClock:
    """A clock by which the second copy starts when the first has arrived, and so on, however busy the machine is."""

    class Clock(SystemClock):
        turns = 0

        async def sleep(self, seconds: float) -> None:
            assert seconds == STAGGER_S, "the interval is from one copy to the next"
            self.turns += 1
            turn = self.turns
            while bench.world.call_counts["lambda:Invoke"] < turn:
                await super().sleep(0.001)

    return Clock()


def plain(_: Invocation) -> InvocationResult:
    return InvocationResult(payload=b'{"total": 1.10}', executed_version="7", request_id="r-1", log_tail=TAIL)


async def test_everything_lambda_says(bench: Any, play: Any) -> None:
    met = play(plain)
    payload = {"path": "/health", "n": Decimal("1.10")}
    found = await bench.run("lambda", {"function": bench.name, "qualifier": "live", "payload": payload})
    assert found.failure is None
    document = dict(found.document)
    assert document.pop("latency") > Duration(0)
    assert document.pop("request_id")
    assert document.pop("started_at").tzinfo is not None
    (result,) = document.pop("results")
    assert result["payload"] == {"total": Decimal("1.10")}
    assert document == {
        "payload": {"total": Decimal("1.10")},
        "status_code": 200,
        "executed_version": "7",
        "log_tail": TAIL,
        "duration": Duration.from_ms(12.34),
        "billed": Duration.from_ms(13),
        "init": Duration.from_ms(301.5),
    }
    assert found.version == "7"
    assert found.correlation.trace_id == "1-5f84c7a5-cd52b1d2e1c4a3b2c1d0e9f8"
    assert met[0].payload == b'{"path":"/health","n":1.10}'
    assert met[0].qualifier == "live"
    assert met[0].trace_header is not None
    assert met[0].trace_header.startswith("Root=1-5f84c7a5-cd52b1d2e1c4a3b2c1d0e9f8")
    assert found.exchange.aws_cli.startswith(f"aws lambda invoke --function-name {bench.name} ")


JSON_TAIL = (
    'ted","level":"INFO"}\n{"time":"2026-01-15T12:00:00.1Z","type":"platform.start","record":{"requestId":"r-1"}}\n'
    '{"time":"2026-01-15T12:00:00.2Z","type":"platform.report","record":{"requestId":"r-1","status":"success",'
    '"metrics":{"durationMs":12.34,"billedDurationMs":13,"memorySizeMB":512,"maxMemoryUsedMB":90,'
    '"initDurationMs":301.5}}}\n'
)


@pytest.mark.parametrize(
    ("tail", "known"),
    [
        (JSON_TAIL, True),
        (JSON_TAIL.replace("platform.report", "platform.runtimeDone"), False),
        ('{"message": "no \\"platform.report\\" here"}\n', False),
        ('{"type": "platform.report", "record": {"metr', False),
    ],
    ids=["JSON", "no report", "an application's own line", "cut"],
)
async def test_the_report_of_a_function_that_logs_in_json(bench: Any, play: Any, tail: str, known: bool) -> None:
    play(lambda _: InvocationResult(payload=b"{}", executed_version="7", request_id="r-1", log_tail=tail))
    document = (await bench.run("lambda", {"function": bench.name, "qualifier": "live"})).document
    found = {name: document.get(name) for name in ("duration", "billed", "init")}
    times = {"duration": Duration.from_ms(12.34), "billed": Duration.from_ms(13), "init": Duration.from_ms(301.5)}
    assert found == (times if known else dict.fromkeys(times))


class Durable:
    """A door behind which a durable function is."""

    async def call(self, _service: str, _operation: str, _params: Any, **_: Any) -> Any:
        return {"StatusCode": 200, "ExecutedVersion": "7", "Payload": b"{}", "DurableExecutionArn": "arn:of:it"}

    def region_name(self, _account: str | None = None) -> str:
        return "eu-west-1"


async def test_the_execution_of_a_durable_function_is_named(bench: Any) -> None:
    found = await bench.run("lambda", {"function": "orders", "qualifier": "7"}, aws=Durable())
    assert found.document["durable_execution_arn"] == "arn:of:it"


async def test_a_function_error_is_left_to_the_assertions(bench: Any, play: Any) -> None:
    play(
        lambda _: InvocationResult(
            payload=b'{"errorMessage": "boom"}', executed_version="7", request_id="r", function_error="Unhandled"
        )
    )
    found = await bench.run("lambda", {"function": bench.name})
    assert found.failure is None
    assert found.document["function_error"] == "Unhandled"
    assert found.document["payload"] == {"errorMessage": "boom"}


@pytest.mark.parametrize(
    ("invocation", "kind", "status_code"),
    [("sync", "RequestResponse", 200), ("async", "Event", 202), ("dry-run", "DryRun", 204)],
)
async def test_kinds_of_invocation(bench: Any, play: Any, invocation: str, kind: str, status_code: int) -> None:
    met = play(plain)
    found = await bench.run("lambda", {"function": bench.name, "invocation": invocation})
    assert found.document["status_code"] == status_code
    assert ("payload" in found.document) is (invocation == "sync")
    assert all(each.kind == kind for each in met)
    assert bench.world.call_counts["lambda:Invoke"] == 1


@pytest.mark.parametrize(
    ("body", "payload"),
    [(b"", None), (b"null", None), (b'"text"', "text"), (b"<html>", "<html>"), (b"[1.50]", [Decimal("1.50")])],
)
async def test_payloads(bench: Any, play: Any, body: bytes, payload: Any) -> None:
    play(lambda _: InvocationResult(payload=body, executed_version="7", request_id="r"))
    assert (await bench.run("lambda", {"function": bench.name})).document["payload"] == payload


@pytest.fixture
def event_file(bench: Any) -> str:
    Path(bench._root, "event.json").write_text('{"from": "file"}', "utf-8")
    return "event.json"


async def test_a_payload_from_a_file_of_the_project(bench: Any, play: Any, event_file: str) -> None:
    met = play(plain)
    assert (await bench.run("lambda", {"function": bench.name, "payload_file": event_file})).failure is None
    assert json.loads(met[0].payload) == {"from": "file"}


@pytest.mark.parametrize(
    ("path", "sentence"), [("../outside.json", "leaves the project"), ("none.json", "cannot be read: none.json")]
)
async def test_files_outside_or_missing_are_refused(bench: Any, play: Any, path: str, sentence: str) -> None:
    met = play(plain)
    found = await bench.run("lambda", {"function": bench.name, "payload_file": path})
    assert (found.failure.status, found.failure.reason) == (Status.ERROR, Reason.INVALID)
    assert sentence in found.failure.message
    assert not met


@pytest.mark.parametrize("kind", ["throttle", "error_5xx", "drop", "drop_after"])
async def test_nothing_makes_it_invoke_twice(bench: Any, play: Any, kind: Any) -> None:
    play(plain)
    bench.world.faults.add(Fault(operation="lambda:Invoke", kind=kind))
    found = await bench.run("lambda", {"function": bench.name})
    assert bench.world.call_counts["lambda:Invoke"] == 1
    assert found.failure.status is Status.ERROR
    assert found.failure.transient is (kind == "throttle"), "only what certainly did not run may be repeated"


async def test_a_function_that_does_not_answer_is_a_fail(bench: Any, play: Any) -> None:
    play(plain)
    await bench.aws.client("lambda")
    bench.world.faults.add(Fault(operation="lambda:Invoke", kind="delay", delay_s=3))
    found = await bench.run("lambda", {"function": bench.name}, timeout_s=0.3)
    assert (found.failure.status, found.failure.reason, found.failure.transient) == (Status.FAIL, Reason.TIMEOUT, False)
    assert f'function "{bench.name}" did not answer within 0.3 s' in found.failure.message


async def test_an_unknown_function_is_a_fail(bench: Any, play: Any) -> None:
    play(plain)
    found = await bench.run("lambda", {"function": "no-such-function"})
    assert (found.failure.status, found.failure.reason) == (Status.FAIL, Reason.API_ERROR)
    assert 'function "no-such-function"' in found.failure.message


async def test_a_denied_invocation_names_the_action(bench: Any, play: Any) -> None:
    play(plain)
    bench.world.faults.add(Fault(operation="lambda:InvokeFunction", kind="access_denied"))
    found = await bench.run("lambda", {"function": bench.name})
    assert (found.failure.status, found.failure.reason) == (Status.ERROR, Reason.ACCESS_DENIED)
    assert "lambda:InvokeFunction" in found.failure.message


async def test_copies_are_each_invoked_once_in_order(bench: Any, play: Any, in_turn: SystemClock) -> None:
    numbers = iter((b"1", b"2", b"3"))
    met = play(lambda _: InvocationResult(payload=next(numbers), executed_version="7", request_id="r"))
    found = await bench.run("lambda", {"function": bench.name, "copies": 3, "stagger": "1s"}, clock=in_turn)
    assert len(met) == 3
    assert [each["payload"] for each in found.document["results"]] == [1, 2, 3]
    assert found.version == "7"
    sent = [each["started_at"] for each in found.document["results"]]
    assert sent == sorted(sent)


async def test_B4_the_intervals_of_copies_are_between_sends(bench: Any, play: Any) -> None:
    play(plain)
    slept: list[tuple[float, int]] = []

    class Clock(SystemClock):
        async def sleep(self, seconds: float) -> None:
            slept.append((seconds, len(slept)))

    found = await bench.run("lambda", {"function": bench.name, "copies": 3, "stagger": "500ms"}, clock=Clock())
    # Each copy waits its interval after the copy before it was sent, not after the start of the check.
    assert slept == [(0.5, 0), (0.5, 1)]
    assert all("started_at" in each for each in found.document["results"])


@pytest.mark.parametrize(
    ("ran", "qualifier", "version"),
    [
        (["42", "42"], "42", "42"),
        (["42", "41"], "42", "41"),
        (["41", "42"], "42", "41"),
        (["41", "42"], "live", None),
        (["42", None], "42", None),
    ],
)
def test_A11_a_copy_that_ran_another_version_is_the_one_reported(
    ran: list[str | None], qualifier: str, version: str | None
) -> None:
    assert version_of([{"executed_version": each} for each in ran], qualifier) == version


async def test_one_failed_copy_does_not_hide_behind_the_first(bench: Any, play: Any, in_turn: SystemClock) -> None:
    answers = iter((("7", None), ("8", "Unhandled")))

    def answer(_: Invocation) -> InvocationResult:
        version, error = next(answers)
        return InvocationResult(payload=b"1", executed_version=version, request_id="r", function_error=error)

    play(answer)
    found = await bench.run("lambda", {"function": bench.name, "copies": 2, "stagger": "1s"}, clock=in_turn)
    assert evaluate(parse("function_error absent"), found.document).ok is False
    assert evaluate(parse("function_error == 'Unhandled'"), found.document).ok is None
    assert found.version is None, "two versions answered"


async def test_a_copy_that_was_refused_fails_the_whole(bench: Any, play: Any, in_turn: SystemClock) -> None:
    play(plain)
    bench.world.faults.add(Fault(operation="lambda:Invoke", kind="error_5xx", count=1))
    found = await bench.run("lambda", {"function": bench.name, "copies": 2, "stagger": "1s"}, clock=in_turn)
    assert found.failure.reason is Reason.SERVICE
    assert not found.failure.transient
    assert found.document["results"][0]["error"]["code"]


@pytest.mark.parametrize(
    ("why", "sentence"),
    [
        ("ReservedFunctionConcurrentInvocationLimitExceeded", "at its concurrency limit"),
        ("FunctionInvocationRateLimitExceeded", "at its limit of invocations per second"),
        ("ConcurrentSnapshotCreateLimitExceeded", "too many snapshots are being created"),
    ],
)
async def test_the_functions_own_limit_is_evidence(bench: Any, why: str, sentence: str) -> None:
    class Busy:
        async def call(self, *_: Any, **__: Any) -> Any:
            from botocore.exceptions import ClientError

            from prodwatch.aws.sdk_errors import Call, explain

            response: Any = {
                "Error": {"Code": "TooManyRequestsException", "Message": "Rate Exceeded."},
                "Reason": why,
                "ResponseMetadata": {"HTTPStatusCode": 429},
            }
            cause = ClientError(response, "Invoke")
            raise explain(cause, Call(service="lambda", operation="Invoke", params={})) from cause

        def region_name(self, _account: str | None = None) -> str:
            return "eu-west-1"

    found = await bench.run("lambda", {"function": "f"}, aws=Busy())
    assert (found.failure.status, found.failure.reason) == (Status.FAIL, Reason.THROTTLED)
    assert sentence in found.failure.message
