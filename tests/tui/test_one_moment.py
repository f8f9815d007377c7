"""Verdict and grid speak of one moment: after any event, in any frame, the one never contradicts the other."""

from __future__ import annotations

import random
from typing import Any

import pytest

from prodwatch.model.event import CheckFinished
from prodwatch.model.signal import AlarmState, Batch
from prodwatch.testing.clock import START
from prodwatch.tui.widgets.check_grid_panel import CheckGridPanel
from prodwatch.tui.widgets.verdict_box import VerdictBox
from tests.support.examples import slow_but
from tests.support.scene.checks import result

DICE = random.Random(1)


def red_shown(bench: Any) -> tuple[bool, bool]:
    """Return whether the verdict says that something failed, and whether the grid does."""
    title = str(bench.app.screen.query_one(VerdictBox).border_title)
    counts = str(bench.app.screen.query_one(CheckGridPanel).border_title)
    return "FAIL" in title, "✘" in counts


@pytest.mark.parametrize("frames_before", slow_but((0, 3), range(6)))
async def test_a_check_that_turns_red_turns_verdict_and_grid_in_one_frame(run: Any, frames_before: int) -> None:
    async with run(moment="before") as bench:
        for _ in range(frames_before):
            bench.app.frame()
        assert red_shown(bench) == (False, False)
        bench.store.apply_event(CheckFinished(result=result("orders/order-in-euros", START, True, DICE)))
        seen = [red_shown(bench)]
        for _ in range(12):
            bench.app.frame()
            seen.append(red_shown(bench))
        assert {(True, False), (False, True)}.isdisjoint(seen)
        assert seen[-1] == (True, True)
        await bench.settle()
        await bench.sees("FAIL · production is not healthy")
        await bench.sees("1 ✘")


@pytest.mark.parametrize("key", ["s", "t", "slash"])
async def test_what_the_user_does_meanwhile_brings_nothing_ahead(run: Any, key: str) -> None:
    async with run(moment="before") as bench:
        bench.store.apply_event(CheckFinished(result=result("orders/order-in-euros", START, True, DICE)))
        await bench.pilot.press(key)
        verdict, grid = red_shown(bench)
        assert verdict == grid


async def test_the_bell_rings_for_the_verdict_that_is_shown(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with run(moment="before") as bench:
        titles: list[str] = []
        monkeypatch.setattr(
            bench.app, "bell", lambda: titles.append(str(bench.app.screen.query_one(VerdictBox).border_title))
        )
        await bench.frames(20)
        bench.store.apply(Batch(source="alarms", records=(AlarmState(name="x", state="ALARM"),)))
        await bench.frames(40)
        assert titles == ["✘ FAIL · production is not healthy"]
