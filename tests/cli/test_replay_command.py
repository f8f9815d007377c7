"""`prodwatch replay`: its part of a recording, its errors, and the guide's keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from docs.writers.keys import keys_of
from prodwatch.cli.commands.replay import command, replay_app, span_of
from prodwatch.errors import ConfigurationError
from prodwatch.store.recording.reader import SessionFile
from prodwatch.tui.replay_app import ReplayApp
from prodwatch.tui.widgets.replay_bar import ReplayBar
from tests.support.recorded import RecordedScene

GUIDE = (Path(__file__).parents[2] / "docs/guide/replay.md").read_text(encoding="utf-8")
MINUTE_US = 60_000_000


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SessionFile]:
    """Return a recording from 12:00 to 12:10 UTC."""
    path = tmp_path_factory.mktemp("replay") / "f.pw"
    scene = RecordedScene(path)
    for _ in range(10):
        scene.lines(1, seconds=60)
    scene.close()
    with SessionFile(path) as file:
        yield file


@pytest.mark.parametrize(
    ("from_", "to", "minutes"),
    [
        (None, None, (0, 10)),
        ("2026-01-15T12:02:00Z", None, (2, 10)),
        ("4m", "1m", (6, 9)),
        (None, "2026-01-15T12:03:00+00:00", (0, 3)),
    ],
    ids=["all", "from", "durations before the end", "to"],
)
def test_a_part_is_chosen_by_times(
    from_: str | None, to: str | None, minutes: tuple[int, int], recorded: SessionFile
) -> None:
    assert span_of(recorded, from_, to) == tuple(each * MINUTE_US for each in minutes)


@pytest.mark.parametrize(
    ("from_", "to", "message"),
    [
        ("2026-01-15T11:59:00Z", None, "is not in the recording, 2026-01-15 12:00:00 to 12:10:00 UTC"),
        (None, "2026-01-15T12:11:00Z", "--to: 2026-01-15 12:11:00 UTC is not in the recording"),
        ("1m", "4m", "--from is not before --to"),
        ("release", None, "name a time"),
        ("soon", None, "is not a time"),
    ],
    ids=["before", "after", "reversed", "release", "no time"],
)
def test_a_part_outside_of_the_recording_is_refused(
    from_: str | None, to: str | None, message: str, recorded: SessionFile
) -> None:
    with pytest.raises(click.UsageError, match=re.escape(message)):
        span_of(recorded, from_, to)


def test_the_dashboard_takes_its_facts_from_the_recording(
    recorded: SessionFile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    app = replay_app(recorded, speed=20, playing=False)
    assert (app.context.facts.mode, app.context.facts.environment) == ("replay", "test")
    assert app.context.now() == recorded.header.started_at
    assert app.context.replay is not None
    assert (app.context.replay.speed, app.context.replay.playing) == (20, False)


def test_the_guide_names_every_key_and_every_option() -> None:
    table = GUIDE.split("| key | does |")[1].split("\n\n")[0]
    named = set(re.findall(r"`([^`]+)`", "".join(re.findall(r"^\|(.+?)\|", table, flags=re.MULTILINE))))
    keys = {key for row in keys_of(ReplayApp, ReplayBar) for key in row.keys.split(", ")}
    assert named == keys
    options = {each.opts[0] for each in command.params if each.param_type_name == "option"}
    assert options
    assert {option for option in options if option not in GUIDE} == set()


def test_a_replay_of_another_file_names_it(tmp_path: Path) -> None:
    from prodwatch.cli.gate_replays import open_recording

    (tmp_path / "f.pw").write_text("not a recording")
    with pytest.raises(ConfigurationError, match="is not a session file"):
        open_recording(tmp_path / "f.pw")
