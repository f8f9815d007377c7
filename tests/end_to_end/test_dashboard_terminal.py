"""The dashboard in a real terminal: suspended and resumed, resized, robbed of its terminal, broken at its start."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine
from tests.support.terminal import Terminal, all_ended, terminal
from tests.support.waiting import Deadline

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc"),
]

PAINTED_S = 60.0
ANSWERED_S = 120.0
ENDED_S = 60.0
"""Generous: tests of other files keep the cores busy."""
ENTERED, LEFT = b"\x1b[?1049h", b"\x1b[?1049l"
CHECK = '[[check]]\nname = "always green"\ntype = "pass"\nreason = "it is"\n'

Open = Callable[..., AbstractContextManager[Terminal]]


@pytest.fixture
def commands(tmp_path: Path) -> CommandLine:
    """A project of one check that needs no AWS."""
    line = CommandLine(tmp_path)
    line.write("config/prod.toml", 'title = "Prod"\nprotected = false\n')
    line.write("checks/a.toml", CHECK)
    return line


@pytest.fixture
def dashboard(commands: CommandLine) -> Open:
    """Open the dashboard on that project, or `prodwatch demo`."""

    @contextmanager
    def opened(*arguments: str) -> Iterator[Terminal]:
        command = [sys.executable, "-m", "prodwatch", *(arguments or ("--env", "prod"))]
        with terminal(command, cwd=commands.project, environ=commands.environ) as here:
            yield here

    return opened


def state(pid: int) -> str:
    """Return a process's state as /proc tells it: `S`, `R`, `T` for stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def until(true: Callable[[], bool], here: Terminal, within_s: float = ENDED_S) -> bool:
    """Wait for something to become true while reading what is painted."""
    deadline = Deadline(within_s)
    while not true() and not deadline.over:
        here._read(0.05)
    return true()


@pytest.mark.parametrize("how", ["ctrl+z", "SIGTSTP"])
def test_suspended_it_gives_the_terminal_back_and_resumed_it_paints_again(dashboard: Open, how: str) -> None:
    with dashboard() as here:
        here.wait_for("always green", "PASS", within_s=PAINTED_S)
        if how == "ctrl+z":
            here.type("\x1a")
        else:
            here.process.send_signal(signal.SIGTSTP)
        # It may have stopped before all it had written was read.
        assert until(lambda: state(here.process.pid) == "T" and LEFT in here.written, here), "never stopped"
        assert bytes(here.written).rindex(LEFT) > bytes(here.written).rindex(ENTERED)
        assert here.modes_now == here.modes
        here.written.clear()
        here.process.send_signal(signal.SIGCONT)
        here.wait_for("always green", within_s=PAINTED_S)
        assert ENTERED in here.written
        here.type("q")
        assert here.wait(ENDED_S) == 0
        assert here.modes_now == here.modes
        assert "Traceback" not in here.text


def test_stopped_from_outside_it_paints_anew_and_takes_the_terminal_once(dashboard: Open) -> None:
    with dashboard() as here:
        here.wait_for("always green", "PASS", within_s=PAINTED_S)
        here.process.send_signal(signal.SIGSTOP)
        assert until(lambda: state(here.process.pid) == "T", here), "never stopped"
        here.written.clear()
        here.process.send_signal(signal.SIGCONT)
        here.wait_for("always green", within_s=PAINTED_S)
        assert ENTERED not in here.written
        here.type("q")
        assert here.wait(ENDED_S) == 0
        assert here.modes_now == here.modes


def test_resized_it_paints_for_the_new_size(dashboard: Open) -> None:
    with dashboard() as here:
        here.wait_for("always green", within_s=PAINTED_S)
        for columns, rows in ((1, 1), (300, 100), (20, 5), (100, 30)):
            fcntl.ioctl(here._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            here.process.send_signal(signal.SIGWINCH)
            here._read(0.2)
            here.written.clear()
        here.wait_for("always green", within_s=PAINTED_S)
        here.type("q")
        assert here.wait(ENDED_S) == 0


@pytest.mark.parametrize("before", [None, signal.SIGCONT], ids=["at once", "told to go on"])
def test_robbed_of_its_terminal_it_ends_and_so_do_its_children(dashboard: Open, before: signal.Signals | None) -> None:
    with dashboard("demo") as here:
        here.wait_for("shop-orders", within_s=ANSWERED_S)
        children = here.descendants()
        assert children
        if before:
            here.process.send_signal(before)
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, here._master)  # which closes the terminal's other end
        os.close(nowhere)
        assert here.process.wait(ENDED_S) == 143
        assert all_ended(children, ENDED_S)


def test_what_ends_it_at_the_start_is_one_sentence_and_a_log_file(commands: CommandLine) -> None:
    code = (
        "import sys, prodwatch.tui.screens.overview as o\n"
        "def broken(self): raise RuntimeError('on purpose')\n"
        "o.OverviewScreen.body = broken\n"
        "from prodwatch.cli.main import run\n"
        "sys.exit(run(['--env', 'prod']))\n"
    )
    with terminal([sys.executable, "-c", code], cwd=commands.project, environ=commands.environ) as here:
        assert here.wait(ENDED_S) == 70
        assert "the dashboard could not start: RuntimeError: on purpose; the traceback is in " in " ".join(
            here.text.split()
        )
        assert "Traceback" not in here.text
        assert here.modes_now == here.modes
    logs = list((commands.home / "state").rglob("*.log"))
    assert any("on purpose" in each.read_text() and "Traceback" in each.read_text() for each in logs)


def test_triage_of_a_window_that_has_ended_reads_it_and_stands_still(dashboard: Open) -> None:
    with dashboard("demo", "--at", "after", "--from", "26m", "--to", "14m") as here:
        here.wait_for("past window: data does not change", "What changed", within_s=ANSWERED_S)
        here.wait_for("read to its end", "NOT HEALTHY THEN", "rollback", within_s=3 * ANSWERED_S)
        here.type("q")
        assert here.wait(ENDED_S) == 0


def test_triage_since_an_hour_ago_answers_for_production(dashboard: Open) -> None:
    with dashboard("--env", "demo", "--at", "before", "--since", "30m") as here:
        here.wait_for("showing", "no release is under way", "What changed", within_s=ANSWERED_S)
        here.wait_for("production is", "what changed:", within_s=3 * ANSWERED_S)
        assert "roll back" not in here.text
        here.type("q")
        assert here.wait(ENDED_S) == 0


def test_a_recording_is_opened_moved_and_left(commands: CommandLine, dashboard: Open) -> None:
    recorded = commands.run("record", "r.pw", "--for", "3s")
    assert recorded.code == 0, recorded.err
    (commands.project / "config/prod.toml").unlink()
    with dashboard("replay", "r.pw", "--paused") as here:
        here.wait_for("REPLAY", "paused", within_s=PAINTED_S)
        here.type("\x1b[1;5F")
        here.wait_for("always green", "end of the recording", within_s=ANSWERED_S)
        here.type("q")
        assert here.wait(ENDED_S) == 0
