"""Derives the state of a release from current API responses: a pure function that needs no history."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from prodwatch.model.identity import HOME, FunctionId, Place
from prodwatch.model.release import WENT_WRONG
from prodwatch.model.signal import ReleaseEvent, ReleasePhase, ReleaseState
from prodwatch.sources.release.alias_weights import (
    AliasObservation,
    AliasState,
    newest_version,
    state_from_alias,
    traffic_shares,
)

_FINAL_PHASES = {
    "Succeeded": ReleasePhase.SUCCEEDED,
    "Failed": ReleasePhase.FAILED,
    "Stopped": ReleasePhase.STOPPED,
    "Baking": ReleasePhase.BAKING,
    "Created": ReleasePhase.NOT_STARTED,
    "Queued": ReleasePhase.NOT_STARTED,
    "Ready": ReleasePhase.NOT_STARTED,
}
_OVER_PHASES = WENT_WRONG | {ReleasePhase.SUCCEEDED}
OVER = frozenset(("Succeeded", "Failed", "Stopped"))
"""Statuses of a deployment that no longer moves traffic."""


class LifecycleEvent(msgspec.Struct, frozen=True):
    """One lifecycle event of a deployment."""

    name: str
    status: str
    started_at: datetime | None = None
    ended_at: datetime | None = None
    diagnostics: str | None = None


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """One CodeDeploy deployment of one function."""

    id: str
    status: str
    """`Created Queued InProgress Baking Succeeded Failed Stopped Ready`."""
    function: str
    alias: str
    current: str
    """Version before the deployment."""
    target: str
    """Version being deployed."""
    created_at: datetime
    ended_at: datetime | None = None
    creator: str = "user"
    error: str | None = None
    rolled_back_by: str | None = None
    rollback_of: str | None = None
    """Deployment that this one undoes, empty when it is not known which; None for a deployment that undoes nothing."""
    rollback_message: str | None = None
    lifecycle: tuple[LifecycleEvent, ...] = ()
    canary_s: float | None = None
    """Seconds from the first shift to the rest (time-based canary)."""
    linear_s: float | None = None
    """Seconds between steps (time-based linear)."""
    step_share: float | None = None
    """Share of traffic moved by the first shift, 0 to 1; None when the configuration is unknown."""
    reported_weight: float | None = None
    """`targetVersionWeight` as reported by CodeDeploy; see `share_of`."""
    application: str = ""
    group: str = ""
    """Deployment group."""
    place: Place = HOME

    @property
    def owner(self) -> FunctionId:
        """Identity of the function and alias that is deployed."""
        return FunctionId(self.function, self.alias, self.place)

    def stage(self, name: str) -> LifecycleEvent | None:
        """Return the lifecycle event of this name, None without one."""
        return next((event for event in self.lifecycle if event.name == name), None)

    @property
    def failed_stage(self) -> LifecycleEvent | None:
        """Return the lifecycle event that failed, None without one."""
        return next((event for event in self.lifecycle if event.status == "Failed"), None)


_UNDONE_BY = {
    "CloudFormationRollback": "CloudFormation rolled the stack back",
    "codeDeployRollback": "CodeDeploy rolled the deployment back",
}
"""Creator of a deployment that undoes another one → why. Every other creator deploys, unless it goes back by hand."""


def with_rollbacks(deployments: Sequence[Deployment]) -> list[Deployment]:
    """Return the deployments, newest first, with `rollback_of` set where CodeDeploy itself names no rollback.

    A stack that goes back, and a person who deploys the old version again, create a deployment of their own.
    """
    known: list[Deployment] = []
    for deployment in sorted(deployments, key=lambda each: each.created_at):
        cause = None if deployment.rollback_of is not None else _undo_cause(deployment)
        if cause is None:
            known.append(deployment)
            continue
        place = (deployment.function, deployment.alias)
        original = next(
            (
                each.id
                for each in reversed(known)
                if (each.function, each.alias) == place
                and each.target == deployment.current
                and each.rollback_of is None
            ),
            "",
        )
        message = deployment.rollback_message or cause
        known.append(replace(deployment, rollback_of=original, rollback_message=message))
    return known[::-1]


def _undo_cause(deployment: Deployment) -> str | None:
    """Return why a deployment is a way back; None when it is not."""
    cause = _UNDONE_BY.get(deployment.creator)
    if cause is not None:
        return cause
    versions = (deployment.current, deployment.target)
    if all(map(str.isdecimal, versions)) and int(deployment.target) < int(deployment.current):
        # Lambda numbers versions in order.
        return f"version {deployment.target} was deployed again"
    return None


def release_state(
    function: str,
    alias: str | None,
    now: AliasState | None,
    deployments: Sequence[Deployment],
    *,
    at: datetime,
    history: Sequence[AliasObservation] = (),
) -> ReleaseState:
    """Return the state of a function's release.

    `deployments` contains only those of this function and alias, newest first. `history` is the alias's observed
    history, oldest first, each change once; it also covers releases made without CodeDeploy.
    """
    deployment = next((candidate for candidate in deployments if candidate.rollback_of is None), None)
    if deployment is None:
        return _state_of_undo(function, alias, now, deployments, history)
    rollback = _find_rollback(deployment, deployments)
    if now is not None and _outdated(deployment, rollback, now):
        return state_from_alias(function, alias, now, history)
    phase, cause = _phase(deployment, rollback), _cause(deployment, rollback)
    moved = _moved_meanwhile(deployment, rollback, now)
    if moved is not None and now is not None:
        # CodeDeploy goes on as if nothing had happened, so only the alias shows it.
        cause = "; ".join(filter(None, (moved, cause)))
        if deployment.target not in traffic_shares(now):
            phase = ReleasePhase.ROLLED_BACK
    if phase is ReleasePhase.SUCCEEDED and now is not None and now.primary == deployment.current != deployment.target:
        # Traffic is back on the old version although the deployment succeeded: the alias was moved by hand.
        phase, cause = ReleasePhase.ROLLED_BACK, f"the alias was moved back to version {now.primary} by hand"
    return ReleaseState(
        function=function,
        alias=alias,
        phase=phase,
        version=deployment.target,
        previous=deployment.current,
        weights=traffic_shares(now) if now is not None else _reported_shares(rollback or deployment, history),
        started_at=_started(deployment),
        next_shift_at=_next_shift(deployment, at) if phase is ReleasePhase.SHIFTING else None,
        ended_at=(rollback or deployment).ended_at if phase in _OVER_PHASES else None,
        cause=cause if phase in WENT_WRONG or moved else None,
        deployment=deployment.id,
        deployment_status=deployment.status,
    )


def _state_of_undo(
    function: str,
    alias: str | None,
    now: AliasState | None,
    deployments: Sequence[Deployment],
    history: Sequence[AliasObservation],
) -> ReleaseState:
    """Return the state when only deployments that undo an unknown one are known."""
    undo = deployments[0] if deployments else None
    if undo is None or (now is not None and _outdated(undo, None, now)):
        return state_from_alias(function, alias, now, history)
    failed = undo.status in {"Failed", "Stopped"}
    return ReleaseState(
        function=function,
        alias=alias,
        phase=ReleasePhase.FAILED if failed else ReleasePhase.ROLLED_BACK,
        version=undo.current,
        previous=undo.target,
        weights=traffic_shares(now) if now is not None else _reported_shares(undo, history),
        started_at=_started(undo),
        ended_at=undo.ended_at,
        cause=(undo.error if failed else None) or undo.rollback_message,
        deployment=undo.id,
        deployment_status=undo.status,
    )


def share_of(reported: float, *, alias_share: float | None = None, step_share: float | None = None) -> float:
    """Return `targetVersionWeight` as a share of traffic, 0 to 1.

    AWS's reference calls it "the percentage of production traffic", GetAlias returns the same weight as a fraction, and
    both occur. A value above 1 must be a percentage, a value below 1 a fraction, because CodeDeploy shifts whole
    percents. Exactly 1 means all traffic or 1 %: the alias's own weight decides, then the step of the configuration.
    Without either it is taken as all traffic, the more dangerous case to overlook.
    """
    if reported > 1.0:
        return min(1.0, reported / 100.0)
    if reported < 1.0:
        return max(0.0, reported)
    reference = alias_share if alias_share is not None else step_share
    return 1.0 if reference is None or abs(1.0 - reference) <= abs(0.01 - reference) else 0.01


def events_of(deployment: Deployment, *, named: bool = False) -> list[ReleaseEvent]:
    """Return all dated events of a deployment, oldest first.

    `named` adds the function's name, for a deployment of several functions.
    """
    events = _events(deployment)
    if named:
        alias = f"{deployment.function}:{deployment.alias}"
        events = [replace(event, what=f"{alias} {event.what}") for event in events]
    return sorted((replace(event, place=deployment.place) for event in events), key=lambda event: event.at)


def _events(deployment: Deployment) -> list[ReleaseEvent]:
    events = [
        ReleaseEvent(
            at=deployment.created_at,
            source="codedeploy",
            subject=deployment.id,
            what="deployment created" if deployment.rollback_of is None else "rollback created",
            from_=deployment.current,
            to=deployment.target,
            detail=f"rolls back {deployment.rollback_of}" if deployment.rollback_of else None,
        )
    ]
    for event in deployment.lifecycle:
        shifts = event.name == "AllowTraffic"
        if event.started_at:
            weight = deployment.step_share if shifts else None
            events.append(_stage_event(deployment, event, event.started_at, "started", weight))
        if event.ended_at:
            weight = 1.0 if shifts and event.status == "Succeeded" else None
            events.append(_stage_event(deployment, event, event.ended_at, event.status.lower(), weight))
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
    deployment: Deployment, stage: LifecycleEvent, at: datetime, word: str, weight: float | None
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


def _find_rollback(deployment: Deployment, deployments: Sequence[Deployment]) -> Deployment | None:
    """Return the newest deployment that rolls `deployment` back, or rolls its rollback back; None without one."""
    undone_ids, newest_rollback = {deployment.id}, None
    for candidate in sorted(deployments, key=lambda candidate: candidate.created_at):
        if candidate.rollback_of in undone_ids or candidate.id == deployment.rolled_back_by:
            undone_ids.add(candidate.id)
            newest_rollback = candidate
    return newest_rollback


def _moved_meanwhile(deployment: Deployment, rollback: Deployment | None, now: AliasState | None) -> str | None:
    """Return that the alias sends traffic to a version that the deployment under way does not know; None otherwise."""
    if now is None or (rollback or deployment).status in OVER:
        return None
    foreign = [
        version
        for version, share in traffic_shares(now).items()
        if share > 0 and version not in {deployment.current, deployment.target}
    ]
    if not foreign:
        return None
    return f"the alias was moved to version {newest_version(foreign)} by hand while the deployment runs"


def _outdated(deployment: Deployment, rollback: Deployment | None, now: AliasState) -> bool:
    """Return whether the alias shows a change after the deployment, made without CodeDeploy."""
    last = rollback or deployment
    if last.status not in OVER:
        return False
    if {now.primary, *now.weights} - {deployment.current, deployment.target}:
        return True
    # A stopped deployment leaves its split in place; a successful one leaves none.
    return bool(now.weights) and last.status == "Succeeded"


def _reported_shares(deployment: Deployment, history: Sequence[AliasObservation]) -> dict[str, float]:
    """Return the traffic shares reported by CodeDeploy, for an alias that cannot be read."""
    if deployment.reported_weight is None:
        return {}
    last = traffic_shares(history[-1].state).get(deployment.target) if history else None
    share = share_of(deployment.reported_weight, alias_share=last, step_share=deployment.step_share)
    reported = {deployment.current: round(1.0 - share, 6), deployment.target: round(share, 6)}
    return {version: event for version, event in reported.items() if event}


def _phase(deployment: Deployment, rollback: Deployment | None) -> ReleasePhase:
    if rollback is not None:
        # A failed rollback has not restored the old version.
        return ReleasePhase.FAILED if rollback.status in {"Failed", "Stopped"} else ReleasePhase.ROLLED_BACK
    if deployment.rolled_back_by:
        return ReleasePhase.ROLLED_BACK
    return _FINAL_PHASES.get(deployment.status) or _phase_in_progress(deployment)


def _phase_in_progress(deployment: Deployment) -> ReleasePhase:
    if deployment.failed_stage is not None:
        return ReleasePhase.FAILED
    for name in ("BeforeAllowTraffic", "AfterAllowTraffic"):
        stage = deployment.stage(name)
        if stage is not None and stage.status == "InProgress":
            return ReleasePhase.HOOK
    allow = deployment.stage("AllowTraffic")
    if allow is None or allow.started_at is None:
        return ReleasePhase.NOT_STARTED
    return ReleasePhase.SHIFTING if allow.ended_at is None else ReleasePhase.BAKING


def _cause(deployment: Deployment, rollback: Deployment | None) -> str | None:
    reported = [deployment.error] if deployment.error else []
    stage = deployment.failed_stage
    if stage is not None and (stage.diagnostics or not reported):
        reported.append(f"{stage.name} failed" + (f": {stage.diagnostics}" if stage.diagnostics else ""))
    if rollback is not None and rollback.status in {"Failed", "Stopped"}:
        reported.append(
            f"its rollback {rollback.id} {rollback.status.lower()}" + (f": {rollback.error}" if rollback.error else "")
        )
    return "; ".join(reported) or deployment.rollback_message or (rollback.rollback_message if rollback else None)


def _started(deployment: Deployment) -> datetime:
    allow = deployment.stage("AllowTraffic")
    return allow.started_at if allow is not None and allow.started_at else deployment.created_at


def _next_shift(deployment: Deployment, at: datetime) -> datetime | None:
    allow = deployment.stage("AllowTraffic")
    if allow is None or allow.started_at is None:
        return None
    if deployment.canary_s:
        due = allow.started_at + timedelta(seconds=deployment.canary_s)
        return due if due > at else None
    if deployment.linear_s:
        step = int((at - allow.started_at).total_seconds() // deployment.linear_s) + 1
        if deployment.step_share and (step + 1) * deployment.step_share > 1.0 + deployment.step_share - 1e-9:
            return None  # the last step is done; CodeDeploy only finishes its own work
        return allow.started_at + timedelta(seconds=step * deployment.linear_s)
    return None
