"""Cells of the bench of verdicts: all releases of one kind at one rate, judged on every core, and their table."""

from __future__ import annotations

import math
import multiprocessing
import os
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from _judged import SCENES, Judged, run_release, run_scene
from _other_rules import FAMILIES, RULES
from _releases import HARMFUL, HARMLESS, Release, durations

RELEASES = (*HARMLESS, *HARMFUL)
CHUNK = 10
CONFIDENCE = 0.95


class Cell(NamedTuple):
    """All releases of one kind at one rate."""

    release: Release
    rate: float
    judged: list[Judged]

    def count(self, *statuses: str) -> int:
        """Return how many releases ended so."""
        return sum(each.status in statuses for each in self.judged)

    @property
    def runs(self) -> int:
        """Number of releases."""
        return len(self.judged)

    @property
    def found(self) -> list[float]:
        """Minutes from the harm to the failure, of the releases that failed after it began."""
        return [each.minute for each in self.judged if each.minute is not None and each.minute >= 0]

    def median(self) -> float | None:
        """Return the median of the minutes from the harm to the failure; None without a failure."""
        return statistics.median(self.found) if self.found else None

    def found_by(self, thresholds: Mapping[str, float]) -> list[float]:
        """Return the minutes since the shift at which the first of some rules fails releases, harmful ones once harmed.

        `thresholds`: rule → score from which it fails a release.
        """
        found = []
        for each in self.judged:
            firsts = [first_above(each.scores[rule], threshold) for rule, threshold in thresholds.items()]
            first = min((minute for minute in firsts if minute is not None), default=None)
            if first is not None and first >= self.release.onset_min:
                found.append(first)
        return found


class Task(NamedTuple):
    """Some releases of one cell."""

    number: int
    """Of the release or scene."""
    is_scene: bool
    rate: float
    seeds: range


def first_above(scores: Sequence[tuple[float, float]], threshold: float) -> float | None:
    return next((minute for minute, score in scores if score >= threshold), None)


def run_task(task: Task) -> tuple[Task, list[Judged]]:
    if task.is_scene:
        return task, [run_scene(SCENES[task.number], task.rate, seed) for seed in task.seeds]
    return task, [run_release(RELEASES[task.number], task.rate, seed) for seed in task.seeds]


def measure(runs: Mapping[float, int], names: Sequence[str]) -> list[Cell]:
    """Judge all releases, on every core; the order of the cells is that of their definition."""
    tasks = []
    for rate, number in runs.items():
        sizes = [range(start, min(number, start + CHUNK)) for start in range(0, number, CHUNK)]
        for is_scene, all_of in ((False, RELEASES), (True, [each.release for each in SCENES])):
            chosen = [index for index, each in enumerate(all_of) if is_chosen(each, names)]
            tasks += [Task(index, is_scene, rate, seeds) for index in chosen for seeds in sizes]
    durations()
    cells: defaultdict[tuple[float, bool, int], dict[int, list[Judged]]] = defaultdict(dict)
    with multiprocessing.Pool(os.cpu_count()) as pool:
        for task, judged in pool.imap_unordered(run_task, tasks):
            cells[task.rate, task.is_scene, task.number][task.seeds.start] = judged
    return [
        Cell(
            SCENES[number].release if is_scene else RELEASES[number],
            rate,
            [each for start in sorted(parts) for each in parts[start]],
        )
        for (rate, is_scene, number), parts in sorted(cells.items())
    ]


def is_chosen(release: Release, names: Sequence[str]) -> bool:
    """Return whether a name holds one of `names`; without any, all are chosen."""
    return not names or any(name in release.name for name in names)


def at_most(count: int, runs: int) -> float:
    """Return the largest share that leaves `count` or fewer of `runs` possible at 5 %: Clopper and Pearson."""
    low, high = count / runs, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        below = sum(math.comb(runs, k) * middle**k * (1 - middle) ** (runs - k) for k in range(count + 1))
        low, high = (middle, high) if below > 1 - CONFIDENCE else (low, middle)
    return high


def print_cells(cells: Sequence[Cell]) -> None:
    """Print the table."""
    width = max(len(_title(each)) for each in cells) + 2
    head = f"{'':<{width}}{'failed':>20}{'inconclusive':>20}{'passed':>20}{'minutes':>9}"
    print(head + "".join(f"{each:>22}" for each in FAMILIES))
    for cell in cells:
        failed, passed = cell.count("fail"), cell.count("pass", "degraded")
        median = cell.median()
        columns = "".join(
            f"{_bounded(count, cell.runs):>20}" for count in (failed, cell.runs - failed - passed, passed)
        )
        minutes = f"{median:.1f}" if median is not None and cell.release.harmful else "-"
        print(f"{_title(cell):<{width}}{columns}{minutes:>9}" + "".join(_of_families(cell)))
    print("Each count is followed by the largest share that it leaves possible at 95 %. Minutes: median after the harm")
    print("began. Last columns: releases that other rules fail at their published thresholds, and the median time.")


def _title(cell: Cell) -> str:
    return f"{cell.release.name}, {cell.rate:g}/s"


def _bounded(count: int, runs: int) -> str:
    return f"{count} of {runs} ≤ {at_most(count, runs) * 100:.1f} %"


def _of_families(cell: Cell) -> Iterator[str]:
    """Yield how many releases each family of rules fails at its published thresholds, and the median time."""
    for family in FAMILIES:
        if not all(each.scores for each in cell.judged):
            yield f"{'-':>22}"
            continue
        minutes = cell.found_by({name: rule.threshold for name, rule in RULES.items() if name.startswith(family)})
        after = ""
        if minutes and cell.release.harmful:
            after = f" {statistics.median(minutes) - cell.release.onset_min:.1f}"
        yield f"{len(minutes)} ≤ {at_most(len(minutes), cell.runs) * 100:.0f} %{after}".rjust(22)
