"""Keys and document of an `sqs` check."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from prodwatch.model.check import StepDefinition
from prodwatch.model.spec import Field, Key, ProbeSpec
from prodwatch.probes.mutation_rules import is_delete, is_open, operation_mutation

SETTLED_S = 60.0
"""Time after which AWS's counts of a queue are consistent."""
_EMPTY = re.compile(r"\s*(?:depth|in_flight|delayed|age)\s*(?:==|<=)\s*0(?!\.?[1-9])")
_WRITES = {
    "send": "sending adds a message to the queue",
    "receive": "receiving hides messages from their consumers and raises their receive count",
    "peek": "peeking briefly hides messages and raises their receive count",
    "delete": "deleting removes messages",
}


def _mutation(params: Mapping[str, Any]) -> str | None:
    return operation_mutation(params, _WRITES, default="depth")


def _doubt(step: StepDefinition, _fields: frozenset[str]) -> str | None:
    held = step.hold_s is not None and step.hold_s >= SETTLED_S
    if held or step.params.get("operation", "depth") != "depth" or not any(map(_EMPTY.match, step.expect)):
        return None
    return (
        "AWS's counts take up to a minute to settle, so an empty queue is certain only with "
        f'hold = "{SETTLED_S:g}s", and with claims on in_flight and delayed too'
    )


def _problems(params: Mapping[str, Any]) -> tuple[str, ...]:
    operation = params.get("operation", "depth")
    if is_open(operation):
        return ()
    if operation == "send" and "body" not in params:
        return ('operation "send" needs a `body`',)
    if operation != "send" and ("body" in params or "attributes" in params):
        return (f'`body` and `attributes` are only allowed with operation "send", not with "{operation}"',)
    return ()


SPECS = (
    ProbeSpec(
        type="sqs",
        title="SQS queue",
        doc=(
            "Reads the depth of a queue, or sends, receives and deletes the check's own messages. `receive`,"
            " `peek` and `delete` return all other messages at once and count them in `foreign`. Because even"
            " that raises their receive count, all three refuse a queue whose redrive limit is below 3, look less"
            " often while they wait, and refuse to look again once another receive could move a message to the"
            " dead-letter queue, unless `accept_redrive = true`. `delete` only deletes own messages. No queue is ever"
            " purged."
        ),
        keys=(
            Key(name="queue", kind="text", required=True, doc="URL, ARN or name of the queue."),
            Key(
                name="operation",
                kind="text",
                choices=("depth", "send", "receive", "peek", "delete"),
                default="depth",
                doc=(
                    "`depth` counts messages; `send` sends one; `receive` keeps own messages for the visibility"
                    " time; `peek` reads messages and returns them at once; `delete` deletes own messages."
                ),
            ),
            Key(name="body", kind="any", doc="Message to send: text unchanged, any other value as JSON."),
            Key(name="attributes", kind="table", doc="Attributes of the message to send: name = text or number."),
            Key(
                name="own",
                kind="text",
                doc="Text that marks a message as the check's own. Default: the execution's `uid`.",
            ),
            Key(
                name="max",
                kind="integer",
                default=10,
                minimum=1,
                doc="Largest number of messages per request, at most 10.",
            ),
            Key(
                name="accept_redrive",
                kind="boolean",
                default=False,
                doc="`true` receives even if other messages may move to the dead-letter queue.",
            ),
        ),
        problems=_problems,
        doubt=_doubt,
        fields=(
            Field(
                name="depth",
                kind="integer",
                doc="Approximate number of waiting messages; AWS's counts take up to a minute to settle.",
            ),
            Field(
                name="in_flight",
                kind="integer",
                doc="Approximate number of messages that are received and not yet deleted.",
            ),
            Field(
                name="delayed",
                kind="integer",
                doc="Approximate number of delayed messages, not visible yet.",
            ),
            Field(
                name="age",
                kind="duration",
                doc="Age of the oldest message, from CloudWatch; 0 when all three counts are 0; absent without data.",
            ),
            Field(
                name="messages",
                kind="list",
                doc="Own messages: `id`, `body`, `json` if it is JSON, `attributes`, `sent`, `receive_count`.",
            ),
            Field(
                name="message",
                kind="table",
                doc=(
                    "The own message, or the sent one; absent without one. Of several messages, a part that differs"
                    " between them is inconclusive: use `messages`."
                ),
            ),
            Field(
                name="foreign",
                kind="integer",
                doc="Number of received messages that are not the check's own, over all looks of a `poll` or `hold`.",
            ),
            Field(name="latency", kind="duration", doc="Duration of the call."),
        ),
        example="""\
[[check]]
name = "no order waits in the dead-letter queue"
type = "sqs"
queue = "shop-orders-dlq"
hold = "60s"
expect = ["depth == 0", "in_flight == 0", "delayed == 0"]
""",
        mutation=_mutation,
        deletes=is_delete,
        service="sqs",
    ),
)
