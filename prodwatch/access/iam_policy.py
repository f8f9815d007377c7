"""The IAM policy that grants required calls: each action on the narrowest resource that AWS supports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from prodwatch.access.required_calls import ANY, RequiredCall
from prodwatch.aws.iam_actions import (
    Permission,
    actions,
    arn,
    is_known,
    permissions_for,
    policy_document,
    reference,
)
from prodwatch.model.environment import AwsTarget, Environment

_PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
_CODEDEPLOY = {
    "ListDeploymentGroups": "application:{application}",
    "ListDeployments": "deploymentgroup:{application}/*",
    "BatchGetDeployments": "deploymentgroup:{application}/*",
    "GetDeploymentConfig": "deploymentconfig:*",
}
"""CodeDeploy operation → resource in IAM; its operations on targets have none."""


def policy_of(
    uses: Iterable[RequiredCall],
    environment: Environment,
    *,
    alias: str | None = None,
    account: str | None = None,
    region: str | None = None,
) -> dict[str, Any]:
    """Return the policy for one account: the environment's own, or the one of `[aws.accounts]` that `alias` names.

    `account` and `region` are defaults for values that the files leave out; unknown values become `*`.
    """
    target = environment.aws if alias is None else environment.accounts[alias]
    number = target.account or account or ANY
    permissions: set[Permission] = set()
    for use in uses:
        if use.account == alias:
            permissions.update(_needs(use, number, _region(use, target, environment, region)))
    return policy_document(_without_covered(permissions))


def _region(use: RequiredCall, target: AwsTarget, environment: Environment, region: str | None) -> str:
    return use.region or target.region or environment.aws.region or region or ANY


def _needs(use: RequiredCall, account: str, region: str) -> Iterable[Permission]:
    for where in resources(use, account=account, region=region):
        yield from permissions_for(use.service, use.operation, where, use.request)


def resources(use: RequiredCall, *, account: str, region: str) -> tuple[str, ...]:
    """Return the ARNs that IAM checks for a call; `*` where AWS supports nothing narrower."""
    partition = next((name for prefix, name in _PARTITIONS.items() if region.startswith(prefix)), "aws")
    start = f"arn:{partition}:{use.service}:{region}:{account}:"
    narrowest = arn(use.service, use.resource, region=region, account=account, partition=partition)
    match use.service, use.operation:
        case "execute-api", _:
            return (f"{start}*",)
        case "codedeploy", operation:
            form = _CODEDEPLOY.get(operation)
            return (start + form.format(application=use.resource),) if form else (ANY,)
        case "logs", "StartLiveTail":
            return (narrowest.removesuffix(":*"), narrowest)
        case "lambda", operation if operation not in {"Invoke", "InvokeFunctionUrl"} and use.resource != ANY:
            # With a qualifier the resource is the version or alias, without one the function.
            return (narrowest, f"{narrowest}:*")
        case _:
            return (narrowest,)


def _without_covered(permissions: set[Permission]) -> set[Permission]:
    """Leave out permissions that a wider resource of the same action includes."""
    by_action: Mapping[str, set[str]] = {action: set() for action in {need.action for need in permissions}}
    for need in permissions:
        by_action[need.action].add(need.resource)
    return {
        need
        for need in permissions
        if not any(
            other != need.resource and fnmatchcase(need.resource, other.replace("[", "[[]"))
            for other in by_action[need.action]
        )
    }


def granted_actions(uses: Iterable[RequiredCall]) -> frozenset[str]:
    """Return the IAM actions of `uses`, of all accounts."""
    return frozenset(action for use in uses for action in actions(use.service, use.operation, use.request))


def unlisted(uses: Iterable[RequiredCall]) -> list[str]:
    """Return one sentence per call whose IAM action AWS's reference does not have, so that the policy lacks it."""
    known = reference()
    sentences: dict[str, None] = {}
    for use in uses:
        names = [each for each in actions(use.service, use.operation, use.request) if not is_known(each)]
        if not names:
            continue
        call = f"{use.service} {use.operation} ({use.purpose})"
        if use.service not in known.services:
            why = f'"{use.service}" is not a service with IAM actions'
        else:
            why = f"AWS's reference of {known.read} has no action {' and '.join(names)}"
        sentences[f"{call} is not in the policy: {why}; add the action by hand"] = None
    return list(sentences)
