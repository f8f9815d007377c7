"""Which version had all of an alias's traffic, and when: whom a minute of the alias's own metrics is credited to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from prodwatch.sources.release.alias_weights import AliasNow, AliasSeen
from prodwatch.sources.release.release_state import DeploymentNow

ALWAYS_S = float("-inf")


class Shift(msgspec.Struct, frozen=True):
    """From this epoch second on one version had all the traffic."""

    at_s: float
    version: str | None
    """None: the traffic was split, or nobody knows."""


def serving(
    now: AliasNow | None,
    seen: Sequence[AliasSeen],
    deployments: Sequence[DeploymentNow],
    *,
    published_s: Mapping[str, float] | None = None,
) -> tuple[Shift, ...]:
    """Return the shifts of one alias, oldest first; the first one reaches back for ever.

    What somebody saw counts from the first sight on; before it, CodeDeploy's own dates do (`deployments` newest
    first). Without either, a split that is met is taken to have begun on the alias's own version, and that version
    to have served since it was published (`published_s`: version → epoch seconds), never before.
    """
    first_s = seen[0].at.timestamp() if seen else float("inf")
    shifts = [each for each in _by_deployments(deployments) if each.at_s < first_s]
    if not shifts:
        start = seen[0].now if seen else now
        primary = start.primary if start is not None else None
        born_s = (published_s or {}).get(primary, ALWAYS_S) if primary is not None else ALWAYS_S
        shifts = [Shift(ALWAYS_S, None)] if born_s > ALWAYS_S else []
        shifts.append(Shift(born_s, primary))
    shifts += [Shift(each.at.timestamp(), each.now.alone) for each in seen]
    return tuple(shifts)


def owner(shifts: Sequence[Shift], start_s: float, end_s: float) -> str | None:
    """Return the version that had all the traffic from `start_s` to `end_s`, None when there is no such one."""
    held: str | None = None
    for number, shift in enumerate(shifts):
        until_s = shifts[number + 1].at_s if number + 1 < len(shifts) else float("inf")
        if until_s <= max(start_s, shift.at_s) or shift.at_s >= end_s:
            continue
        if shift.version is None or held not in {None, shift.version}:
            return None
        held = shift.version
    return held


def _by_deployments(deployments: Sequence[DeploymentNow]) -> list[Shift]:
    shifts: list[Shift] = []
    for each in reversed(deployments):
        if not shifts:
            shifts.append(Shift(ALWAYS_S, each.current if each.rollback_of is None else each.target))
        allow = each.stage("AllowTraffic")
        if allow is None or allow.started_at is None:
            continue
        shifts.append(Shift(allow.started_at.timestamp(), None))
        if allow.ended_at is not None and allow.status == "Succeeded":
            shifts.append(Shift(allow.ended_at.timestamp(), each.target))
    return sorted(shifts, key=lambda shift: shift.at_s)
