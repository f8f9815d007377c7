"""Keys and document of a `traces` check."""

from __future__ import annotations

from prodwatch.model.spec import Field, Key, ProbeSpec
from prodwatch.probes.window_keys import window_problems

SPECS = (
    ProbeSpec(
        type="traces",
        title="X-Ray traces",
        doc=(
            "Reads one trace by its id, or all traces of a time window that a filter selects. Traces arrive late"
            " and in parts: use `poll` to wait for them; `complete` is true when every segment has ended. In a"
            ' flow, `id = "${trace_id}"` reads the trace of the flow\'s own requests.'
            " A relative `since` counts from the first look: with `poll` or `hold` the window grows and does not slide."
        ),
        keys=(
            Key(name="id", kind="text", doc="Trace id in X-Ray or W3C form; only in a step of a flow."),
            Key(name="filter", kind="text", doc='X-Ray filter expression, such as `service("shop-api") AND fault`.'),
            Key(
                name="since",
                kind="text",
                default="5m",
                doc=(
                    "Start of the window: `5m` ago, an RFC 3339 time, `release` for the start of the release, or"
                    " `start` for that of this check, 5 s earlier because clocks differ."
                ),
            ),
            Key(
                name="min",
                kind="integer",
                default=1,
                minimum=0,
                doc="With fewer traces than this the check is `inconclusive`.",
            ),
        ),
        one_of=(("id", "filter"),),
        at_most_one=(("id", "filter"),),
        problems=window_problems,
        fields=(
            Field(name="count", kind="integer", behind="traces", doc="Number of traces."),
            Field(
                name="fault_ratio",
                kind="number",
                behind="traces[?fault]",
                doc="Share of traces with a fault (5xx), from 0 to 1.",
            ),
            Field(
                name="error_ratio",
                kind="number",
                behind="traces[?error]",
                doc="Share of traces with an error (4xx), from 0 to 1.",
            ),
            Field(
                name="p50",
                kind="duration",
                behind="reverse(sort_by(traces[?response_time], &response_time))",
                doc="Median response time.",
            ),
            Field(
                name="p95",
                kind="duration",
                behind="reverse(sort_by(traces[?response_time], &response_time))",
                doc="95th percentile of the response time.",
            ),
            Field(
                name="p99",
                kind="duration",
                behind="reverse(sort_by(traces[?response_time], &response_time))",
                doc="99th percentile of the response time.",
            ),
            Field(
                name="traces",
                kind="list",
                doc=(
                    "Traces: `id`, `duration`, `response_time`, `fault`, `error`, `throttle`, `complete`, `annotations`"
                    " (key = list of values) and, up to 20 traces, `path` and `links` (ids of linked traces, such as"
                    " that of a queue's producer)."
                ),
            ),
            Field(
                name="annotations", kind="table", doc="Annotation key = list of values, over all traces that have it."
            ),
            Field(name="metadata", kind="table", doc="Namespace = key = list of values, over all traces that have it."),
            Field(
                name="segments",
                kind="list",
                doc=(
                    "Segments of the services, in order of start: `name`, `origin`, `duration`, `fault`, `error`,"
                    " `throttle`."
                ),
            ),
            Field(
                name="subsegments", kind="list", doc="Subsegments: `name`, `duration`, `fault`, `error`, `throttle`."
            ),
            Field(
                name="slowest",
                kind="table",
                behind="slowest",
                doc="The subsegment with the longest time of its own, as in `subsegments`, with `own` and `trace_id`.",
            ),
            Field(
                name="path",
                kind="list",
                doc=(
                    "Names of the services on the way of a request, in order of start, without consecutive repetitions."
                    " A claim is inconclusive when the traces have different paths: use `traces[].path`."
                ),
            ),
            Field(name="complete", kind="boolean", doc="Whether all traces were read and every segment has ended."),
        ),
        example="""\
[[check]]
name = "few requests fault"
type = "traces"
filter = "service(\\"shop-api\\")"
since = "10m"
min = 20
expect = ["fault_ratio < 1%", "p95 < 800ms"]
""",
        within_s=100.0,
        service="xray",
    ),
)
