"""Every picture still shows something that exists: its scene is opened and its panels are looked for."""

from __future__ import annotations

import re
import runpy
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest

from prodwatch.clock import SystemClock
from prodwatch.session.protocol import SessionFacts
from prodwatch.store.store import Store
from prodwatch.tui.app import ProdwatchApp
from prodwatch.tui.preferences import Preferences
from prodwatch.views.time_window import Window
from tests.support.scripted_session import ScriptedSession

DOCS = Path(__file__).parents[2] / "docs"
ROUNDS = 20
SCRIPT = runpy.run_path(str(DOCS / "pictures.py"))


def words(svg: str) -> str:
    return unescape(" ".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg))).replace("\xa0", " ")


def test_every_picture_belongs_to_a_scene() -> None:
    assert {path.stem for path in (DOCS / "pictures").glob("*.svg")} == set(SCRIPT["SCENES"]) == set(SCRIPT["PANELS"])


@pytest.mark.slow  # a dashboard per picture
@pytest.mark.parametrize("name", SCRIPT["SCENES"])
async def test_what_a_picture_shows_still_exists(name: str) -> None:
    size, theme, keys = SCRIPT["SCENES"][name]
    clock = SystemClock()
    store = Store(clock)
    window = Window(start=clock.now() - timedelta(minutes=30)) if name in SCRIPT["TRIAGE"] else None
    app = ProdwatchApp(
        store,
        ScriptedSession(store, clock),
        environment=SessionFacts(environment="demo", title="Shop", every_s=15, window=window),
        clock=clock,
        preferences=Preferences(theme=theme, notify="off"),
    )
    assert theme in app.available_themes
    async with app.run_test(size=size) as pilot:

        async def settle() -> None:
            # Not for workers: an open trace is followed for as long as it is open.
            for _ in range(5):
                app.frame()
                await pilot.pause()

        while not store.checks.defined:
            await settle()
        for key in keys:
            await settle()
            await pilot.press(key)
        for _ in range(ROUNDS):
            await settle()
            painted = words(app.export_screenshot())
            if all(title in painted for title in SCRIPT["PANELS"][name]):
                break
    taken = words((DOCS / "pictures" / f"{name}.svg").read_text(encoding="utf-8"))
    for title in SCRIPT["PANELS"][name]:
        assert title in painted
        assert title in taken
