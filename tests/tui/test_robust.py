"""Whatever breaks, and whatever size the terminal takes on: the app lives and says what happened."""

from __future__ import annotations

import random
from typing import Any

import pytest
from textual.widget import Widget

from prodwatch.model.signal import Batch, Level, LogRecord
from prodwatch.testing.clock import START
from prodwatch.tui.screens.check import CheckScreen
from prodwatch.tui.screens.overview import OverviewScreen
from prodwatch.tui.widgets.check_grid_panel import CheckGridPanel
from prodwatch.tui.widgets.header import Header
from prodwatch.tui.widgets.verdict_box import VerdictBox
from tests.support.examples import slow_but
from tests.support.waiting import turn

LOG_FILE = "/tmp/prodwatch.log"
START_MS = int(START.timestamp() * 1000)


class BrokenOnPurposeError(Exception):
    """Nothing real."""


def broken(*_: Any, **__: Any) -> Any:
    raise BrokenOnPurposeError("on purpose")


@pytest.mark.parametrize(
    ("screen", "seed"),
    [
        ("1", 0),
        *(pytest.param(screen, seed, marks=pytest.mark.slow) for screen in "12345" for seed in range(1, 4)),
    ],
)
async def test_any_size_at_any_moment_while_lines_come(run: Any, screen: str, seed: int) -> None:
    dice = random.Random(f"{screen} {seed}")
    async with run(keys=[screen]) as bench:
        for number in range(8):
            size = (dice.choice((1, 2, dice.randint(1, 300))), dice.choice((1, 2, dice.randint(1, 100))))
            lines = tuple(
                LogRecord(START_MS + number, f"line {number} of {count}", "g", level=Level.INFO) for count in range(50)
            )
            bench.store.apply(Batch(source="logs:g", records=lines))
            await bench.pilot.resize_terminal(*size)
            bench.app.frame()
            await bench.pilot.press(dice.choice(("j", "k", "tab", "enter", "escape", "G", "space")))
            bench.app.frame()
        await bench.pilot.resize_terminal(120, 40)
        await bench.press("1", "escape", "escape", "1")
        await bench.sees("order in euros")
        assert len(bench.painted()) == 40


@pytest.mark.parametrize(
    "size", slow_but(((1, 1), (300, 100)), [(1, 1), (2, 1), (1, 50), (300, 1), (59, 15), (300, 100)]), ids=str
)
async def test_it_starts_at_any_size(run: Any, size: tuple[int, int]) -> None:
    async with run(size) as bench:
        assert len(bench.painted()) == size[1]
        await bench.pilot.resize_terminal(120, 40)
        await bench.frames(12)
        await bench.sees("FAIL · roll back")


async def test_a_handler_that_breaks_is_said_with_the_log_file(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with run(notifications=True) as bench:
        bench.may_break = True
        monkeypatch.setattr(OverviewScreen, "on_row_list_opened", broken)
        await bench.press("enter")
        await bench.until(lambda: LOG_FILE in "".join(bench.text.split()))
        assert isinstance(bench.app.failures[0], BrokenOnPurposeError)
        await bench.press("2")
        await bench.sees("Logs")


async def test_a_key_whose_action_breaks_changes_nothing_else(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with run(notifications=True) as bench:
        bench.may_break = True
        monkeypatch.setattr(type(bench.app), "action_pause", broken)
        await bench.press("space")
        await bench.sees("BrokenOnPurposeError")
        await bench.press("3")
        await bench.sees("Traces")
        await bench.press("1")
        await bench.sees("order in euros")


async def test_a_screen_that_cannot_be_built_is_left(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with run(notifications=True) as bench:
        bench.may_break = True
        monkeypatch.setattr(CheckScreen, "body", broken)
        await bench.press("enter")
        await bench.until(lambda: isinstance(bench.app.screen, OverviewScreen) and bool(bench.app.failures))
        await bench.sees("order in euros")
        await bench.press("j", "2")
        await bench.sees("Logs")


@pytest.mark.parametrize("kind", [CheckGridPanel, VerdictBox, Header])
async def test_a_widget_that_cannot_draw_takes_no_other_with_it(
    run: Any, monkeypatch: pytest.MonkeyPatch, kind: type[Widget]
) -> None:
    async with run() as bench:
        bench.may_break = True
        with monkeypatch.context() as patch:
            for name in ("lines", "row_line", "sync", "head_lines"):
                if hasattr(kind, name):
                    patch.setattr(kind, name, broken)
            await bench.pilot.resize_terminal(110, 38)
            await bench.frames(12)
            await bench.press("j", "t")
            await bench.sees("Signals")
        await bench.pilot.resize_terminal(120, 40)
        await bench.frames(60)
        await bench.sees("order in euros")
        await bench.sees("FAIL · roll back")


async def test_a_verdict_that_cannot_be_worked_out_is_never_the_green_one_of_before(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run(moment="before") as bench:
        await bench.sees("PASS · production is healthy")
        monkeypatch.setattr("prodwatch.tui.widget_context.verdict_line", broken)
        await bench.frames(12)
        await bench.sees("ERROR · could not verify")
        await bench.sees("the verdict could not be computed: BrokenOnPurposeError: on purpose")
        await bench.sees(LOG_FILE)
        await bench.misses("healthy")


async def test_a_clock_of_frames_that_breaks_goes_on(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with run(notifications=True) as bench:
        bench.may_break = True
        with monkeypatch.context() as patch:
            patch.setattr(bench.app.notifier, "_show_notices", broken)
            bench.app.call_later(bench.app.notifier.check)
            while not bench.app.failures:
                await bench.pilot.pause()
        await bench.press("j")
        await bench.sees("order in euros")


async def test_a_failing_part_is_told_thrice_and_kept_within_bounds(run: Any) -> None:
    async with run(notifications=True) as bench:
        bench.may_break = True
        for _ in range(500):
            bench.app.handle_failure(BrokenOnPurposeError("again"), bench.app)
        await bench.frames()
        assert len(bench.app._notifications) <= 3
        assert len(bench.app.failures) <= 51


async def test_work_beside_the_app_may_break(run: Any) -> None:
    async with run(notifications=True) as bench:

        async def breaks() -> None:
            await turn()
            raise BrokenOnPurposeError("far away")

        bench.app.run_in_background("re-run", breaks())
        await bench.sees("re-run failed: far away")
        await bench.press("2")
        await bench.sees("Logs")
