"""The dashboard in a real terminal, beside a plain Textual app with a `RichLog` and, where it is there, toolong.

The first two make their lines themselves, in the same way; what that costs is measured alone and printed. toolong
tails a file another process writes. It is looked for as `tl` on the PATH, or where TOOLONG says; an environment of its
own suits it best, for it wants an older Textual. `--seconds` sets how long each rate is watched;
`--soak` watches the memory over as many lines as an hour brings.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import pty
import random
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
from _terminal import ThemedWidget, Unanswered
from _toolong import CLOSE, SEARCH_KEYS, toolong, toolong_command

RATES = (200, 2_000, 20_000)
LOADED = 2_000
KEYS = 40
MAX_SEARCHES = 15
PATIENCE_S = 5.0
ROWS, COLUMNS = 40, 120
SETTLE_S = 1.0
BETWEEN_KEYS_S = (0.02, 0.12)
CPU_BUDGET = 0.25
HOURLY_RATE, SOAK_SPEED, SOAK_PARTS, SOAK_BUDGET_MB = 500, 16, 12, 250
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
from tests.support.scripted_session import ScriptedSession
from prodwatch.tui.app import ProdwatchApp
from prodwatch.session.protocol import SessionFacts

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
from tests.support.scene.logs import log_line
from tests.support.scene.release import SHARE
from tests.support.scripted_session import TICK_S
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


@contextlib.contextmanager
def painter(script: str, rate: int, ready: bytes) -> Iterator[ThemedWidget]:
    """Run a script in a pty of its own until it has painted `ready`; it is killed at the end."""
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told"
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
            os.execv(PYTHON, [PYTHON, "-c", script, str(rate), str(told)])
        ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        try:
            here = ThemedWidget(pid, terminal, told)
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
        return self.cpu / self.lines_per_s * 1e6 if self.lines_per_s else math.inf


def load(program: ThemedWidget, seconds: float) -> Load:
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


def latencies(
    program: ThemedWidget, keys: Sequence[tuple[str, bytes]], *, count: int = KEYS, undo: bytes = b""
) -> list[float]:
    """Press the keys in turn at moments that know nothing of the program's; sorted seconds, the first ones left out.

    `undo` is pressed after each and not measured; then a key that is not answered in time counts as infinitely late.
    """
    dice = random.Random(11)
    pressed = []
    for key in islice(cycle(keys), count + len(keys)):
        after_s = dice.uniform(*BETWEEN_KEYS_S)
        if not undo:
            pressed.append(program.press(*key, after_s))
            continue
        try:
            pressed.append(program.press(*key, after_s, PATIENCE_S))
        except Unanswered:
            pressed.append(math.inf)
        program.write(undo)
        program.watch(SETTLE_S)
    return sorted(pressed[len(keys) :])


def line_cost_s() -> float:
    """CPU seconds that making one line takes, with nobody reading it."""
    from tests.support.scene.logs import log_line
    from tests.support.scene.release import SHARE

    dice, count = random.Random(7), 10_000
    began_ms, before = int(time.time() * 1000), time.process_time()
    for number in range(count):
        log_line(number, began_ms, SHARE, dice)
    return (time.process_time() - before) / count


def judged(good: bool) -> str:  # noqa: FBT001 -- one word for one truth
    return "kept" if good else "MISSED"


def show_load(rate: int, seconds: float, tl: str | None) -> None:
    """Print how each program bears a rate."""
    programs = [ours(rate=rate), beside(rate=rate), *([toolong(tl, rate, size=(ROWS, COLUMNS))] if tl else [])]
    loads = []
    for each in programs:
        with each as program:
            loads.append(load(program, seconds))
    us = loads[0]
    verdict = f"≤ {CPU_BUDGET:.0%}: {judged(us.cpu <= CPU_BUDGET)}" if rate == LOADED else ""
    print(f"{rate:,} lines/s asked for")
    show_row("  lines/s that came in", [f"{each.lines_per_s:,.0f}" for each in loads])
    show_row("  CPU, of one core", [f"{each.cpu:.1%}" for each in loads], verdict)
    show_row("  CPU µs for each line", [f"{each.us_per_line:.0f}" for each in loads])
    show_row("  kB/s to the terminal", [f"{each.bytes_per_s / 1000:,.1f}" for each in loads])
    show_row("  RSS at the end, MB", [f"{each.rss_mb[-1]:.1f}" for each in loads], over_time(loads))


def over_time(loads: Sequence[Load]) -> str:
    """Return each program's memory at four moments."""
    return " | ".join(" ".join(f"{each:.0f}" for each in load.rss_mb) for load in loads)


