"""A run's wall time beside its slowest chain of checks that need each other, while many others run.

`python bench/chain.py` prints one line per shape; the budget is the chain and 5 % more.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from _common import PRODWATCH, http_server

DELAY_S = 0.2
RUNS = 5


def check(name: str, url: str, more: str = "") -> str:
    return f'[[check]]\nname = "{name}"\ntype = "http"\nurl = "{url}/{name}"\nexpect = ["status == 200"]\n{more}'


def links(count: int) -> list[str]:
    """Return the names of a chain, first one first."""
    return [f"link-{number}" for number in range(count)]


@contextmanager
def project(url: str, chain: int, others: int) -> Iterator[Path]:
    """Write a chain of checks, each needing the one before it, written last one first, among others."""
    names = links(chain)
    written = [check(name, url, f'needs = ["{before}"]\n') for before, name in pairwise(names)]
    written.append(check(names[0], url))
    written += [check(f"other-{number}", url) for number in range(others)]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "config").mkdir()
        (root / "checks").mkdir()
        (root / "config/bench.toml").write_text("[limits]\nconcurrency = 50\nper_host = 50\n")
        (root / "checks/bench.toml").write_text("\n".join(reversed(written)))
        yield root


def run(root: Path, chain: int) -> tuple[float, float]:
    """Return the seconds of the whole run and those of its chain, as the result tells them."""
    command = [*PRODWATCH, "check", "--env", "bench", "--json"]
    result = json.loads(subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout)
    assert result["verdict"]["status"] == "pass", result["verdict"]
    took = {each["name"]: each["duration_ms"] for each in result["checks"]}
    return result["run"]["duration_ms"] / 1000, sum(took[name] for name in links(chain)) / 1000


def main() -> None:
    print(f"\nA run beside its slowest chain, server {DELAY_S * 1000:.0f} ms")
    with http_server(DELAY_S) as url:
        for chain, others in ((1, 0), (10, 0), (10, 40), (10, 400)):
            with project(url, chain, others) as root:
                run(root, chain)
                pairs = [run(root, chain) for _ in range(RUNS)]
            ours, floor = (statistics.median(column) for column in zip(*pairs, strict=True))
            ratio = statistics.median(a / b for a, b in pairs)
            shape = f"chain of {chain}, {others} others"
            print(f"{shape:28} run {ours:6.2f} s   chain {floor:6.2f} s   {ratio:5.3f}×   · budget ≤ 1.05×")


if __name__ == "__main__":
    main()
