"""Every key has an id, is documented, and can be moved; the user's file is read strictly."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.dom import DOMNode

import prodwatch.tui
from docs.writers.keys import SECTIONS, keys_page
from prodwatch.errors import ConfigurationError
from prodwatch.tui.bound_keys import bindings_of, known_ids
from prodwatch.tui.keymap import SCREENS
from prodwatch.tui.preferences import Preferences, load_preferences
from prodwatch.tui.screens.check import CheckScreen
from prodwatch.tui.widgets.chart_panel import ChartPanel
from prodwatch.tui.widgets.check_grid_panel import CheckGridPanel
from prodwatch.tui.widgets.signals_panel import SignalsPanel

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "keys.md"


def our_classes() -> list[type[DOMNode]]:
    for module in pkgutil.walk_packages(prodwatch.tui.__path__, "prodwatch.tui."):
        importlib.import_module(module.name)
    found: list[type[DOMNode]] = []
    open_classes: list[type[DOMNode]] = [DOMNode]
    while open_classes:
        for each in open_classes.pop().__subclasses__():
            open_classes.append(each)
            if each.__module__.startswith("prodwatch.tui") and "BINDINGS" in vars(each):
                found.append(each)
    return found


def test_every_binding_has_an_id_and_a_description() -> None:
    for owner in our_classes():
        for binding in bindings_of(owner):
            assert binding.id, (owner, binding)
            assert "." in binding.id
            assert binding.description


def test_every_class_with_keys_is_on_the_page() -> None:
    placed = {each for _, classes in SECTIONS for each in classes}
    assert {owner for owner in our_classes() if list(bindings_of(owner))} == placed


def test_the_page_is_what_the_bindings_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == keys_page(), "run: python -m docs.writers.keys > docs/reference/keys.md"


def test_ids_are_many_and_unique_per_meaning() -> None:
    assert len(known_ids()) > 40


async def test_every_key_of_the_screen_below_is_in_help(run: Any) -> None:
    async with run((120, 80), keys=["2"]) as bench:
        ids = {each.binding.id for each in bench.app.screen.active_bindings.values() if each.binding.id}
        await bench.press("question_mark")
        for binding_id in ids:
            await bench.sees(binding_id)


async def test_an_unknown_id_in_the_keymap_is_said(run: Any) -> None:
    preferences = Preferences(fps=0, keymap={"check.rerunn": "x"})
    async with run(preferences=preferences, notifications=True) as bench:
        await bench.sees("check.rerunn")
        await bench.sees('"check.rerun"?)')


def test_without_a_file_there_are_defaults(tmp_path: Path) -> None:
    assert load_preferences(tmp_path / "none.toml") == Preferences()


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "dashboard.toml"
    path.write_text(
        'theme = "nord"\nascii = true\nfps = 4\nlocal_time = true\nnotify = "desktop"\n[keys]\n"app.quit" = "x"\n'
    )
    wanted = Preferences(theme="nord", ascii=True, fps=4, local_time=True, notify="desktop", keymap={"app.quit": "x"})
    assert load_preferences(path) == wanted


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("themee = 'x'", r'dashboard.toml:1:1: unknown key "themee" \(did you mean "theme"\?\)'),
        ("theme = 5", "Expected `str`"),
        ("fps = 0", "fps is 0; write a number above 0"),
        ("fps = 100", "at most 30"),
        ("theme = ", "is not TOML"),
        ("[keys]\nx = 5", "Expected `str`"),
    ],
    ids=["unknown", "type", "no-frames", "too-many", "broken", "key-type"],
)
def test_a_mistake_is_one_sentence(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "dashboard.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=says):
        load_preferences(path)


def test_a_folder_in_its_place_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_preferences(tmp_path)


async def test_every_key_can_be_moved_by_its_id(run: Any) -> None:
    keymap = {name: f"f{100 + number}" for number, name in enumerate(sorted(known_ids()))}
    found: dict[str, set[str]] = {}
    async with run(preferences=Preferences(fps=0, keymap=keymap)) as bench:

        def look() -> None:
            for key, active in bench.app.screen.active_bindings.items():
                if active.binding.id:
                    found.setdefault(active.binding.id, set()).add(key)

        for name in SCREENS:
            bench.app.switch_mode(name)
            await bench.frames()
            look()
        for widget in (ChartPanel, SignalsPanel):
            bench.app.switch_mode("metrics")
            await bench.frames()
            bench.app.screen.query_one(widget).focus()
            await bench.frames()
            look()
        for leap in (
            lambda: bench.app.open_check("orders/order-in-euros"),
            lambda: bench.app.open_trace("1-x"),
            bench.app.action_service_map,
        ):
            leap()
            await bench.frames()
            look()
        await bench.app.screen.action_filter()
        await bench.frames()
        look()
    assert found == {name: {key} for name, key in keymap.items() if not name.startswith("replay.")}


async def test_keys_of_the_users_file_work_and_the_old_ones_do_not(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "dashboard.toml"
    path.write_text(
        '[keys]\n"list.down" = "z,ctrl+n"\n"list.open" = "o"\n"view.console" = "U"\n"filter.cancel" = "f2"\n'
    )
    preferences = replace(load_preferences(path), fps=0)
    async with run(preferences=preferences) as bench:
        grid = bench.app.screen.query_one(CheckGridPanel)
        first = grid.cursor_key
        await bench.press("j", "down", "enter")
        assert grid.cursor_key == first
        assert bench.app.screen is grid.screen
        await bench.press("z", "ctrl+n")
        assert grid.cursor_index == 2
        await bench.press("slash")
        await bench.write("o")
        await bench.press("f2")
        assert grid.filter_text == ""
        await bench.press("o")
        assert isinstance(bench.app.screen, CheckScreen)
        await bench.press("question_mark")
        await bench.sees("view.console")
        assert any(line.split()[:2] == ["│U", "AWS"] for line in bench.painted())
