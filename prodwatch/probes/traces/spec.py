"""What a `traces` check may say and what its answer looks like."""

from __future__ import annotations

from prodwatch.model.spec import Field, Key, ProbeSpec

SPECS = (
    ProbeSpec(
        type="traces",
        title="X-Ray traces",
        doc=(
            "Reads one trace by its id, or every trace of a window that a filter selects. Traces arrive in"
            " pieces and late: `poll` for them; `complete` says whether every segment has ended. In a flow,"
            ' `id = "${trace_id}"` finds the trace that the flow\'s own requests caused.'
        ),
        keys=(
            Key(name="id", kind="text", doc="Trace id, in X-Ray's or W3C's form; in a step of a flow only."),
            Key(name="filter", kind="text", doc='X-Ray filter expression, such as `service("shop-api") AND fault`.'),
            Key(
                name="since",
                kind="text",
                default="5m",
                doc="Start of the window: `5m` ago, an RFC 3339 time, or `release` for the start of the release.",
            ),
            Key(name="min", kind="integer", default=1, minimum=0, doc="Fewer traces than this are `inconclusive`."),
        ),
        one_of=(("id", "filter"),),
        at_most_one=(("id", "filter"),),
        fields=(
            Field(name="count", kind="integer", doc="Traces found."),
            Field(name="fault_ratio", kind="number", doc="Share with a fault (5xx), 0 to 1."),
            Field(name="error_ratio", kind="number", doc="Share with an error (4xx), 0 to 1."),
            Field(name="p50", kind="duration", doc="Median response time."),
            Field(name="p95", kind="duration", doc="95th percentile of the response time."),
            Field(name="p99", kind="duration", doc="99th percentile of the response time."),
            Field(
                name="traces",
                kind="list",
                doc="Each with `id`, `duration`, `response_time`, `fault`, `error`, `throttle`, `complete`.",
            ),
            Field(name="annotations", kind="table", doc="Annotation key = list of values, over all traces."),
            Field(name="metadata", kind="table", doc="Namespace = key = list of values, over all traces."),
            Field(
                name="segments",
                kind="list",
                doc=(
                    "The services' own segments in order of start, each with `name`, `origin`, `duration`, `fault`,"
                    " `error`, `throttle`."
                ),
            ),
            Field(name="subsegments", kind="list", doc="Each with `name`, `duration`, `fault`, `error`, `throttle`."),
            Field(
                name="slowest", kind="table", doc="The subsegment that took longest by itself, like those of the list."
            ),
            Field(
                name="path", kind="list", doc="Names of the services the first trace went through, in order of start."
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
