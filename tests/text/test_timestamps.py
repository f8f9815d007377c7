from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.text.parse_user_times import parse_moment

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
CET = timezone(timedelta(hours=1))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10m", NOW - timedelta(minutes=10)),
        ("-10m", NOW - timedelta(minutes=10)),
        ("1h30m", NOW - timedelta(minutes=90)),
        ("now", NOW),
        ("13:05", datetime(2026, 11, 20, 12, 5, tzinfo=UTC)),
        ("13:05:07", datetime(2026, 11, 20, 12, 5, 7, tzinfo=UTC)),
        ("14:05", datetime(2026, 11, 19, 13, 5, tzinfo=UTC)),
        ("2026-11-20T11:00:00Z", datetime(2026, 11, 20, 11, tzinfo=UTC)),
        ("2026-11-20T11:00:00+02:00", datetime(2026, 11, 20, 9, tzinfo=UTC)),
        ("2026-11-20 11:00", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("2026-11-20", datetime(2026, 11, 19, 23, tzinfo=UTC)),
        ("release", "release"),
    ],
)
def test_a_moment_is_one_instant(text: str, expected: object) -> None:
    assert parse_moment(text, NOW, CET) == expected


@pytest.mark.parametrize("text", ["", "soon", "10", "25:00", "2026-13-01", "10q"])
def test_anything_else_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time; use a duration before now"):
        parse_moment(text, NOW, CET)


BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-10-25T00:20Z", "2026-10-24T00:30Z"),
        ("2026-10-25T00:45Z", "2026-10-25T00:30Z"),
        ("2026-10-25T01:15Z", "2026-10-25T00:30Z"),
        ("2026-10-25T01:45Z", "2026-10-25T01:30Z"),
        ("2026-10-25T23:00Z", "2026-10-25T01:30Z"),
    ],
)
def test_K28_a_time_of_day_in_the_repeated_hour_is_the_latest_that_has_passed(now: str, expected: str) -> None:
    at = datetime.fromisoformat(now)
    assert parse_moment("02:30", at, BERLIN) == datetime.fromisoformat(expected)
    assert parse_moment("02:30", at, BERLIN, is_end=True) == datetime.fromisoformat(expected)


def test_K28_a_date_in_the_repeated_hour_cuts_nothing_off() -> None:
    now = datetime(2026, 10, 26, tzinfo=UTC)
    assert parse_moment("2026-10-25T02:30", now, BERLIN) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert parse_moment("2026-10-25T02:30", now, BERLIN, is_end=True) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert parse_moment("2026-10-25T02:30+02:00", now, BERLIN, is_end=True) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@given(
    now=st.integers(0, 2 * 365 * 1440).map(
        lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    ),
    minute=st.integers(0, 1439),
)
def test_K28_no_later_occurrence_of_a_time_of_day_has_passed(now: datetime, minute: int) -> None:
    found = parse_moment(f"{minute // 60:02}:{minute % 60:02}", now, BERLIN)
    assert isinstance(found, datetime)
    assert found <= now
    later = (found + timedelta(minutes=each) for each in range(1, int((now - found).total_seconds() // 60) + 1))
    assert all((each.astimezone(BERLIN).hour, each.astimezone(BERLIN).minute) != divmod(minute, 60) for each in later)
