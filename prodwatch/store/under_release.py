"""Versions and log groups under release: what bounded stores keep longest."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from prodwatch.model.identity import GroupId, Place
from prodwatch.model.release import present_releases
from prodwatch.model.signal import MetricKey, ReleasePhase, ReleaseState


class ReleasedGroup(msgspec.Struct, frozen=True):
    """The release of the function that writes one log group."""

    version: str | None
    started_ms: float | None
    """Epoch milliseconds; None when it is not known."""


class UnderRelease(msgspec.Struct, frozen=True):
    """Functions, versions and log groups that releases of one moment are about."""

    versions: frozenset[tuple[str, Place, str | None]] = frozenset()
    """Function, place and version: the new one, the previous one, and None for the alias as a whole."""
    groups: dict[GroupId, ReleasedGroup] = {}

    @classmethod
    def of(cls, states: Iterable[ReleaseState], now: datetime) -> UnderRelease:
        """Return what the releases that are not history at `now` are about."""
        versions: set[tuple[str, Place, str | None]] = set()
        groups: dict[GroupId, ReleasedGroup] = {}
        for state in present_releases(states, now):
            if state.phase is ReleasePhase.NONE:
                continue
            versions |= {(state.function, state.place, each) for each in (None, state.version, state.previous)}
            started_ms = state.started_at.timestamp() * 1000 if state.started_at else None
            groups |= dict.fromkeys(state.writers, ReleasedGroup(state.version, started_ms))
        return cls(frozenset(versions), groups)

    def has_series(self, key: MetricKey) -> bool:
        """Return whether a series is about a function and version under release."""
        function = key.function or dict(key.dimensions).get("FunctionName", "")
        return (function, key.place, key.version) in self.versions

    def has_error(self, group: GroupId, versions: Iterable[str], first_ms: float) -> bool:
        """Return whether an error was logged by the version under release, or first seen after its release began."""
        release = self.groups.get(group)
        if release is None:
            return False
        return release.version in set(versions) or (release.started_ms is not None and first_ms >= release.started_ms)


NOTHING_RELEASED = UnderRelease()
