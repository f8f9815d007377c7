"""From what the APIs say now to where the release stands: a pure function, also right when we start afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from prodwatch.model.release import WENT_WRONG
from prodwatch.model.signal import ReleaseEvent, ReleasePhase, ReleaseState
from prodwatch.sources.release.alias_weights import AliasNow, AliasSeen, by_alias, shares

_ENDS = {
    "Succeeded": ReleasePhase.SUCCEEDED,
    "Failed": ReleasePhase.FAILED,
    "Stopped": ReleasePhase.STOPPED,
    "Baking": ReleasePhase.BAKING,
    "Created": ReleasePhase.NOT_STARTED,
    "Queued": ReleasePhase.NOT_STARTED,
    "Ready": ReleasePhase.NOT_STARTED,
}
OVER = frozenset(("Succeeded", "Failed", "Stopped"))
"""A deployment in one of these moves no traffic any more."""


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
    rollback_message: str | None = None
    lifecycle: tuple[Lifecycle, ...] = ()
    canary_s: float | None = None
    """Seconds from the first shift to the rest (time-based canary)."""
    linear_s: float | None = None
    """Seconds between steps (time-based linear)."""
    step_share: float | None = None
    """Share of traffic the first shift moves, 0 to 1; None when the configuration is not known."""
    told_weight: float | None = None
    """`targetVersionWeight` as CodeDeploy tells it; see `share_of`."""

    def stage(self, name: str) -> Lifecycle | None:
        """Return one lifecycle event by name."""
        return next((event for event in self.lifecycle if event.name == name), None)

    @property
    def failed_stage(self) -> Lifecycle | None:
        """Return the lifecycle event that failed, None when none did."""
        return next((event for event in self.lifecycle if event.status == "Failed"), None)


def release_state(
    function: str,
    alias: str | None,
    now: AliasNow | None,
    deployments: Sequence[DeploymentNow],
    *,
    at: datetime,
    seen: Sequence[AliasSeen] = (),
) -> ReleaseState:
    """Return where the function's release stands.

    `deployments` are those of this function and alias only, newest first. `seen` is what the alias was while somebody
    watched, oldest first, each change once; it tells of releases that CodeDeploy has no part in.
    """
    shipped = next((each for each in deployments if each.rollback_of is None), None)
    if shipped is None:
        return by_alias(function, alias, now, seen)
    undo = _undo(shipped, deployments)
    if now is not None and _outdated(shipped, undo, now):
        return by_alias(function, alias, now, seen)
    phase, cause = _phase(shipped, undo), _cause(shipped, undo)
    if phase is ReleasePhase.SUCCEEDED and now is not None and now.primary == shipped.current != shipped.target:
        # Traffic is back on the old version although the deployment succeeded: somebody moved the alias by hand.
        phase, cause = ReleasePhase.ROLLED_BACK, f"the alias was moved back to version {now.primary} by hand"
    return ReleaseState(
        function=function,
        alias=alias,
        phase=phase,
        version=shipped.target,
        previous=shipped.current,
        weights=shares(now) if now is not None else _told_shares(undo or shipped, seen),
        started_at=_started(shipped),
        next_shift_at=_next_shift(shipped, at) if phase is ReleasePhase.SHIFTING else None,
        cause=cause if phase in WENT_WRONG else None,
        deployment=shipped.id,
        deployment_status=shipped.status,
    )


def share_of(told: float, *, alias_share: float | None = None, step_share: float | None = None) -> float:
    """Return `targetVersionWeight` as a share of traffic, 0 to 1.

    AWS's reference calls it "the percentage of production traffic", an alias tells the same weight as a fraction, and
    both have been seen here. Above 1 it can only be a percentage, below 1 only a fraction, as CodeDeploy shifts by
    whole percents. Just 1 is all the traffic or 1 %: the alias's own weight decides, then the step of the
    configuration; without either it is all the traffic, the more dangerous of the two to overlook.
    """
    if told > 1.0:
        return min(1.0, told / 100.0)
    if told < 1.0:
        return max(0.0, told)
    known = alias_share if alias_share is not None else step_share
    return 1.0 if known is None or abs(1.0 - known) <= abs(0.01 - known) else 0.01


def events_of(deployment: DeploymentNow, *, named: bool = False) -> list[ReleaseEvent]:
    """Return every dated observation a deployment carries, oldest first.

    `named` adds the function, for a deployment of several.
    """
    events = _events(deployment)
    if named:
        alias = f"{deployment.function}:{deployment.alias}"
        events = [replace(each, what=f"{alias} {each.what}") for each in events]
    return sorted(events, key=lambda event: event.at)


def _events(deployment: DeploymentNow) -> list[ReleaseEvent]:
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
        shifts = each.name == "AllowTraffic"
        if each.started_at:
            weight = deployment.step_share if shifts else None
            events.append(_stage_event(deployment, each, each.started_at, "started", weight))
        if each.ended_at:
            weight = 1.0 if shifts and each.status == "Succeeded" else None
            events.append(_stage_event(deployment, each, each.ended_at, each.status.lower(), weight))
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
    return events


def _stage_event(
    deployment: DeploymentNow, stage: Lifecycle, at: datetime, word: str, weight: float | None
) -> ReleaseEvent:
    return ReleaseEvent(
        at=at,
        source="codedeploy",
        subject=deployment.id,
        what=f"{stage.name} {word}",
        from_=deployment.current,
        to=deployment.target,
        weight=weight,
        detail=stage.diagnostics,
    )


def _undo(shipped: DeploymentNow, deployments: Sequence[DeploymentNow]) -> DeploymentNow | None:
    """Return the newest deployment that takes `shipped` back, directly or by taking back what took it back."""
    undone, found = {shipped.id}, None
    for each in sorted(deployments, key=lambda each: each.created_at):
        if each.rollback_of in undone or each.id == shipped.rolled_back_by:
            undone.add(each.id)
            found = each
    return found


def _outdated(shipped: DeploymentNow, undo: DeploymentNow | None, now: AliasNow) -> bool:
    """Say whether the alias shows that something happened after the deployment, without CodeDeploy."""
    last = undo or shipped
    if last.status not in OVER:
        return False
    if {now.primary, *now.weights} - {shipped.current, shipped.target}:
        return True
    # A deployment that was stopped leaves the split it had reached; one that succeeded leaves none.
    return bool(now.weights) and last.status == "Succeeded"


def _told_shares(deployment: DeploymentNow, seen: Sequence[AliasSeen]) -> dict[str, float]:
    """Return the shares by CodeDeploy's word alone, for when the alias itself cannot be read (any more)."""
    if deployment.told_weight is None:
        return {}
    last = shares(seen[-1].now).get(deployment.target) if seen else None
    share = share_of(deployment.told_weight, alias_share=last, step_share=deployment.step_share)
    told = {deployment.current: round(1.0 - share, 6), deployment.target: round(share, 6)}
    return {version: each for version, each in told.items() if each}


