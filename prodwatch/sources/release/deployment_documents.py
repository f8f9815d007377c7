"""Converts CodeDeploy's response documents into deployments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prodwatch.sources.release.release_state import Deployment, LifecycleEvent

Document = dict[str, Any]


def deployment_of(info: Document, target: Document, config: Document, clean: Callable[[str], str]) -> Deployment:
    """Return one function's part of a deployment, from AWS's response documents."""
    function = target.get("lambdaFunctionInfo") or {}
    rollback = info.get("rollbackInfo") or {}
    error = info.get("errorInformation") or {}
    routing = config.get("trafficRoutingConfig") or {}
    error_text = ": ".join(filter(None, (error.get("code"), error.get("message"))))
    weight, rollback_message = function.get("targetVersionWeight"), rollback.get("rollbackMessage")
    return Deployment(
        id=info["deploymentId"],
        status=info.get("status", "Created"),
        function=function.get("functionName", ""),
        alias=function.get("functionAlias", ""),
        current=function.get("currentVersion", ""),
        target=function.get("targetVersion", ""),
        created_at=info["createTime"],
        application=info.get("applicationName", ""),
        group=info.get("deploymentGroupName", ""),
        ended_at=info.get("completeTime"),
        creator=info.get("creator", "user"),
        error=clean(error_text) if error_text else None,
        rolled_back_by=rollback.get("rollbackDeploymentId"),
        rollback_of=rollback.get("rollbackTriggeringDeploymentId"),
        rollback_message=clean(rollback_message) if rollback_message else None,
        lifecycle=tuple(_stage(event, clean) for event in target.get("lifecycleEvents", ())),
        canary_s=_minutes(routing.get("timeBasedCanary"), "canaryInterval"),
        linear_s=_minutes(routing.get("timeBasedLinear"), "linearInterval"),
        step_share=_step(routing),
        reported_weight=None if weight is None else float(weight),
    )


def _step(routing: Document) -> float | None:
    if routing.get("type") == "AllAtOnce":
        return 1.0
    for kind, key in (("timeBasedCanary", "canaryPercentage"), ("timeBasedLinear", "linearPercentage")):
        percent = (routing.get(kind) or {}).get(key)
        if percent:
            return float(percent) / 100.0
    return None


def _minutes(routing: Document | None, key: str) -> float | None:
    return float(routing[key]) * 60 if routing and routing.get(key) else None


def _stage(event: Document, clean: Callable[[str], str]) -> LifecycleEvent:
    message = (event.get("diagnostics") or {}).get("message")
    return LifecycleEvent(
        name=event.get("lifecycleEventName", ""),
        status=event.get("status", ""),
        started_at=event.get("startTime"),
        ended_at=event.get("endTime"),
        diagnostics=clean(message) if message else None,
    )
