"""Error signatures on labelled logs, and their speed next to drain3.

`python bench/signatures.py FOLDER` reads every CSV file of the folder, with the columns `content` (a line) and
`event_id` (its true kind). Printed per file: grouping accuracy, the share of lines whose group is exactly the set of
lines of their kind; and the F1 of whole groups, in which rare kinds weigh as much as frequent ones. The same masks and
the same thresholds serve every file. The columns "left out" use the thresholds that are best on all other files.

drain3 is compared when it is installed in this Python.
"""

from __future__ import annotations

import csv
import itertools
import random
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from prodwatch.judge.signatures.merge import Thresholds, merged
from prodwatch.judge.signatures.signature import SignatureReader

GRID = tuple(itertools.starmap(Thresholds, itertools.product((3, 4, 5), (2, 3, 4), (6, 9, 15))))
GOALS = {"grouping accuracy": 0.95, "F1 of groups": 0.92}
LINES = 20_000
REPEAT_SHARE = 0.95

Tokens = tuple[str, ...]


class Labelled(NamedTuple):
    """One file: its lines, their true kinds and their signatures."""

    name: str
    lines: list[str]
    kinds: list[str]
    signatures: list[Tokens]


class Score(NamedTuple):
    """Agreement of groups and kinds."""

    accuracy: float
    f1: float
    groups: int
    kinds: int


def read(path: Path) -> Labelled:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    lines = [row["content"] for row in rows]
    reader = SignatureReader()
    return Labelled(path.stem, lines, [row["event_id"] for row in rows], [reader.read(line) for line in lines])


def score(labelled: Labelled, thresholds: Thresholds) -> Score:
    group_of = merged(labelled.signatures, thresholds)
    groups: defaultdict[Tokens, set[int]] = defaultdict(set)
    kinds: defaultdict[str, set[int]] = defaultdict(set)
    for index, (signature, kind) in enumerate(zip(labelled.signatures, labelled.kinds, strict=True)):
        groups[group_of[signature]].add(index)
        kinds[kind].add(index)
    right = [each for each in groups.values() if kinds[labelled.kinds[min(each)]] == each]
    precision, recall = len(right) / len(groups), len(right) / len(kinds)
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    return Score(sum(map(len, right)) / len(labelled.lines), f1, len(groups), len(kinds))


def accuracy(sets: Sequence[Labelled]) -> None:
    scores = {(each.name, choice): score(each, choice) for each in sets for choice in GRID}
    print(f"{'file':<14} {'lines':>6} {'kinds':>6} {'groups':>6} {'accuracy':>9} {'F1':>6}   {'left out':>8} {'F1':>6}")
    ours, left_out = [], []
    for each in sets:
        mine = scores[each.name, Thresholds()]
        others = [other for other in sets if other is not each] or [each]

        def elsewhere(choice: Thresholds, others: Sequence[Labelled] = others) -> float:
            return sum(scores[other.name, choice].accuracy + scores[other.name, choice].f1 for other in others)

        unseen = scores[each.name, max(GRID, key=elsewhere)]
        ours.append(mine)
        left_out.append(unseen)
        head = f"{each.name:<14} {len(each.lines):>6} {mine.kinds:>6} {mine.groups:>6}"
        print(f"{head} {mine.accuracy:>9.3f} {mine.f1:>6.3f}   {unseen.accuracy:>8.3f} {unseen.f1:>6.3f}")
    means, unseen_means = (
        [statistics.mean(each.accuracy for each in scored), statistics.mean(each.f1 for each in scored)]
        for scored in (ours, left_out)
    )
    print(f"{'mean':<35} {means[0]:>9.3f} {means[1]:>6.3f}   {unseen_means[0]:>8.3f} {unseen_means[1]:>6.3f}")
    for (name, goal), mean in zip(GOALS.items(), means, strict=True):
        print(f"{name} {mean:.3f}, goal {goal}: {'met' if mean >= goal else 'not met'}")


def workload(sets: Sequence[Labelled], repeat_share: float, rng: random.Random) -> list[str]:
    """Return lines of which a share repeats an earlier one to the letter, the others are all distinct."""
    source = [line for each in sets for line in each.lines]
    lines: list[str] = []
    for number in range(LINES):
        if lines and rng.random() < repeat_share:
            lines.append(lines[rng.randrange(max(1, len(lines) // 10))])
        else:
            lines.append(f"{rng.choice(source)} ref {''.join(rng.choices('abcdefghijk', k=6))} {number}")
    return lines


def per_second(read_line: Callable[[str], object], lines: Sequence[str]) -> float:
    started = time.process_time()
    for line in lines:
        read_line(line)
    return len(lines) / (time.process_time() - started)


def drain3_reader() -> Callable[[str], object] | None:
    """Return a new drain3 miner with masks for addresses and numbers; None when it is not installed."""
    try:
        from drain3 import TemplateMiner
        from drain3.masking import MaskingInstruction
        from drain3.template_miner_config import TemplateMinerConfig
    except ImportError:
        return None
    config = TemplateMinerConfig()
    bounds = r"((?<=[^A-Za-z0-9])|^)({})((?=[^A-Za-z0-9])|$)"
    config.masking_instructions = [
        MaskingInstruction(bounds.replace("{}", form), mask)
        for form, mask in ((r"\d{1,3}(?:\.\d{1,3}){3}", "IP"), ("0x[a-f0-9A-F]+", "HEX"), (r"[\-\+]?\d+", "NUM"))
    ]
    add: Callable[[str], object] = TemplateMiner(config=config).add_log_message
    return add


def speed(sets: Sequence[Labelled]) -> None:
    rng = random.Random(7)
    for name, share in (("95 % repeat", REPEAT_SHARE), ("all distinct", 0.0)):
        lines = workload(sets, share, rng)
        ours, theirs = [], []
        for _ in range(3):
            ours.append(per_second(SignatureReader().read, lines))
            peer = drain3_reader()
            if peer is not None:
                theirs.append(per_second(peer, lines))
        rate = statistics.median(ours)
        ratio = "drain3 is not installed in this Python"
        if theirs:
            ratio = f"{rate / statistics.median(theirs):.2f} × drain3 ({statistics.median(theirs):,.0f})"
        print(f"{name}: {rate:,.0f} lines/s of CPU time, {ratio}")


def main() -> int:
    paths = sorted(Path(sys.argv[1]).glob("*.csv")) if len(sys.argv) == 2 else []
    if not paths:
        print("usage: python bench/signatures.py FOLDER, with CSV files of the columns content and event_id")
        return 2
    sets = [read(path) for path in paths]
    accuracy(sets)
    speed(sets)
    return 0


if __name__ == "__main__":
    sys.exit(main())
