"""Texts fill exactly the given cells, in every script."""

from __future__ import annotations

import subprocess
import sys

import pytest
import wcwidth
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from prodwatch.text.cell_width import NARROW, clip, cut, fitted, width


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("", 0),
        ("abc", 3),
        ("注文", 4),
        ("é", 1),
        ("e\u0301", 1),
        ("a\u200bb", 2),
        ("한국어", 6),
        ("·…", 2),
        ("👩‍👩‍👧", 2),
        ("⚠\ufe0f", 2),
        ("🇩🇪", 2),
    ],
)
def test_cells_of_a_text(text: str, cells: int) -> None:
    assert width(text) == cells


@pytest.mark.parametrize(
    ("text", "cells", "shown"),
    [
        ("abc", 5, "abc  "),
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("注文サ", 5, "注文…"),
        ("注文サ", 4, "注… "),
        ("e\u0301e\u0301e\u0301", 2, "e\u0301…"),
        ("👩‍👩‍👧👩‍👩‍👧", 3, "👩‍👩‍👧…"),
        ("a" + "\u0301" * 1_000, 1, "…"),
        ("abc", 1, "…"),
        ("abc", 0, ""),
        ("x" * 1_000_000, 4, "xxx…"),
    ],
)
def test_a_text_is_filled_or_cut(text: str, cells: int, shown: str) -> None:
    assert fitted(text, cells) == shown


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Co", "Cn"))), st.integers(1, 60))
def test_it_fills_exactly_its_cells(text: str, cells: int) -> None:
    assert width(fitted(text, cells)) == cells


@given(st.text(st.sampled_from("abc é注文サ한국 -_/")))
def test_it_agrees_with_what_the_dashboard_draws(text: str) -> None:
    assert width(text) == cell_len(text)


@given(st.text(), st.integers(0, 60))
def test_what_is_cut_is_the_longest_beginning_that_fits(text: str, cells: int) -> None:
    part = cut(text, cells)
    assert text.startswith(part)
    assert width(part) <= cells
    assert part == text or width(clip(text, cells)) <= cells


def test_narrow_characters_are_narrow_by_the_tables() -> None:
    assert {wcwidth.wcwidth(character) for character in NARROW} == {1}


def test_usual_text_needs_no_tables() -> None:
    code = (
        "import sys; from prodwatch.text.cell_width import fitted; fitted('größer · 3 × als', 8);"
        "print('wcwidth' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
