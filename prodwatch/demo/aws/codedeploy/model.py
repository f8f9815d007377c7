"""A scripted deployment and its state at any moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

DeploymentStatus = Literal["Created", "Queued", "InProgress", "Baking", "Succeeded", "Failed", "Stopped", "Ready"]
EventStatus = Literal["Pending", "InProgress", "Succeeded", "Failed", "Skipped", "Unknown"]

LAMBDA_EVENTS = ("BeforeAllowTraffic", "AllowTraffic", "AfterAllowTraffic")
"""Lifecycle events of a Lambda deployment, in order."""
ENDED = frozenset({"Succeeded", "Failed", "Stopped"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentStep:
    """A change `after_s` seconds after the deployment was created; unset members do not change."""

    after_s: float
    status: DeploymentStatus | None = None
    weight: float | None = None
    """Share of traffic on the target version, 0 to 1."""
    lifecycle: str | None = None
    """Name of the lifecycle event that changes: one of `LAMBDA_EVENTS`."""
    lifecycle_status: EventStatus = "Succeeded"
    message: str | None = None
    """Diagnostics of the lifecycle event, or the error's text when `status` is Failed or Stopped."""
    error_code: str | None = None
    """`ALARM_ACTIVE`, `HEALTH_CONSTRAINTS` …, of the deployment."""
    rollback_id: str | None = None
    """The deployment that rolls this one back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A deployment that moves one Lambda alias from one version to another, with its whole script."""

    id: str
    application: str
    group: str
    function: str
    alias: str
    current: str
    target: str
    created_s: float
    """Wall time, epoch seconds."""
    events: Sequence[DeploymentStep] = ()
    """In order of `after_s`."""
    config_name: str = "CodeDeployDefault.LambdaCanary10Percent5Minutes"
    creator: str = "user"
    """`user`, `autoscaling`, `codeDeployRollback`, `CodeDeployAutoUpdate` …"""
    description: str = ""
    rolled_back_from: str | None = None
    """The deployment this one rolls back."""
    alarms: Sequence[str] = ()


@dataclass(slots=True, kw_only=True)
class LifecycleState:
    """State of one lifecycle event."""

    name: str
    status: str = "Pending"
    started_s: float | None = None
    ended_s: float | None = None
    message: str | None = None


@dataclass(slots=True, kw_only=True)
class DeploymentState:
    """A deployment at one moment."""

    status: str = "Created"
    weight: float = 0.0
    shifted: bool = False
    """Whether the target has had any traffic so far."""
    updated_s: float
    started_s: float | None = None
    completed_s: float | None = None
    error_code: str | None = None
    error_message: str | None = None
    rollback_id: str | None = None
    lifecycle: dict[str, LifecycleState] = field(default_factory=dict)


def state_at(deployment: Deployment, now_s: float, stopped_s: float | None = None) -> DeploymentState:
    """Return the state at a wall time: a fold over the steps whose time has come.

    Steps after `stopped_s`, the time of a StopDeployment call, do not happen.
    """
    until_s = now_s if stopped_s is None else min(now_s, stopped_s)
    state = DeploymentState(
        updated_s=deployment.created_s, lifecycle={name: LifecycleState(name=name) for name in LAMBDA_EVENTS}
    )
    for step in deployment.events:
        at_s = deployment.created_s + step.after_s
        if at_s > until_s:
            break
        _apply(state, step, at_s)
    if stopped_s is not None and now_s >= stopped_s and state.status not in ENDED:
        state.status, state.completed_s, state.updated_s = "Stopped", stopped_s, stopped_s
        state.error_code, state.error_message = "MANUAL_STOP", "The deployment was stopped by a user."
    return state


def _apply(state: DeploymentState, step: DeploymentStep, at_s: float) -> None:
    state.updated_s = at_s
    if step.status is not None:
        state.status = step.status
        if step.status == "InProgress" and state.started_s is None:
            state.started_s = at_s
        if step.status in ENDED:
            state.completed_s = at_s
    if step.weight is not None:
        state.weight = step.weight
        state.shifted = state.shifted or step.weight > 0
    if step.lifecycle is not None:
        event = state.lifecycle.setdefault(step.lifecycle, LifecycleState(name=step.lifecycle))
        event.status, event.message = step.lifecycle_status, step.message
        event.started_s = at_s if event.started_s is None else event.started_s
        event.ended_s = at_s if step.lifecycle_status in {"Succeeded", "Failed", "Skipped"} else None
    elif step.message is not None:
        state.error_message = step.message
    state.error_code = step.error_code or state.error_code
    state.rollback_id = step.rollback_id or state.rollback_id
