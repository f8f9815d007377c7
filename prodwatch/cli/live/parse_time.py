"""Moments as people type them: `10m`, `14:05`, RFC 3339, `release`; each means one instant or is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Literal, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

RELEASE: Literal["release"] = "release"
Moment = datetime | Literal["release"]
"""An instant in UTC, or the start of the release, which only AWS knows."""

_WEEKS = re.compile(r"-?(\d{1,4})w")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOW = 'write a duration back from now (10m, 2w), a time of day ("14:05"), RFC 3339, epoch seconds, or release'


def parse_moment(text: str, now: datetime, zone: tzinfo | None = None) -> Moment:
    """Return what `text` means at `now`; times without an offset are in `zone`, None for the machine's own.

    A time of day is the latest one that has passed. ValueError with one sentence otherwise.
    """
    text = text.strip()
    if text == RELEASE:
        return RELEASE
    if text == "now":
        return now
    found = _back(text, now) or _epoch(text) or _time_of_day(text, now, zone) or _written(text, zone)
    if found is None:
        raise ValueError(f'"{text}" is not a moment; {_HOW}')
    return found


def _back(text: str, now: datetime) -> datetime | None:
    from prodwatch.text.units import parse_duration

    weeks = _WEEKS.fullmatch(text)
    try:
        if weeks:
            return now - timedelta(weeks=int(weeks[1]))
        return now - timedelta(seconds=abs(parse_duration(text).s))
    except (ValueError, OverflowError):
        return None


def _epoch(text: str) -> datetime | None:
    """Read seconds or milliseconds since 1970, as other tools of AWS write them."""
    if not (text.isascii() and text.isdigit()) or len(text) not in {10, 13}:
        return None
    return from_epoch(int(text) * (1000 if len(text) == 10 else 1))


def _time_of_day(text: str, now: datetime, zone: tzinfo | None) -> datetime | None:
    local = now.astimezone(zone)
    for form in ("%H:%M", "%H:%M:%S"):
        try:
            told = datetime.strptime(text, form)  # noqa: DTZ007 -- only its time of day is used
        except ValueError:
            continue
        wanted = datetime.combine(local.date(), told.time())
        found = _in_zone(wanted, zone)
        return found if found <= now else _in_zone(wanted - timedelta(days=1), zone)
    return None


def _written(text: str, zone: tzinfo | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return _in_zone(found, zone) if found.tzinfo is None else found.astimezone(UTC)


def _in_zone(naive: datetime, zone: tzinfo | None) -> datetime:
    return (naive.astimezone() if zone is None else naive.replace(tzinfo=zone)).astimezone(UTC)


def from_epoch(epoch_ms: int) -> datetime:
    """Return the instant so many milliseconds after 1970, exactly."""
    return _EPOCH + timedelta(milliseconds=epoch_ms)


def stamp(epoch_ms: int) -> str:
    """Return RFC 3339 in UTC, always to the millisecond, so that texts sort like times."""
    return f"{from_epoch(epoch_ms):%Y-%m-%dT%H:%M:%S}.{epoch_ms % 1000:03}Z"


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
