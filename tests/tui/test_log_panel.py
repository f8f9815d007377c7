"""The live tail: following, scrolling, trimming, filtering, finding."""

from __future__ import annotations

from typing import Any

import pytest

from prodwatch.model.signal import Batch, Level, LogRecord
from prodwatch.testing.clock import START
from prodwatch.tui.screens.logs import LogsScreen
from prodwatch.tui.screens.metrics import MetricsScreen
from prodwatch.tui.screens.trace import TraceScreen
from prodwatch.tui.widgets.chart_panel import ChartPanel
from prodwatch.tui.widgets.log_panel import LogPanel

NOW_MS = int(START.timestamp() * 1000)


def lines(first: int, count: int, **more: Any) -> Batch:
    values: dict[str, Any] = {"group": "/aws/lambda/g", "level": Level.INFO, **more}
    records = tuple(
        LogRecord(timestamp_ms=NOW_MS + n, message=f"line-{n:06d}", **values) for n in range(first, first + count)
    )
    return Batch(source="logs", records=records)


def panel_of(bench: Any) -> LogPanel:
    panel: LogPanel = bench.app.screen.query_one(LogPanel)
    return panel


def rows(bench: Any) -> list[str]:
    """The painted lines without borders and scrollbar."""
    return [line[1:100] for line in bench.painted()[2:30]]


async def test_the_tail_is_followed_and_painted(run: Any) -> None:
    async with run(keys=["2"], quiet=True) as bench:
        for batch in range(5):
            bench.store.apply(lines(batch * 100, 100))
            await bench.frames(2)
            await bench.sees(f"line-{batch * 100 + 99:06d}")
        await bench.sees("following")


async def test_scrolling_up_stops_following_and_says_how_many_are_new(run: Any) -> None:
    async with run(keys=["2"], quiet=True) as bench:
        bench.store.apply(lines(0, 200))
        await bench.frames()
        await bench.press("ctrl+u")
        shown = rows(bench)
        bench.store.apply(lines(200, 240))
        await bench.frames()
        assert rows(bench) == shown
        await bench.sees("+240 new, f follows")
        assert [message.following for message in bench.told(LogPanel.FollowChanged)] == [False]
        await bench.press("f")
        await bench.sees("line-000439")
        await bench.sees("following")


async def test_text_stays_put_while_the_ring_trims(run: Any) -> None:
    async with run(keys=["2"], quiet=True) as bench:
        bench.store.apply(lines(0, 50_000))
        await bench.frames()
        await bench.press("k", "ctrl+u")
        panel = panel_of(bench)
        under = panel.record.message if panel.record else ""
        shown = rows(bench)
        bench.store.apply(lines(50_000, 3_000))
        await bench.frames()
        assert bench.store.logs.ring.head == 5_000
        assert rows(bench) == shown
        assert panel.record is not None
        assert panel.record.message == under
        await bench.sees("5,000 older let go")


async def test_older_lines_of_another_group_take_their_place_and_text_stays_put(run: Any) -> None:
    async with run(keys=["2"], quiet=True) as bench:
        bench.store.apply(lines(0, 200))
        bench.store.apply(lines(300, 100))
        await bench.frames()
        bench.store.apply(lines(290, 5, group="/aws/lambda/other"))
        await bench.frames()
        panel = panel_of(bench)
        shown = [panel.record_at(index) for index in range(panel.row_count())]
        stamps = [each.timestamp_ms for each in shown if each]
        assert len(stamps) == 305
        assert stamps == sorted(stamps)
        await bench.press("ctrl+u")
        before = rows(bench)
        bench.store.apply(lines(100, 5, group="/aws/lambda/other"))
        await bench.frames()
        assert rows(bench) == before
        await bench.sees("+5 new, f follows")


async def test_the_virtual_height_stays_put_once_the_ring_is_full(run: Any) -> None:
    async with run(keys=["2"], quiet=True) as bench:
        panel = panel_of(bench)
        heights = set()
        bench.store.apply(lines(0, 50_000))
        for batch in range(20):
            bench.store.apply(lines(50_000 + batch * 100, 100))
            await bench.frames(2)
            heights.add(panel.virtual_size.height)
        assert len(heights) <= 9  # steps of 256 rows, not one per batch