def _phase(shipped: DeploymentNow, undo: DeploymentNow | None) -> ReleasePhase:
    if undo is not None:
        # A rollback that failed has not brought the old version back.
        return ReleasePhase.FAILED if undo.status in {"Failed", "Stopped"} else ReleasePhase.ROLLED_BACK
    if shipped.rolled_back_by:
        return ReleasePhase.ROLLED_BACK
    return _ENDS.get(shipped.status) or _phase_in_progress(shipped)


def _phase_in_progress(shipped: DeploymentNow) -> ReleasePhase:
    if shipped.failed_stage is not None:
        return ReleasePhase.FAILED
    for name in ("BeforeAllowTraffic", "AfterAllowTraffic"):
        stage = shipped.stage(name)
        if stage is not None and stage.status == "InProgress":
            return ReleasePhase.HOOK
    allow = shipped.stage("AllowTraffic")
    if allow is None or allow.started_at is None:
        return ReleasePhase.NOT_STARTED
    return ReleasePhase.SHIFTING if allow.ended_at is None else ReleasePhase.BAKING


def _cause(shipped: DeploymentNow, undo: DeploymentNow | None) -> str | None:
    told = [shipped.error] if shipped.error else []
    stage = shipped.failed_stage
    if stage is not None and (stage.diagnostics or not told):
        told.append(f"{stage.name} failed" + (f": {stage.diagnostics}" if stage.diagnostics else ""))
    if undo is not None and undo.status in {"Failed", "Stopped"}:
        told.append(f"its rollback {undo.id} {undo.status.lower()}" + (f": {undo.error}" if undo.error else ""))
    return "; ".join(told) or shipped.rollback_message


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
        step = int((at - allow.started_at).total_seconds() // shipped.linear_s) + 1
        if shipped.step_share and (step + 1) * shipped.step_share > 1.0 + shipped.step_share - 1e-9:
            return None  # the last step has been made: what is left is CodeDeploy's own bookkeeping
        return allow.started_at + timedelta(seconds=step * shipped.linear_s)
    return None
