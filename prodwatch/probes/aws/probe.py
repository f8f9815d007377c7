"""Calls any operation of any service; the response is the document, and an error is never a success by accident."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from prodwatch.probes.aws_support import Talk, ask, exact
from prodwatch.probes.base import Observation, ProbeContext
from prodwatch.probes.mutation_rules import aws_mutation, pascal
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
"""Fields around a secret that tell nothing of it."""


async def probe(params: Mapping[str, Any], context: ProbeContext) -> Observation:
    """Call `params["operation"]` of `params["service"]`; the response without its metadata is the document."""
    return await ask(params, context, params["service"], _call, denial_is_answer=True)


async def _call(talk: Talk) -> Observation:
    operation = pascal(talk.params["operation"])
    asked = talk.params.get("params") or {}
    if talk.params.get("paginate"):
        response = merged([page async for page in talk.pages(operation, asked)])
    else:
        # What may change something is sent once; only a plain read may be repeated after a throttle.
        reads = aws_mutation(talk.service, operation) is None
        response = await talk.call(operation, asked, retries=reads)
    document = {key: exact(value) for key, value in response.items() if key != "ResponseMetadata"}
    secrets = tuple(_secrets(document)) if SECRET_OPERATIONS.fullmatch(operation) else ()
    document.setdefault("latency", talk.latency())
    return talk.answer(document, secrets=secrets)


def merged(pages: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return pages as one response: lists joined, counts added up, everything else as the last page says it."""
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
    """Yield every text that may be, or hold, a secret; those inside a JSON secret too."""
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
