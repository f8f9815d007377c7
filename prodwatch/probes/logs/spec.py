"""Keys and document of a `logs` check."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from prodwatch.model.spec import Field, Key, ProbeSpec
from prodwatch.probes.window_keys import blind_hold, window_problems

_VERSION = re.compile(r"[0-9]+|\$LATEST")


def is_version(text: str) -> bool:
    """Return whether Lambda writes `text` into the names of log streams as a version."""
    return _VERSION.fullmatch(text) is not None


def _problems(params: Mapping[str, Any]) -> tuple[str, ...]:
    problems = window_problems(params)
    version = params.get("version")
    if version is None or "${" in str(version) or is_version(str(version)):
        return problems
    return (
        *problems,
        f'"version" must be a version\'s number or $LATEST, not "{version}": log lines do not name an alias',
    )


SPECS = (
    ProbeSpec(
        type="logs",
        title="CloudWatch Logs",
        doc=(
            "Reads the lines of a log group in a time window, from all pages. Lines become visible seconds"
            " after they were written: use `poll` to wait for them. A group that does not exist yet has no"
            " lines. `complete` is true when the window was read to its end; otherwise an absence of lines is"
            " `inconclusive`. So is an absence of lines with a value in `fields` when no line that was read has"
            " such a field. `quiet_for` is a claim of absence with its wait: the group is read again and again for"
            " that long, a matching line is a `fail` at once, and the last reading, which covers all"
            " earlier ones, has to be complete. CloudWatch does not report a `filter` with a misspelt field: use"
            " the same filter in a check for lines that must exist. A relative `since` counts from the first look: with"
            " `poll` or `hold` the window grows and does not slide."
        ),
        keys=(
            Key(name="group", kind="text", required=True, doc="Log group, or a prefix that ends in `*`."),
            Key(
                name="filter",
                kind="text",
                doc=(
                    'CloudWatch filter pattern, such as `ERROR` or `{ $.order_id = "7" }`; applied to the lines again'
                    " here."
                ),
            ),
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
                name="quiet_for",
                kind="duration",
                minimum=10,
                doc=(
                    "No line may match: every line from `since` (default here: `start`) to the first look has this long"
                    " to become visible. In place of `expect`, `poll` and `hold`."
                ),
            ),
            Key(name="until", kind="text", doc="End of the window, in the same form as `since`. Default: now."),
            Key(
                name="version",
                kind="text",
                doc=(
                    "Only lines written by this version of a Lambda function: a number or `$LATEST`. When lines were"
                    " read and none is of this version, their absence is `inconclusive`."
                ),
            ),
            Key(
                name="function",
                kind="text",
                doc=(
                    "Only lines of this function, by the name in the log stream. A version is that of one function, so"
                    " a `version` in a group that several functions share needs it."
                ),
            ),
            Key(
                name="fields",
                kind="any",
                doc=(
                    "Only lines with a JSON object, also behind the prefix of a runtime, that has these fields: a list"
                    " of names, or a table of name = value."
                ),
            ),
        ),
        fields=(
            Field(name="count", kind="integer", behind="lines", doc="Number of lines."),
            Field(name="lines[].message", kind="text", doc="The line as written."),
            Field(
                name="lines[].level", kind="text", doc="`ERROR`, `WARN`, `INFO` …; absent when the line has no level."
            ),
            Field(
                name="lines[].json",
                kind="any",
                doc=(
                    "The JSON object of the line, with exact decimals, also behind the prefix of a runtime; absent when"
                    " the line has none."
                ),
            ),
            Field(name="lines[].stream", kind="text", doc="Log stream."),
            Field(
                name="lines[].version",
                kind="text",
                doc="Version of the Lambda function that wrote it; absent when unknown.",
            ),
            Field(name="lines[].request_id", kind="text", doc="Lambda request id; absent when the line has none."),
            Field(name="lines[].timestamp", kind="time", doc="Time of writing, by the writer's clock."),
            Field(name="cold_starts", kind="integer", doc="Number of REPORT lines with an init duration."),
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
        quiet_expect=("count == 0",),
        problems=_problems,
        blind_hold=blind_hold,
        service="logs",
    ),
)
