"""What `release` means in the options of the live commands."""

from __future__ import annotations

from datetime import datetime, timedelta

from prodwatch.aws.api import AwsError
from prodwatch.errors import CannotVerifyError, ConfigurationError
from prodwatch.model.release import main_release
from prodwatch.model.signal import ReleaseState
from prodwatch.model.status import Reason
from prodwatch.runner.values.release import read_releases
from prodwatch.session.engine import Engine
from prodwatch.sources.redaction import SignalRedactor
from prodwatch.sources.release.source import ReleaseSource
from prodwatch.text.timestamps import Moment

HISTORY = timedelta(days=7)


async def release_of(engine: Engine) -> ReleaseState:
    """Return the release the dashboard would show; CannotVerifyError when it cannot be known.

    ConfigurationError when the environment names no function with an alias, so that there is nothing to release.
    """
    environment = engine.environment
    if not any(function.alias for function in environment.functions):
        raise ConfigurationError(
            f"release means nothing in environment {environment.name}: it has no [[function]] with an alias; "
            "say a time instead"
        )
    source = ReleaseSource(
        engine.aws,
        environment,
        clock=engine.clock,
        since=engine.clock.now() - HISTORY,
        clean=SignalRedactor(engine.redactor).text,
    )
    try:
        states = [each for each in await source.poll() if isinstance(each, ReleaseState)]
        found = main_release(states)
        if found is None or found.started_at is None:
            # Without a deployment the version's own birthday is the best there is.
            found = main_release(await read_releases(environment, engine.aws, None)) or found
    except AwsError as caught:
        raise CannotVerifyError(f"the release cannot be known: {caught.message}", caught.reason) from caught
    except LookupError as caught:
        raise CannotVerifyError(f"the release cannot be known: {caught.args[0]}", Reason.UNRESOLVED) from caught
    if found is None:
        raise CannotVerifyError("the release cannot be known: no alias answered", Reason.UNRESOLVED)
    return found


async def instant(moment: Moment, engine: Engine) -> datetime:
    """Return a moment with `release` replaced by the start of the release; raises what `release_of` does."""
    if isinstance(moment, datetime):
        return moment
    release = await release_of(engine)
    if release.started_at is None:
        raise CannotVerifyError(
            f"nobody knows when the release of {release.function} started; say a time instead", Reason.UNRESOLVED
        )
    return release.started_at


async def window_of(since: Moment, until: Moment | None, engine: Engine) -> tuple[datetime, datetime | None]:
    """Return begin and end of what is read, None for no end.

    Raises what `release_of` does, and ConfigurationError for a window that ends before it begins.
    """
    start = await instant(since, engine)
    end = None if until is None else await instant(until, engine)
    if end is not None and end <= start:
        raise ConfigurationError(f"--until ({end:%H:%M:%S} UTC) is not after --since ({start:%H:%M:%S} UTC)")
    return start, end
