"""Enter goes in, esc goes back: whatever leads somewhere leads back to where it came from."""

from __future__ import annotations

from typing import Any

from prodwatch.testing.clock import START
from prodwatch.tui.screens.check import CheckScreen
from prodwatch.tui.screens.logs import LogsScreen
from prodwatch.tui.screens.metrics import MetricsScreen
from prodwatch.tui.screens.overview import OverviewScreen
from prodwatch.tui.screens.timeline import TimelineScreen
from prodwatch.tui.screens.trace import TraceScreen
from prodwatch.tui.widgets.breadcrumb import breadcrumb_line
from prodwatch.tui.widgets.chart_panel import ChartPanel
from prodwatch.tui.widgets.check_grid_panel import CheckGridPanel
from prodwatch.tui.widgets.log_panel import LogPanel
from prodwatch.tui.widgets.timeline_panel import TimelinePanel


def top(bench: Any) -> Any:
    """The screen on top."""
    return bench.app.screen


async def test_a_long_way_in_is_the_same_way_out(run: Any) -> None:
    async with run(keys=["enter"]) as bench:
        place = top(bench)
        assert isinstance(place, CheckScreen)
        await bench.press("L")
        assert isinstance(top(bench), LogsScreen)
        panel = bench.app.screen.query_one(LogPanel)
        await bench.until(lambda: panel.row_count() == 4)
        await bench.sees("overview › order in euros › logs")
        await bench.press("k", "x")
        assert isinstance(top(bench), TraceScreen)
        await bench.press("L")
        assert isinstance(top(bench), LogsScreen)
        assert top(bench) is not panel.screen
        await bench.press("escape", "escape")
        assert top(bench) is panel.screen
        await bench.press("v")
        assert isinstance(top(bench), MetricsScreen)
        await bench.press("escape", "escape")
        assert top(bench) is place
        await bench.press("escape")
        assert isinstance(top(bench), OverviewScreen)
        assert bench.app.screen.query_one(CheckGridPanel).cursor_key == "orders/order-in-euros"


async def test_esc_takes_ones_own_filter_back_first_then_the_layer(run: Any) -> None:
    async with run() as bench:
        bench.app.open_logs("level:error")
        await bench.frames()
        panel = bench.app.screen.query_one(LogPanel)
        panel.try_filter("level:error KeyError")
        await bench.press("escape")
        assert panel.filter_text == "level:error"
        await bench.press("escape")
        assert isinstance(top(bench), OverviewScreen)


async def test_a_digit_comes_back_to_where_one_was_and_once_more_to_the_beginning(run: Any) -> None:
    async with run(keys=["enter", "2", "1"]) as bench:
        assert isinstance(top(bench), CheckScreen)
        await bench.press("1")
        assert isinstance(top(bench), OverviewScreen)


async def test_every_screen_says_where_one_is(run: Any) -> None:
    async with run((80, 24)) as bench:
        for key, word in (("2", "logs"), ("3", "traces"), ("4", "metrics"), ("5", "timeline")):
            await bench.press(key)
            assert word in bench.painted()[0]


async def test_lines_and_metrics_of_the_overview_open_and_esc_comes_home(run: Any) -> None:
    async with run((200, 60)) as bench:
        bench.app.screen.query_one("#logs").focus()
        await bench.press("k", "k", "enter")
        screen = top(bench)
        assert isinstance(screen, LogsScreen)
        await bench.until(lambda: screen.has_class("-record"))
        await bench.press("escape", "escape")
        assert isinstance(top(bench), OverviewScreen)
        bench.app.screen.query_one("#signals").focus()
        await bench.press("g", "j", "enter")
        assert isinstance(top(bench), MetricsScreen)
        chart = bench.app.screen.query_one(ChartPanel)
        await bench.until(lambda: chart.label == "p95")
        await bench.press("escape")
        assert isinstance(top(bench), OverviewScreen)


async def test_an_event_leads_to_its_check_or_to_its_minute(run: Any) -> None:
    async with run(keys=["5", "slash"]) as bench:
        await bench.write("euros")
        await bench.press("enter", "g", "enter")
        assert isinstance(top(bench), CheckScreen)
        await bench.press("escape")
        assert isinstance(top(bench), TimelineScreen)
        bench.app.screen.query_one(TimelinePanel).try_filter("alarm")
        await bench.press("g", "enter")
        assert isinstance(top(bench), MetricsScreen)
        at_s = bench.app.screen.query_one(ChartPanel).cursor_s
        assert at_s is not None
        assert 0 < START.timestamp() - at_s < 600
        await bench.press("escape", "L")
        assert isinstance(top(bench), LogsScreen)


async def test_an_event_is_shown_whole_pointed_at_on_the_axis_and_stays_selected(run: Any) -> None:
    async with run((80, 24), keys=["5", "j", "j", "j"]) as bench:
        await bench.sees("ALARM(shop-orders-errors) OR ALARM(shop-orders-latency)")
        await bench.sees("▲")
        panel = top(bench).query_one(TimelinePanel)
        before, index = panel.cursor_key, panel.cursor_index
        bench.store.mark("one more event")
        await bench.frames()
        assert (panel.cursor_key, panel.cursor_index) == (before, index + 1)
        panel.try_filter("alarm")
        await bench.frames()
        assert panel.cursor_key == before
        await bench.sees("ALARM(shop-orders-errors) OR ALARM(shop-orders-latency)")
        await bench.press("o")
        assert bench.app.clipboard.endswith("#alarmsV2:alarm/shop-release")
        await bench.press("y")
        assert bench.app.clipboard.startswith("2026-01-15T11:58:49")


async def test_the_way_back_gives_way_from_its_far_end(run: Any) -> None:
    async with run() as bench:
        context = bench.app.context
        names = ["overview", "a check with a long name", "logs", "metrics"]
        for room in range(4, 60):
            text = "".join(piece for piece, _ in breadcrumb_line(names, room, context))
            assert len(text) <= room
            assert text.endswith("metrics") or room < len("metrics")
        assert "".join(piece for piece, _ in breadcrumb_line(names, 24, context)) == "… › logs › metrics"


async def test_help_speaks_of_the_part_of_a_check_that_has_focus(run: Any) -> None:
    async with run(keys=["enter", "question_mark"]) as bench:
        await bench.sees("failed ones first, with expected value")
        await bench.sees("check.copy-curl")
        await bench.press("escape", "tab", "tab", "question_mark")
        await bench.sees("found in X-Ray and CloudWatch")
