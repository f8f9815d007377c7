"""toolong, tailing a file that a process of its own writes at a rate."""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import signal
import struct
import subprocess
import tempfile
import termios
from collections.abc import Iterator
from fcntl import ioctl
from pathlib import Path

from _common import PYTHON
from _terminal import Painter

SETTLE_S = 1.5
SEARCH_KEYS = (("/", b"Case sensitive"),)
"""Its search opens: the words are painted only then."""
CLOSE = b"\x1b"

WRITER = """
import random, signal, sys, time
from pathlib import Path
from tests.support.scene.logs import log_line
from tests.support.scene.release import SHARE
from tests.support.scripted_session import TICK_S

rate, path, told = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
dice, written = random.Random(7), 0
signal.signal(signal.SIGUSR1, lambda *_: told.write_text(f"{written} {time.monotonic()}"))
count = round(rate * TICK_S)
with open(path, "a", buffering=1 << 20) as file:
    file.write("the first line\\n" * 50)
    file.flush()
    due = time.monotonic()
    while True:
        begin_ms = int((time.time() - TICK_S) * 1000)
        for index in range(count):
            file.write(log_line(written + index, begin_ms + index * 250 // count, SHARE, dice).message + "\\n")
        file.flush()
        written += count
        due += TICK_S
        time.sleep(max(0.0, due - time.monotonic()))
"""


def toolong_command() -> str | None:
    """Return how toolong is called here: what TOOLONG names, else `tl` on the PATH, else None."""
    return shutil.which(os.environ.get("TOOLONG", "tl"))


@contextlib.contextmanager
def toolong(command: str, rate: int, *, size: tuple[int, int]) -> Iterator[Painter]:
    """Run it on a growing file, following the end; both processes are killed at the end."""
    with tempfile.TemporaryDirectory() as folder:
        path, told = Path(folder) / "lines.log", Path(folder) / "told"
        writer = subprocess.Popen([PYTHON, "-c", WRITER, str(rate), str(path), str(told)])
        while not path.exists() or not path.stat().st_size:
            if writer.poll() is not None:
                raise SystemExit("the writer of toolong's file ended")
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
            os.execv(command, [command, str(path)])
        ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        try:
            here = Painter(pid, terminal, told, writer=writer.pid)
            here.wait_for(b"TAIL")
            here.watch(SETTLE_S)
            yield here
        finally:
            writer.kill()
            writer.wait()
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(terminal)
