from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

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
