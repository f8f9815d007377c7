"""What an alias alone tells of a release: for weights moved by hand, by SAM, CDK or Terraform, without CodeDeploy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from prodwatch.model.signal import ReleasePhase, ReleaseState


class AliasNow(msgspec.Struct, frozen=True):
    """One alias as GetAlias tells it."""

    primary: str
    weights: dict[str, float]
    """Additional versions only, 0 to 1."""

    @property
    def alone(self) -> str | None:
        """Return the version that gets all the traffic, None while it is split."""
        return None if any(self.weights.values()) else self.primary


class AliasSeen(msgspec.Struct, frozen=True):
    """An alias, and when it was first seen like this."""

    at: datetime
    now: AliasNow


def newest(versions: Iterable[str]) -> str:
    """Return the version published last; Lambda numbers them in order."""
    return max(versions, key=lambda version: (int(version) if version.isdecimal() else -1, version))


def shares(now: AliasNow) -> dict[str, float]:
    """Return every version's share of traffic, the alias's own version first."""
    rest = 1.0 - sum(now.weights.values())
    return {now.primary: round(rest, 6), **now.weights}


def by_alias(function: str, alias: str | None, now: AliasNow | None, seen: Sequence[AliasSeen] = ()) -> ReleaseState:
    """Return where a release stands by the alias now and what it was before, as far as somebody saw it."""
    if now is None:
        return ReleaseState(function=function, alias=alias)
    weights = shares(now)
    if now.alone is None:
        version, previous = _pair(now)
        return ReleaseState(
            function=function,
            alias=alias,
            phase=ReleasePhase.SHIFTING,
            version=version,
            previous=previous,
            weights=weights,
            started_at=_split_since(seen),
        )
    before = _before(now, seen)
    if before is None:
        return ReleaseState(function=function, alias=alias, version=now.primary, weights=weights)
    version, previous = _pair(before.now) if before.now.alone is None else _moved(before.now.primary, now.primary)
    if now.primary not in {version, previous}:
        version, previous = now.primary, before.now.primary
    back = now.primary == previous
    moved = seen[-1].at if before.now.alone is not None else _split_since(seen[:-1])
    return ReleaseState(
        function=function,
        alias=alias,
        phase=ReleasePhase.ROLLED_BACK if back else ReleasePhase.SUCCEEDED,
        version=version,
        previous=previous,
        weights=weights,
        started_at=moved,
        cause=f"the alias went back to version {now.primary}" if back else None,
    )


def _pair(now: AliasNow) -> tuple[str, str]:
    """Return the version that is on its way in, and the one it takes over from."""
    extra = [version for version, share in now.weights.items() if share]
    version = newest((*extra, now.primary))
    return version, now.primary if version != now.primary else newest(extra)


def _moved(before: str, after: str) -> tuple[str, str]:
    """Return new and old version of a move all at once: to a lower number it is a way back."""
    return (after, before) if newest((before, after)) == after else (before, after)


def _before(now: AliasNow, seen: Sequence[AliasSeen]) -> AliasSeen | None:
    """Return the last sight of the alias with other traffic than now."""
    return next((each for each in reversed(seen) if each.now.alone != now.alone), None)


def _split_since(seen: Sequence[AliasSeen]) -> datetime | None:
    """Return when the split that was seen last began; None when nobody saw it begin."""
    began = None
    for each in reversed(seen):
        if each.now.alone is not None:
            return began
        began = each.at
    return None
