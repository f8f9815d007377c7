"""What a `logs` check may say and what its answer looks like."""

from __future__ import annotations

from prodwatch.model.spec import Field, Key, ProbeSpec

SPECS = (
    ProbeSpec(
        type="logs",
        title="CloudWatch Logs",
        doc=(
            "Reads the lines of a log group in a window of time, every page. Lines become visible only"
            " seconds after they were written: `poll` for them. A group that does not exist yet has no"
            " lines. `complete` says whether the window was read to its end; without that proof an absence"
            " is `inconclusive`, and so is one of lines with a value in `fields` when lines were read and none has"
            " such a field. CloudWatch itself does not tell a `filter` over a misspelt field from one that finds"
            " nothing: let a check of lines that must be there use the same filter."
        ),
        keys=(
            Key(name="group", kind="text", required=True, doc="Log group; `*` ends a prefix."),
            Key(
                name="filter",
                kind="text",
                doc=(
                    'CloudWatch filter pattern, `ERROR` or `{ $.order_id = "7" }`; applied again here to what'
                    " came back."
                ),
            ),
            Key(
                name="since",
                kind="text",
                default="5m",
                doc="Start of the window: `5m` ago, an RFC 3339 time, or `release` for the start of the release.",
            ),
            Key(name="until", kind="text", doc="End of the window, written like `since`; now by default."),
            Key(name="version", kind="text", doc="Only lines written by this version of a Lambda function."),
            Key(
                name="fields",
                kind="any",
                doc="Only JSON lines that have these fields: a list of names, or a table of name = value.",
            ),
        ),
        fields=(
            Field(name="count", kind="integer", doc="Lines found."),
            Field(name="lines[].message", kind="text", doc="The line as it was written."),
            Field(name="lines[].level", kind="text", doc="`ERROR`, `WARN`, `INFO` …, where the line says one."),
            Field(name="lines[].json", kind="any", doc="The line as JSON with exact decimals; absent when it is none."),
            Field(name="lines[].stream", kind="text", doc="Log stream."),
            Field(
                name="lines[].version", kind="text", doc="Version of the Lambda function that wrote it, where known."
            ),
            Field(name="lines[].request_id", kind="text", doc="Lambda request id, where the line tells."),
            Field(name="lines[].timestamp", kind="time", doc="When it was written, by its writer's clock."),
            Field(name="cold_starts", kind="integer", doc="REPORT lines with an init duration among those found."),
            Field(name="complete", kind="boolean", doc="Whether the whole window was read."),
        ),
        example="""\
[[check]]
name = "orders logs no error"
type = "logs"
group = "/aws/lambda/shop-orders"
filter = "ERROR"
since = "5m"
expect = ["count == 0"]
""",
        within_s=75.0,
        service="logs",
    ),
)
