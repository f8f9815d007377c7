"""1,000 HTTP checks with two assertions each, beside bare aiohttp and, when it is there, hospital's serial run.

hospital 0.9 needs an old setuptools; name a Python that has it in HOSPITAL_PYTHON.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from _common import PRODWATCH, PYTHON, http_server, project, wall_s

COUNT = 1000
CONCURRENCY = 50

AIOHTTP = """
import asyncio, json, sys, time, aiohttp

async def main(url, count, concurrency):
    gate = asyncio.Semaphore(concurrency)
    good = 0
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency)) as session:
        async def one(n):
            nonlocal good
            async with gate, session.get(f"{url}/item/{n}") as answer:
                body = await answer.json()
                good += answer.status == 200 and body["status"] == "ok"
        started = time.perf_counter()
        await asyncio.gather(*(one(n) for n in range(count)))
        print(json.dumps({"seconds": time.perf_counter() - started, "good": good}))

asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
"""

HOSPITAL = """
import hospital

class Checks(hospital.HealthCheck):
    pass

def make(n):
    def check(self):
        hospital.assert_http_response("{url}/item/%d" % n)
    return check

for n in range({count}):
    setattr(Checks, "test_%04d" % n, make(n))
"""


def ours_s(root: Path) -> float:
    """Run the checks; seconds as the run itself measured them, process start apart."""
    done = subprocess.run(
        [*PRODWATCH, "check", "--env", "bench", "--json"], cwd=root, capture_output=True, text=True, check=True
    )
    result = json.loads(done.stdout)
    assert result["summary"]["pass"] == COUNT, result["summary"]
    return result["run"]["duration_ms"] / 1000


def bare_s(url: str) -> float:
    """Make the same requests with bare aiohttp; seconds."""
    done = subprocess.run(
        [PYTHON, "-c", AIOHTTP, url, str(COUNT), str(CONCURRENCY)], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert found["good"] == COUNT
    return float(found["seconds"])


def hospital_s(url: str) -> float | None:
    """Make the same requests one after the other, as hospital does; seconds, start-up apart; None without it."""
    python = os.environ.get("HOSPITAL_PYTHON")
    if not python:
        return None
    with tempfile.TemporaryDirectory() as folder:
        for name, count in (("one", 1), ("all", COUNT)):
            Path(folder, f"{name}_checks.py").write_text(HOSPITAL.format(url=url, count=count))
        command = [python, "-W", "ignore", "-m", "hospital.cli"]
        base = wall_s([*command, "one_checks"], cwd=Path(folder))
        started = time.perf_counter()
        wall_s([*command, "all_checks"], cwd=Path(folder))
        return time.perf_counter() - started - base


def compare(delay_s: float, runs: int, floor_s: float) -> float:
    """Print one server's row; returns bare aiohttp's median in seconds."""
    with http_server(delay_s) as url, project(url, COUNT) as root:
        ours_s(root), bare_s(url)
        pairs = [(ours_s(root), bare_s(url)) for _ in range(runs)]
        ours, bare = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(a / b for a, b in pairs)
        print(
            f"server {delay_s * 1000:3.0f} ms   ours {ours:6.2f} s   bare aiohttp {bare:6.2f} s   {ratio:5.2f}×", end=""
        )
        if floor_s:
            print(f"   floor {floor_s:5.2f} s   {ours / floor_s:5.2f}× · budget ≤ 1.15× of the floor")
        else:
            print("   · budget ≤ 1.5×")
        serial = hospital_s(url)
        if serial is None:
            print("             hospital: absent (set HOSPITAL_PYTHON to a Python that has hospital 0.9)")
        else:
            print(f"             hospital, serial {serial:6.2f} s   ours is {serial / ours:.0f}× as fast")
        return bare


def main() -> None:
    print(f"\n{COUNT} HTTP checks, 2 assertions each, concurrency {CONCURRENCY}, process start apart")
    bare = compare(0.0, runs=5, floor_s=0.0)
    compare(0.05, runs=3, floor_s=bare + COUNT / CONCURRENCY * 0.05)


if __name__ == "__main__":
    main()
