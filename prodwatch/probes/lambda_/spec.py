"""What a `lambda` check may say and what its answer looks like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prodwatch.model.spec import Field, Key, ProbeSpec
from prodwatch.probes.mutation_rules import operation_mutation

_WRITES = {
    "sync": "invoking a function runs its code",
    "async": "invoking a function runs its code",
}


def _mutation(params: Mapping[str, Any]) -> str | None:
    return operation_mutation(params, _WRITES, default="sync", key="invocation")


SPECS = (
    ProbeSpec(
        type="lambda",
        title="Lambda invocation",
        doc=(
            "Invokes a function exactly once per step: nothing here repeats an invocation by itself. Unless"
            " an assertion mentions `function_error`, `function_error absent` is expected too. `invocation ="
            ' "dry-run"` asks Lambda whether it would accept the call and runs no code, so it alone needs no'
            " `mutates`."
        ),
        keys=(
            Key(name="function", kind="text", required=True, doc="Name or ARN."),
            Key(name="qualifier", kind="text", doc="Alias or version; the unpublished code by default."),
            Key(name="payload", kind="any", doc="Event, sent as JSON; null by default."),
            Key(
                name="payload_file",
                kind="text",
                doc="Event from a JSON file; the path starts at the project root and may not leave it.",
            ),
            Key(
                name="invocation",
                kind="text",
                choices=("sync", "async", "dry-run"),
                default="sync",
                doc="`sync` waits for the answer, `async` only queues the event, `dry-run` runs nothing.",
            ),
            Key(
                name="copies",
                kind="integer",
                default=1,
                minimum=1,
                doc="Invocations sent; each one's answer is in `results`.",
            ),
            Key(name="stagger", kind="duration", default="0s", doc="Pause between the starts of copies."),
        ),
        at_most_one=(("payload", "payload_file"),),
        fields=(
            Field(
                name="payload", kind="any", doc="What the function returned, as JSON where it is JSON, else as text."
            ),
            Field(name="status_code", kind="integer", doc="Status of the call: 200 sync, 202 async, 204 dry-run."),
            Field(
                name="function_error", kind="text", doc="`Unhandled` or `Handled`; absent when the function returned."
            ),
            Field(name="executed_version", kind="text", doc="Version that ran; absent for async and dry-run."),
            Field(name="log_tail", kind="text", doc="Last 4 kB of the invocation's log; sync only."),
            Field(
                name="duration",
                kind="duration",
                doc="Run time by the function's REPORT line, or its JSON form `platform.report`.",
            ),
            Field(name="billed", kind="duration", doc="Billed time by the same line."),
            Field(name="init", kind="duration", doc="Cold start by the same line; absent on a warm start."),
            Field(
                name="durable_execution_arn",
                kind="text",
                doc="The execution that a durable function began or went on with; absent for any other.",
            ),
            Field(name="request_id", kind="text", doc="Request id of the invocation."),
            Field(name="latency", kind="duration", doc="From the call to its answer, as seen from here."),
            Field(name="results", kind="list", doc="One document like this per copy, in the order sent."),
        ),
        example="""\
[[check]]
name = "the orders function answers"
type = "lambda"
mutates = false
function = "shop-orders"
qualifier = "live"
payload = { path = "/health" }
expect = ["payload.statusCode == 200", "duration < 500ms"]
""",
        implicit_expect=("function_error absent",),
        mutation=_mutation,
        service="lambda",
    ),
)
