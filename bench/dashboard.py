"""The dashboard in a real terminal, beside a plain Textual app that writes the same lines to a `RichLog`.

Both programs make their lines themselves, in the same way; what that costs is measured alone and printed.
`--seconds` sets how long each rate is watched.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import pty
import random
import select
import shutil
import signal
import struct
import tempfile
import termios
import time
from collections.abc import Iterator, Sequence
from fcntl import ioctl
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

from _common import PRODWATCH, PYTHON, Table, first_paint_s, http_server, project

RATES = (200, 2_000, 20_000)
LOADED = 2_000
KEYS = 40
ROWS, COLUMNS = 40, 120
SETTLE_S = 1.0
BETWEEN_KEYS_S = (0.02, 0.12)
MEGABYTE = 1 << 20
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
CPU_BUDGET = 0.25
KEY_BUDGET_S = 0.05
CURSOR = b";48;2;36;65;95m"
"""The background of the row under the cursor: a check's name after it is a cursor that has arrived."""
OUR_KEYS = (("j", CURSOR + b"orders answer in time"), ("k", CURSOR + b"order in euros"))
BESIDE_KEYS = (("j", b"PRESSED-j"), ("k", b"PRESSED-k"))

# Both programs tell how many lines were written so far, and when, on SIGUSR1.
OURS = """
import signal, sys, time
from pathlib import Path
from prodwatch.clock import SystemClock
from prodwatch.store import Store
from prodwatch.testing.scripted import ScriptedSession
from prodwatch.tui.app import ProdwatchApp
from prodwatch.tui.session import SessionFacts

rate, told = int(sys.argv[1]), Path(sys.argv[2])
clock = SystemClock()

class Counting(Store):
    written = 0

    def apply(self, batch):
        super().apply(batch)
        self.written += len(batch.records)

store = Counting(clock)
signal.signal(signal.SIGUSR1, lambda *_: told.write_text(f"{store.written} {time.monotonic()}"))
facts = SessionFacts(
    environment="bench", title="Bench", account="123456789012", region="eu-west-1", every_s=15, log_file="bench.log"
)
ProdwatchApp(store, ScriptedSession(store, clock, lines_per_s=rate), environment=facts, clock=clock).run()
"""

BESIDE = """
import random, signal, sys, time
from pathlib import Path
from prodwatch.testing.scene.logs import log_line
from prodwatch.testing.scene.release import SHARE
from prodwatch.testing.scripted import TICK_S
from textual.app import App
from textual.widgets import RichLog, Static

rate, told = int(sys.argv[1]), Path(sys.argv[2])
dice = random.Random(7)

class Plain(App):
    BINDINGS = [("j", "press('j')", "j"), ("k", "press('k')", "k")]
    written = 0

    def compose(self):
        yield Static("PRESSED-k", id="pressed")
        yield RichLog(max_lines=50_000)

    def on_mount(self):
        self.query_one(RichLog).write("READY-MARK")
        if rate:
            self.run_worker(self.lines())

    def action_press(self, key):
        self.query_one("#pressed").update(f"PRESSED-{key}")

    async def lines(self):
        import asyncio
        log, count = self.query_one(RichLog), max(1, round(rate * TICK_S))
        while True:
            begin_ms = int((time.time() - TICK_S) * 1000)
            for index in range(count):
                log.write(log_line(self.written + index, begin_ms + index * 250 // count, SHARE, dice).message)
            self.written += count
            await asyncio.sleep(TICK_S)

app = Plain()
signal.signal(signal.SIGUSR1, lambda *_: told.write_text(f"{app.written} {time.monotonic()}"))
app.run()
"""


class Painter:
    """A program that draws on a terminal we hold; whoever waits here also reads, so it is never held up."""

    def __init__(self, pid: int, terminal: int, told: Path) -> None:
        self.pid = pid
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
                raise SystemExit(f"{word!r} was never painted; the end was {seen[-300:]!r}")
            seen += self.read(0.1)
        return time.perf_counter()

    def press(self, key: str, answer: bytes, after_s: float) -> float:
        """Press a key, whatever is going on then; seconds until `answer`, which only this key brings, was painted."""
        self.watch(after_s)
        pressed = time.perf_counter()
        os.write(self._terminal, key.encode())
        return self.wait_for(answer) - pressed

    def lines(self) -> tuple[int, float]:
        """Ask the program how many lines it wrote so far, and at which of its moments that was."""
        self._told.unlink(missing_ok=True)
        os.kill(self.pid, signal.SIGUSR1)
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


@contextlib.contextmanager
def painter(script: str, rate: int, ready: bytes) -> Iterator[Painter]:
    """Run a script in a pty of its own until it has painted `ready`; it is killed at the end."""
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told"
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
            os.execv(PYTHON, [PYTHON, "-c", script, str(rate), str(told)])
        ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        try:
            here = Painter(pid, terminal, told)
            here.wait_for(ready)
            here.watch(SETTLE_S)
            yield here
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(terminal)


ours = partial(painter, OURS, ready=b"Checks")
beside = partial(painter, BESIDE, ready=b"PRESSED-k")


class Load(NamedTuple):
    """What a program took while lines came."""

    lines_per_s: float
    cpu: float
    bytes_per_s: float
    rss_mb: list[float]

    @property
    def us_per_line(self) -> float:
        """CPU for each line that did come in: comparable where a program fell behind."""
        return self.cpu / self.lines_per_s * 1e6


