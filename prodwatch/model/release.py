"""Selects the main release when several functions are released, and tells when a release is history."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec.structs import replace

from prodwatch.model.identity import LAMBDA_GROUPS, FunctionId, GroupId
from prodwatch.model.signal import ReleasePhase, ReleaseState

UNDER_WAY = frozenset((ReleasePhase.NOT_STARTED, ReleasePhase.HOOK, ReleasePhase.SHIFTING, ReleasePhase.BAKING))
WENT_WRONG = frozenset((ReleasePhase.FAILED, ReleasePhase.STOPPED, ReleasePhase.ROLLED_BACK))

_OVER = WENT_WRONG | {ReleasePhase.SUCCEEDED}
HISTORY_AFTER = timedelta(hours=24)
"""Age, counted from its end, from which a release is history: its function counts as one without a release."""

_RANK = {
    **dict.fromkeys(UNDER_WAY, 0),
    **dict.fromkeys(WENT_WRONG, 1),
    ReleasePhase.SUCCEEDED: 2,
    ReleasePhase.NONE: 3,
}
_NEVER = datetime.min.replace(tzinfo=UTC)


class ReleaseId(msgspec.Struct, frozen=True):
    """Identity of a release: the same version may be released again."""

    function: FunctionId
    version: str | None
    previous: str | None
    started_at: datetime | None


def release_id(release: ReleaseState) -> ReleaseId:
    """Return the identity of a release."""
    return ReleaseId(release.id, release.version, release.previous, release.started_at)


def main_release(releases: Iterable[ReleaseState], now: datetime) -> ReleaseState | None:
    """Return the release shown and named everywhere, by `first_release` as of `now`; None without `releases`."""
    return first_release(present_releases(releases, now))


def main_release_of(
    functions: Collection[FunctionId], releases: Iterable[ReleaseState], now: datetime
) -> ReleaseState | None:
    """Return the main release among those of these functions; None without any."""
    return main_release((each for each in releases if each.id in functions), now)


def first_release(present: Iterable[ReleaseState]) -> ReleaseState | None:
    """Return the main one of releases that are not history; None without any.

    A release in progress comes before one that went wrong, then one that succeeded, then a function without a release.
    Among equals functions come before configurations, then the latest start comes first, then the given order.
    """
    return min(
        present,
        key=lambda release: (
            _RANK[release.phase],
            release.kind == "configuration",
            _NEVER - (release.started_at or _NEVER),
        ),
        default=None,
    )


def current_release(releases: Iterable[ReleaseState], now: datetime) -> ReleaseState | None:
    """Return the main release; None when its function has no release."""
    release = main_release(releases, now)
    return release if release is not None and release.phase is not ReleasePhase.NONE else None


def present_releases(releases: Iterable[ReleaseState], now: datetime) -> tuple[ReleaseState, ...]:
    """Return every function's release as of `now`; one that is history becomes a function without a release."""
    return tuple(_without_release(release) if is_history(release, now) else release for release in releases)


def is_history(release: ReleaseState, now: datetime) -> bool:
    """Return whether a release has been over for `HISTORY_AFTER`; never while two versions share the traffic."""
    if release.phase not in _OVER or sum(weight > 0 for weight in release.weights.values()) > 1:
        return False
    over_at = release.ended_at or release.started_at
    return over_at is not None and now - over_at >= HISTORY_AFTER


def _without_release(release: ReleaseState) -> ReleaseState:
    undone = release.previous if release.phase is ReleasePhase.ROLLED_BACK else release.version
    version = max(release.weights, key=release.weights.__getitem__) if release.weights else undone
    return replace(
        release,
        phase=ReleasePhase.NONE,
        version=version,
        previous=None,
        started_at=release.started_at if version == release.version else None,
        ended_at=None,
        next_shift_at=None,
        cause=None,
        deployment=None,
        deployment_status=None,
    )


def release_of_group(group: GroupId, released: Sequence[ReleaseState]) -> ReleaseState | None:
    """Return the release of the function that writes a log group; None when it has none, or is not known.

    `released` are the functions under release. A group that names no function is that of the only one of them.
    """
    own = [each for each in released if group in each.writers]
    if own:
        return first_release(own)
    return None if group.name.startswith(LAMBDA_GROUPS) else only_release(released)


def only_release(released: Sequence[ReleaseState]) -> ReleaseState | None:
    """Return the release of what names no function: with several functions, it may belong to any of them."""
    return released[0] if len({(each.function, each.place) for each in released}) == 1 else None


def serving_share(release: ReleaseState) -> float | None:
    """Return the share of traffic on the version under release, 0 to 1; None when it is not known."""
    if release.version is None or not release.weights:
        return None
    return release.weights.get(release.version, 0.0)


def has_two_versions(release: ReleaseState) -> bool:
    """Return whether the version of a release and the one before it are known and differ."""
    return release.version is not None and release.previous is not None and release.version != release.previous


def is_serving(release: ReleaseState) -> bool:
    """Return whether the version of a release that is under way or has succeeded is known to get traffic."""
    return release.phase in UNDER_WAY | {ReleasePhase.SUCCEEDED} and bool(serving_share(release))


def responding_versions(release: ReleaseState) -> tuple[str, ...]:
    """Return the versions whose responses are evidence: the one under release, else, once withdrawn, those that serve.

    Empty when none is known.
    """
    if release.phase not in WENT_WRONG or not is_withdrawn(release):
        return () if release.version is None else (release.version,)
    serving = tuple(version for version, weight in release.weights.items() if weight > 0)
    return serving or (() if release.previous is None else (release.previous,))


def is_withdrawn(release: ReleaseState) -> bool:
    """Return whether the version of a release that went wrong serves nothing any more; False when that is not known."""
    share = serving_share(release)
    return share == 0 or (share is None and release.phase is ReleasePhase.ROLLED_BACK)
