"""The releases that one gate is about: which serve, which were replaced, and when their traffic was shifted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from prodwatch.model.comparison import ComparisonResult, SignatureResult
from prodwatch.model.identity import FunctionId, unique_name
from prodwatch.model.release import UNDER_WAY, WENT_WRONG, serving_share
from prodwatch.model.signal import ReleasePhase, ReleaseState
from prodwatch.text.units import format_age


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """One release that the gate is about, as it was when its version began to serve."""

    function: FunctionId
    name: str
    """Function and alias as comparisons name them."""
    version: str
    is_function: bool = True
    """False for a configuration."""
    shifted_at: datetime | None
    """When traffic was shifted to it; None when that was not observed."""
    deployment: str | None = None
    code: str | None = None
    configuration: str | None = None

    def is_of(self, state: ReleaseState) -> bool:
        """Return whether a state is of this release, not of a later one of the same function."""
        if state.id != self.function or state.version != self.version:
            return False
        deployed_again = None not in {state.deployment, self.deployment} and state.deployment != self.deployment
        return not deployed_again and not self._differs(state)

    def _differs(self, state: ReleaseState) -> bool:
        """Return whether the same version has other code or configuration, as `$LATEST` may."""
        code, configuration = state.code.get(self.version), state.configuration.get(self.version)
        return (None not in {code, self.code} and code != self.code) or (
            None not in {configuration, self.configuration} and configuration != self.configuration
        )


def subject_of(state: ReleaseState) -> Subject:
    """Return the release in a state that has a version."""
    version = state.version or ""
    return Subject(
        function=state.id,
        name=unique_name(state.id.subject, state.place),
        version=version,
        is_function=state.kind == "function",
        shifted_at=state.started_at,
        deployment=state.deployment,
        code=state.code.get(version),
        configuration=state.configuration.get(version),
    )


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """Releases that may be the subject of a gate, at one moment."""

    states: tuple[ReleaseState, ...]
    """Those that are expected, or that have begun lately."""
    missing: str | None
    """The version that does not serve yet, as the beginning of a sentence; None when all do."""


def watched_releases(
    states: Sequence[ReleaseState], expected: Mapping[str, str], now: datetime, bake_s: float
) -> Watched:
    """Return the releases of `expected`, function → version (`""` for the only one); without any, those of lately.

    A release that is under way is of lately, and one that began or ended less than a bake ago.
    """
    if expected:
        found = [_expected(states, name, version) for name, version in expected.items()]
        return Watched(
            states=tuple(state for state, _ in found if state is not None),
            missing=next((missing for _, missing in found if missing is not None), None),
        )
    recent = tuple(each for each in states if _is_recent(each, now, bake_s))
    if not recent:
        return Watched(states=(), missing=f"no release has begun in the {format_age(bake_s)} before this gate or")
    late = next((each for each in recent if each.phase not in WENT_WRONG and not _serves(each)), None)
    return Watched(
        states=recent,
        missing=f"version {late.version} of {late.title} has not served" if late is not None else None,
    )


def _expected(states: Sequence[ReleaseState], name: str, version: str) -> tuple[ReleaseState | None, str | None]:
    of_function = [each for each in states if not name or each.function == name]
    state = next((each for each in of_function if each.version == version), None)
    if state is not None and (state.phase in WENT_WRONG or _serves(state)):
        return state, None
    serving = sorted({v for each in of_function for v, share in each.weights.items() if share})
    instead = f" (version {' and '.join(serving)} serves)" if serving else ""
    return state, f"version {version}{f' of {name}' if name else ''} has not served{instead}"


def _serves(state: ReleaseState) -> bool:
    """Return whether the version gets traffic; a function without an alias always serves its latest code."""
    if state.alias is None and not state.weights:
        return state.phase is not ReleasePhase.SHIFTING
    return bool(serving_share(state))


def _is_recent(state: ReleaseState, now: datetime, bake_s: float) -> bool:
    if state.version is None or state.phase is ReleasePhase.NONE:
        return False
    if state.phase in UNDER_WAY:
        return True
    times = [each for each in (state.started_at, state.ended_at) if each is not None]
    return any(now - each < timedelta(seconds=bake_s) for each in times)


def replaced(subjects: Iterable[Subject], states: Sequence[ReleaseState]) -> str | None:
    """Return the sentence about a release that has made way for a later one of its function; None without one."""
    for subject in subjects:
        later = next((each for each in states if each.id == subject.function and not subject.is_of(each)), None)
        if later is None:
            continue
        if later.version == subject.version:
            return f"version {subject.version} of {subject.name} was released again or changed during the bake"
        return f"version {later.version} of {subject.name} was released during the bake of version {subject.version}"
    return None


def comparisons_of(subjects: Sequence[Subject], results: Iterable[ComparisonResult]) -> tuple[ComparisonResult, ...]:
    """Return the comparisons of these releases."""
    released = {(each.name, each.version) for each in subjects}
    return tuple(each for each in results if (each.function, each.canary.version) in released)


def signatures_of(subjects: Sequence[Subject], results: Iterable[SignatureResult]) -> tuple[SignatureResult, ...]:
    """Return the error signatures of the functions of these releases."""
    names = {each.name for each in subjects}
    return tuple(each for each in results if each.function in names)
