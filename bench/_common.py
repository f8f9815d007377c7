"""What every benchmark shares: paired runs, medians, a local HTTP server, a real pseudo-terminal."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from fcntl import ioctl
from pathlib import Path

# Start-up as users have it: with compiled modules, which installers write.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Runs are kept, because that is part of their cost, but not among the user's.
os.environ.setdefault("PRODWATCH_DATA_DIR", str(Path(tempfile.gettempdir()) / "prodwatch-bench"))

PYTHON = sys.executable
PRODWATCH = [PYTHON, "-m", "prodwatch"]

SERVER = """
import asyncio, sys
from aiohttp import web

DELAY_S = float(sys.argv[1])

async def answer(request):
    if DELAY_S:
        await asyncio.sleep(DELAY_S)
    return web.json_response({"status": "ok", "path": request.path})

async def main():
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=2048)
    await site.start()
    print(site._server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@contextlib.contextmanager
def http_server(delay_s: float = 0.0) -> Iterator[str]:
    """Serve small JSON answers from a process of its own; yields the base URL."""
    process = subprocess.Popen([PYTHON, "-c", SERVER, str(delay_s)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def project(url: str, checks: int) -> Iterator[Path]:
    """Write a project of `checks` HTTP checks with two assertions each; yields its root."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "config").mkdir()
        (root / "checks").mkdir()
        (root / "config" / "bench.toml").write_text(
            f'title = "Bench"\n[vars]\napi = "{url}"\n[limits]\nconcurrency = 50\nper_host = 50\n'
        )
        (root / "checks" / "bench.toml").write_text(
            "\n".join(
                f'[[check]]\nname = "check {n}"\ntype = "http"\nurl = "${{vars.api}}/item/{n}"\n'
                f'expect = ["status == 200", "json.status == \'ok\'"]\n'
                for n in range(checks)
            )
        )
        yield root


def wall_s(command: Sequence[str], *, cwd: Path | None = None) -> float:
    """Run a command to its end, output thrown away; seconds of wall time."""
    started = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    elapsed = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr.decode()}")
    return elapsed


def first_paint_s(
    command: Sequence[str], *, cwd: Path | None = None, until: bytes, size: tuple[int, int] = (40, 120)
) -> float:
    """Run a terminal program in a real pty; seconds until `until` has been painted. The program is then killed."""
    started = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        if cwd:
            os.chdir(cwd)
        os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
        os.execvp(command[0], list(command))
    ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    seen = b""
    try:
        while time.perf_counter() - started < 20:
            if select.select([terminal], [], [], 0.5)[0]:
                try:
                    seen += os.read(terminal, 65536)
                except OSError:
                    break
                if until in seen:
                    return time.perf_counter() - started
        raise SystemExit(f"{' '.join(command)}: {until!r} was never painted; the end was {seen[-300:]!r}")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(terminal)


class Table:
    """Rows of paired medians."""

    def __init__(self, title: str) -> None:
        print(f"\n{title}\n{'':38} {'ours':>10} {'beside':>10} {'ratio':>7}  beside what · budget")

    def row(
        self,
        name: str,
        ours: Callable[[], float],
        other: Callable[[], float],
        beside: str,
        *,
        runs: int = 7,
        budget: str = "",
        unit: str = "ms",
    ) -> float:
        """Run both in turn, A B A B …, and print the medians and the median of the pairs' ratios."""
        ours(), other()
        pairs = [(ours(), other()) for _ in range(runs)]
        ratio = statistics.median(a / b for a, b in pairs)
        scale = 1000 if unit == "ms" else 1
        a, b = (statistics.median(column) * scale for column in zip(*pairs, strict=True))
        print(f"{name:38} {a:8.1f}{unit} {b:8.1f}{unit} {ratio:6.2f}×  {beside}{' · ' + budget if budget else ''}")
        return ratio
