"""The demo in a real terminal: it paints, it leaves at once, and it leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine
from tests.support.terminal import COLOURS, Terminal, all_ended, terminal

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")

PAINTED_S = 60.0
ANSWERED_S = 120.0
"""Generous: tests of other files keep the cores busy."""
ENDED_S = 60.0
ENTERED, LEFT = b"\x1b[?1049h", b"\x1b[?1049l"
HIDDEN, SHOWN = b"\x1b[?25l", b"\x1b[?25h"
MOUSE_OFF = (b"\x1b[?1000l", b"\x1b[?1003l", b"\x1b[?1006l")
ROOT = Path(__file__).resolve().parents[2]

Open = Callable[..., AbstractContextManager[Terminal]]


@pytest.fixture
def demo(tmp_path: Path) -> Open:
    """Open `prodwatch demo` in an empty folder, in a terminal of a given size and environment."""
    commands = CommandLine(tmp_path)

    @contextmanager
    def opened(columns: int = 120, rows: int = 40, **environ: str) -> Iterator[Terminal]:
        arguments = [sys.executable, "-m", "prodwatch", "demo"]
        environ = {**commands.environ, **environ}
        with terminal(arguments, cwd=commands.project, environ=environ, columns=columns, rows=rows) as here:
            yield here

    return opened


def restored(here: Terminal) -> None:
    """Assert that the terminal is as it was found."""
    written = bytes(here.written)
    assert ENTERED in written
    assert written.rindex(LEFT) > written.rindex(ENTERED)
    assert written.rindex(SHOWN) > written.rindex(HIDDEN)
    assert all(written.rindex(off) > written.rindex(off[:-1] + b"h") for off in MOUSE_OFF)
    assert here.modes_now == here.modes


@pytest.mark.slow
def test_the_demo_paints_and_leaves_nothing_behind(demo: Open) -> None:
    with demo() as here:
        here.wait_for("prodwatch", "DEMO", "Checks", "Signals", "Alarms", "Traces", "Logs", within_s=PAINTED_S)
        here.wait_for("shop-orders", "v42", within_s=ANSWERED_S)
        children = here.descendants()
        assert children
        here.type("q")
        assert here.wait(ENDED_S) == 0
        restored(here)
        assert all_ended(children, ENDED_S)
        assert "Traceback" not in here.text


@pytest.mark.slow
def test_q_before_the_first_answer_leaves_too(demo: Open) -> None:
    with demo() as here:
        here.wait_for("Checks", within_s=PAINTED_S)
        children = here.descendants()
        here.type("q")
        assert here.wait(ENDED_S) == 0
        restored(here)
        assert all_ended([*children, *here.descendants()], ENDED_S)


@pytest.mark.slow
def test_the_embedded_aws_ends_with_a_killed_parent(demo: Open) -> None:
    with demo() as here:
        here.wait_for("shop-orders", within_s=ANSWERED_S)
        children = here.descendants()
        assert children
        here.process.send_signal(signal.SIGKILL)
        here.process.wait()
        assert all_ended(children, ENDED_S)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["terminated", "the terminal went away"])
def test_a_signal_restores_the_terminal(number: signal.Signals, demo: Open) -> None:
    with demo() as here:
        here.wait_for("shop-orders", within_s=ANSWERED_S)
        children = here.descendants()
        here.process.send_signal(number)
        assert here.wait(ENDED_S) == 143
        restored(here)
        assert all_ended(children, ENDED_S)
        assert "Traceback" not in here.text


@pytest.mark.slow
def test_a_small_terminal_gets_one_clear_sentence(demo: Open) -> None:
    with demo(columns=40, rows=10) as here:
        here.wait_for("This terminal has 40×10 characters;", "or press q to quit.", within_s=PAINTED_S)
        assert "Checks" not in here.text
        here.type("q")
        assert here.wait(ENDED_S) == 0
        restored(here)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environ", "coloured"),
    [pytest.param({}, True, id="colours"), pytest.param({"NO_COLOR": "1"}, False, id="NO_COLOR")],
)
def test_no_color_is_honoured(environ: dict[str, str], coloured: bool, demo: Open) -> None:
    with demo(**environ) as here:
        here.wait_for("shop-orders", "v42", within_s=ANSWERED_S)
        here.type("q")
        assert here.wait(ENDED_S) == 0
        assert bool(COLOURS.findall(bytes(here.written))) is coloured


def test_a_dumb_terminal_is_told_what_to_use(demo: Open) -> None:
    with demo(TERM="dumb") as here:
        assert here.wait(ENDED_S) == 2
        assert "this terminal cannot draw" in here.text
        assert "use: prodwatch check --env ENV" in here.text
        assert ENTERED not in here.written


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What `make` needs of this repository, in a folder of its own and set up already."""
    if shutil.which("make") is None:
        pytest.skip("needs make")
    folder = tmp_path / "checkout"
    (folder / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", folder)
    setup = folder / ".ci" / "setup"
    setup.write_text("#!/bin/sh\n")
    setup.chmod(0o755)
    binaries = folder / ".venv" / "bin"
    binaries.mkdir(parents=True)
    command = binaries / "prodwatch"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m prodwatch "$@"\n')
    command.chmod(0o755)
    return folder


def test_make_demo_without_a_terminal_says_what_it_needs(checkout: Path) -> None:
    done = subprocess.run(
        ["make", "demo"],
        cwd=checkout,
        env={"PATH": os.environ["PATH"], "HOME": str(checkout)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[0].startswith("the dashboard needs a terminal")
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_make_demo_opens_the_dashboard_on_the_bad_release(checkout: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "HOME": str(checkout)}
    with terminal([str(shutil.which("make")), "demo"], cwd=checkout, environ=environ) as here:
        here.wait_for("DEMO", "shop-orders", "v42", within_s=ANSWERED_S)
        here.type("q")
        assert here.wait(ENDED_S) == 0
        restored(here)
