"""Mutation testing of the rooms that decide: a seeded sample of mutations, each run against the tests of its room.

Usage: mutants.py PYTHON [--sample N] [--seed N] [--jobs N] [PREFIX …]. PYTHON is the interpreter with the test
dependencies; this script itself needs cosmic-ray. Exit code 1 when fewer than 90 % of the mutations are caught.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import difflib
import os
import queue
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast_from_path
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

ROOT = Path(__file__).resolve().parents[1]
GOAL = 0.9
TIMEOUT_S = 600
TESTS = {
    "prodwatch/judge": ("tests/judge", "tests/views"),
    "prodwatch/assertions": ("tests/assertions",),
    "prodwatch/runner": ("tests/runner",),
    "prodwatch/sources/logs": ("tests/sources",),
}
"""Mutated folder → the tests that run first."""
WIDER = ("tests/cases", "tests/cli", "tests/session", "tests/probes", "tests/probes_aws", "tests/store")
"""Tests that run when those of the room catch nothing."""
# Each operator changes a decision; operators that mostly yield equal programs (annotations, decorators) are left out.
OPERATORS = (
    "ReplaceAndWithOr",
    "ReplaceOrWithAnd",
    "AddNot",
    "ReplaceTrueWithFalse",
    "ReplaceFalseWithTrue",
    "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak",
    "ZeroIterationForLoop",
    *(
        f"ReplaceComparisonOperator_{name}"
        for name in ("Eq_NotEq", "NotEq_Eq", "Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt")
        + ("Is_IsNot", "IsNot_Is", "Lt_Gt", "Gt_Lt")
    ),
    "ReplaceBinaryOperator_Add_Sub",
    "ReplaceBinaryOperator_Sub_Add",
    "ReplaceBinaryOperator_Mul_Div",
    "NumberReplacer",
)

Mutation = tuple[Path, str, int]
"""File, operator, occurrence in the file."""


def mutations(prefixes: tuple[str, ...]) -> list[Mutation]:
    """Return every mutation of the files below `prefixes`, in a stable order."""
    found: list[Mutation] = []
    for prefix in prefixes:
        for path in sorted((ROOT / prefix).rglob("*.py")):
            tree = get_ast_from_path(path)
            for name in OPERATORS:
                operator = get_operator(f"core/{name}")()
                count = sum(1 for node in ast_nodes(tree) for _ in operator.mutation_positions(node))
                found += [(path.relative_to(ROOT), name, number) for number in range(count)]
    return found


def mutated(mutation: Mutation) -> tuple[str, str]:
    """Return the file's text before and after the mutation."""
    path, name, number = mutation
    before = (ROOT / path).read_text()
    after = mutate_code(before, get_operator(f"core/{name}")(), number)
    return before, before if after is None else after


def is_caught(python: str, tree: Path, path: Path) -> bool:
    """Return whether a test fails on the mutated tree; a run that does not end counts as caught."""
    tests = next(folders for prefix, folders in TESTS.items() if path.is_relative_to(prefix))
    return any(not passes(python, tree, folders) for folders in (tests, WIDER))


def passes(python: str, tree: Path, folders: tuple[str, ...]) -> bool:
    """Return whether the tests below `folders` pass in `tree`."""
    command = [python, "-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:randomly", "-p", "no:cacheprovider"]
    command += [folder for folder in folders if (tree / folder).exists()]
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def try_one(python: str, trees: queue.Queue[Path], mutation: Mutation) -> bool | None:
    """Return whether the tests catch a mutation, None when it changes nothing."""
    path = mutation[0]
    before, after = mutated(mutation)
    # `frozen=False` on a class or a decorator's argument changes no decision.
    if before == after or difference(mutation).startswith(("-class ", "-@")):
        return None
    tree = trees.get()
    try:
        (tree / path).write_text(after)
        return is_caught(python, tree, path)
    finally:
        (tree / path).write_text(before)
        trees.put(tree)


def difference(mutation: Mutation) -> str:
    """Return the changed lines of a mutation."""
    lines = difflib.unified_diff(*(text.splitlines() for text in mutated(mutation)), lineterm="", n=0)
    return "\n".join(line for line in lines if line[:1] in "+-" and line[:3] not in {"+++", "---"})


def main() -> int:
    """Run the sample and print each survivor and the score."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("python")
    parser.add_argument("prefixes", nargs="*", default=list(TESTS))
    parser.add_argument("--sample", type=int, default=60)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    every = mutations(tuple(options.prefixes))
    chosen = random.Random(options.seed).sample(every, min(options.sample, len(every)))
    caught = tried = 0
    with tempfile.TemporaryDirectory() as folder:
        trees: queue.Queue[Path] = queue.Queue()
        for number in range(options.jobs):
            tree = Path(folder) / str(number)
            shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".git", ".venv*", "*.pyc", ".*_cache"))
            if not passes(options.python, tree, ("tests/assertions",)):
                print("the tests fail without any mutation", file=sys.stderr)
                return 2
            trees.put(tree)
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            outcomes = pool.map(lambda each: try_one(options.python, trees, each), chosen)
            for mutation, outcome in zip(chosen, outcomes, strict=True):
                if outcome is None:
                    continue
                tried += 1
                caught += outcome
                if not outcome:
                    print(f"survived: {mutation[0]} {mutation[1]} #{mutation[2]}\n{difference(mutation)}", flush=True)
    print(f"{caught} of {tried} mutations caught ({caught / tried:.0%}), sampled from {len(every)}")
    return 0 if caught >= GOAL * tried else 1


if __name__ == "__main__":
    sys.exit(main())
