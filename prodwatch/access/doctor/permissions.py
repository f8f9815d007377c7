"""Tries every permission the files need by one cheap read, and says what each missing one disables."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from prodwatch.access.doctor.findings import Finding, State
from prodwatch.access.doctor.sample_calls import sample_call
from prodwatch.access.required_calls import ANY, RequiredCall
from prodwatch.aws.api import AwsApi, AwsError
from prodwatch.aws.iam_actions import actions
from prodwatch.clock import Clock
from prodwatch.errors import CannotVerifyError
from prodwatch.model.environment import LogTarget
from prodwatch.model.status import Reason
from prodwatch.sources.logs.discovery import discover_groups

AT_ONCE = 8
TIMEOUT_S = 10.0
_UNDECIDED = frozenset(
    (
        Reason.NO_CREDENTIALS,
        Reason.EXPIRED_CREDENTIALS,
        Reason.NETWORK,
        Reason.TIMEOUT,
        Reason.SERVICE,
        Reason.THROTTLED,
        Reason.LIMIT,
        Reason.UNRESOLVED,
        Reason.INTERNAL,
    )
)
_NAMES_ITS_RESOURCE = frozenset(
    (
        "cloudformation:DescribeStacks",
        "codedeploy:ListDeploymentGroups",
        "dynamodb:GetItem",
        "dynamodb:Query",
        "dynamodb:Scan",
        "lambda:GetFunctionConfiguration",
        "lambda:Invoke",
        "logs:FilterLogEvents",
        "s3:ListObjectsV2",
        "secretsmanager:GetSecretValue",
        "sqs:GetQueueAttributes",
        "sqs:GetQueueUrl",
        "ssm:GetParameter",
    )
)
"""Calls about the very resource the files name: that it is not there is worth knowing."""


@dataclass(frozen=True, slots=True)
class _Answer:
    state: State
    told: str
    """Why, in one clause; empty for a plain yes."""


async def try_permissions(aws: AwsApi, uses: Iterable[RequiredCall], clock: Clock) -> list[Finding]:
    """Return one finding per action and outcome, denied ones first; the same call is made once."""
    gate = asyncio.Semaphore(AT_ONCE)
    grouped: dict[tuple[str, str, str, str | None, str | None], list[RequiredCall]] = {}
    for use in uses:
        grouped.setdefault((use.service, use.operation, use.resource, use.account, use.region), []).append(use)

    async def ask(use: RequiredCall) -> _Answer:
        async with gate:
            return await _try(aws, use, clock)

    groups = list(grouped.values())
    answers = await asyncio.gather(*(ask(group[0]) for group in groups))
    return _findings(list(zip(groups, answers, strict=True)))


async def _try(aws: AwsApi, use: RequiredCall, clock: Clock) -> _Answer:
    use = await _one_group(aws, use)
    asked = sample_call(use, clock.now())
    if isinstance(asked, str):
        return _Answer("skipped", asked)
    try:
        await aws.call(use.service, use.operation, asked, account=use.account, region=use.region, timeout_s=TIMEOUT_S)
    except AwsError as caught:
        return _refused(use, caught)
    except CannotVerifyError as caught:
        return _Answer("problem", str(caught))
    return _Answer("ok", "")


def _refused(use: RequiredCall, caught: AwsError) -> _Answer:
    """Return what an error tells of the permission, which is not always that it is missing."""
    if caught.reason is Reason.ACCESS_DENIED:
        return _Answer("warn" if use.optional else "problem", caught.message)
    if caught.reason in _UNDECIDED:
        return _Answer("unknown", caught.message)
    # AWS looked at the request itself, so IAM had let it pass; that nothing is there may still be worth knowing.
    if use.resource == ANY or not _is_missing(use, caught):
        return _Answer("ok", "")
    if use.optional:
        return _Answer("ok", "allowed; there is none here, and nothing depends on it")
    return _Answer("warn", f"allowed, but {caught.message}")


def _is_missing(use: RequiredCall, caught: AwsError) -> bool:
    if f"{use.service}:{use.operation}" not in _NAMES_ITS_RESOURCE:
        return False  # the sample_call was about something nobody has
    names = ("NotFound", "NonExistent", "DoesNotExist", "NoSuch")
    return any(name in caught.code for name in names) or "does not exist" in caught.message


async def _one_group(aws: AwsApi, use: RequiredCall) -> RequiredCall:
    """Return the use with a group that exists in place of a prefix; IAM judges groups, not prefixes."""
    if use.operation != "FilterLogEvents" or not use.resource.endswith(ANY):
        return use
    try:
        groups = await discover_groups(aws, LogTarget(group=use.resource, account=use.account, region=use.region))
    except AwsError:
        return use  # the finding on DescribeLogGroups says why
    if not groups:
        return use
    return replace(use, resource=groups[0])


def _findings(tried: Sequence[tuple[list[RequiredCall], _Answer]]) -> list[Finding]:
    merged: dict[tuple[str, State, str], tuple[list[str], list[str]]] = {}
    for group, answer in tried:
        action = " and ".join(actions(group[0].service, group[0].operation))
        resources, purposes = merged.setdefault((action, answer.state, answer.told), ([], []))
        if group[0].resource != ANY:
            resources.append(group[0].resource)
        purposes += [use.purpose for use in group]
    order: Mapping[State, int] = {"problem": 0, "unknown": 1, "warn": 2, "skipped": 3, "ok": 4}
    found = [
        Finding(
            area="permissions",
            state=state,
            message=_sentence(action, state, told, resources),
            action=action,
            resources=tuple(dict.fromkeys(resources)),
            disables=tuple(sorted(set(purposes))) if state in {"problem", "unknown", "warn"} else (),
        )
        for (action, state, told), (resources, purposes) in merged.items()
    ]
    return sorted(found, key=lambda each: (order[each.state], each.action or ""))


def _sentence(action: str, state: State, told: str, resources: Sequence[str]) -> str:
    named = ", ".join(dict.fromkeys(resources))
    subject = f"{action} on {named}" if named else action
    if state == "skipped":
        return f"{subject}: not tried, {told}"
    return f"{subject}: {told}" if told else subject
