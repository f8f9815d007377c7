"""Verdicts on simulated releases: how many are wrong or late, and the verdicts of other rules on the same streams.

`python bench/verdicts.py` judges 400 releases a cell at 4.6 and 46 requests/s and 100 at 460, with 10 % of the traffic
on the new version and a bake of 15 minutes; it takes up to half an hour. `--quick` takes a minute: few releases, at 46
requests/s. Everything is seeded, so that two runs print the same.

Per cell: failed, inconclusive and passed releases, with the largest share of failed and of passed ones that the counts
leave possible at 95 %; the median time from the harm to the failure; and the share that other rules fail. Then each
goal with "met" or "not met", and each cell in which another rule finds more harm at the same share of false alarms.

A batch of half a minute is judged half a minute after its end: the earliest failure is one minute after the shift. A
release of which only the configuration changed differs in its versions as any other does: the cells of errors and
durations hold for it.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from random import Random
from typing import NamedTuple

from _other_rules import FAMILIES, RULES, Measured
from _releases import HARMFUL, HARMLESS, NEW, NEW_SIGNATURE, OLD, Look, Release, Stream, durations

from prodwatch.judge.comparison.before_after import fisher_exact
from prodwatch.judge.comparison.signature_comparison import SeenSignature, SignatureComparison
from prodwatch.judge.comparison.version_comparison import VersionComparison
from prodwatch.judge.decide import decide
from prodwatch.judge.facts import CheckFact, Facts, SignalFact, SourceFact
from prodwatch.model.environment import Compare
from prodwatch.model.signal import ReleasePhase, ReleaseState, SourcePhase
from prodwatch.model.status import Reason, Status

RUNS = {4.6: 400, 46.0: 400, 460.0: 100}
"""Requests/s → releases a cell."""
QUICK = {46.0: 4}
GOAL_RATE = 46.0
OF = 400
"""Releases that the counts of the goals are stated for."""
CHUNK = 10
CONFIDENCE = 0.95
SETTLED_MIN = 2.0
"""Delay of a metric's points."""

RELEASE = ReleaseState(
    function="orders",
    alias="live",
    phase=ReleasePhase.SHIFTING,
    version=NEW,
    previous=OLD,
    weights={OLD: 0.9, NEW: 0.1},
    started_at=datetime(2026, 1, 15, 11, 50, tzinfo=UTC),
)
READ = ("alarms", "release", "metrics", "logs:/aws/lambda/orders", "session")
GREEN = CheckFact(id="order", title="order", status=Status.PASS, age_s=10, every_s=30, rounds=28, planned=28)
MISMATCH = CheckFact(
    id="order",
    title="order",
    status=Status.INCONCLUSIVE,
    reason_code=Reason.VERSION_MISMATCH,
    age_s=10,
    every_s=30,
    rounds=28,
    planned=28,
)


class Scene(NamedTuple):
    """A cell that other facts than counts decide; it must never pass."""

    release: Release
    broken: Mapping[str, SourceFact] = {}
    """Sources from the onset on."""
    is_midway: bool = False
    """Whether the onset lies within the bake, at a random minute; otherwise it is the shift."""
    check: CheckFact = GREEN
    queue: bool = False
    """Whether a queue grows, at about 100 messages a minute, beyond the limit of a metric's `expect`."""


def _source(name: str, phase: SourcePhase, age_s: float | None = None) -> dict[str, SourceFact]:
    return {name: SourceFact(name=name, phase=phase, age_s=age_s)}


LOGS = "logs:/aws/lambda/orders"
SCENES = (
    Scene(Release("queue growing", harmful=True), queue=True),
    Scene(Release("wrong version serving", harmful=True), check=MISMATCH),
    Scene(Release("old version only", harmful=True, weights=((0.0, 0.0),))),
    Scene(Release("blind: no traffic", traffic=lambda _minute: 0.0)),
    Scene(Release("blind: late metrics"), _source("metrics", SourcePhase.BEHIND, 600.0), is_midway=True),
    Scene(Release("blind: logs denied"), _source(LOGS, SourcePhase.DENIED)),
    Scene(Release("blind: logs denied midway"), _source(LOGS, SourcePhase.DENIED), is_midway=True),
    Scene(Release("blind: logs throttled"), _source(LOGS, SourcePhase.THROTTLED)),
    Scene(Release("blind: alarms throttled midway"), _source("alarms", SourcePhase.THROTTLED, 900.0), is_midway=True),
    Scene(
        Release("blind: credentials expire midway"),
        {each: SourceFact(name=each, phase=SourcePhase.EXPIRED, age_s=60.0) for each in READ},
        is_midway=True,
    ),
)
UNREADABLE = frozenset((SourcePhase.DENIED, SourcePhase.EXPIRED, SourcePhase.THROTTLED))


