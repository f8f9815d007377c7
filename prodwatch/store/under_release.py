"""Versions and log groups under release: what bounded stores keep longest."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from prodwatch.model.identity import GroupId, Place
from prodwatch.model.release import present_releases, release_of_group
from prodwatch.model.signal import MetricKey, ReleasePhase, ReleaseState


class UnderRelease(msgspec.Struct, frozen=True):
    """Functions and versions that releases of one moment are about."""

    versions: frozenset[tuple[str, Place, str | None]] = frozenset()
    """Function, place and version: the new one, the previous one, and None for the alias as a whole."""
    released: tuple[ReleaseState, ...] = ()

    @classmethod
    def of(cls, states: Iterable[ReleaseState], now: datetime) -> UnderRelease:
        """Return what the releases that are not history at `now` are about."""
        released = tuple(each for each in present_releases(states, now) if each.phase is not ReleasePhase.NONE)
        versions = {
            (state.function, state.place, each) for state in released for each in (None, state.version, state.previous)
        }
        return cls(frozenset(versions), released)

    def has_series(self, key: MetricKey) -> bool:
        """Return whether a series is about a function and version under release."""
        function = key.function or dict(key.dimensions).get("FunctionName", "")
        return (function, key.place, key.version) in self.versions

    def has_error(self, group: GroupId, versions: Iterable[str], first_ms: float) -> bool:
        """Return whether an error was logged by the version under release, or first seen after its release began."""
        release = release_of_group(group, self.released)
        if release is None:
            return False
        began_ms = None if release.started_at is None else release.started_at.timestamp() * 1000
        return release.version in set(versions) or (began_ms is not None and first_ms >= began_ms)


NOTHING_RELEASED = UnderRelease()
