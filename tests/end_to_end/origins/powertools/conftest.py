"""The functions of the Powertools end-to-end suite, as far as logs, metrics and traces record them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from prodwatch.demo.aws import EmbeddedAws
from prodwatch.demo.workload import Invocation, InvocationResult

STACKS = {
    "LOGGER_STACK": ("BasicHandler", "TzHandler"),
    "METRICS_STACK": ("BasicHandler", "ColdStart"),
    "TRACER_STACK": ("BasicHandler", "SameFunctionName", "AsyncCapture"),
}
HOUR_S = 3600
ARN = "arn:aws:lambda:eu-west-1:123456789012:function:"


@dataclass
class Habits:
    """How the suite behaves; all defaults are right."""

    late: bool = False
    """Records become visible an hour later."""
    silent: bool = False
    """No records are written."""
    second_is_lost: bool = False
    """A second invocation writes no records."""
    twice: bool = False
    """A second invocation writes every record twice."""
    always_cold: bool = False
    bare: bool = False
    """Without the logger's context keys, without the tracer's annotations."""
    elsewhere: bool = False
    """Into another log group, under another dimension."""
    raises: bool = False
    local: bool = False
    """Times are written without their zone."""
    open: bool = False
    """Segments are never closed."""
    renamed: bool = False
    """Functions are captured under a name without their module."""


class Suite:
    """The three stacks, deployed."""

    def __init__(self, embedded: EmbeddedAws, clients: Callable[[str], Any]) -> None:
        self.habits = Habits()
        self.stacks = {variable: f"{variable[:6].lower()}-{uuid.uuid4().hex[:8]}" for variable in STACKS}
        self._aws = embedded
        self._warm: set[str] = set()
        self._calls = 0
        for variable, functions in STACKS.items():
            stack = self.stacks[variable]
            outputs = {one: {"Value": f"{stack}-{one}"} for one in functions}
            outputs |= {f"{one}Arn": {"Value": f"{ARN}{stack}-{one}"} for one in functions}
            topic = {"Topic": {"Type": "AWS::SNS::Topic"}}  # a stack needs a resource
            body = json.dumps({"Resources": topic, "Outputs": outputs})
            clients("cloudformation").create_stack(StackName=stack, TemplateBody=body)

    async def __call__(self, call: Invocation) -> InvocationResult:
        """Play Lambda."""
        self._calls += 1
        cold = self.habits.always_cold or call.function not in self._warm
        self._warm.add(call.function)
        event = json.loads(call.payload or b"null")
        run = Run(call.function, str(uuid.uuid4()), cold, self._calls, str(call.trace_header))
        if self.habits.raises:
            error = b'{"errorType": "KeyError", "errorMessage": "\'message\'"}'
            return InvocationResult(
                payload=error, executed_version="$LATEST", request_id=run.id, function_error="Unhandled"
            )
        name = call.function.rpartition("-")[2]
        count = 0 if self.habits.silent or (self.habits.second_is_lost and run.number == 2) else 1
        for _ in range(count + (self.habits.twice and run.number == 2)):
            self._tell(name, run, event)
        return InvocationResult(payload=b"null", executed_version="$LATEST", request_id=run.id)

    def _tell(self, name: str, run: Run, event: Mapping[str, Any]) -> None:
        stack = run.function.rpartition("-")[0]
        if stack == self.stacks["LOGGER_STACK"]:
            self._log(run, event, tz=name == "TzHandler")
        elif stack == self.stacks["METRICS_STACK"]:
            self._count(name, run, event)
        else:
            self._trace(name, run, event)

    def _visible_s(self) -> float:
        return time.time() + (HOUR_S if self.habits.late else 0)

    def _log(self, run: Run, event: Mapping[str, Any], *, tz: bool) -> None:
        now = datetime.now(UTC)
        line: dict[str, Any] = {"level": "INFO", "location": "lambda_handler:12", "xray_trace_id": run.root}
        if tz:
            zone = ZoneInfo("UTC" if event["utc"] else event["tz"])
            form = event["datefmt"] or ("%Y-%m-%d %H:%M:%S,000" if self.habits.local else "%Y-%m-%d %H:%M:%S,000%z")
            line["message"] = "gmtime_converter" if event["utc"] else "localtime_converter"
            line["service"] = f"{event['utc']}-{event['datefmt']}-{event['tz']}"
            line["timestamp"] = now.astimezone(zone).strftime(form)
        else:
            line |= {"message": event["message"], "timestamp": now.isoformat(), **event["append_keys"]}
            line |= {"service": "service_undefined", "cold_start": run.cold, "function_name": run.function}
            if not self.habits.bare:
                line |= {"function_memory_size": "128", "function_arn": ARN + run.function}
                line |= {"function_request_id": run.id}
        texts = [f"START RequestId: {run.id} Version: $LATEST\n", json.dumps(line), f"END RequestId: {run.id}\n"]
        at_ms = round(now.timestamp() * 1000)
        group = f"/aws/lambda/{run.function}{'-old' if self.habits.elsewhere else ''}"
        stream = f"{now:%Y/%m/%d}/[$LATEST]{uuid.uuid4().hex}"
        self._aws.logs.put(group, stream, [(at_ms, text) for text in texts], round(self._visible_s() * 1000))

    def _count(self, name: str, run: Run, event: Mapping[str, Any]) -> None:
        service = "service_undefined" if self.habits.elsewhere else event["service"]
        values = [1.0]
        dimensions = {"service": service}
        if name == "ColdStart":
            if not run.cold:
                return
            metric, dimensions = "ColdStart", {"function_name": run.function, "service": service}
        else:
            metric, values = event["metrics"][0]["name"], [float(one["value"]) for one in event["metrics"]]
            values = values[: 2 if self.habits.bare else 3] * (2 if self.habits.twice else 1)
        counts = [1.0] * len(values)
        # Only whole minutes are read, and the wall clock does not follow the paced one: this minute would never end.
        at_s = time.time() - 60
        self._aws.metrics.put(event["namespace"], metric, dimensions, at_s, values, counts, "Count", self._visible_s())

    def _trace(self, name: str, run: Run, event: Mapping[str, Any]) -> None:
        start = time.time() - 0.1
        service = event.get("service", "e2e")
        functions = {
            "BasicHandler": ["basic_handler.get_todos"],
            "SameFunctionName": ["same_function_name.Todos.get_all", "same_function_name.Comments.get_all"],
            "AsyncCapture": ["async_capture.async_get_users"],
        }[name]
        if self.habits.renamed:
            functions = [one.rpartition(".")[2] for one in functions]
        subsegments = [
            part(f"## {one}", start + 0.02, metadata={service: {f"{one} response": "ok"}}) for one in functions
        ]
        if name == "BasicHandler":
            handler = part("## lambda_handler", start + 0.01, subsegments=subsegments)
            handler["metadata"] = {service: {"lambda_handler response": "ok"}}
            if not self.habits.bare:
                handler["annotations"] = {"ColdStart": run.cold, "Service": service}
            subsegments = [handler]
        segment = part(run.function, start, trace_id=run.root, parent_id=uuid.uuid4().hex[:16], subsegments=subsegments)
        segment |= {"origin": "AWS::Lambda::Function"}
        outer = part(run.function, start - 0.01, trace_id=run.root, id=segment["parent_id"], origin="AWS::Lambda")
        outer["end_time"] = start + 0.2
        if self.habits.open:
            del segment["end_time"]
            segment["in_progress"] = True
        for document in (outer, segment):
            self._aws.traces.put(document, self._visible_s())


@dataclass(frozen=True)
class Run:
    """One invocation."""

    function: str
    id: str
    cold: bool
    number: int
    header: str

    @property
    def root(self) -> str:
        """The trace id it was called with."""
        return self.header.partition("Root=")[2].partition(";")[0]


def part(name: str, start: float, **more: Any) -> dict[str, Any]:
    """Return a segment or subsegment that has ended."""
    return {"id": uuid.uuid4().hex[:16], "name": name, "start_time": start, "end_time": start + 0.05} | more


@pytest.fixture
def suite(
    embedded: EmbeddedAws,
    clients: Callable[[str], Any],
    aim: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Suite]:
    """The suite at work."""
    made = Suite(embedded, clients)
    aim("none")
    for variable, stack in made.stacks.items():
        monkeypatch.setenv(variable, stack)
    embedded.on_invoke = made
    yield made
    embedded.on_invoke = None
