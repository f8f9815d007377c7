"""Resolves the start and end of a time window, including `release`, which AWS knows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from prodwatch.aws.interface import AwsError
from prodwatch.errors import CannotVerifyError, ConfigurationError
from prodwatch.model.identity import GroupId
from prodwatch.model.release import main_release
from prodwatch.model.signal import ReleaseState
from prodwatch.model.status import Reason
from prodwatch.runner.values.read_releases import ReleaseReading, read_releases
from prodwatch.session.engine import Engine
from prodwatch.sources.redaction import SignalRedactor
from prodwatch.sources.release.source import ReleaseSource
from prodwatch.text.parse_user_times import Moment
from prodwatch.views.release import FunctionReleases

HISTORY = timedelta(days=7)
"""Age of the oldest release that is found."""


async def release_of(engine: Engine) -> ReleaseState:
    """Return the release that the dashboard would show. Raises what `_releases` raises."""
    reading = await _releases(engine)
    if reading.unread:
        raise CannotVerifyError(
            f"{reading.problem}; use a time instead of release", reading.reason or Reason.UNRESOLVED
        )
    release = main_release(reading.states, engine.clock.now())
    if release is None:
        raise CannotVerifyError("the release could not be read: no alias was found", Reason.UNRESOLVED)
    return release


async def selects_version_under_release(
    engine: Engine, warn: Callable[[str], None]
) -> Callable[[GroupId, str | None], bool]:
    """Return a function from a log group and a line's version to whether that version is under release there.

    While nothing is released, it is the version that serves. A function whose release could not be read is named by
    `warn`, and all its lines are selected. Raises what `_releases` raises.
    """
    reading = await _releases(engine)
    read = {state.id for state in reading.states}
    unread = {
        group
        for function in engine.environment.functions
        if function.alias and function.id not in read
        for group in function.writers
    }
    for sentence in reading.unread:
        warn(f"{sentence}; lines of all its versions are shown")
    releases = FunctionReleases(reading.states, engine.clock.now())
    serving = {writer: state.version for state in reading.states for writer in state.writers}

    def selects(group: GroupId, version: str | None) -> bool:
        # A group that belongs to no function may hold the lines of any.
        if group in unread or (unread and group not in serving):
            return True
        if releases.main is None:
            expected = serving.get(group)
        else:
            release = releases.of_group(group)
            expected = release.version if release is not None else None
        return expected is not None and version == expected

    return selects


async def _releases(engine: Engine) -> ReleaseReading:
    """Return the release of every function as the dashboard would show it.

    Raises ConfigurationError when the environment has no function with an alias, and CannotVerifyError when AWS
    provides none of the releases.
    """
    environment = engine.environment
    for unfilled in environment.unfilled_of("function", "release"):
        raise CannotVerifyError(unfilled.sentence, unfilled.reason)
    if not any(function.alias for function in environment.functions):
        raise ConfigurationError(
            f"environment {environment.name} has no release: none of its [[function]] tables has an alias; "
            "use a time instead of release"
        )
    source = ReleaseSource(
        engine.aws,
        environment,
        clock=engine.clock,
        since=engine.clock.now() - HISTORY,
        clean=SignalRedactor(engine.redactor).text,
    )
    try:
        states = tuple(each for each in await source.poll() if isinstance(each, ReleaseState))
        main = main_release(states, engine.clock.now())
        if main is not None and main.started_at is not None and not source.unread():
            return ReleaseReading(states)
        # Without a deployment the version's creation time is the best estimate.
        return await read_releases(environment, engine.aws, None, engine.clock)
    except AwsError as caught:
        raise CannotVerifyError(f"the release could not be read: {caught.message}", caught.reason) from caught
    except LookupError as caught:
        raise CannotVerifyError(f"the release could not be read: {caught.args[0]}", Reason.UNRESOLVED) from caught


async def instant(moment: Moment, engine: Engine) -> datetime:
    """Return the moment, or the start of the release for `release`. Raises what `release_of` raises."""
    if isinstance(moment, datetime):
        return moment
    release = await release_of(engine)
    if release.started_at is None:
        raise CannotVerifyError(
            f"the start of the release of {release.function} is unknown; use a time instead", Reason.UNRESOLVED
        )
    return release.started_at


async def window_of(since: Moment, until: Moment | None, engine: Engine) -> tuple[datetime, datetime | None]:
    """Return the start and the end of the window; an end of None means "follow".

    Raises what `release_of` raises, and ConfigurationError for a window that ends before it starts.
    """
    start = await instant(since, engine)
    end = None if until is None else await instant(until, engine)
    if end is not None and end <= start:
        raise ConfigurationError(f"--until ({end:%H:%M:%S} UTC) is not after --since ({start:%H:%M:%S} UTC)")
    return start, end
