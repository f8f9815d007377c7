"""Selects the main release when several functions are released."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from prodwatch.model.signal import ReleasePhase, ReleaseState

UNDER_WAY = frozenset((ReleasePhase.NOT_STARTED, ReleasePhase.HOOK, ReleasePhase.SHIFTING, ReleasePhase.BAKING))
WENT_WRONG = frozenset((ReleasePhase.FAILED, ReleasePhase.STOPPED, ReleasePhase.ROLLED_BACK))

_RANK = {
    **dict.fromkeys(UNDER_WAY, 0),
    **dict.fromkeys(WENT_WRONG, 1),
    ReleasePhase.SUCCEEDED: 2,
    ReleasePhase.NONE: 3,
}
_NEVER = datetime.min.replace(tzinfo=UTC)


def main_release(releases: Iterable[ReleaseState]) -> ReleaseState | None:
    """Return the release shown and named everywhere; None without `releases`.

    A release in progress comes before one that went wrong, then one that succeeded, then a function without a release.
    Among equals the latest start comes first, then the given order.
    """
    return min(
        releases, key=lambda release: (_RANK[release.phase], _NEVER - (release.started_at or _NEVER)), default=None
    )


def current_release(releases: Iterable[ReleaseState]) -> ReleaseState | None:
    """Return the main release; None when its function has no release."""
    release = main_release(releases)
    return release if release is not None and release.phase is not ReleasePhase.NONE else None


def serving_share(release: ReleaseState) -> float | None:
    """Return the share of traffic on the version under release, 0 to 1; None when it is not known."""
    if release.version is None or not release.weights:
        return None
    return release.weights.get(release.version, 0.0)


def is_withdrawn(release: ReleaseState) -> bool:
    """Return whether the version of a release that went wrong serves nothing any more; False when that is not known."""
    share = serving_share(release)
    return share == 0 or (share is None and release.phase is ReleasePhase.ROLLED_BACK)
