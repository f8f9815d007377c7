"""Without a release the first screen answers for production; of a window that has ended it never says healthy."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from prodwatch.model.signal import Batch, ReleasePhase, ReleaseState, SourcePhase, SourceStatus
from prodwatch.session.protocol import SessionFacts
from prodwatch.testing.clock import START
from prodwatch.tui.screens.logs import LogsScreen
from prodwatch.tui.screens.metrics import MetricsScreen
from prodwatch.tui.screens.timeline import TimelineScreen
from prodwatch.tui.widgets.changes_panel import ChangesPanel
from prodwatch.tui.widgets.check_grid_panel import CheckGridPanel
from prodwatch.views.time_window import Window

FACTS = SessionFacts(environment="prod", title="Shop · production", region="eu-west-1", every_s=15)
SINCE = replace(FACTS, window=Window(start=START - timedelta(minutes=30)))
PAST = replace(FACTS, window=Window(start=START - timedelta(minutes=30), end=START))
SIZES = [(60, 16), (80, 24), (120, 40), (200, 60)]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("facts", [SINCE, PAST], ids=["now", "past"])
async def test_the_verdict_and_what_changed_are_there_at_every_size(
    run: Any, facts: SessionFacts, size: tuple[int, int]
) -> None:
    async with run(size, facts=facts) as bench:
        await bench.sees("What changed")
        await bench.sees("what changed: ")
        await bench.sees("NOT HEALTHY THEN" if facts is PAST else "FAIL · production is not healthy")
        await bench.misses("roll back")


async def test_healthy_production_says_so_and_what_changed(run: Any) -> None:
    async with run(moment="before", facts=SINCE) as bench:
        await bench.sees("PASS · production is healthy")
        await bench.sees("showing 11:30 – now UTC")
        await bench.sees("what changed: 4 new errors, 1 check changed")


async def test_after_a_rollback_it_is_one_of_the_changes(run: Any) -> None:
    async with run((200, 60), moment="after", facts=SINCE) as bench:
        await bench.sees("deployment: Stopped: alarm shop-orders-errors (d-8F2C1A9QX)")
        await bench.misses("ROLLED BACK ·")


async def test_a_source_that_is_denied_is_no_health(run: Any) -> None:
    async with run(moment="before", facts=SINCE) as bench:
        status = SourceStatus(source="alarms", phase=SourcePhase.DENIED, action="cloudwatch:DescribeAlarms")
        bench.store.apply(Batch(source="alarms", status=status))
        await bench.sees("UNSURE · not everything can be seen")
        await bench.sees("not read: alarms (needs cloudwatch:DescribeAlarms)")
        await bench.misses("healthy")


async def test_nothing_read_is_not_nothing_changed(run: Any) -> None:
    async with run(quiet=True, facts=SINCE) as bench:
        await bench.sees("No change in what could be read")
        await bench.misses("No deployment")
        await bench.misses("healthy")


async def test_a_window_that_has_ended_has_no_checks_and_says_why(run: Any) -> None:
    async with run(facts=PAST, notifications=True) as bench:
        assert not bench.app.screen.query(CheckGridPanel)
        await bench.sees("showing 2026-01-15 11:30 – 12:00 UTC")
        await bench.sees("past window: data does not change, checks do not run")
        await bench.sees("… reading the window")
        await bench.sees("as of 12:00:00 UTC")
        for name, status in list(bench.store.sources.items()):
            bench.store.apply(Batch(source=name, status=replace(status, phase=SourcePhase.IDLE)))
        await bench.sees("window read   ")
        await bench.press("r")
        await bench.sees("checks test the present only")
        assert not bench.session.asked


async def test_the_figures_stand_beside_those_of_before(run: Any) -> None:
    async with run(facts=SINCE) as bench:
        await bench.sees("before   since change")
        await bench.sees("0.1 %   0.8 % +701 %")


@pytest.mark.parametrize(
    ("kind", "screen"),
    [("alarm", TimelineScreen), ("figure", MetricsScreen), ("errors", LogsScreen), ("deployment", TimelineScreen)],
)
async def test_enter_leads_to_what_a_change_speaks_of(run: Any, kind: str, screen: type) -> None:
    async with run(facts=PAST) as bench:
        panel = bench.app.screen.query_one(ChangesPanel)
        assert panel.has_focus
        while panel.cursor_key[0] != kind:
            before = panel.cursor_key
            await bench.press("j")
            assert panel.cursor_key != before, f"no {kind} among the changes"
        await bench.press("enter")
        assert isinstance(bench.app.screen, screen)


@pytest.mark.parametrize(("hours", "words"), [(48, "no release is under way"), (0, "succeeded")])
async def test_a_release_that_was_over_before_the_window_is_none(run: Any, hours: int, words: str) -> None:
    async with run(moment="before", facts=SINCE) as bench:
        began = START - timedelta(hours=hours, minutes=5)
        state = ReleaseState(function="f", phase=ReleasePhase.SUCCEEDED, version="41", previous="40", started_at=began)
        bench.store.apply(Batch(source="release", records=(state,)))
        await bench.frames(12)
        assert words in bench.painted()[1]