def load(program: Painter, seconds: float) -> Load:
    """Watch a running program."""
    lines, began = program.lines()
    cpu_s, painted, wall = program.cpu_s(), program.painted, time.perf_counter()
    rss_mb = [program.rss_mb()]
    for _ in range(3):
        program.watch(seconds / 3)
        rss_mb.append(program.rss_mb())
    took = time.perf_counter() - wall
    cpu, painted = (program.cpu_s() - cpu_s) / took, program.painted - painted
    after, ended = program.lines()
    return Load((after - lines) / (ended - began), cpu, painted / took, rss_mb)


def latencies(program: Painter, keys: Sequence[tuple[str, bytes]]) -> list[float]:
    """Press the keys in turn at moments that know nothing of the program's; sorted seconds, the first two left out."""
    dice = random.Random(11)
    pressed = [program.press(*key, dice.uniform(*BETWEEN_KEYS_S)) for key in islice(cycle(keys), KEYS + len(keys))]
    return sorted(pressed[len(keys) :])


def line_cost_s() -> float:
    """CPU seconds that making one line takes, with nobody reading it."""
    from prodwatch.testing.scene.logs import log_line
    from prodwatch.testing.scene.release import SHARE

    dice, count = random.Random(7), 10_000
    began_ms, before = int(time.time() * 1000), time.process_time()
    for number in range(count):
        log_line(number, began_ms, SHARE, dice)
    return (time.process_time() - before) / count


def judged(good: bool) -> str:  # noqa: FBT001 -- one word for one truth
    return "kept" if good else "MISSED"


def show_load(rate: int, seconds: float) -> None:
    """Print how both programs bear a rate."""
    with ours(rate=rate) as program:
        us = load(program, seconds)
    with beside(rate=rate) as program:
        them = load(program, seconds)
    verdict = f"≤ {CPU_BUDGET:.0%}: {judged(us.cpu <= CPU_BUDGET)}" if rate == LOADED else ""
    rows = (
        ("lines/s that came in", us.lines_per_s, them.lines_per_s, "{:,.0f}", ""),
        ("CPU, of one core", us.cpu, them.cpu, "{:.1%}", verdict),
        ("CPU µs for each line", us.us_per_line, them.us_per_line, "{:.0f}", ""),
        ("kB/s to the terminal", us.bytes_per_s / 1000, them.bytes_per_s / 1000, "{:,.1f}", ""),
        ("RSS at the end, MB", us.rss_mb[-1], them.rss_mb[-1], "{:.1f}", over_time(us, them)),
    )
    print(f"{rate:,} lines/s asked for")
    for name, a, b, form, note in rows:
        show_row(f"  {name}", form.format(a), form.format(b), a / b, note)


def over_time(us: Load, them: Load) -> str:
    """Return both programs' memory at four moments."""
    return " | ".join(" ".join(f"{each:.0f}" for each in load.rss_mb) for load in (us, them))


def show_keys(rate: int) -> None:
    """Print the time from a key to the paint it causes."""
    with ours(rate=rate) as program:
        us = latencies(program, OUR_KEYS)
    with beside(rate=rate) as program:
        them = latencies(program, BESIDE_KEYS)
    print(f"key to paint, {f'{rate:,} lines/s' if rate else 'nothing coming in'}")
    for name, rank in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        a, b = (each[math.ceil(rank * KEYS) - 1] for each in (us, them))
        verdict = f"≤ {KEY_BUDGET_S * 1000:.0f} ms: {judged(a <= KEY_BUDGET_S)}" if name == "p99" else ""
        show_row(f"  {name} of {KEYS} keys", f"{a * 1000:.1f}ms", f"{b * 1000:.1f}ms", a / b, verdict)


def show_row(name: str, us: str, them: str, ratio: float, note: str) -> None:
    """Print one comparison in the columns of `Table`."""
    print(f"{name:38} {us:>10} {them:>10} {ratio:6.2f}×  {note}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.5, help="how long each rate is watched")
    seconds: float = parser.parse_args().seconds
    table = Table("The dashboard in a pty, beside a plain Textual app with a RichLog")
    with http_server() as url, project(url, 1) as single:
        table.row(
            "first paint",
            partial(first_paint_s, [*PRODWATCH, "--env", "bench"], cwd=single, until=b"Checks"),
            partial(first_paint_s, [PYTHON, "-c", BESIDE, "0", os.devnull], until=b"PRESSED-k"),
            "the plain app, empty",
            runs=3,
            budget="≤ 400 ms",
        )
    for rate in RATES:
        show_load(rate, seconds)
    for rate in (0, LOADED):
        show_keys(rate)
    cost_s = line_cost_s()
    print(
        f"Making one line costs {cost_s * 1e6:.1f} µs of CPU in either program: {cost_s * LOADED:.1%} of a core at "
        f"{LOADED:,} lines/s, {cost_s * RATES[-1]:.0%} at {RATES[-1]:,}; it is in the figures above."
    )
    print(f"RSS: MB at four moments of {seconds:g} s, ours | beside. p99 of {KEYS} keys is the slowest of them.")
    print(f"Load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores: below that, times are the programs' own.")
    if not shutil.which("tl"):
        print("toolong's `tl` is not on the PATH: not compared.")


if __name__ == "__main__":
    main()