class Judged(NamedTuple):
    """Outcome of one release."""

    status: str
    minute: float | None
    """Minutes from the harm to the failure."""
    scores: Mapping[str, list[tuple[float, float]]]
    """Rule → (minute, score) whenever its score was higher than ever before."""


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

    def median(self) -> float | None:
        """Return the median of the minutes from the harm to the failure; None without a failure."""
        minutes = [each.minute for each in self.judged if each.minute is not None]
        return statistics.median(minutes) if minutes else None

    def found_by(self, rule: str, threshold: float) -> list[float]:
        """Return the minutes at which a rule fails releases."""
        found = (first_above(each.scores[rule], threshold) for each in self.judged)
        return [each for each in found if each is not None]


def first_above(scores: Iterable[tuple[float, float]], threshold: float) -> float | None:
    return next((minute for minute, score in scores if score >= threshold), None)


class Judge:
    """What a gate does with the batches of one release."""

    def __init__(self, stream: Stream) -> None:
        limits = Compare()
        self.versions = VersionComparison(RELEASE.id.subject, NEW, OLD, limits)
        assert limits.signatures is not None
        self.signatures = SignatureComparison(RELEASE.id.subject, NEW, OLD, limits.signatures)
        self.logged = set()
        for batch in stream.before():
            self.versions.add_before(batch)

    def add(self, look: Look) -> None:
        """Judge what became visible at one look."""
        if look.shifted:
            self.versions.shift()
            self.signatures.shift()
        for batch in look.batches:
            self.versions.add(batch)
            self.signatures.add(batch)
            self.logged |= batch.of(NEW).signatures.keys()

    def facts(self, *, final: bool) -> Facts:
        """Return the facts as of now, with a green check and every source read."""
        seen = (
            SeenSignature(key=each, example=each[1], first_ms=0, before=each != NEW_SIGNATURE) for each in self.logged
        )
        return Facts(
            mode="gate",
            checks=(GREEN,),
            sources=tuple(SourceFact(name=each, phase=SourcePhase.LIVE, age_s=5.0) for each in READ),
            releases=(RELEASE,),
            comparisons=self.versions.results(),
            signatures=tuple(self.signatures.result(each) for each in seen),
            require="errors",
            final=final,
        )


def run_release(release: Release, rate: float, seed: int) -> Judged:
    stream = Stream(release, rate, Random(f"{release.name} {rate} {seed}"))
    judge = Judge(stream)
    rules = {name: rule(Random(f"{name} {seed}")) for name, rule in RULES.items()}
    scores: dict[str, list[tuple[float, float]]] = {name: [] for name in rules}
    measured = Measured()
    minute: float | None = None
    for look in stream.looks():
        if minute is None:
            judge.add(look)
            if _is_failed(judge.facts(final=False)):
                minute = look.minute
        seen = measured.add(look)
        for name, rule in rules.items():
            score = rule.score(seen)
            if score > (scores[name][-1][1] if scores[name] else 0.0):
                scores[name].append((look.minute, score))
    if minute is not None:
        return Judged("fail", minute - release.onset_min, scores)
    return Judged(decide(judge.facts(final=True)).verdict.status, None, scores)


def _is_failed(facts: Facts) -> bool:
    """Return whether the gate fails now; `decide` is asked only where a comparison speaks against the release."""
    against = any(each.status is Status.FAIL for each in (*facts.comparisons, *facts.signatures))
    return against and decide(facts).verdict.status == "fail"


def run_scene(scene: Scene, rate: float, seed: int) -> Judged:
    random = Random(f"{scene.release.name} {rate} {seed}")
    stream = Stream(scene.release, rate, random)
    judge = Judge(stream)
    onset = random.uniform(2.0, 13.0) if scene.is_midway else 0.0
    depth = random.uniform(20.0, 200.0)
    facts = judge.facts(final=False)
    for look in stream.looks():
        broken = scene.broken if look.minute >= onset else {}
        if not any(each.phase in UNREADABLE for name, each in broken.items() if name == LOGS):
            judge.add(look)
        grown = depth + max(0.0, look.minute - SETTLED_MIN - onset) * random.uniform(80.0, 120.0)
        queue = SignalFact(kind="metric", id="queue", status=Status.FAIL if grown > 500.0 else Status.PASS)
        present = judge.facts(final=look.minute >= 15.0)
        facts = _changed(present, broken, scene, queue)
        if decide(facts).verdict.status == "fail":
            return Judged("fail", look.minute - onset, {})
    return Judged(decide(facts).verdict.status, None, {})


def _changed(facts: Facts, broken: Mapping[str, SourceFact], scene: Scene, queue: SignalFact) -> Facts:
    return Facts(
        mode=facts.mode,
        checks=(scene.check,),
        signals=(queue,) if scene.queue else (),
        sources=tuple(broken.get(each.name, each) for each in facts.sources),
        releases=facts.releases,
        comparisons=facts.comparisons,
        signatures=facts.signatures,
        require=facts.require,
        final=facts.final,
    )


class Task(NamedTuple):
    """Some releases of one cell."""

    number: int
    """Of the release or scene."""
    is_scene: bool
    rate: float
    seeds: range


RELEASES = (*HARMLESS, *HARMFUL)


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
            if is_scene and rate != GOAL_RATE:
                continue
            chosen = [
                index for index, each in enumerate(all_of) if not names or any(name in each.name for name in names)
            ]
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


