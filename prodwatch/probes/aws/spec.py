"""Keys and document of an `aws` check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prodwatch.model.spec import Field, Key, ProbeSpec
from prodwatch.probes.mutation_rules import WRITING_READS, aws_mutation

_EXCEPTIONS = "\n".join(f"- `{name}` {why}" for name, why in sorted(WRITING_READS.items()))


def _mutation(params: Mapping[str, Any]) -> str | None:
    service, operation = params.get("service"), params.get("operation")
    if not isinstance(service, str) or not isinstance(operation, str):
        return None
    return aws_mutation(service, operation)


SPECS = (
    ProbeSpec(
        type="aws",
        title="AWS API call",
        doc=(
            "Calls any operation of any AWS service; the document is the response itself. An API error is never"
            " a success: to expect one, assert `error.code == '…'`. A response that reports parts of the request as"
            " refused (`Failed` of SendMessageBatch, `FailedEntryCount` of PutEvents, `failures` of ECS) is a `fail`"
            " unless an assertion mentions that member.\n"
            "\n"
            "A parameter that AWS types as a blob is written as text and sent as its UTF-8 bytes, never decoded from"
            " base64; a blob of the response is text, too, and bytes that are not UTF-8 become U+FFFD.\n"
            "\n"
            "An operation counts as a read when its name begins with Get, List, Describe, Head, BatchGet,"
            " Query, Scan, Search, Filter or Lookup; all others need `mutates` on the check. So do these, which"
            " are named like reads: operations that return credentials (`Get…Token…`, `Get…Credentials…`),"
            " every `Get…` of `ce`, which is billed per request, and\n"
            "\n" + _EXCEPTIONS
        ),
        keys=(
            Key(
                name="service",
                kind="text",
                required=True,
                doc="Service, as named by the AWS CLI and boto3: `stepfunctions`.",
            ),
            Key(
                name="operation",
                kind="text",
                required=True,
                doc="Operation: `DescribeExecution`, or as in the AWS CLI `describe-execution`.",
            ),
            Key(name="params", kind="table", doc='Parameters, as spelled by AWS: `{ executionArn = "…" }`.'),
            Key(
                name="paginate",
                kind="boolean",
                default=False,
                doc="`true` reads all pages and joins their lists.",
            ),
            Key(
                name="accept_redrive",
                kind="boolean",
                default=False,
                doc=(
                    "`true` lets `ReceiveMessage` of `sqs` receive even if messages may move to the dead-letter queue;"
                    " without it, the queue's redrive limit is respected as in an `sqs` check."
                ),
            ),
        ),
        fields=(
            Field(
                name="*",
                kind="any",
                doc="The response as AWS documents it, without `ResponseMetadata`; timestamps are times.",
            ),
            Field(
                name="error.code",
                kind="text",
                doc="AWS's error code, such as `ResourceNotFoundException`; absent without an error.",
            ),
            Field(name="error.message", kind="text", doc="AWS's error message; absent without an error."),
            Field(name="latency", kind="duration", doc="Duration of the call, including all pages."),
        ),
        example="""\
[[check]]
name = "the nightly state machine is active"
type = "aws"
service = "stepfunctions"
operation = "DescribeStateMachine"
params = { stateMachineArn = "arn:aws:states:eu-west-1:123456789012:stateMachine:nightly" }
expect = ["status == 'ACTIVE'"]
""",
        mutation=_mutation,
        service="*",
    ),
)
