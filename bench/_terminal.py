"""A program that draws on a terminal we hold: what it paints, how soon, and what that takes."""

from __future__ import annotations

import os
import select
import signal
import time
from pathlib import Path

MEGABYTE = 1 << 20
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Unanswered(SystemExit):
    """What was waited for was never painted; ends a benchmark that cannot do without it."""


class Painter:
    """A program that draws on a terminal we hold; whoever waits here also reads, so it is never held up."""

    def __init__(self, pid: int, terminal: int, told: Path, *, writer: int | None = None) -> None:
        self.pid = pid
        self.writer = writer or pid
        """Who counts the lines: the program itself, or whoever writes them for it."""
        self.painted = 0
        self._terminal = terminal
        self._told = told

    def read(self, within_s: float) -> bytes:
        """Return what was painted as soon as something is; nothing when nothing is in time."""
        if not select.select([self._terminal], [], [], max(0.0, within_s))[0]:
            return b""
        data = os.read(self._terminal, 65536)
        self.painted += len(data)
        return data

    def watch(self, for_s: float) -> None:
        """Read for so long."""
        until = time.perf_counter() + for_s
        while (left := until - time.perf_counter()) > 0:
            self.read(left)

    def wait_for(self, word: bytes, within_s: float = 20.0) -> float:
        """Read until `word` was painted; the moment it was."""
        seen, until = b"", time.perf_counter() + within_s
        while word not in seen:
            if time.perf_counter() > until:
                raise Unanswered(f"{word!r} was never painted; the end was {seen[-300:]!r}")
            seen += self.read(0.1)
        return time.perf_counter()

    def write(self, keys: bytes) -> None:
        """Send keys and wait for nothing."""
        os.write(self._terminal, keys)

    def press(self, key: str, answer: bytes, after_s: float, within_s: float = 20.0) -> float:
        """Press a key, whatever is going on then; seconds until `answer`, which only this key brings, was painted."""
        self.watch(after_s)
        pressed = time.perf_counter()
        os.write(self._terminal, key.encode())
        return self.wait_for(answer, within_s) - pressed

    def lines(self) -> tuple[int, float]:
        """Ask the program how many lines it wrote so far, and at which of its moments that was."""
        self._told.unlink(missing_ok=True)
        os.kill(self.writer, signal.SIGUSR1)
        for _ in range(1000):
            self.watch(0.01)
            if self._told.exists() and (words := self._told.read_text().split()):
                return int(words[0]), float(words[1])
        raise SystemExit("the program does not tell how many lines it wrote")

    def cpu_s(self) -> float:
        """CPU seconds used so far, user and system."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    def rss_mb(self) -> float:
        """Resident memory now."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MEGABYTE
