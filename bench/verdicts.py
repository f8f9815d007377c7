"""Verdicts on simulated releases: how many are wrong or late, and the verdicts of other rules on the same streams.

`python bench/verdicts.py` judges 400 releases a cell at 4.6 and 46 requests/s and 100 at 460, with 10 % of the traffic
on the new version and a bake of 15 minutes, and three releases a cell once more as log lines on the embedded AWS by
whole gates; it takes up to half an hour on two cores. `--quick` takes a minute: few releases, at 46 requests/s.
Everything is seeded, so that two runs print the same.

Per cell: failed, inconclusive and passed releases, each with the largest share that the counts leave possible at 95 %;
the median time from the harm to the failure; and the releases that other rules fail. Then each goal with "met" or "not
met", each cell in which another rule finds more harm at the same share of false alarms, and for what `prodwatch gate
--plan` foresees its difference from the cell.

A batch of half a minute is judged half a minute after its end: the earliest failure is one minute after the shift.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from _cells import CONFIDENCE, RELEASES, Cell, is_chosen, measure, print_cells
from _goals import GOAL_RATE, print_goals
from _judged import SCENES, Served, run_release, run_scene, served
from _other_rules import RULES
from _releases import HARMLESS, durations

from prodwatch.judge.comparison.before_after import fisher_exact
from prodwatch.judge.comparison.plan import RUNS as PLAN_RUNS
from prodwatch.judge.comparison.plan import Traffic, plan
from prodwatch.model.environment import Compare

RUNS = {4.6: 400, 46.0: 400, 460.0: 100}
"""Requests/s → releases a cell."""
QUICK = {46.0: 4}
GATED = 3
"""Releases a cell that whole gates judge too."""
PLANNED_WITHIN = 0.05
PLANNED_IN_S = 10.0
FORESEEN = {
    "errors 0.1 % → 1.0 %": "errors 0.1 → 1 %",
    "errors 0.1 % → 5.0 %": "errors 0.1 → 5 %",
    "latency × 1.2": "p95 × 1.2",
    "latency × 1.3": "p95 × 1.3",
    "latency × 1.5": "p95 × 1.5",
    "new error signature in 0.5 % of its requests": "signature in 0.5 %",
}
"""Harm of a plan → cell."""


def print_worse_cells(cells: Sequence[Cell]) -> None:
    """Print each harmful cell in which a rule fails more releases, with its threshold set to equal false alarms."""
    print("Other rules, with thresholds that fail no more harmless releases than the judge does at the same rate:")
    none = True
    for rate in sorted({each.rate for each in cells}):
        compared = [each for each in cells if each.rate == rate and each.judged[0].scores]
        harmless = [each for each in compared if each.release in HARMLESS]
        if not harmless:
            continue
        allowed = sum(each.count("fail") for each in harmless)
        thresholds = {name: _threshold(harmless, name, allowed) for name in RULES}
        print(f"{rate:g}/s: thresholds from {sum(each.runs for each in harmless)} harmless releases, {allowed} failed")
        for cell in (each for each in compared if each.release.harmful):
            ours = len(cell.found)
            counts = {name: len(cell.found_by({name: threshold})) for name, threshold in thresholds.items()}
            best = max(counts, key=lambda name: counts[name])
            # A difference that chance explains is none.
            if counts[best] > ours and fisher_exact(counts[best], cell.runs, ours, cell.runs) < 1 - CONFIDENCE:
                none = False
                print(f"worse: {cell.release.name}, {rate:g}/s: {ours} of {cell.runs}; {best}: {counts[best]}")
    if none:
        print("worse: no cell")


def _threshold(harmless: Sequence[Cell], rule: str, allowed: int) -> float:
    """Return the threshold of a rule that `allowed` harmless releases reach at most, never below the published one."""
    highest = sorted(
        (each.scores[rule][-1][1] if each.scores[rule] else 0.0 for cell in harmless for each in cell.judged),
        reverse=True,
    )
    published = RULES[rule].threshold
    if len(highest) <= allowed:
        return published
    return max(published, math.nextafter(highest[allowed], math.inf))


def print_plans(cells: Sequence[Cell]) -> int:
    """Print what plans foresee next to the cells; return how many differ by more than the goal, or take too long."""
    missed = 0
    for rate in sorted({each.rate for each in cells}):
        by_name = {each.release.name: each for each in cells if each.rate == rate}
        traffic = Traffic(requests_per_s=rate, error_share=0.001, durations_ms=tuple(durations()[:20_000]))
        began = time.process_time()
        foreseen = plan(traffic, weight=0.1, bake_s=900, limits=Compare())
        took_s = time.process_time() - began
        pairs = [(each.harm, each.found, by_name.get(FORESEEN.get(each.harm, "")), "fail") for each in foreseen.harms]
        pairs.append(("healthy", foreseen.passes, by_name.get(HARMLESS[0].name), "pass"))
        for harm, planned, cell, status in pairs:
            if cell is None:
                continue
            share = cell.count(status) / cell.runs
            met = abs(planned - share) <= PLANNED_WITHIN
            missed += not met
            print(
                f"plan: {harm}, {rate:g}/s: {planned * 100:.1f} % of {PLAN_RUNS} {status}, "
                f"{share * 100:.1f} % of {cell.runs} in the cell: within 5 points: {_mark(met)}"
            )
        missed += took_s > PLANNED_IN_S
        print(f"plan: {rate:g}/s: {took_s:.1f} s of CPU: at most {PLANNED_IN_S:g} s: {_mark(took_s <= PLANNED_IN_S)}")
    return missed


def _mark(met: bool) -> str:  # noqa: FBT001 -- the one argument
    return "met" if met else "not met"


class Twin(NamedTuple):
    """One release, judged from its counts and as log lines by a whole gate."""

    name: str
    seed: int
    counted: str
    counted_min: float | None
    gated: str
    gated_min: float
    reason: str
    served: tuple[Served, Served]
    """By counts, and by lines."""

    @property
    def is_equal(self) -> bool:
        """Whether both verdicts are equal."""
        return self.counted == self.gated


def run_twin(task: tuple[int, bool, int]) -> Twin:
    """Judge one release or scene (number, whether it is a scene, seed) twice."""
    from _whole_gate import run_gate

    number, is_scene, seed = task
    scene = SCENES[number] if is_scene else None
    release = RELEASES[number] if scene is None else scene.release
    judged = run_release(release, GOAL_RATE, seed) if scene is None else run_scene(scene, GOAL_RATE, seed)
    gated = run_gate(release, GOAL_RATE, seed, scene)
    minute = None if judged.minute is None else judged.minute + release.onset_min
    verdict = gated.result.verdict
    requests = (judged.served, served(gated.result.comparisons))
    return Twin(release.name, seed, judged.status, minute, verdict.status, gated.minute, verdict.reason, requests)


def print_gates(names: Sequence[str], seeds: int) -> int:
    """Print for each cell whether whole gates come to the verdicts of the judge; return how many cells differ."""
    tasks = list(twins_of(names, seeds))
    durations()
    differing = 0
    with multiprocessing.Pool(os.cpu_count()) as pool:
        twins = pool.imap(run_twin, tasks)
        for _ in range(len(tasks) // seeds):
            cell = [next(twins) for _ in range(seeds)]
            equal = all(each.is_equal for each in cell)
            differing += not equal
            counts = _equal("counts", all(one == other for one, other in (each.served for each in cell)))
            found = ", ".join(f"{each.gated} {each.gated_min:.1f} min" for each in cell)
            print(f"gate: {cell[0].name}, {GOAL_RATE:g}/s: {found}: {_equal('verdicts', equal)}, {counts}", flush=True)
            for each in (each for each in cell if not each.is_equal):
                print(f"  seed {each.seed}: {each.counted} by counts, {each.gated} by lines: {each.reason}")
    return differing


def _equal(words: str, equal: bool) -> str:  # noqa: FBT001 -- not an option
    return f"{'equal' if equal else 'different'} {words}"


def twins_of(names: Sequence[str], seeds: int) -> Iterator[tuple[int, bool, int]]:
    """Yield the tasks of the chosen cells: number, whether it is a scene, seed."""
    for is_scene, all_of in ((False, RELEASES), (True, [each.release for each in SCENES])):
        for number, release in enumerate(all_of):
            if is_chosen(release, names):
                yield from ((number, is_scene, seed) for seed in range(seeds))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few releases a cell, at 46 requests/s, and no gates")
    parser.add_argument("--through-the-gate", action="store_true", help="only whole gates, on log lines")
    parser.add_argument("--runs", type=int, help="releases a cell at every rate")
    parser.add_argument("--seeds", type=int, default=GATED, help="releases a cell for whole gates; 0 for none")
    parser.add_argument("--rate", type=float, action="append", help="only this rate, in requests/s; repeatable")
    parser.add_argument("--cell", action="append", default=[], help="only cells whose name holds this; repeatable")
    options = parser.parse_args()
    runs: Mapping[float, int] = QUICK if options.quick else RUNS
    if options.rate:
        runs = {rate: RUNS.get(rate, 100) for rate in options.rate}
    if options.runs:
        runs = dict.fromkeys(runs, options.runs)
    started = time.perf_counter()
    missed = differing = 0
    if not options.through_the_gate:
        cells = measure(runs, options.cell)
        print_cells(cells)
        missed = print_goals(cells)
        print_worse_cells(cells)
        missed += print_plans(cells)
    if options.through_the_gate or not options.quick:
        differing = print_gates(options.cell, options.seeds) if options.seeds else 0
    print(f"{missed} goals not met, {differing} cells not equal, {time.perf_counter() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
