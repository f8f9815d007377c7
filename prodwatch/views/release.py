"""The release in one line: versions, weights, phase, clock, what comes next."""

from __future__ import annotations

from datetime import datetime

import msgspec

from prodwatch.model.release import current_release, present_releases
from prodwatch.model.signal import UNREADABLE, ReleasePhase, ReleaseState, SourcePhase
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
    deployment: str | None
    others: int
    """Further functions with a release of their own."""


def release_header(store: Store, now: datetime) -> ReleaseHeader | None:
    """Return the line for the main release; None in triage, when nothing is released."""
    states = store.release.states.values()
    state = current_release(states, now)
    if state is None:
        return None
    return ReleaseHeader(
        function=state.function,
        shares=_shares(state),
        phase=state.phase,
        version=state.version,
        previous=state.previous,
        elapsed_s=(now - state.started_at).total_seconds() if state.started_at else None,
        next_shift_s=(state.next_shift_at - now).total_seconds() if state.next_shift_at else None,
        cause=state.cause,
        deployment=state.deployment,
        others=sum(each.phase is not ReleasePhase.NONE for each in present_releases(states, now)) - 1,
    )


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
