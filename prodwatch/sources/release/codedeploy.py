"""Reads the recent Lambda deployments of a CodeDeploy application."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prodwatch.aws.api import AwsApi
from prodwatch.sources.release.state import DeploymentNow, Lifecycle

RECENT_PER_GROUP = 4
"""Newest deployments looked at in each group: the current one, its rollback, and what was before."""


async def recent_deployments(aws: AwsApi, application: str, *, clean: Callable[[str], str]) -> list[DeploymentNow]:
    """Return the recent deployments of all groups, newest first; raises AwsError."""
    ids: list[str] = []
    groups = await aws.call("codedeploy", "ListDeploymentGroups", {"applicationName": application})
    for group in groups.get("deploymentGroups", ()):
        listed = await aws.call(
            "codedeploy", "ListDeployments", {"applicationName": application, "deploymentGroupName": group}
        )
        ids += listed.get("deployments", ())[:RECENT_PER_GROUP]
    if not ids:
        return []
    described = await aws.call("codedeploy", "BatchGetDeployments", {"deploymentIds": ids[:25]})
    found: list[DeploymentNow] = []
    configs: dict[str, dict[str, Any]] = {}
    for info in described.get("deploymentsInfo", ()):
        config = info.get("deploymentConfigName")
        if config and config not in configs:
            answer = await aws.call("codedeploy", "GetDeploymentConfig", {"deploymentConfigName": config})
            configs[config] = answer.get("deploymentConfigInfo") or {}
        found += await _targets(aws, info, configs.get(config or "", {}), clean)
    return sorted(found, key=lambda each: each.created_at, reverse=True)


async def _targets(
    aws: AwsApi, info: dict[str, Any], config: dict[str, Any], clean: Callable[[str], str]
) -> list[DeploymentNow]:
    id_ = info["deploymentId"]
    listed = await aws.call("codedeploy", "ListDeploymentTargets", {"deploymentId": id_})
    found = []
    for target_id in listed.get("targetIds", ()):
        answer = await aws.call("codedeploy", "GetDeploymentTarget", {"deploymentId": id_, "targetId": target_id})
        target = (answer.get("deploymentTarget") or {}).get("lambdaTarget")
        if target:
            found.append(_deployment(info, target, config, clean))
    return found


def _deployment(
    info: dict[str, Any], target: dict[str, Any], config: dict[str, Any], clean: Callable[[str], str]
) -> DeploymentNow:
    function = target.get("lambdaFunctionInfo") or {}
    rollback = info.get("rollbackInfo") or {}
    error = info.get("errorInformation") or {}
    routing = config.get("trafficRoutingConfig") or {}
    told = ": ".join(filter(None, (error.get("code"), error.get("message"))))
    return DeploymentNow(
        id=info["deploymentId"],
        status=info.get("status", "Created"),
        function=function.get("functionName", ""),
        alias=function.get("functionAlias", ""),
        current=function.get("currentVersion", ""),
        target=function.get("targetVersion", ""),
        created_at=info["createTime"],
        ended_at=info.get("completeTime"),
        creator=info.get("creator", "user"),
        error=clean(told) if told else None,
        rolled_back_by=rollback.get("rollbackDeploymentId"),
        rollback_of=rollback.get("rollbackTriggeringDeploymentId"),
        lifecycle=tuple(_stage(each, clean) for each in target.get("lifecycleEvents", ())),
        canary_s=_minutes(routing.get("timeBasedCanary"), "canaryInterval"),
        linear_s=_minutes(routing.get("timeBasedLinear"), "linearInterval"),
    )


def _minutes(routing: dict[str, Any] | None, key: str) -> float | None:
    return float(routing[key]) * 60 if routing and routing.get(key) else None


def _stage(event: dict[str, Any], clean: Callable[[str], str]) -> Lifecycle:
    message = (event.get("diagnostics") or {}).get("message")
    return Lifecycle(
        name=event.get("lifecycleEventName", ""),
        status=event.get("status", ""),
        started_at=event.get("startTime"),
        ended_at=event.get("endTime"),
        diagnostics=clean(message) if message else None,
    )
