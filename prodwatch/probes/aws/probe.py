"""Calls any operation of any AWS service; the response is the document, and an error is never a success."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from prodwatch.model.status import Reason, Status
from prodwatch.probes.aws_support import AwsCalls, ask, exact
from prodwatch.probes.base import Failure, Observation, ProbeContext
from prodwatch.probes.mutation_rules import aws_mutation, pascal
from prodwatch.probes.redrive_guard import RedriveGuard
from prodwatch.text.redact import MIN_LENGTH, SECRET_OPERATIONS

_COUNTS = frozenset(("Count", "ScannedCount", "KeyCount"))
_REFUSED = re.compile(
    r"(?i)failures|failed(entries|items|requests|records|documents|batches|accounts|set|list|entitylist|resourcesmap)?"
    r"|failed(entry|record|put)count"
)
"""Members of a successful response that hold, or count, the parts that AWS refused."""
_REFUSED_BATCH = re.compile(r"(?i)errors|unprocessed\w+")
"""Such members of a batch or a write; a plain read has `errors` as data, and what it left unread is incomplete."""
_NOT_SECRET = frozenset(
    (
        "ARN",
        "Arn",
        "AssumedRoleId",
        "CreatedDate",
        "DataType",
        "Expiration",
        "LastModifiedDate",
        "Name",
        "Policy",
        "Tier",
        "Type",
        "Version",
        "VersionId",
        "VersionStages",
    )
)
"""Response fields next to a secret that are not secret themselves."""


async def probe(params: Mapping[str, Any], context: ProbeContext) -> Observation:
    """Call `params["operation"]` of `params["service"]`; the response without its metadata is the document."""
    return await ask(params, context, params["service"], _call, denial_is_answer=True)


async def _call(calls: AwsCalls) -> Observation:
    operation = pascal(calls.params["operation"])
    asked = calls.params.get("params") or {}
    receives = (calls.service, operation) == ("sqs", "ReceiveMessage")
    guard = await RedriveGuard.admit(calls, str(asked.get("QueueUrl"))) if receives else None
    pause_s = 0.0
    if calls.params.get("paginate"):
        response = merged([page async for page in calls.pages(operation, asked)])
    else:
        # What may change something is sent once; only a plain read may be repeated after a throttle.
        reads = aws_mutation(calls.service, operation) is None
        try:
            response = await calls.call(operation, asked, retries=reads)
        except BaseException:
            if guard is not None:
                guard.lost()
            raise
        if guard is not None:
            pause_s = guard.received(response.get("Messages") or ())
    document = {key: exact(value) for key, value in response.items() if key != "ResponseMetadata"}
    secrets = tuple(_secrets(document)) if SECRET_OPERATIONS.fullmatch(operation) else ()
    failure = refused_part(calls.service, operation, document)
    document.setdefault("latency", calls.latency())
    return calls.answer(document, failure=failure, secrets=secrets, pause_s=pause_s)


def refused_part(service: str, operation: str, document: Mapping[str, Any]) -> Failure | None:
    """Return the failure of a successful call that reports parts of it as refused; None without such a report.

    An assertion that mentions the reporting member judges it instead.
    """
    if operation.startswith("List"):
        return None
    batch = operation.startswith("Batch") or aws_mutation(service, operation) is not None
    for name, value in document.items():
        reports = isinstance(value, list | Mapping | int) and not isinstance(value, bool) and value
        if reports and (_REFUSED.fullmatch(name) or (batch and _REFUSED_BATCH.fullmatch(name))):
            count = value if isinstance(value, int) else len(value)
            message = f"{service} {operation} succeeded but reports {count} refused in `{name}`"
            return Failure(status=Status.FAIL, reason=Reason.API_ERROR, message=message, answered_by=(name,))
    return None


def merged(pages: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return pages as one response: lists are joined, counts added, other fields taken from the last page."""
    whole: dict[str, Any] = {}
    for page in pages:
        whole = _joined(whole, page)
    return whole


def _joined(before: Mapping[str, Any], page: Mapping[str, Any]) -> dict[str, Any]:
    joined = dict(page)
    for key, value in before.items():
        new = page.get(key)
        if isinstance(value, list) and isinstance(new, list | None):
            joined[key] = [*value, *(new or ())]
        elif isinstance(value, Mapping) and isinstance(new, Mapping):
            joined[key] = _joined(value, new)
        elif key in _COUNTS and isinstance(value, int) and isinstance(new, int):
            joined[key] = value + new
    return joined


def _secrets(value: Any) -> Iterable[str]:
    """Yield every text that may be or contain a secret, including the values of a JSON secret."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            if key not in _NOT_SECRET:
                yield from _secrets(each)
    elif isinstance(value, list):
        for each in value:
            yield from _secrets(each)
    elif isinstance(value, str) and len(value) >= MIN_LENGTH:
        yield value
        try:
            inner = json.loads(value)
        except ValueError:
            return
        if isinstance(inner, dict | list):
            yield from _leaves(inner)


def _leaves(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    elif isinstance(value, str) and len(value) >= MIN_LENGTH:
        yield value
