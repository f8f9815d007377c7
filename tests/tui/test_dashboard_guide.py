"""The guide says what is true: signs, keys, filters and settings are read from it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.writers.keys import SECTIONS, keys_of
from prodwatch.tui.preferences import load_preferences
from prodwatch.views.log_filter import parse_filter
from prodwatch.views.status_style import STATES, WAITING

GUIDE = (Path(__file__).parents[2] / "docs" / "guide" / "dashboard.md").read_text(encoding="utf-8")


def test_every_sign_is_explained() -> None:
    for state in (*STATES.values(), WAITING):
        assert f"| {state.glyph} | `{state.ascii}` | {state.word} |" in GUIDE


def test_every_key_it_names_exists() -> None:
    known = {key for _, classes in SECTIONS for row in keys_of(*classes) for key in row.keys.split(", ")}
    known |= {"tab", "left", "right"}
    prose = re.sub(r"```.*?```", "", GUIDE, flags=re.DOTALL)
    code = re.findall(r"`([^`\s]{1,6})`", prose)
    signs = {state.ascii for state in (*STATES.values(), WAITING)}
    named = {
        name
        for name in code
        if (len(name) == 1 and name.isascii() and name not in signs) or name.startswith(("ctrl", "esc"))
    }
    assert named
    assert not named - known


def test_every_filter_it_shows_is_understood() -> None:
    table = GUIDE.split("| filter | shows |")[1].split("\n\n")[0]
    shown = re.findall(r"^\| (.+?) \|", table, flags=re.MULTILINE)
    filters = [text for cell in shown for text in re.findall(r"`([^`]+)`", cell)]
    assert len(filters) >= 8
    for text in filters:
        assert parse_filter(text.replace("\\|", "|")).tests  # as Markdown writes a bar within a table


def test_its_settings_are_read(tmp_path: Path) -> None:
    example = re.findall(r"```toml\n(.*?)```", GUIDE, flags=re.DOTALL)[-1]
    path = tmp_path / "dashboard.toml"
    path.write_text(example, encoding="utf-8")
    found = load_preferences(path)
    assert (found.theme, found.fps, dict(found.keymap)) == ("prodwatch-light", 4, {"check.rerun": "ctrl+r"})


@pytest.mark.parametrize("size", ["60×16", "80×24", "120×40", "200×60"])
def test_the_sizes_are_said(size: str) -> None:
    assert size in GUIDE
