"""Ready diagnostics: words of `diagnose` that need no check of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from prodwatch.model.check import StepDefinition
from prodwatch.settings.check_builder import read_check
from prodwatch.settings.check_file import Draft
from prodwatch.settings.problems import Problems
from prodwatch.settings.read_shared_keys import CheckContext
from prodwatch.settings.template import Reference, TemplateSyntaxError, parse_template

CONSUMER = "consumer"
"""Word for: does a Lambda function read the queue of this check, without a problem?"""
_EXPECT = (
    "length(EventSourceMappings) > 0",
    "all EventSourceMappings[*].State == 'Enabled'",
    "EventSourceMappings[?starts_with(not_null(LastProcessingResult, 'OK'), 'PROBLEM')] == []",
)
_INHERITED = ("environments", "vantage", "owner", "requires", "vars", "region", "enabled")
_LATER = frozenset(("captured", "steps", "each"))
"""Scopes that only the steps of the check itself can fill."""


def with_ready_diagnostics(
    drafts: Sequence[Draft],
    known: Sequence[Draft],
    other_checks: Mapping[str, str],
    context: CheckContext,
    region: str | None,
) -> list[Draft]:
    """Return the drafts, each ready diagnostic that one of them names as a check of its own behind it.

    A check of `known` or `other_checks` that is called like the word is meant instead.
    """
    if not any(CONSUMER in draft.check.diagnose for draft in drafts) or _is_a_check(known, other_checks):
        return list(drafts)
    completed = []
    for draft in drafts:
        made = _consumer(draft, context, region) if CONSUMER in draft.check.diagnose else None
        ids = {CONSUMER: () if made is None else (made.check.id,)}
        diagnose = tuple(id_ for word in draft.check.diagnose for id_ in ids.get(word, (word,)))
        completed.append(replace(draft, check=replace(draft.check, diagnose=diagnose)))
        if made is not None:
            completed.append(made)
    return completed


def _is_a_check(known: Sequence[Draft], other_checks: Mapping[str, str]) -> bool:
    names = {name for draft in known for name in (draft.check.id, draft.name, draft.check.name)}
    return CONSUMER in names | set(other_checks) | set(other_checks.values())


def _consumer(draft: Draft, context: CheckContext, region: str | None) -> Draft | None:
    """Return the diagnostic of the first queue that the check asks; None when there is none, which is reported."""
    check, cursor = draft.check, draft.cursor.at("diagnose")
    queue = next((step for step in check.steps if step.type == "sqs"), None)
    arn = None if queue is None or queue.account is not None else _arn(queue, region)
    if arn is None or queue is None:
        cursor.report(
            f'"{CONSUMER}" is the ready diagnostic of a queue: it needs an sqs request in this check, in the '
            "environment's own account, whose queue is known before the first step"
        )
        return None
    table: dict[str, Any] = {
        **{name: draft.table[name] for name in _INHERITED if name in draft.table},
        **({"matrix": {name: [value] for name, value in check.matrix.items()}} if check.matrix else {}),
        "name": f"{check.name}: {CONSUMER}",
        "kind": "diagnostic",
        "type": "aws",
        "service": "lambda",
        "operation": "ListEventSourceMappings",
        "params": {"EventSourceArn": arn},
        "paginate": True,
        "expect": list(_EXPECT),
    }
    unset = Problems()
    statics = context.statics.within(table.get("vars", {}), check.matrix, unset)
    made = read_check(draft.cursor, table, check.matrix, "", replace(context, statics=statics))
    if made is None:
        return None
    made = replace(made, id=f"{check.id}.{CONSUMER}", name=table["name"], title=table["name"])
    return Draft(made, draft.cursor, table["name"], draft.number, table, unset)


def _arn(queue: StepDefinition, region: str | None) -> str | None:
    """Return the template of a queue's ARN; None when only a step of its check knows the queue."""
    written = str(queue.params.get("queue", ""))
    try:
        parts = parse_template(written).parts
    except TemplateSyntaxError:
        return None  # reported with the other references
    if any(isinstance(part, Reference) and part.scope in _LATER for part in parts):
        return None
    if written.startswith("arn:"):
        return written
    region = queue.region or region
    partition = next((name for start, name in _PARTITIONS if (region or "").startswith(start)), "aws")
    return f"arn:{partition}:sqs:{region or '${region}'}:${{account}}:{_name(parts)}"


_PARTITIONS = (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov"))


def _name(parts: Sequence[str | Reference]) -> str:
    """Return the template of a queue's name: what follows the last slash of its name, URL or ARN."""
    if len(parts) == 1 and isinstance(parts[0], Reference):
        return f"{parts[0].source.removesuffix('}')} | last_segment}}"
    name = ""
    for part in parts:
        if isinstance(part, Reference):
            name += part.source
        else:
            name = part.rpartition("/")[2] if "/" in part else name + part
    return name
