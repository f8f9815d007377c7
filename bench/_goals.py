"""Goals of the bench of verdicts, each a statement about one cell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from _cells import Cell

GOAL_RATE = 46.0
OF = 400
"""Releases that the counts of the goals are stated for."""


class Goal(NamedTuple):
    """One statement about one cell."""

    words: str
    holds: Callable[[Cell], bool]
    shown: Callable[[Cell], str]


def found(share: float, minutes: float) -> Goal:
    def holds(cell: Cell) -> bool:
        median = cell.median()
        return len(cell.found) >= share * cell.runs and median is not None and median <= minutes

    def shown(cell: Cell) -> str:
        median = cell.median()
        return f"{len(cell.found)} of {cell.runs}, {'never' if median is None else f'{median:.1f} min'}"

    return Goal(f"failed at least {share * 100:.0f} %, median at most {minutes:g} min", holds, shown)


def never_more(limit: int, *statuses: str) -> Goal:
    word = "failed" if statuses == ("fail",) else "passed"
    return Goal(
        f"{word} at most {limit} of {OF}",
        lambda cell: cell.count(*statuses) <= limit * cell.runs // OF,
        lambda cell: f"{cell.count(*statuses)} of {cell.runs}",
    )


def passes(share: float) -> Goal:
    return Goal(
        f"passed at least {share * 100:.0f} %",
        lambda cell: cell.count("pass") >= share * cell.runs,
        lambda cell: f"{cell.count('pass')} of {cell.runs}",
    )


AT_THE_FLOOR = {
    "errors 1 → 2 %": "the difference is exactly the harm floor at this rate: the bound at 99 % lets 1 of 100 pass",
}
"""Cell → explanation printed after its goals."""
GREENS = ("pass", "degraded")
FOUND = {
    "errors 0.1 → 1 %": found(0.99, 4.0),
    "errors 0.1 → 5 %": found(0.99, 1.5),
    "configuration only, errors 0.1 → 1 %": found(0.99, 4.0),
    "p95 × 1.5": found(0.99, 2.0),
    "tail × 8 in 5 %": found(0.99, 2.5),
    "signature in 0.5 %": found(0.95, 5.0),
}
HARM_FLOOR = (
    "errors 0.1 → 0.6 %",
    "errors 0.1 → 1 %",
    "errors 0.1 → 5 %",
    "errors 0.1 → 5 %, REPORT 70 s late on the canary",
    "configuration only, errors 0.1 → 1 %",
    "errors 1 → 2 %",
    "errors 5 → 8 %",
    "errors 60 → 100 %",
)
"""Cells that are worse by the harm floor at the old rate or by more, from the shift on."""
UNDECIDED = ("quiet night", "blips of 20 %", "clumps", "all at once")
"""Harmless cells that need not pass: little traffic, base rates above 5 %, or assumptions that do not hold."""


def goals_of(cell: Cell) -> Iterator[Goal]:
    name = cell.release.name
    if name.startswith("blind") or not cell.judged[0].scores:
        yield never_more(0, *GREENS)
        return
    if name in HARM_FLOOR:
        yield never_more(4, *GREENS)
    if cell.rate != GOAL_RATE:
        return
    if name in FOUND:
        yield FOUND[name]
    if not cell.release.harmful:
        yield never_more(4 if cell.release.clump > 1 else 2, "fail")
        if not name.startswith(UNDECIDED):
            yield passes(0.95)


def print_goals(cells: Sequence[Cell]) -> int:
    """Print each goal; return how many are not met."""
    missed = 0
    for cell in cells:
        for goal in goals_of(cell):
            met = goal.holds(cell)
            missed += not met
            mark = "met" if met else "not met"
            print(f"goal: {cell.release.name}, {cell.rate:g}/s: {goal.words}: {goal.shown(cell)}: {mark}")
        if cell.release.name in AT_THE_FLOOR:
            print(f"note: {cell.release.name}, {cell.rate:g}/s: {AT_THE_FLOOR[cell.release.name]}")
    return missed
