"""Every row of the list of faults has a test function named after its id, such as `test_A1_…` or `test_K12_B12_…`."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

ROWS = {"A": 19, "B": 18, "C": 14, "W": 14, "N": 23, "K": 38}
"""Number of rows per letter; ids count from 1."""

ID = re.compile(r"(?<=_)[ABCWNK][1-9]\d*(?=_)")


def ids_in(name: str) -> set[str]:
    return set(ID.findall(name))


@cache
def ids_of_all_tests() -> set[str]:
    """Return the ids in the names of all test functions and methods."""
    ids: set[str] = set()
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                ids |= ids_in(node.name)
    return ids


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("test_A1_a_firing_alarm", {"A1"}),
        ("test_K12_B12_every_figure", {"K12", "B12"}),
        ("test_a_function_of_A1", set()),
        ("test_A0_nothing", set()),
        ("test_SHA1_digest", set()),
    ],
)
def test_an_id_is_a_word_of_the_name(name: str, ids: set[str]) -> None:
    assert ids_in(name) == ids


@pytest.mark.parametrize("letter", ROWS)
def test_every_row_has_a_test(letter: str) -> None:
    rows = {f"{letter}{number}" for number in range(1, ROWS[letter] + 1)}
    assert rows <= ids_of_all_tests()
