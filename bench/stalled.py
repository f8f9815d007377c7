"""HTTP checks with tight limits on a machine without free CPU, next to bare aiohttp with the same limits.

The server responds at once, so every red result is a false one. Goal: no `fail`; stalled checks are `inconclusive`.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from _common import PRODWATCH, PYTHON, http_server

COUNT = 300
CONCURRENCY = 4
LATENCY_MS = 40
TIMEOUT_MS = 120
BUSY = 8

AIOHTTP = """
import asyncio, json, sys, time, aiohttp

async def main(url, count, concurrency, latency_s, timeout_s):
    gate = asyncio.Semaphore(concurrency)
    outcomes = {"pass": 0, "slow": 0, "timeout": 0}
    limit = aiohttp.ClientTimeout(total=timeout_s)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency), timeout=limit) as session:
        async def one(n):
            async with gate:
                started = time.perf_counter()
                try:
                    async with session.get(f"{url}/item/{n}") as response:
                        await response.read()
                        ok = response.status == 200 and time.perf_counter() - started < latency_s
                    outcomes["pass" if ok else "slow"] += 1
                except TimeoutError:
                    outcomes["timeout"] += 1
        await asyncio.gather(*(one(n) for n in range(count)))
    print(json.dumps(outcomes))

url, *numbers = sys.argv[1:]
count, concurrency, latency_ms, timeout_ms = map(int, numbers)
asyncio.run(main(url, count, concurrency, latency_ms / 1000, timeout_ms / 1000))
"""


@contextlib.contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Keep the machine's CPUs busy with `count` processes."""
    processes = [subprocess.Popen([PYTHON, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()


def write_project(root: Path, url: str) -> None:
    """Write checks whose limits a fast server keeps easily."""
    (root / "config").mkdir()
    (root / "checks").mkdir()
    (root / "config" / "bench.toml").write_text(
        f'title = "Bench"\n[vars]\napi = "{url}"\n[limits]\nconcurrency = {CONCURRENCY}\nper_host = {CONCURRENCY}\n'
    )
    (root / "checks" / "bench.toml").write_text(
        "\n".join(
            f'[[check]]\nname = "check {n}"\ntype = "http"\nurl = "${{vars.api}}/item/{n}"\n'
            f'timeout = "{TIMEOUT_MS}ms"\nexpect = ["status == 200", "latency < {LATENCY_MS}ms"]\n'
            for n in range(COUNT)
        )
    )


def ours(root: Path) -> tuple[Counter[str], list[str]]:
    """Run the checks; return their outcomes and the messages of failures."""
    command = [*PRODWATCH, "check", "--env", "bench", "--json"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    result = json.loads(done.stdout)
    outcomes: Counter[str] = Counter()
    for check in result["checks"]:
        outcomes[f"{check['status']} (stalled)" if check["reason_code"] == "stalled" else check["status"]] += 1
        outcomes["flagged stalled"] += "stalled" in check["flags"]
    notices = [notice["message"] for notice in result["notices"] if notice["code"] == "stalled"]
    return outcomes, notices + [check["message"] for check in result["checks"] if check["status"] == "fail"]


def bare(url: str) -> dict[str, int]:
    """Make the same requests with bare aiohttp; return their outcomes."""
    command = [PYTHON, "-c", AIOHTTP, url, *map(str, (COUNT, CONCURRENCY, LATENCY_MS, TIMEOUT_MS))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    outcomes: dict[str, int] = json.loads(done.stdout)
    return outcomes


def compare(busy: int) -> None:
    """Print the outcomes next to `busy` processes that use all the CPU they get."""
    with tempfile.TemporaryDirectory() as folder, http_server() as url, busy_processes(busy):
        root = Path(folder)
        write_project(root, url)
        outcomes, messages = ours(root)
        theirs = bare(url)
    print(f"\n{busy} busy processes, {COUNT} checks, latency < {LATENCY_MS} ms, timeout {TIMEOUT_MS} ms")
    print(f"  prodwatch      false reds {outcomes['fail']:3} · goal 0   {dict(outcomes)}")
    print(f"  bare aiohttp   false reds {theirs['slow'] + theirs['timeout']:3}            {theirs}")
    for message in messages[:4]:
        print(f"    {message}")


def main() -> None:
    """Compare on a quiet machine and on one without free CPU."""
    compare(0)
    compare(BUSY)


if __name__ == "__main__":
    main()
