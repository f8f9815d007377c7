"""A gate as people run it: over the embedded AWS, and in a real terminal."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine
from tests.support.terminal import terminal

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="needs a pseudo-terminal")]

ENDED_S = 240.0
"""Generous: tests of other files keep the cores busy."""
PROJECT = 'title = "Shop"\nprotected = false\n[rounds]\nevery = "1s"\n'
GREEN = '[[check]]\nname = "green"\ntype = "pass"\n'


def test_the_bad_release_fails_the_gate_of_the_demo(tmp_path: Path) -> None:
    commands = CommandLine(tmp_path)
    arguments = ["gate", "--env", "demo", "--at", "during", "--for", "2m", "--json"]
    with commands.start(*arguments) as process:
        try:
            out, err = process.communicate(timeout=ENDED_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    result = json.loads(out)
    assert process.returncode == 1, err.decode()
    assert (result["run"]["mode"], result["verdict"]["status"]) == ("gate", "fail")
    assert (result["release"]["version"], result["release"]["previous"]) == ("42", "41")


@pytest.fixture
def commands(tmp_path: Path) -> CommandLine:
    here = CommandLine(tmp_path)
    here.write("config/shop.toml", PROJECT)
    here.write("checks/c.toml", GREEN)
    return here


@pytest.mark.parametrize("columns", [80, 30])
def test_the_block_makes_room_for_the_result(columns: int, commands: CommandLine) -> None:
    arguments = [sys.executable, "-m", "prodwatch", "gate", "--for", "3s"]
    with terminal(arguments, cwd=commands.project, environ=commands.environ, columns=columns, rows=24) as here:
        here.wait_for("gate: bake", "green", within_s=ENDED_S)
        assert here.wait(ENDED_S) == 0
        written = bytes(here.written)
        # The last block is erased before the result is written.
        assert written.rindex(b"\x1b[J") > written.rindex(b"gate: decide")
        assert b"green" in written[written.rindex(b"\x1b[J") :]
        assert here.modes_now == here.modes


@pytest.mark.parametrize("phase", ["gate: resolve", "gate: bake"])
def test_ctrl_c_ends_the_gate_and_leaves_the_terminal_as_it_was(phase: str, commands: CommandLine) -> None:
    arguments = [sys.executable, "-m", "prodwatch", "gate", "--for", "5m"]
    with terminal(arguments, cwd=commands.project, environ=commands.environ, columns=80, rows=24) as here:
        here.wait_for(phase, within_s=ENDED_S)
        here.type("\x03")
        assert here.wait(ENDED_S) == 130
        assert "interrupted" in here.text
        assert here.modes_now == here.modes
