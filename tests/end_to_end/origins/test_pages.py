"""No page without a test, no page that the list of pages forgets."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
PAGES = HERE.parents[2] / "docs/guide/origins"


def names() -> set[str]:
    return {path.stem for path in PAGES.glob("*.md")} - {"README"}


def test_every_page_is_tested() -> None:
    modules = [path.read_text(encoding="utf-8") for path in HERE.rglob("test_*.py")]
    tested = {page for text in modules for page in re.findall(r'^PAGE = "(.+)"$', text, re.MULTILINE)}
    assert tested == names()


def test_every_page_is_listed() -> None:
    listed = re.findall(r"^\| \[.+?\]\((.+?)\.md\)", (PAGES / "README.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(names())


def test_what_only_a_double_has_shown_says_so() -> None:
    doubled = {path.read_text().split('PAGE = "')[1].split('"')[0] for path in (HERE / "double").glob("test_*.py")}
    for name in names():
        assert ("scripted double" in (PAGES / f"{name}.md").read_text()) == (name in doubled)
