"""Derives release states from alias weights alone, for releases by hand, SAM, CDK or Terraform without CodeDeploy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from prodwatch.model.signal import ReleasePhase, ReleaseState


class AliasState(msgspec.Struct, frozen=True):
    """An alias as returned by GetAlias."""

    primary: str
    weights: dict[str, float]
    """Additional versions only: version → share of traffic, 0 to 1."""

    @property
    def sole_version(self) -> str | None:
        """Return the version with all the traffic, None while it is split."""
        return None if any(self.weights.values()) else self.primary


def alias_state_of(response: Mapping[str, Any]) -> AliasState:
    """Return the state in a response of GetAlias; a version with a weight of 0 gets no traffic and is left out."""
    extra = (response.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    shares = {str(version): float(share) for version, share in extra.items()}
    return AliasState(str(response["FunctionVersion"]), {version: share for version, share in shares.items() if share})


class AliasObservation(msgspec.Struct, frozen=True):
    """A state of an alias and the time it was first observed."""

    at: datetime
    state: AliasState


def newest_version(versions: Iterable[str]) -> str:
    """Return the latest version; Lambda numbers versions in order."""
    return max(versions, key=lambda version: (int(version) if version.isdecimal() else -1, version))


def traffic_shares(now: AliasState) -> dict[str, float]:
    """Return each version's share of traffic, the alias's primary version first."""
    rest = 1.0 - sum(now.weights.values())
    return {now.primary: round(rest, 6), **now.weights}


def state_from_alias(
    function: str, alias: str | None, now: AliasState | None, history: Sequence[AliasObservation] = ()
) -> ReleaseState:
    """Return the release state derived from the alias now and its observed history."""
    if now is None:
        return ReleaseState(function=function, alias=alias)
    weights = traffic_shares(now)
    if now.sole_version is None:
        version, previous = split_versions(now)
        return ReleaseState(
            function=function,
            alias=alias,
            phase=ReleasePhase.SHIFTING,
            version=version,
            previous=previous,
            weights=weights,
            started_at=_split_since(history),
        )
    before = _before(now, history)
    if before is None:
        return ReleaseState(function=function, alias=alias, version=now.primary, weights=weights)
    version, previous = (
        split_versions(before.state)
        if before.state.sole_version is None
        else _move_versions(before.state.primary, now.primary)
    )
    if now.primary not in {version, previous}:
        version, previous = now.primary, before.state.primary
    is_rollback = now.primary == previous
    moved = history[-1].at if before.state.sole_version is not None else _split_since(history[:-1])
    return ReleaseState(
        function=function,
        alias=alias,
        phase=ReleasePhase.ROLLED_BACK if is_rollback else ReleasePhase.SUCCEEDED,
        version=version,
        previous=previous,
        weights=weights,
        started_at=moved,
        ended_at=history[-1].at,
        cause=f"the alias was moved back to version {now.primary}" if is_rollback else None,
    )


def split_versions(now: AliasState) -> tuple[str, str]:
    """Return the new version of a split and the version it replaces."""
    additional = [version for version, share in now.weights.items() if share]
    version = newest_version((*additional, now.primary))
    return version, now.primary if version != now.primary else newest_version(additional)


def _move_versions(before: str, after: str) -> tuple[str, str]:
    """Return new and old version of an immediate move; a move to a lower number is a rollback."""
    return (after, before) if newest_version((before, after)) == after else (before, after)


def _before(now: AliasState, history: Sequence[AliasObservation]) -> AliasObservation | None:
    """Return the last observation in which the traffic differed from now, None without one."""
    return next(
        (observation for observation in reversed(history) if observation.state.sole_version != now.sole_version), None
    )


def _split_since(history: Sequence[AliasObservation]) -> datetime | None:
    """Return when the last observed split began; None when its beginning was not observed."""
    began = None
    for observation in reversed(history):
        if observation.state.sole_version is not None:
            return began
        began = observation.at
    return None
