"""Calls any operation of any AWS service; the response is the document, and an error is never a success."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from prodwatch.probes.aws_support import AwsCalls, ask, exact
from prodwatch.probes.base import Observation, ProbeContext
from prodwatch.probes.mutation_rules import aws_mutation, pascal
from prodwatch.probes.redrive_guard import RedriveGuard
from prodwatch.text.redact import MIN_LENGTH, SECRET_OPERATIONS

_COUNTS = frozenset(("Count", "ScannedCount", "KeyCount"))
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
    document.setdefault("latency", calls.latency())
    return calls.answer(document, secrets=secrets, pause_s=pause_s)


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
