"""Every mistake a check file can have: where it is said to be, and in which words (mistakes.txt)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

SECTION = re.compile(r"^## (.+)\n((?:.*\n)*?)--\n((?:.+\n)+)", re.MULTILINE)
CASES = SECTION.findall(Path(__file__).with_name("mistakes.txt").read_text("utf-8"))


@pytest.mark.parametrize(("text", "lines"), [pytest.param(text, lines, id=name) for name, text, lines in CASES])
def test_a_mistake_is_said_where_it_stands(shop: Any, text: str, lines: str) -> None:
    assert shop.mistakes(text) == [f"checks/shop.toml:{line}" for line in lines.splitlines()]


def test_the_whole_table_was_read() -> None:
    text = Path(__file__).with_name("mistakes.txt").read_text("utf-8")
    assert len(CASES) == len(re.findall("^## ", text, re.MULTILINE)) > 60
