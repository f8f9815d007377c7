"""From what the APIs say now to where the release stands: a pure function, also right when we start afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from prodwatch.model.signal import ReleaseEvent, ReleasePhase, ReleaseState

_ENDS = {
    "Succeeded": ReleasePhase.SUCCEEDED,
    "Failed": ReleasePhase.FAILED,
    "Stopped": ReleasePhase.STOPPED,
    "Baking": ReleasePhase.BAKING,
    "Created": ReleasePhase.NOT_STARTED,
    "Queued": ReleasePhase.NOT_STARTED,
    "Ready": ReleasePhase.NOT_STARTED,
}


class AliasNow(msgspec.Struct, frozen=True):
    """One alias as GetAlias tells it."""

    primary: str
    weights: dict[str, float]
    """Additional versions only, 0 to 1."""


class Lifecycle(msgspec.Struct, frozen=True):
    """One lifecycle event of a deployment."""

    name: str
    status: str
    started_at: datetime | None = None
    ended_at: datetime | None = None
    diagnostics: str | None = None


class DeploymentNow(msgspec.Struct, frozen=True, kw_only=True):
    """One CodeDeploy deployment of one function."""

    id: str
    status: str
    """`Created Queued InProgress Baking Succeeded Failed Stopped Ready`."""
    function: str
    alias: str
    current: str
    """Version before."""
    target: str
    """Version being deployed."""
    created_at: datetime
    ended_at: datetime | None = None
    creator: str = "user"
    error: str | None = None
    rolled_back_by: str | None = None
    rollback_of: str | None = None
    lifecycle: tuple[Lifecycle, ...] = ()
    canary_s: float | None = None
    """Seconds from the first shift to the rest (time-based canary)."""
    linear_s: float | None = None
    """Seconds between steps (time-based linear)."""

    def stage(self, name: str) -> Lifecycle | None:
        """Return one lifecycle event by name."""
        return next((event for event in self.lifecycle if event.name == name), None)


def release_state(
    function: str, alias: str | None, now: AliasNow | None, deployments: Sequence[DeploymentNow], *, at: datetime
) -> ReleaseState:
    """Return where the function's release stands; `deployments` newest first, of this function and alias only."""
    weights = _weights(now)
    shipped = next((each for each in deployments if each.rollback_of is None), None)
    if shipped is None:
        return _by_alias_alone(function, alias, now, weights)
    undo = next((each for each in deployments if each.rollback_of == shipped.id), None)
    phase = _phase(shipped, undo)
    if phase is ReleasePhase.SUCCEEDED and now is not None and now.primary == shipped.current != shipped.target:
        # Traffic is back on the old version although the deployment succeeded: somebody moved the alias by hand.
        phase = ReleasePhase.ROLLED_BACK
    return ReleaseState(
        function=function,
        alias=alias,
        phase=phase,
        version=shipped.target,
        previous=shipped.current,
        weights=weights,
        started_at=_started(shipped),
        next_shift_at=_next_shift(shipped, at) if phase is ReleasePhase.SHIFTING else None,
        cause=shipped.error if phase in {ReleasePhase.ROLLED_BACK, ReleasePhase.FAILED, ReleasePhase.STOPPED} else None,
        deployment=shipped.id,
        deployment_status=shipped.status,
    )


def events_of(deployment: DeploymentNow) -> list[ReleaseEvent]:
    """Return every dated observation a deployment carries, oldest first."""
    events = [
        ReleaseEvent(
            at=deployment.created_at,
            source="codedeploy",
            subject=deployment.id,
            what="rollback created" if deployment.rollback_of else "deployment created",
            from_=deployment.current,
            to=deployment.target,
            detail=f"rolls back {deployment.rollback_of}" if deployment.rollback_of else None,
        )
    ]
    for each in deployment.lifecycle:
        if each.started_at:
            events.append(_stage_event(deployment, each, each.started_at, "started"))
        if each.ended_at:
            events.append(_stage_event(deployment, each, each.ended_at, each.status.lower()))
    if deployment.ended_at:
        events.append(
            ReleaseEvent(
                at=deployment.ended_at,
                source="codedeploy",
                subject=deployment.id,
                what=f"deployment {deployment.status.lower()}",
                from_=deployment.current,
                to=deployment.target,
                detail=deployment.error,
            )
        )
    return sorted(events, key=lambda event: event.at)


def _stage_event(deployment: DeploymentNow, stage: Lifecycle, at: datetime, word: str) -> ReleaseEvent:
    return ReleaseEvent(
        at=at,
        source="codedeploy",
        subject=deployment.id,
        what=f"{stage.name} {word}",
        from_=deployment.current,
        to=deployment.target,
        detail=stage.diagnostics,
    )


def _weights(now: AliasNow | None) -> dict[str, float]:
    if now is None:
        return {}
    rest = 1.0 - sum(now.weights.values())
    return {now.primary: round(rest, 6), **now.weights}


def _by_alias_alone(function: str, alias: str | None, now: AliasNow | None, weights: dict[str, float]) -> ReleaseState:
    if now is None:
        return ReleaseState(function=function, alias=alias)
    extra = {version: share for version, share in now.weights.items() if version != now.primary}
    if not extra:
        return ReleaseState(function=function, alias=alias, version=now.primary, weights=weights)
    newest = max(extra, key=lambda version: (int(version) if version.isdecimal() else -1, version))
    return ReleaseState(
        function=function,
        alias=alias,
        phase=ReleasePhase.SHIFTING,
        version=newest,
        previous=now.primary,
        weights=weights,
    )


def _phase(shipped: DeploymentNow, undo: DeploymentNow | None) -> ReleasePhase:
    if undo is not None or shipped.rolled_back_by:
        return ReleasePhase.ROLLED_BACK
    return _ENDS.get(shipped.status) or _phase_in_progress(shipped)


def _phase_in_progress(shipped: DeploymentNow) -> ReleasePhase:
    for name in ("BeforeAllowTraffic", "AfterAllowTraffic"):
        stage = shipped.stage(name)
        if stage is not None and stage.status == "InProgress":
            return ReleasePhase.HOOK
    allow = shipped.stage("AllowTraffic")
    if allow is None or allow.started_at is None:
        return ReleasePhase.NOT_STARTED
    return ReleasePhase.SHIFTING if allow.ended_at is None else ReleasePhase.BAKING


def _started(shipped: DeploymentNow) -> datetime:
    allow = shipped.stage("AllowTraffic")
    return allow.started_at if allow is not None and allow.started_at else shipped.created_at


def _next_shift(shipped: DeploymentNow, at: datetime) -> datetime | None:
    allow = shipped.stage("AllowTraffic")
    if allow is None or allow.started_at is None:
        return None
    if shipped.canary_s:
        due = allow.started_at + timedelta(seconds=shipped.canary_s)
        return due if due > at else None
    if shipped.linear_s:
        steps = int((at - allow.started_at).total_seconds() // shipped.linear_s) + 1
        return allow.started_at + timedelta(seconds=steps * shipped.linear_s)
    return None
