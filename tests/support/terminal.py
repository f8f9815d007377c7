"""A command in a real pseudo-terminal of a given size: what it wrote, what it is sent, what it leaves behind."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.waiting import Deadline

ESCAPES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[PX^_][^\x1b]*\x1b\\|[ -/]*[0-~])")
COLOURS = re.compile(rb"\x1b\[(?:[0-9;:]*;)?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:[;:][0-9;:]*)?m")
"""Sequences that choose a foreground or background colour."""

# A process started with a terminal as its streams is not yet controlled by it: Ctrl-C would reach nobody.
_TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


class Terminal:
    """A running command and the terminal it draws on."""

    def __init__(self, process: subprocess.Popen[bytes], master: int, slave: int) -> None:
        """Read from `master`; `slave` is kept open to see the terminal's modes after the command ended."""
        self.process = process
        self.written = bytearray()
        self.modes = termios.tcgetattr(slave)
        """The terminal's modes before the command changed them."""
        self._master = master
        self._slave = slave

    @property
    def text(self) -> str:
        """What was written, without escape sequences; not a picture: later text follows earlier."""
        return ESCAPES.sub(b"", bytes(self.written)).decode(errors="replace")

    @property
    def modes_now(self) -> list[object]:
        """The terminal's modes as they are now."""
        return list(termios.tcgetattr(self._slave))

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    def wait_for(self, *words: str, within_s: float) -> None:
        """Read until all words were written; AssertionError, with the text, when they were not in time."""
        deadline = Deadline(within_s)
        while not all(word in self.text for word in words):
            ended = self.process.poll() is not None
            if deadline.over or (not self._read(min(deadline.left_s, 0.1)) and ended):
                missing = [word for word in words if word not in self.text]
                raise AssertionError(f"not written within {within_s:g} s: {missing}\n{self.text[-2000:]}")

    def wait(self, within_s: float) -> int:
        """Read until the command ended; return its exit code. AssertionError when it does not end in time."""
        deadline = Deadline(within_s)
        while self.process.poll() is None:
            if deadline.over:
                raise AssertionError(f"did not end within {within_s:g} s\n{self.text[-2000:]}")
            self._read(0.05)
        while self._read(0.05):
            pass
        return self.process.returncode

    def descendants(self) -> list[int]:
        """Return the ids of the processes it started, and of theirs."""
        found, new = [], [self.process.pid]
        while new:
            children = [pid for pid, parent in _parents() if parent in new]
            found += children
            new = children
        return found

    def _read(self, within_s: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], within_s)
        if not ready:
            return False
        try:
            self.written += os.read(self._master, 65536)
        except OSError:  # nobody holds the other end
            return False
        return True


def alive(pid: int) -> bool:
    """Return whether a process runs; one that only waits to be buried does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def all_ended(pids: Sequence[int], within_s: float) -> bool:
    """Return whether all these processes ended in time; the kernel says when."""
    deadline = Deadline(within_s)
    for pid in pids:
        try:
            watched = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            select.select([watched], [], [], deadline.left_s)
        finally:
            os.close(watched)
    return not any(alive(pid) for pid in pids)


def _parents() -> Iterator[tuple[int, int]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text(encoding="utf-8")
            except OSError:
                continue
            yield int(entry.name), int(stat.rpartition(")")[2].split()[1])


@contextmanager
def terminal(
    arguments: Sequence[str], *, cwd: Path, environ: Mapping[str, str], columns: int = 120, rows: int = 40
) -> Iterator[Terminal]:
    """Run a command in a terminal of `columns` × `rows`; whatever still runs at the end is killed. Linux only."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", _TAKE_TERMINAL, *arguments],
        cwd=cwd,
        env={"TERM": "xterm-256color", "COLORTERM": "truecolor", **environ},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    here = Terminal(process, master, slave)
    try:
        yield here
    finally:
        for pid in here.descendants():
            os.kill(pid, 9)
        process.kill()
        process.wait()
        os.close(master)
        os.close(slave)
