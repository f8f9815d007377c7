"""The release in one line: versions, weights, phase, clock, what comes next."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from prodwatch.model.identity import GroupId
from prodwatch.model.release import (
    current_release,
    first_release,
    only_release,
    present_releases,
    release_of_group,
)
from prodwatch.model.signal import UNREADABLE, MetricKey, ReleasePhase, ReleaseState, SourcePhase
from prodwatch.store.store import Store


class Share(msgspec.Struct, frozen=True):
    """One version's part of the traffic."""

    version: str
    weight: float
    """0 to 1."""
    new: bool
    """It is the version under release."""


class ReleaseHeader(msgspec.Struct, frozen=True, kw_only=True):
    """Values of the release line."""

    function: str
    shares: tuple[Share, ...]
    """Previous version first."""
    phase: ReleasePhase
    version: str | None
    previous: str | None
    elapsed_s: float | None
    """Since the release began; None when nothing began."""
    next_shift_s: float | None
    """Until the next shift; negative once it is overdue."""
    cause: str | None
    note: str | None
    """Remark on the version: `configuration only`."""
    deployment: str | None
    others: int
    """Further functions and configurations with a release of their own."""


def release_header(store: Store, now: datetime) -> ReleaseHeader | None:
    """Return the line for the main release; None in triage, when nothing is released."""
    states = store.release.all_states
    state = current_release(states, now)
    if state is None:
        return None
    return ReleaseHeader(
        function=state.title,
        shares=_shares(state),
        phase=state.phase,
        version=state.version,
        previous=state.previous,
        elapsed_s=(now - state.started_at).total_seconds() if state.started_at else None,
        next_shift_s=(state.next_shift_at - now).total_seconds() if state.next_shift_at else None,
        cause=state.cause,
        note=state.note,
        deployment=state.deployment,
        others=sum(each.phase is not ReleasePhase.NONE for each in present_releases(states, now)) - 1,
    )


class FunctionReleases:
    """The releases of all functions: a version number means something only together with its function."""

    def __init__(self, releases: Iterable[ReleaseState], now: datetime) -> None:
        present = present_releases(releases, now)
        self.main = current_release(present, now)
        self._released = tuple(each for each in present if each.phase is not ReleasePhase.NONE)

    @property
    def share_versions(self) -> bool:
        """Return whether all releases are from the same version to the same version."""
        return len({(each.previous, each.version) for each in self._released}) <= 1

    def of_series(self, key: MetricKey) -> ReleaseState | None:
        """Return the release of the function that a series is about; None when it has none, or is not known."""
        dimensions = dict(key.dimensions)
        function = key.function or dimensions.get("FunctionName", "")
        if not function:
            return only_release(self._released) if key.version is not None else None
        own = [each for each in self._released if (each.function, each.place) == (function, key.place)]
        resource = dimensions.get("Resource")
        if resource is not None:
            own = [each for each in own if resource in {f"{function}:{each.alias}", function}]
        return first_release(own)

    def of_group(self, group: GroupId) -> ReleaseState | None:
        """Return the release of the function that writes a log group; None when it has none, or is not known."""
        return release_of_group(group, self._released)


def without_release(store: Store) -> str:
    """Return the text shown without a release: there is none, or releases could not be read."""
    status = store.sources.get("release") or store.sources.get("session")
    if status is None and store.sources:
        return "no function is watched for releases"  # other sources have answered
    if status is None or status.phase is SourcePhase.STARTING:
        return "looking for a release …"
    if status.phase in UNREADABLE:
        why = f"needs {status.action}" if status.action else status.message or str(status.phase)
        return f"releases cannot be read: {why}"
    return "no release is under way"


def _shares(state: ReleaseState) -> tuple[Share, ...]:
    shares = [Share(version, weight, version == state.version) for version, weight in state.weights.items()]
    return tuple(sorted(shares, key=lambda share: (share.new, -share.weight)))


def version_label(version: str | None) -> str:
    """Return `v42` for Lambda's `42`; names that are not numbers stay as they are."""
    if version is None:
        return "–"
    return f"v{version}" if version.isdigit() else version