def at_most(count: int, runs: int) -> float:
    """Return the largest share that leaves `count` or fewer of `runs` possible at 5 %: Clopper and Pearson."""
    low, high = count / runs, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        below = sum(math.comb(runs, k) * middle**k * (1 - middle) ** (runs - k) for k in range(count + 1))
        low, high = (middle, high) if below > 1 - CONFIDENCE else (low, middle)
    return high


def print_cells(cells: Sequence[Cell]) -> None:
    head = f"{'':<42}{'failed':>20}{'inconclusive':>14}{'passed':>20}{'minutes':>9}"
    print(head + "".join(f"{each:>13}" for each in FAMILIES))
    for cell in cells:
        name = f"{cell.release.name}, {cell.rate:g}/s"
        failed, passed = cell.count("fail"), cell.count("pass", "degraded")
        median = cell.median()
        columns = [_bounded(failed, cell.runs), f"{cell.runs - failed - passed}", _bounded(passed, cell.runs)]
        minutes = f"{median:.1f}" if median is not None and cell.release.harmful else "-"
        print(f"{name:<42}{columns[0]:>20}{columns[1]:>14}{columns[2]:>20}{minutes:>9}" + "".join(_of_families(cell)))
    print("Each count is followed by the largest share that it leaves possible at 95 %.")


def _bounded(count: int, runs: int) -> str:
    return f"{count} of {runs} ≤ {at_most(count, runs) * 100:.1f} %"


def _of_families(cell: Cell) -> Iterator[str]:
    """Yield the share that each family of rules fails at its published thresholds, and the median time."""
    for family in FAMILIES:
        rules = [name for name in RULES if name.startswith(family)]
        if not all(each.scores for each in cell.judged):
            yield f"{'-':>13}"
            continue
        minutes = []
        for each in cell.judged:
            firsts = [first_above(each.scores[name], RULES[name].threshold) for name in rules]
            found = [first for first in firsts if first is not None]
            minutes += [min(found)] if found else []
        share = f"{len(minutes) / cell.runs * 100:.0f} %"
        after = (
            f" {statistics.median(minutes) - cell.release.onset_min:.1f}" if minutes and cell.release.harmful else ""
        )
        yield f"{share + after:>13}"


class Goal(NamedTuple):
    """One statement about one cell."""

    words: str
    holds: Callable[[Cell], bool]
    shown: Callable[[Cell], str]


def found(share: float, minutes: float) -> Goal:
    def holds(cell: Cell) -> bool:
        median = cell.median()
        return cell.count("fail") >= share * cell.runs and median is not None and median <= minutes

    def shown(cell: Cell) -> str:
        median = cell.median()
        return f"{cell.count('fail')} of {cell.runs}, {'never' if median is None else f'{median:.1f} min'}"

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


GREENS = ("pass", "degraded")
FOUND = {
    "errors 0.1 → 1 %": found(0.99, 4.0),
    "errors 0.1 → 5 %": found(0.99, 1.5),
    "p95 × 1.5": found(0.99, 2.0),
    "tail × 8 in 5 %": found(0.99, 2.5),
    "signature in 0.5 %": found(0.95, 5.0),
}
HARM_FLOOR = (
    "errors 0.1 → 0.6 %",
    "errors 0.1 → 1 %",
    "errors 0.1 → 5 %",
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
    return missed


def print_worse_cells(cells: Sequence[Cell]) -> None:
    """Print each harmful cell in which a rule fails more releases, with its threshold set to equal false alarms."""
    print("Other rules, with thresholds that fail no more harmless releases than the judge does at the same rate:")
    none = True
    for rate in sorted({each.rate for each in cells}):
        compared = [each for each in cells if each.rate == rate and each.judged[0].scores]
        harmless = [each for each in compared if not each.release.harmful]
        if not harmless:
            continue
        allowed = sum(each.count("fail") for each in harmless)
        thresholds = {name: _threshold(harmless, name, allowed) for name in RULES}
        print(f"{rate:g}/s: thresholds from {sum(each.runs for each in harmless)} harmless releases, {allowed} failed")
        for cell in (each for each in compared if each.release.harmful):
            ours = cell.count("fail")
            counts = {name: len(cell.found_by(name, threshold)) for name, threshold in thresholds.items()}
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few releases a cell, at 46 requests/s")
    parser.add_argument("--runs", type=int, help="releases a cell at every rate")
    parser.add_argument("--rate", type=float, action="append", help="only this rate, in requests/s; repeatable")
    parser.add_argument("--cell", action="append", default=[], help="only cells whose name holds this; repeatable")
    options = parser.parse_args()
    runs = dict(QUICK if options.quick else RUNS)
    if options.rate:
        runs = {rate: RUNS.get(rate, 100) for rate in options.rate}
    if options.runs:
        runs = dict.fromkeys(runs, options.runs)
    started = time.perf_counter()
    cells = measure(runs, options.cell)
    print_cells(cells)
    missed = print_goals(cells)
    print_worse_cells(cells)
    print(f"{missed} goals not met, {time.perf_counter() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
