"""The reference pages of files: every example loads, every table is the loader's own, every mistake reads as shown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from docs.writers import key_tables
from prodwatch.settings.template import SCOPES, parse_template, resolve

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
PAGES = ("check-files.md", "configuration-errors.md", "environment.md", "variables.md")
BLOCK = re.compile(r"^```(.*)\n((?:.*\n)*?)```$", re.MULTILINE)


def page(name: str) -> str:
    return (REFERENCE / name).read_text("utf-8")


def blocks(name: str, kind: str) -> list[str]:
    return [text for info, text in BLOCK.findall(page(name)) if info == kind]


def examples(kind: str) -> list[Any]:
    return [
        pytest.param(text, id=f"{name} {number}") for name in PAGES for number, text in enumerate(blocks(name, kind), 1)
    ]


WORLD = blocks("environment.md", "toml config")[0]
ENVIRON = {"TEST_ITEM": "1"}


@pytest.mark.parametrize("text", examples("toml config"))
def test_an_environment_of_the_reference(shop: Any, text: str) -> None:
    shop.load({}, text)


@pytest.mark.parametrize("text", examples("toml checks"))
def test_checks_of_the_reference(shop: Any, text: str) -> None:
    shop.environ = ENVIRON
    assert shop.load(text, WORLD).checks


def test_mistakes_read_as_the_reference_shows_them(shop: Any) -> None:
    (wrong,) = blocks("configuration-errors.md", "toml wrong")
    _, shown = blocks("configuration-errors.md", "text")
    assert shop.mistakes(wrong, WORLD) == shown.splitlines()
    assert len(shown.splitlines()) == 10


@pytest.mark.parametrize("name", PAGES)
def test_every_block_is_tried(name: str) -> None:
    assert {info for info, _ in BLOCK.findall(page(name))} <= {"toml config", "toml checks", "toml wrong", "text"}


@pytest.mark.parametrize("name", key_tables.PAGES)
def test_the_tables_are_the_loaders_own(name: str) -> None:
    assert key_tables.filled(page(name)) == page(name), "run `python -m docs.writers.key_tables docs/reference`"


def test_every_table_stands_somewhere() -> None:
    text = "".join(map(page, key_tables.PAGES))
    assert {name for name in key_tables.TABLES if f"<!-- written from the loader: {name} -->" not in text} == {"aws"}


def test_every_scope_is_explained() -> None:
    scopes = page("variables.md").split("## Scopes")[1].split("##")[0]
    assert [scope for scope in SCOPES if not re.search(rf"\$\{{{scope}\b", scopes)] == []


def test_filters_give_what_the_page_says() -> None:
    table = page("variables.md").split("| written |")[1]
    rows = re.findall(r"^\| `(\$\{.*?\})` \| (.*?) \| `(.*?)` \|$", table, re.MULTILINE)
    assert len(rows) == 13
    for cell, given, expected in rows:
        written = cell.replace("\\|", "|")  # a bar would end the cell
        value = "" if given == "an empty text" else given.strip("`")
        assert str(resolve(written, dict.fromkeys(parse_template(written).references, value).__getitem__)) == expected


def test_every_message_it_explains_is_one_that_a_test_has_seen() -> None:
    folder = Path(__file__).parent
    seen = "".join(file.read_text("utf-8") for file in sorted(folder.rglob("*.*")) if file.suffix in {".py", ".txt"})
    for explained in re.findall(r"^\*\*(.+?)\.\*\*", page("configuration-errors.md"), re.MULTILINE):
        for message in explained.split(", "):
            pattern = ".*".join(re.escape(part.strip()) for part in message.split("…"))
            assert re.search(pattern, seen), message