async def test_a_bad_filter_is_said_at_once_and_the_last_good_one_stays(run: Any) -> None:
    async with run(keys=["2", "slash"]) as bench:
        panel = panel_of(bench)
        await bench.write("level:error")
        await bench.write(" /(")
        good = panel.filter_text
        await bench.write("/")
        await bench.sees("is not a regular expression")
        assert panel.filter_text == good
        await bench.press("enter")
        assert panel.filter_text == good == "level:error /("


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [("level:warn+", 10, 100), ("!order", 100, 3000), ("currency:EUR", 1000, 4000), ("/REPORT .*\\d+ MB/", 500, 2000)],
)
async def test_filters_find_what_they_should(run: Any, text: str, least: int, most: int) -> None:
    async with run(keys=["2"]) as bench:
        panel = panel_of(bench)
        panel.try_filter(text)
        await bench.frames()
        assert least <= panel.row_count() <= most


async def test_a_filter_over_a_full_ring_is_worked_off_in_slices(run: Any) -> None:
    async with run(keys=["2"], quiet=True) as bench:
        bench.store.apply(lines(0, 50_000))
        await bench.frames()
        panel = panel_of(bench)
        panel.try_filter("line-0")
        assert panel.row_count() == 10_000
        await bench.frames(1)
        assert panel.row_count() == 20_000
        await bench.frames(6)
        assert panel.row_count() == 50_000
        bench.store.apply(lines(50_000, 10))
        await bench.frames(2)
        assert panel.row_count() in {45_010, 50_010}


async def test_find_goes_from_hit_to_hit_and_back(run: Any) -> None:
    async with run(keys=["2", "ctrl+f"]) as bench:
        await bench.write("KeyError")
        await bench.press("enter")
        panel = panel_of(bench)
        newest = panel.cursor_key
        assert panel.record is not None
        assert "KeyError" in panel.record.message
        await bench.press("N")
        older = panel.cursor_key
        assert older is not None
        assert newest is not None
        assert int(str(older)) < int(str(newest))
        await bench.press("n")
        assert panel.cursor_key == newest
        await bench.press("escape")
        assert not panel.finding


async def test_windows_pin_and_same_request(run: Any) -> None:
    async with run(keys=["2"]) as bench:
        panel = panel_of(bench)
        everything = panel.row_count()
        await bench.press("w")
        assert 0 < panel.row_count() < everything
        await bench.sees("last 1m")
        await bench.press("escape")
        assert panel.row_count() == everything
        await bench.press("k", "p")
        assert panel.filter_text.startswith("group:=shop-")
        await bench.press("p")
        assert not panel.filter_text
        await bench.press("i")
        assert panel.filter_text.startswith("request:")


async def test_a_line_opens_beside_the_stream_and_follows_the_cursor(run: Any) -> None:
    async with run(keys=["2", "k", "enter"]) as bench:
        assert isinstance(bench.app.screen, LogsScreen)
        assert bench.app.screen.has_class("-record")
        panel = panel_of(bench)
        assert panel.record is not None
        assert panel.record.request_id is not None
        await bench.sees(panel.record.request_id)
        await bench.press("k", "k")
        await bench.sees(panel.record.request_id)
        await bench.press("escape")
        assert not bench.app.screen.has_class("-record")


async def test_from_a_line_to_its_trace_and_its_minute(run: Any) -> None:
    async with run(keys=["2", "k", "x"]) as bench:
        assert isinstance(bench.app.screen, TraceScreen)
        await bench.press("escape", "v")
        assert isinstance(bench.app.screen, MetricsScreen)
        assert bench.app.screen.query_one(ChartPanel).cursor_s == int(START.timestamp()) - 60


async def test_marked_text_can_be_copied(run: Any) -> None:
    from textual.geometry import Offset
    from textual.selection import Selection

    async with run(keys=["2"], quiet=True) as bench:
        bench.store.apply(lines(0, 3))
        await bench.frames()
        panel = panel_of(bench)
        found = panel.get_selection(Selection(Offset(0, 1), Offset(8, 1)))
        assert found is not None
        assert found[0] == "12:00:00"
        bench.app.screen.selections = {panel: Selection(Offset(0, 0), Offset(8, 1))}
        await bench.frames()
        await bench.sees("line-000002")
