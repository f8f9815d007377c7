"""Release states of a window that is over, from the dated events of its deployments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from prodwatch.model.signal import ReleaseState
from prodwatch.sources.release.alias_weights import AliasState
from prodwatch.sources.release.release_state import Deployment, LifecycleEvent, release_state

_STEP_ROUNDING = 1e-9
"""Share of traffic below which the rest of a linear deployment counts as nothing."""


def past_states(
    deployments: Sequence[Deployment], start: datetime, end: datetime
) -> tuple[tuple[datetime, ReleaseState], ...]:
    """Return the state of one function's release at `start`, then each later one until `end`, with its time.

    `deployments` are those of one function and alias, newest first; the result is empty when none of them had begun.
    """
    states: list[tuple[datetime, ReleaseState]] = []
    for at in (start, *sorted({each for each in _changes(deployments) if start < each <= end})):
        state = _state_at(deployments, at)
        if state is not None and (not states or states[-1][1] != state):
            states.append((at, state))
    return tuple(states)


def unknown_steps(deployments: Iterable[Deployment]) -> tuple[str, ...]:
    """Return the deployments of which it is not known how much traffic each step shifted."""
    return tuple(each.id for each in deployments if each.step_share is None and _shift(each) is not None)


def _state_at(deployments: Sequence[Deployment], at: datetime) -> ReleaseState | None:
    begun = [_as_of(each, at) for each in deployments if each.created_at <= at]
    if not begun:
        return None
    # A rollback that has not begun is not known to the deployment that it undoes.
    known = {each.id for each in begun}
    begun = [
        each if each.rolled_back_by in known else replace(each, rolled_back_by=None, rollback_message=None)
        for each in begun
    ]
    last = begun[0]
    state = release_state(last.function, last.alias, _alias_at(begun, at), begun, at=at)
    return replace(state, next_shift_at=None, place=last.place)


def _as_of(deployment: Deployment, at: datetime) -> Deployment:
    """Return a deployment as CodeDeploy described it at a moment."""
    lifecycle = tuple(
        _event_as_of(each, at) for each in deployment.lifecycle if each.started_at is not None and each.started_at <= at
    )
    if deployment.ended_at is not None and deployment.ended_at <= at:
        return replace(deployment, lifecycle=lifecycle)
    return replace(deployment, lifecycle=lifecycle, status="InProgress", ended_at=None, error=None)


def _event_as_of(event: LifecycleEvent, at: datetime) -> LifecycleEvent:
    if event.ended_at is not None and event.ended_at <= at:
        return event
    return LifecycleEvent(event.name, "InProgress", event.started_at)


def _alias_at(begun: Sequence[Deployment], at: datetime) -> AliasState:
    """Return the alias as the deployments until then have left it."""
    oldest = begun[-1]
    alias = AliasState(oldest.current, {})
    for each in reversed(begun):
        shift = _shift(each)
        if shift is None or shift.started_at is None:
            continue
        if shift.ended_at is not None and shift.status == "Succeeded":
            alias = AliasState(each.target, {})
        else:
            # A deployment that failed or was stopped leaves its split until another one undoes it.
            share = _shifted_share(each, min(shift.ended_at or at, at) - shift.started_at)
            alias = AliasState(each.target, {}) if share >= 1 else AliasState(each.current, {each.target: share})
    return alias


def _shift(deployment: Deployment) -> LifecycleEvent | None:
    event = deployment.stage("AllowTraffic")
    return event if event is not None and event.started_at is not None else None


def _shifted_share(deployment: Deployment, since: timedelta) -> float:
    """Return the share of traffic on the new version that long after the first shift."""
    share = deployment.step_share if deployment.step_share is not None else 1.0
    if deployment.canary_s:
        return 1.0 if since.total_seconds() >= deployment.canary_s else share
    if deployment.linear_s:
        moved = share * (int(since.total_seconds() // deployment.linear_s) + 1)
        return 1.0 if moved >= 1 - _STEP_ROUNDING else round(moved, 6)
    return share


def _changes(deployments: Iterable[Deployment]) -> Iterable[datetime]:
    """Yield every time at which a deployment began, ended or shifted traffic."""
    for each in deployments:
        yield each.created_at
        if each.ended_at is not None:
            yield each.ended_at
        for event in each.lifecycle:
            yield from (at for at in (event.started_at, event.ended_at) if at is not None)
        shift = _shift(each)
        if shift is None or shift.started_at is None:
            continue
        if each.canary_s:
            yield shift.started_at + timedelta(seconds=each.canary_s)
        elif each.linear_s and each.step_share:
            for step in range(1, int(1 / each.step_share) + 1):
                yield shift.started_at + timedelta(seconds=step * each.linear_s)
