"""The log tail: backlog beside `aws logs tail`, aiobotocore and bare decoding; live latency; the longest block."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from typing import Any

from _common import PYTHON

SERVER = Path(__file__).with_name("_logs_server.py")
CLIENTS = Path(__file__).with_name("_logs_clients.py")
BACKLOG = 200_000
RUNS = 5
BUDGETS = {"text": "budget ≥ 2×, CPU ≤ 1×", "json": "budget ≥ 1.3×, CPU ≤ 1×"}
RATES = (50, 500, 2_000, 5_000)
UNEVEN_RATES = (50, 2_000)
"""Rates with empty and partial pages, p99 ≤ 1.2 s."""
LIVE_S = 15
KEYS = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench-secret", "AWS_DEFAULT_REGION": "eu-west-1"}
ENVIRON = {**os.environ, **KEYS, "AWS_PAGER": ""}
AWS_PLACES = (shutil.which("aws"), "/usr/bin/aws", "/usr/local/bin/aws")


@contextlib.contextmanager
def server(*arguments: object) -> Iterator[str]:
    """Run the embedded AWS in a process of its own; yields its URL."""
    command = [PYTHON, str(SERVER), *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def client(name: str, url: str, *arguments: object) -> dict[str, Any]:
    """Run one of our clients with its lines thrown away; returns what it measured of itself."""
    command = [PYTHON, str(CLIENTS), name, url, *map(str, arguments)]
    done = subprocess.run(command, env=ENVIRON, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        raise SystemExit(done.stderr.decode())
    found: dict[str, Any] = json.loads(done.stderr.splitlines()[-1])
    return found


def aws_v2() -> str | None:
    """Return the path of version 2 of AWS's command line, None when there is none."""
    for path in filter(None, AWS_PLACES):
        with contextlib.suppress(OSError):
            told = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
            if told.startswith("aws-cli/2"):
                return path
    return None


def timed(command: Sequence[str]) -> tuple[float, float]:
    """Return wall and CPU seconds of a command."""
    before, started = getrusage(RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env=ENVIRON, stdout=subprocess.DEVNULL, check=True)
    wall_s, after = time.perf_counter() - started, getrusage(RUSAGE_CHILDREN)
    return wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def tail(aws: str, url: str, group: str) -> dict[str, Any]:
    """Measure `aws logs tail`, the start of the program taken off."""
    common = ["--endpoint-url", url, "--since", "1d"]
    idle = timed([aws, "logs", "tail", "/bench/empty", *common])
    full = timed([aws, "logs", "tail", group, *common])
    return {"events": BACKLOG, "wall_s": full[0] - idle[0], "cpu_s": full[1] - idle[1]}


def speed(one: dict[str, Any]) -> float:
    """Return the events per second of one run."""
    return float(one["events"] / one["wall_s"])


def cost(one: dict[str, Any]) -> float:
    """Return the CPU seconds per event of one run."""
    return float(one["cpu_s"] / one["events"])


def backlog(aws: str | None) -> None:
    """Print events per second and CPU per event of every client."""
    print(f"\nBacklog of {BACKLOG:,} events, as NDJSON; the endpoint remembers its pages.")
    print(f"Medians of {RUNS} rounds in which each runs once; the ratios are medians of the rounds' own.")
    print(f"{'':34} {'events/s':>10} {'CPU µs/event':>13} {'ours':>7} {'ours CPU':>9}")
    with server("backlog", BACKLOG) as url:
        for form in ("text", "json"):
            group = f"/bench/{form}"
            runs: dict[str, Callable[[], dict[str, Any]]] = {
                "prodwatch, everything done": partial(client, "ours", url, group, BACKLOG)
            }
            if aws:
                runs["aws logs tail"] = partial(tail, aws, url, group)
            runs["aiobotocore, dedupe"] = partial(client, "aiobotocore", url, group, BACKLOG)
            runs["aiohttp, json decoded"] = partial(client, "json", url, group, BACKLOG)
            runs["aiohttp, msgspec decoded"] = partial(client, "msgspec", url, group, BACKLOG)
            measured: dict[str, list[dict[str, Any]]] = {name: [] for name in runs}
            for _ in range(RUNS + 1):
                # In turn, so that what else the machine does falls on all of them alike.
                for name, run in runs.items():
                    measured[name].append(run())
            ours = measured["prodwatch, everything done"][1:]
            for name, (_, *each) in measured.items():
                faster = statistics.median(speed(us) / speed(other) for us, other in zip(ours, each, strict=True))
                dearer = statistics.median(cost(us) / cost(other) for us, other in zip(ours, each, strict=True))
                told = BUDGETS[form] if name == "aws logs tail" else ""
                print(
                    f"{form + ': ' + name:34} {statistics.median(map(speed, each)):10,.0f} "
                    f"{statistics.median(map(cost, each)) * 1e6:13.2f} {faster:6.2f}× {dearer:8.2f}×  {told}".rstrip()
                )
        block = client("block", url, "/bench/json", BACKLOG)
    print(f"longest block of the event loop, JSON backlog: {block['block_ms']:.1f} ms of CPU (budget 16)")


def live() -> None:
    """Print how long a line that is visible takes to be shown, at several rates under five calls a second."""
    print(f"\nLive, 5 FilterLogEvents calls/s allowed, {LIVE_S} s each: visible → shown")
    times = " ".join(f"{name:>7}" for name in ("p50 s", "p99 s", "max s"))
    print(f"{'pages':8}{'lines/s':>8} {times} {'shown':>8} {'calls/s':>8} {'throttles':>9} {'CPU':>6}")
    for pages, rate in [*(("live", rate) for rate in RATES), *(("uneven", rate) for rate in UNEVEN_RATES)]:
        with server(pages, rate) as url:
            one = client("live", url, "/bench/live", LIVE_S)
        print(
            f"{pages:8}{rate:8,} {one['p50_s']:7.2f} {one['p99_s']:7.2f} {one['max_s']:7.2f} {one['events']:8,} "
            f"{one['calls_s']:8.1f} {one['throttles']:9} {one['cpu']:6.0%}"
        )


def main() -> None:
    aws = aws_v2()
    if aws is None:
        print("aws-cli version 2 is not here, so `aws logs tail` is left out (Debian: apt-get install awscli)")
    if "live" not in sys.argv[1:]:
        backlog(aws)
    if "backlog" not in sys.argv[1:]:
        live()


if __name__ == "__main__":
    main()
