"""`--since`, `--from` and `--to` mean one window or are refused in a sentence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click
import pytest
from click.testing import CliRunner

from prodwatch.cli.main import main
from prodwatch.cli.window_options import arguments, window_of
from prodwatch.views.time_window import Window

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("since", "from_", "to", "window"),
    [
        (None, None, None, None),
        ("1h", None, None, Window(start=NOW - timedelta(hours=1))),
        ("11:30", None, None, Window(start=NOW - timedelta(minutes=30))),
        ("13:00", None, None, None),
        (None, "2h", None, Window(start=NOW - timedelta(hours=2))),
        (None, "10:00", "11:15", Window(start=NOW - timedelta(hours=2), end=NOW - timedelta(minutes=45))),
        (None, "2h", "now", Window(start=NOW - timedelta(hours=2), end=NOW)),
        (
            None,
            "2026-01-14T09:00:00+01:00",
            "2026-01-14T10:00:00Z",
            Window(start=datetime(2026, 1, 14, 8, tzinfo=UTC), end=datetime(2026, 1, 14, 10, tzinfo=UTC)),
        ),
    ],
    ids=["none", "relative", "time of day", "yesterday's is too long ago", "from", "of day", "until now", "absolute"],
)
def test_a_window(since: str | None, from_: str | None, to: str | None, window: Window | None) -> None:
    if since == "13:00":
        with pytest.raises(click.UsageError, match="longer than 12 hours"):
            window_of(since, from_, to, NOW)
    else:
        assert window_of(since, from_, to, NOW) == window


@pytest.mark.parametrize(
    ("since", "from_", "to", "says"),
    [
        ("1h", "2h", None, "are the same option"),
        (None, None, "1h", "--to needs --from"),
        ("1h", None, "30m", "--to needs --from"),
        ("yesterday", None, None, '"yesterday" is not a time'),
        ("release", None, None, "shows the release by default"),
        (None, "1h", "2h", "is not before --to"),
        (None, "1h", "2026-01-15T12:30:00Z", "is in the future"),
        ("2026-01-15T12:30:00Z", None, None, r"is not before now \(12:00 UTC\)"),
        (None, "20d", "475h", "more than 15 days ago"),
        (None, "13h", None, "longer than 12 hours"),
    ],
)
def test_a_window_that_is_none_is_refused(since: str | None, from_: str | None, to: str | None, says: str) -> None:
    with pytest.raises(click.UsageError, match=says):
        window_of(since, from_, to, NOW)


def test_a_browser_gets_the_same_window() -> None:
    assert arguments("1h", None, None) == ["--since=1h"]
    assert arguments(None, "10:00", "11:00") == ["--from=10:00", "--to=11:00"]


@pytest.mark.parametrize("option", ["--since", "--from", "--to"])
def test_before_a_command_the_options_are_refused(option: str) -> None:
    answer = CliRunner().invoke(main, [option, "1h", "logs", "--env", "prod"])
    assert answer.exit_code == 2
    assert f"{option} is an option of the dashboard" in answer.output


@pytest.mark.parametrize("given", [True, False])
def test_D_the_dashboard_allows_writes_where_it_is_told_to(given: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def open_dashboard(_common: object, **keys: object) -> int:
        calls.append(keys)
        return 0

    monkeypatch.setattr("prodwatch.cli.dashboard.open_dashboard", open_dashboard)
    option = ["--allow-writes"] if given else []
    assert CliRunner().invoke(main, [*option, "--env", "prod"]).exit_code == 0
    assert [(each["window"], each["allow_writes"]) for each in calls] == [(None, given)]


def test_before_a_command_allow_writes_is_refused() -> None:
    answer = CliRunner().invoke(main, ["--allow-writes", "check", "--env", "prod"])
    assert answer.exit_code == 2
    assert "--allow-writes is an option of the dashboard" in answer.output


def test_help_says_what_they_do() -> None:
    answer = CliRunner().invoke(main, ["--help"])
    for word in ("--since", "--from", "--to", "what changed"):
        assert word in answer.output
