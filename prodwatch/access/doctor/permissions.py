"""Tests every permission the files need with one cheap read, and names the features each missing one disables."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from prodwatch.access.doctor.findings import Finding, State
from prodwatch.access.doctor.sample_calls import sample_call
from prodwatch.access.required_calls import ANY, RequiredCall
from prodwatch.aws.iam_actions import actions
from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.clock import Clock
from prodwatch.errors import CannotVerifyError
from prodwatch.model.environment import LogTarget
from prodwatch.model.identity import OWN_PLACE, Place
from prodwatch.model.status import Reason
from prodwatch.sources.logs.discovery import discover_groups, is_of_unreadable_class, unreadable_class

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
"""Calls whose sample names the resource of the files, so that "not findings" is worth a warning."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    state: State
    explanation: str
    """One clause; empty for a permission that simply exists."""


async def try_permissions(aws: AwsApi, uses: Iterable[RequiredCall], clock: Clock) -> list[Finding]:
    """Return one finding per action and outcome, denied ones first; equal calls are made once."""
    gate = asyncio.Semaphore(AT_ONCE)
    grouped: dict[tuple[str, str, str, str | None, str | None], list[RequiredCall]] = {}
    for use in uses:
        grouped.setdefault((use.service, use.operation, use.resource, use.account, use.region), []).append(use)

    async def limited(use: RequiredCall) -> _Outcome:
        async with gate:
            return await _try(aws, use, clock)

    groups = list(grouped.values())
    outcomes = await asyncio.gather(*(limited(group[0]) for group in groups))
    return _findings(list(zip(groups, outcomes, strict=True)))


async def _try(aws: AwsApi, use: RequiredCall, clock: Clock) -> _Outcome:
    use = await _one_group(aws, use)
    sample = sample_call(use, clock.now())
    if isinstance(sample, str):
        return _Outcome("skipped", sample)
    try:
        await aws.call(use.service, use.operation, sample, account=use.account, region=use.region, timeout_s=TIMEOUT_S)
    except AwsError as caught:
        return _refused(use, caught)
    except CannotVerifyError as caught:
        return _Outcome("problem", str(caught))
    return _Outcome("ok", "")


def _refused(use: RequiredCall, caught: AwsError) -> _Outcome:
    """Return the outcome of an error; not every error means that the permission is missing."""
    if caught.reason is Reason.ACCESS_DENIED:
        return _Outcome("warn" if use.optional else "problem", caught.message)
    if caught.reason in _UNDECIDED:
        return _Outcome("unknown", caught.message)
    if use.service == "logs" and is_of_unreadable_class(caught):
        return _Outcome("warn" if use.optional else "problem", unreadable_class(caught))
    # AWS evaluated the request itself, so the permission exists; a missing resource may still be worth a warning.
    if use.resource == ANY or not _is_missing(use, caught):
        return _Outcome("ok", "")
    if use.optional:
        return _Outcome("ok", "allowed; there is no such resource, and nothing depends on it")
    return _Outcome("warn", f"allowed, but {caught.message}")


def _is_missing(use: RequiredCall, caught: AwsError) -> bool:
    if f"{use.service}:{use.operation}" not in _NAMES_ITS_RESOURCE:
        return False  # the sample names something that never exists
    names = ("NotFound", "NonExistent", "DoesNotExist", "NoSuch")
    return any(name in caught.code for name in names) or "does not exist" in caught.message


async def _one_group(aws: AwsApi, use: RequiredCall) -> RequiredCall:
    """Return the call with an existing group in place of a prefix, because IAM evaluates groups, not prefixes."""
    if use.operation != "FilterLogEvents" or not use.resource.endswith(ANY):
        return use
    try:
        groups = await discover_groups(aws, LogTarget(group=use.resource, account=use.account, region=use.region))
    except AwsError:
        return use  # the finding about DescribeLogGroups reports the error
    if not groups:
        return use
    return replace(use, resource=groups[0])


@dataclass(slots=True)
class _Merged:
    """Calls of one action with one outcome."""

    resources: list[str] = field(default_factory=list)
    purposes: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)


def _findings(tried: Sequence[tuple[list[RequiredCall], _Outcome]]) -> list[Finding]:
    merged: dict[tuple[str, State, str], _Merged] = {}
    places_of: dict[str, set[str]] = {}
    for group, outcome in tried:
        action = " and ".join(actions(group[0].service, group[0].operation))
        found = merged.setdefault((action, outcome.state, outcome.explanation), _Merged())
        if group[0].resource != ANY:
            found.resources.append(group[0].resource)
        found.purposes += [use.purpose for use in group]
        place = str(Place(group[0].account or "", group[0].region or "")) or OWN_PLACE
        found.places.append(place)
        places_of.setdefault(action, set()).add(place)
    order: Mapping[State, int] = {"problem": 0, "unknown": 1, "warn": 2, "skipped": 3, "ok": 4}
    findings = [
        Finding(
            area="permissions",
            state=state,
            message=_sentence(action, state, explanation, found.resources, _told_apart(found, places_of[action])),
            action=action,
            resources=tuple(dict.fromkeys(found.resources)),
            places=tuple(dict.fromkeys(found.places)) if set(found.places) != {OWN_PLACE} else (),
            disables=tuple(sorted(set(found.purposes))) if state in {"problem", "unknown", "warn"} else (),
        )
        for (action, state, explanation), found in merged.items()
    ]
    return sorted(findings, key=lambda each: (order[each.state], each.action or ""))


def _told_apart(found: _Merged, places: set[str]) -> Sequence[str]:
    """Return the places of an outcome that others of the same action do not share; none when it is that of all."""
    return () if set(found.places) == places else tuple(dict.fromkeys(found.places))


def _sentence(action: str, state: State, explanation: str, resources: Sequence[str], places: Sequence[str]) -> str:
    named = ", ".join(dict.fromkeys(resources))
    subject = f"{action} on {named}" if named else action
    if unnamed := [place for place in places if f" in {place}" not in explanation]:
        subject += f" in {', '.join(unnamed)}"
    if state == "skipped":
        return f"{subject}: not tested, {explanation}"
    return f"{subject}: {explanation}" if explanation else subject