def show_keys(rate: int, tl: str | None) -> None:
    """Print the time from a key to the paint it causes."""
    with ours(rate=rate) as program:
        waits = [latencies(program, OUR_KEYS)]
    with beside(rate=rate) as program:
        waits.append(latencies(program, BESIDE_KEYS))
    if tl:
        with toolong(tl, rate, size=(ROWS, COLUMNS)) as program:
            waits.append(latencies(program, SEARCH_KEYS, count=MAX_SEARCHES, undo=CLOSE))
    print(f"key to paint, {f'{rate:,} lines/s' if rate else 'nothing coming in'}")
    for name, rank in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        at = [each[math.ceil(rank * len(each)) - 1] for each in waits]
        verdict = f"≤ {KEY_BUDGET_S * 1000:.0f} ms: {judged(at[0] <= KEY_BUDGET_S)}" if name == "p99" else ""
        show_row(f"  {name}", [f"{each * 1000:.1f}ms" for each in at], verdict)


def soak(lines: int) -> None:
    """Print the memory while as many lines come as an hour brings, sixteen times as fast."""
    print(f"an hour at {HOURLY_RATE:,} lines/s, {SOAK_SPEED} times as fast: {lines:,} lines")
    with ours(rate=HOURLY_RATE * SOAK_SPEED) as program:
        began, _ = program.lines()
        rss_mb = [program.rss_mb()]
        for part in range(1, SOAK_PARTS + 1):
            while program.lines()[0] - began < lines * part // SOAK_PARTS:
                program.watch(0.5)
            rss_mb.append(program.rss_mb())
            print(f"  {part * 100 // SOAK_PARTS:3} %  RSS {rss_mb[-1]:.1f} MB", flush=True)
    # The rings fill first: growth is what comes after that.
    later = rss_mb[SOAK_PARTS // 2 :]
    growth = later[-1] - later[0]
    print(f"  RSS ≤ {SOAK_BUDGET_MB} MB: {judged(max(rss_mb) <= SOAK_BUDGET_MB)}; second half {growth:+.1f} MB")


def show_row(name: str, values: Sequence[str], note: str = "") -> None:
    """Print one figure of each program."""
    print(f"{name:30} " + "".join(f"{each:>12}" for each in values) + f"  {note}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.5, help="how long each rate is watched")
    parser.add_argument(
        "--soak",
        type=int,
        nargs="?",
        const=HOURLY_RATE * 3600,
        metavar="LINES",
        help="only: memory over an hour's lines",
    )
    arguments = parser.parse_args()
    if arguments.soak:
        soak(arguments.soak)
        return
    seconds: float = arguments.seconds
    tl = toolong_command()
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
        if tl:
            table.row(
                "first paint",
                partial(first_paint_s, [*PRODWATCH, "--env", "bench"], cwd=single, until=b"Checks"),
                partial(first_paint_s, [tl, __file__], until=b"Line nos."),
                "toolong, a small file",
                runs=3,
            )
    print()
    show_row("", ["ours", "RichLog", *(["toolong"] if tl else [])])
    for rate in RATES:
        show_load(rate, seconds, tl)
    for rate in (0, LOADED):
        show_keys(rate, tl)
    cost_s = line_cost_s()
    print(
        f"Making one line costs {cost_s * 1e6:.1f} µs of CPU in the first two: {cost_s * LOADED:.1%} of a core at "
        f"{LOADED:,} lines/s, {cost_s * RATES[-1]:.0%} at {RATES[-1]:,}; it is in the figures above."
    )
    print(f"RSS: MB at four moments of {seconds:g} s, in the same order. {KEYS} keys: p99 is the slowest.")
    print(f"Load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores: below that, times are the programs' own.")
    if tl:
        print(f"toolong: lines are those in its file; its {MAX_SEARCHES} keys open the search, others mark a row.")
    else:
        print("toolong is not here: no `tl` on the PATH, and TOOLONG names none. It is not compare_windows.")


if __name__ == "__main__":
    main()
