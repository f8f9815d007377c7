"""Options of the live commands that take a time or a duration: `--since`, `--until`, `--utc`, `--follow`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any, TypeVar

import click

from prodwatch.text.timestamps import RELEASE, parse_moment

F = TypeVar("F", bound=Callable[..., Any])


def utc_option(command: F) -> F:
    """Give a command `--utc`; it is read before the moments, which it gives a meaning."""
    return click.option("--utc", is_flag=True, is_eager=True, help="Times in UTC, read and shown, not local ones.")(
        command
    )


def end_options(command: F) -> F:
    """Give a command `--until` and `--follow/--no-follow`: how far it reads."""
    following = click.option(
        "-f/ ",
        "--follow/--no-follow",
        default=None,
        help="Go on until Ctrl-C, which is the default; or read what there is by now and end.",
    )
    until = click.option(
        "--until", type=MomentParameter(), metavar="WHEN", help="Up to when; ends once that has been read."
    )
    return until(following(command))


def zone_of(options: Mapping[str, Any]) -> tzinfo | None:
    """Return the zone that times are read and shown in, None for the machine's own."""
    return UTC if options.get("utc") else None


def one_end(*, follow: bool | None, until: object, until_idle: float | None) -> float | None:
    """Return for how long nothing may come until the end, None when something else ends it; a usage error for two."""
    if sum((until is not None, until_idle is not None, follow is False)) > 1:
        raise click.UsageError("--until, --until-idle and --no-follow: one end is enough")
    if follow and (until is not None or until_idle is not None):
        raise click.UsageError("--follow has no end: leave it out, or --until and --until-idle")
    return 0.0 if follow is False else until_idle


class MomentParameter(click.ParamType[Any]):
    """A moment, `release` included."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a `Moment`; a usage error otherwise."""
        if isinstance(value, datetime) or value == RELEASE:
            return value
        try:
            return parse_moment(str(value), datetime.now(UTC), zone_of(ctx.params if ctx else {}))
        except ValueError as caught:
            self.fail(str(caught), param, ctx)


class SpanParameter(click.ParamType[float]):
    """A duration such as 5s, zero included, as seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds; a usage error otherwise."""
        from prodwatch.text.units import parse_duration

        if isinstance(value, int | float):
            return float(value)
        try:
            found = float(parse_duration(str(value)).s)
        except ValueError as caught:
            self.fail(str(caught), param, ctx)
        if found < 0:
            self.fail(f'"{value}" is less than nothing', param, ctx)
        return found
