"""Timestamps as users type them (`10m`, `14:05`, RFC 3339, epoch, `release`) and as prodwatch writes them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal

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
