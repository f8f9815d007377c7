"""Options of the live commands that take a time or a duration: `--since`, `--until`, `--utc`, `--follow`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any, TypeVar

import click

from prodwatch.text.parse_user_times import RELEASE, parse_moment

F = TypeVar("F", bound=Callable[..., Any])


def utc_option(command: F) -> F:
    """Add `--utc` to a command; it is parsed before the options with times, whose zone it sets."""
    help_text = "Read and show times in UTC instead of local time."
    return click.option("--utc", is_flag=True, is_eager=True, help=help_text)(command)


def end_options(command: F) -> F:
    """Add `--until` and `--follow/--no-follow` to a command."""
    following = click.option(
        "-f/ ",
        "--follow/--no-follow",
        default=None,
        help="Keep reading until Ctrl-C (default), or read up to now and exit.",
    )
    until = click.option(
        "--until",
        type=MomentParameter(is_end=True),
        metavar="WHEN",
        help="End; exits once everything up to it is read.",
    )
    return until(following(command))


def zone_of(options: Mapping[str, Any]) -> tzinfo | None:
    """Return the zone for reading and showing times; None for local time."""
    return UTC if options.get("utc") else None


def zone_name(zone: tzinfo | None, now: datetime) -> str:
    """Return the name of the zone at `now`, such as `CEST`."""
    return now.astimezone(zone).tzname() or "UTC"


def local_stamp(at: datetime, zone: tzinfo | None) -> str:
    """Return date, time to the second and the zone's name, for example `2026-11-30 14:05:09 CET`."""
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S} {zone_name(zone, at)}"


def one_end(*, follow: bool | None, until: object, until_idle: float | None) -> float | None:
    """Return the idle time in seconds after which reading ends; None when something else ends it.

    Raises UsageError for options that exclude each other.
    """
    if sum((until is not None, until_idle is not None, follow is False)) > 1:
        raise click.UsageError("--until, --until-idle and --no-follow exclude each other")
    if follow and (until is not None or until_idle is not None):
        raise click.UsageError("--follow and --until or --until-idle exclude each other")
    return 0.0 if follow is False else until_idle


class MomentParameter(click.ParamType[Any]):
    """A time such as 10m, 14:05, RFC 3339 or release."""

    name = "moment"

    def __init__(self, *, is_end: bool = False) -> None:
        """`is_end`: the time ends a span."""
        self._is_end = is_end

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a `Moment`. Raises a usage error for any other value."""
        if isinstance(value, datetime) or value == RELEASE:
            return value
        try:
            zone = zone_of(ctx.params if ctx else {})
            return parse_moment(str(value), datetime.now(UTC), zone, is_end=self._is_end)
        except ValueError as caught:
            self.fail(str(caught), param, ctx)


class SpanParameter(click.ParamType[float]):
    """A duration of zero or more, such as 5s, as seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds. Raises a usage error for any other value."""
        from prodwatch.text.units import parse_duration

        if isinstance(value, int | float):
            return float(value)
        try:
            seconds = float(parse_duration(str(value)).s)
        except ValueError as caught:
            self.fail(str(caught), param, ctx)
        if seconds < 0:
            self.fail(f'"{value}" is negative', param, ctx)
        return seconds
