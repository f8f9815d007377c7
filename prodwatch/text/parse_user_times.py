"""Parses times as users type them (`10m`, `14:05`, RFC 3339, epoch, `release`) and formats prodwatch's timestamps."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Literal

RELEASE: Literal["release"] = "release"
Moment = datetime | Literal["release"]
"""An instant in UTC, or `release` for the start of the release, which AWS knows."""

_WEEKS = re.compile(r"-?(\d{1,4})w")
_DATE = len("2026-12-24")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FORMS = "use a duration before now (10m, 2w), a time of day (14:05), RFC 3339, epoch seconds, or release"


def parse_moment(text: str, now: datetime, zone: tzinfo | None = None, *, is_end: bool = False) -> Moment:
    """Parse a time relative to `now`; times without an offset are in `zone`, local time when that is None.

    A time of day means its latest occurrence before `now`. A date and time in the hour that is repeated when clocks are
    put back means the first, or the second when it `is_end` of a span, so that nothing is cut off. Raises ValueError
    with one sentence.
    """
    text = text.strip()
    if text == RELEASE:
        return RELEASE
    if text == "now":
        return now
    moment = (
        _ago(text, now) or _parse_epoch(text) or _parse_time_of_day(text, now, zone) or _iso(text, zone, is_end=is_end)
    )
    if moment is None:
        raise ValueError(f'"{text}" is not a time; {_FORMS}')
    return moment


def _ago(text: str, now: datetime) -> datetime | None:
    from prodwatch.text.units import parse_duration

    weeks = _WEEKS.fullmatch(text)
    try:
        if weeks:
            return now - timedelta(weeks=int(weeks[1]))
        return now - timedelta(seconds=abs(parse_duration(text).s))
    except (ValueError, OverflowError):
        return None


def _parse_epoch(text: str) -> datetime | None:
    """Parse seconds or milliseconds since 1970, as AWS tools write them."""
    if not (text.isascii() and text.isdigit()) or len(text) not in {10, 13}:
        return None
    return from_epoch(int(text) * (1000 if len(text) == 10 else 1))


def _parse_time_of_day(text: str, now: datetime, zone: tzinfo | None) -> datetime | None:
    local = now.astimezone(zone)
    for form in ("%H:%M", "%H:%M:%S"):
        try:
            parsed = datetime.strptime(text, form)  # noqa: DTZ007 -- only its time of day is used
        except ValueError:
            continue
        today = datetime.combine(local.date(), parsed.time())
        instants = (instant for day in (today, today - timedelta(days=1)) for instant in _instants(day, zone))
        return max(instant for instant in instants if instant <= now)
    return None


def _iso(text: str, zone: tzinfo | None, *, is_end: bool) -> datetime | None:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    return _instants(parsed, zone)[-1 if is_end else 0] if parsed.tzinfo is None else parsed.astimezone(UTC)


def _instants(naive: datetime, zone: tzinfo | None) -> tuple[datetime, ...]:
    """Return the instants of a local time, earliest first: two when clocks are put back over it, else one."""
    first, second = (_in_zone(naive.replace(fold=fold), zone) for fold in (0, 1))
    # In the hour that is skipped when clocks are put forward the second is before the first, and neither exists.
    return (first, second) if first < second else (first,)


def _in_zone(naive: datetime, zone: tzinfo | None) -> datetime:
    return (naive.astimezone() if zone is None else naive.replace(tzinfo=zone)).astimezone(UTC)


def from_epoch(epoch_ms: int) -> datetime:
    """Return the instant `epoch_ms` milliseconds after 1970, without rounding."""
    return _EPOCH + timedelta(milliseconds=epoch_ms)


def stamp(epoch_ms: int) -> str:
    """Return RFC 3339 in UTC, always with milliseconds, so that texts sort like times."""
    return f"{from_epoch(epoch_ms):%Y-%m-%dT%H:%M:%S}.{epoch_ms % 1000:03}Z"


def instant_of(text: str) -> datetime:
    """Return the instant of an RFC 3339 date or time: a date means its beginning, a time without a zone is UTC.

    Raises ValueError for anything else.
    """
    end = datetime.fromisoformat(text) if len(text) > _DATE else datetime.combine(date.fromisoformat(text), time.min)
    return end if end.tzinfo is not None else end.replace(tzinfo=UTC)
