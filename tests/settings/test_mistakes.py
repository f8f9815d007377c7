"""Every mistake a file can have: where it is said to be, and in which words (mistakes*.txt)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

SECTION = re.compile(r"^## (.+)\n((?:.*\n)*?)--\n((?:.+\n)+)", re.MULTILINE)


def cases(name: str) -> list[Any]:
    text = Path(__file__).with_name(name).read_text("utf-8")
    found = SECTION.findall(text)
    assert len(found) == len(re.findall("^## ", text, re.MULTILINE)) > 30
    return [pytest.param(toml, lines.splitlines(), id=title) for title, toml, lines in found]


@pytest.mark.parametrize(("text", "lines"), cases("mistakes.txt"))
def test_a_mistake_in_a_check_file(shop: Any, text: str, lines: list[str]) -> None:
    assert shop.mistakes(text) == [f"checks/shop.toml:{line}" for line in lines]


@pytest.mark.parametrize(("text", "lines"), cases("mistakes_environment.txt"))
def test_a_mistake_in_an_environment_file(shop: Any, text: str, lines: list[str]) -> None:
    assert shop.mistakes({}, text) == [f"config/prod.toml:{line}" for line in lines]
