"""Another emulator of AWS is read as AWS is: where the two of ours could share a mistake, this one does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prodwatch.clock import SystemClock
from prodwatch.model.signal import SourcePhase
from prodwatch.model.status import Status
from prodwatch.session.live import LiveSession
from prodwatch.settings import load_project
from prodwatch.store.store import Store
from tests.end_to_end.witnesses.conftest import KEYS, write
from tests.support.command_line import CommandLine
from tests.support.waiting import until

pytestmark = pytest.mark.slow


def test_every_check_of_a_project_passes(commands: CommandLine, emulator: str) -> None:
    write(commands, emulator)
    ended = commands.run("check", "--env", "t", "--json")
    found = {check["name"]: (check["status"], check["message"]) for check in json.loads(ended.out)["checks"]}
    assert {name: each for name, each in found.items() if each[0] != "pass"} == {}, ended.err
    assert (len(found), ended.code) == (11, 0)


def test_logs_shows_every_line_once_and_in_order(commands: CommandLine, emulator: str) -> None:
    write(commands, emulator)
    ended = commands.run("logs", "--env", "t", "--since", "30m", "--until-idle", "2s", "--json")
    messages = [json.loads(line)["message"] for line in ended.out.splitlines()]
    seeded = [message for message in messages if message.startswith("line ")]
    assert seeded == [f"line {n}{' ERROR' if n == 3 else ''}" for n in range(20)], ended.err
    assert ended.code == 0


def test_metrics_shows_the_point(commands: CommandLine, emulator: str) -> None:
    write(commands, emulator, signals=True)
    ended = commands.run("metrics", "--env", "t", "--since", "30m", "--no-follow", "--json")
    points = [json.loads(line) for line in ended.out.splitlines()]
    assert [point["value"] for point in points if point.get("label", point.get("name")) == "latency"] == [120], (
        ended.out
    )
    assert ended.code == 0


def test_doctor_finds_everything_but_traces(commands: CommandLine, emulator: str) -> None:
    """The emulator has no X-Ray: it responds with 400 and `{"error": "Unsupported service: xray"}`.

    botocore's model declares no such error, so that it is neither a refused permission nor a granted one.
    """
    write(commands, emulator, signals=True)
    ended = commands.run("doctor", "--env", "t")
    problems = [line.strip() for line in ended.out.splitlines() if line.startswith(("  ?", "  ✘"))]
    assert problems, ended.said
    assert all(line.startswith("? xray:") and "not AWS's document" in line for line in problems), ended.out
    assert ended.code == 3


async def test_the_session_of_the_dashboard_fills_its_store(
    commands: CommandLine, emulator: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write(commands, emulator, signals=True)
    for name, value in {**KEYS, "XDG_STATE_HOME": str(tmp_path / "state")}.items():
        monkeypatch.setenv(name, value)
    project = load_project(root=commands.project, env="t", environ=KEYS)
    clock = SystemClock()
    store = Store(clock)
    session = LiveSession(project, store, clock)
    await session.start()
    try:
        await until(
            lambda: len(store.checks.tracks) == 11 and all(each.status for each in store.checks.tracks.values())
        )
        failed = {each.id: each.latest for each in store.checks.tracks.values() if each.status is not Status.PASS}
        assert failed == {}
        await until(lambda: len(store.logs.ring) >= 20, f"{store.sources}")
        await until(lambda: store.release.alarms and store.release.states, f"{store.sources}")
        unread = {
            name: status.message
            for name, status in store.sources.items()
            if status.phase in {SourcePhase.FAILED, SourcePhase.DENIED, SourcePhase.STOPPED}
        }
        assert set(unread) <= {"traces"}, unread
        assert [state.weights for state in store.release.states.values()] == [{"2": 1.0}]
    finally:
        await session.stop()
