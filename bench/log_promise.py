"""The promise for log lines over a million events: each fault regime by itself, on a virtual clock, beside an oracle.

Lost: visible within L of its timestamp and not shown. Twice: shown more often than written. Hidden: visible later than
L and neither marked nor counted. All three must be nought; otherwise the exit code is 1.
"""

from __future__ import annotations

import asyncio
import sys
import time

from tests.support.log_fault_regimes import REGIMES, follow

SECONDS = 260
LINES_PER_S = 400
WANTED = 1_000_000


def main() -> None:
    """Print one line for each regime and one for all."""
    print(f"{'regime':44} {'written':>10} {'later':>8} {'lost':>6} {'twice':>6} {'hidden':>6} {'seconds':>8}")
    sums = [0] * 5
    for name, regime in REGIMES.items():
        began_s = time.perf_counter()
        found = asyncio.run(follow(name, SECONDS, LINES_PER_S // regime.identical))
        written, later = found.written.all.total(), found.written.later.total()
        row = [written, later, found.lost, found.twice, found.hidden]
        sums = [total + each for total, each in zip(sums, row, strict=True)]
        print(f"{name:44} {figures(row)} {time.perf_counter() - began_s:8.1f}", flush=True)
    print(f"{'in all':44} {figures(sums)}")
    if sums[0] < WANTED or any(sums[2:]):
        sys.exit(1)


def figures(row: list[int]) -> str:
    """Return the columns of one line."""
    written, later, *wrong = row
    return f"{written:10,} {later:8,} {' '.join(f'{each:6,}' for each in wrong)}"


if __name__ == "__main__":
    main()
