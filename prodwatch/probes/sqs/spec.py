"""What an `sqs` check may say and what its answer looks like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prodwatch.model.spec import Field, Key, ProbeSpec
from prodwatch.probes.mutation_rules import is_open, operation_mutation

_WRITES = {
    "send": "sending puts a message into the queue",
    "receive": "receiving hides messages from their consumers and raises their receive count",
    "peek": "peeking hides messages for a moment and raises their receive count",
    "delete": "deleting removes messages",
}


def _mutation(params: Mapping[str, Any]) -> str | None:
    return operation_mutation(params, _WRITES, default="depth")


def _problems(params: Mapping[str, Any]) -> tuple[str, ...]:
    operation = params.get("operation", "depth")
    if is_open(operation):
        return ()
    if operation == "send" and "body" not in params:
        return ('operation "send" needs a `body`',)
    if operation != "send" and ("body" in params or "attributes" in params):
        return (f'`body` and `attributes` go with operation "send" only, not with "{operation}"',)
    return ()


SPECS = (
    ProbeSpec(
        type="sqs",
        title="SQS queue",
        doc=(
            "Looks at a queue or moves a message of its own. `receive`, `peek` and `delete` hand messages that"
            " are not the check's own straight back and count them in `foreign`; since even that raises their"
            " receive count, all three refuse a queue whose redrive limit is below 3 unless `accept_redrive ="
            " true`. `delete` deletes own messages only. Nothing is ever purged."
        ),
        keys=(
            Key(name="queue", kind="text", required=True, doc="URL, ARN or name."),
            Key(
                name="operation",
                kind="text",
                choices=("depth", "send", "receive", "peek", "delete"),
                default="depth",
                doc=(
                    "`depth` counts; `send` puts one message; `receive` takes own messages for the visibility"
                    " time; `peek` looks and hands back at once; `delete` takes own messages and deletes them."
                ),
            ),
            Key(name="body", kind="any", doc="Message to send: text as it is, anything else as JSON."),
            Key(name="attributes", kind="table", doc="Message attributes to send: name = text or number."),
            Key(
                name="own",
                kind="text",
                doc="Text that a message must hold to be the check's own; the execution's `uid` by default.",
            ),
            Key(
                name="max", kind="integer", default=10, minimum=1, doc="Messages to look at in one request, 10 at most."
            ),
            Key(
                name="accept_redrive",
                kind="boolean",
                default=False,
                doc="`true` receives even where this may push others' messages into the dead-letter queue.",
            ),
        ),
        problems=_problems,
        fields=(
            Field(name="depth", kind="integer", doc="Messages waiting, approximately."),
            Field(name="in_flight", kind="integer", doc="Messages received and not yet deleted, approximately."),
            Field(name="age", kind="duration", doc="Age of the oldest message by CloudWatch; absent without data."),
            Field(
                name="messages",
                kind="list",
                doc="Own messages: `id`, `body`, `json` where it is JSON, `attributes`, `sent`, `receive_count`.",
            ),
            Field(
                name="message", kind="table", doc="The first own message, or the message that was sent; absent without."
            ),
            Field(name="foreign", kind="integer", doc="Messages seen that are not the check's own."),
            Field(name="latency", kind="duration", doc="Of the call."),
        ),
        example="""\
[[check]]
name = "no order waits in the dead-letter queue"
type = "sqs"
queue = "shop-orders-dlq"
expect = ["depth == 0"]
""",
        mutation=_mutation,
        service="sqs",
    ),
)
