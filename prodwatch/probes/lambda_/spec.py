"""Keys and document of a `lambda` check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prodwatch.model.spec import Field, Key, OneOfSeveral, ProbeSpec
from prodwatch.probes.mutation_rules import operation_mutation

_WRITES = {
    "sync": "invoking a function runs its code",
    "async": "invoking a function runs its code",
}


def _mutation(params: Mapping[str, Any]) -> str | None:
    return operation_mutation(params, _WRITES, default="sync", key="invocation")


def _one_of_several(params: Mapping[str, Any]) -> Mapping[str, OneOfSeveral]:
    """Return every field but `results` for a check that may invoke several copies."""
    if params.get("copies", 1) == 1:
        return {}
    names = {field.name for spec in SPECS for field in spec.fields} | {"error"}
    return {
        name: OneOfSeveral(
            what="that of a failed copy" if name == "function_error" else "that of the first copy",
            every=f"results[].{name}",
            allowed=frozenset({"absent"} if name == "function_error" else ()),
        )
        for name in names - {"results"}
    }


SPECS = (
    ProbeSpec(
        type="lambda",
        title="Lambda invocation",
        doc=(
            "Invokes a function exactly once per step; invocations are never retried. Unless an assertion"
            " mentions `function_error`, `function_error absent` is expected too. `invocation ="
            ' "dry-run"` checks that Lambda would accept the call and runs no code, so it needs no `mutates`.'
            " With `copies`, claim the responses of all: `all results[].payload.ok == true`."
        ),
        keys=(
            Key(name="function", kind="text", required=True, doc="Name or ARN of the function."),
            Key(name="qualifier", kind="text", doc="Alias or version. Default: the unpublished code."),
            Key(name="payload", kind="any", doc="Event, sent as JSON. Default: null."),
            Key(
                name="payload_file",
                kind="text",
                doc="Event from a JSON file; the path is relative to the project root and inside it.",
            ),
            Key(
                name="invocation",
                kind="text",
                choices=("sync", "async", "dry-run"),
                default="sync",
                doc="`sync` waits for the response, `async` only queues the event, `dry-run` runs no code.",
            ),
            Key(
                name="tenant_id",
                kind="text",
                doc="Tenant of the invocation, which a function with tenant isolation requires.",
            ),
            Key(
                name="copies",
                kind="integer",
                default=1,
                minimum=1,
                doc="Number of invocations. With several, only `results` and `function_error absent` can be claimed.",
            ),
            Key(name="stagger", kind="duration", default="0s", doc="Pause between the starts of the copies."),
        ),
        at_most_one=(("payload", "payload_file"),),
        one_of_several=_one_of_several,
        fields=(
            Field(
                name="payload", kind="any", doc="Return value of the function as JSON, or as text if it is not JSON."
            ),
            Field(
                name="status_code",
                kind="integer",
                behind="payload",
                doc="Status of the call: 200 for sync, 202 for async, 204 for dry-run.",
            ),
            Field(
                name="function_error",
                kind="text",
                behind="payload",
                doc="`Unhandled` or `Handled`; absent when the function, with `copies` every copy, returned normally.",
            ),
            Field(name="executed_version", kind="text", doc="Version that ran; absent for async and dry-run."),
            Field(name="log_tail", kind="text", doc="Last 4 kB of the invocation's log; only for sync."),
            Field(
                name="duration",
                kind="duration",
                doc="Run time, from the function's REPORT line or its JSON form `platform.report`.",
            ),
            Field(name="billed", kind="duration", doc="Billed time, from the same line."),
            Field(
                name="init",
                kind="duration",
                doc="Duration of the cold start, from the same line; absent on a warm start.",
            ),
            Field(
                name="durable_execution_arn",
                kind="text",
                doc="Execution that a durable function started or continued; absent for other functions.",
            ),
            Field(name="request_id", kind="text", doc="Request id of the invocation."),
            Field(
                name="latency", kind="duration", doc="Time from the call to its response, as seen from this machine."
            ),
            Field(name="started_at", kind="time", doc="Time at which the copy was sent, by this machine's clock."),
            Field(
                name="results",
                kind="list",
                doc="Documents like this one, one per copy, in the order sent: `all results[].payload.ok == true`.",
            ),
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
        replaces_implicit=("error", "results.function_error"),
        mutation=_mutation,
        service="lambda",
    ),
)
