"""Which version of an alias had all the traffic, and when; used to assign the alias's metrics to versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from prodwatch.sources.release.alias_weights import AliasObservation, AliasState
from prodwatch.sources.release.release_state import Deployment

ALWAYS_S = float("-inf")
"""Start of a shift that reaches back without limit, in epoch seconds."""


class Shift(msgspec.Struct, frozen=True):
    """A point in time from which one version had all the traffic."""

    at_s: float
    version: str | None
    """Version with all the traffic; None while it was split or unknown."""


def traffic_shifts(
    now: AliasState | None,
    history: Sequence[AliasObservation],
    deployments: Sequence[Deployment],
    *,
    published_s: Mapping[str, float] | None = None,
) -> tuple[Shift, ...]:
    """Return the shifts of one alias, oldest first; the first one reaches back without limit.

    Observations count from the first one on; before it, CodeDeploy's dates do (`deployments` newest first). Without
    either, a split is assumed to have begun on the alias's primary version, serving since its publication
    (`published_s`: version → epoch seconds).
    """
    first_s = history[0].at.timestamp() if history else float("inf")
    shifts = [shift for shift in _shifts_of_deployments(deployments) if shift.at_s < first_s]
    if not shifts:
        start = history[0].state if history else now
        primary = start.primary if start is not None else None
        published_at_s = (published_s or {}).get(primary, ALWAYS_S) if primary is not None else ALWAYS_S
        shifts = [Shift(ALWAYS_S, None)] if published_at_s > ALWAYS_S else []
        shifts.append(Shift(published_at_s, primary))
    shifts += [Shift(observation.at.timestamp(), observation.state.sole_version) for observation in history]
    return tuple(shifts)


def sole_version(shifts: Sequence[Shift], start_s: float, end_s: float) -> str | None:
    """Return the only version with traffic from `start_s` to `end_s` (epoch seconds), None without one."""
    version: str | None = None
    for number, shift in enumerate(shifts):
        until_s = shifts[number + 1].at_s if number + 1 < len(shifts) else float("inf")
        if until_s <= max(start_s, shift.at_s) or shift.at_s >= end_s:
            continue
        if shift.version is None or version not in {None, shift.version}:
            return None
        version = shift.version
    return version


def _shifts_of_deployments(deployments: Sequence[Deployment]) -> list[Shift]:
    shifts: list[Shift] = []
    for deployment in reversed(deployments):
        if not shifts:
            shifts.append(Shift(ALWAYS_S, deployment.target if deployment.rollback_of else deployment.current))
        allow = deployment.stage("AllowTraffic")
        if allow is None or allow.started_at is None:
            continue
        shifts.append(Shift(allow.started_at.timestamp(), None))
        if allow.ended_at is not None and allow.status == "Succeeded":
            shifts.append(Shift(allow.ended_at.timestamp(), deployment.target))
    return sorted(shifts, key=lambda shift: shift.at_s)
