"""The live tail: following, scrolling, trimming, filtering, searching."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rich.cells import cell_len

from prodwatch.model.signal import Batch, Level, LogRecord, SourcePhase, SourceStatus
from prodwatch.testing.clock import START
from prodwatch.tui.rendering.log_line import time_text
from prodwatch.tui.screens.logs import LogsScreen
from prodwatch.tui.screens.metrics import MetricsScreen
from prodwatch.tui.screens.trace import TraceScreen
from prodwatch.tui.widgets.chart_panel import ChartPanel
from prodwatch.tui.widgets.filter_bar import FilterLine
from prodwatch.tui.widgets.log_panel import LogPanel
from prodwatch.views.log_filter import Expression
from prodwatch.views.status_style import Tone

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


async def test_a_scrollbar_that_appears_after_the_scroll_is_where_the_list_is(run: Any) -> None:
    async with run(keys=["2"], quiet=True) as bench:
        panel = panel_of(bench)
        bench.store.apply(lines(0, 500))
        panel.sync()  # scrolls to the tail before a layout has made the scrollbar visible
        hidden = not panel.show_vertical_scrollbar
        await bench.until(lambda: panel.show_vertical_scrollbar)
        assert hidden
        assert panel.vertical_scrollbar.position == panel.scroll_y == 500 - panel.room


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


async def test_a_taller_terminal_does_not_end_following(run: Any) -> None:
    async with run((80, 24), keys=["2"], quiet=True) as bench:
        bench.store.apply(lines(0, 200))
        await bench.sees("line-000199")
        await bench.pilot.resize_terminal(120, 50)
        await bench.frames()
        bench.store.apply(lines(200, 40))
        await bench.sees("line-000239")
        await bench.sees("following")


async def test_opening_without_a_cursor_opens_the_last_line_on_screen(run: Any) -> None:
    async with run(keys=["2"], quiet=True) as bench:
        bench.store.apply(lines(0, 20))
        await bench.sees("line-000019")
        await bench.press("enter")
        assert bench.app.screen.has_class("-record")
        record = panel_of(bench).record
        assert record is not None
        assert "line-000019" in record.message


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
        await bench.sees("5,000 older lines dropped from memory")
        oldest = bench.store.logs.ring.get(bench.store.logs.ring.head)
        await bench.sees(f"(kept since {time_text(oldest.timestamp_ms)[:8]})")


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


async def test_filters_find_what_they_should(run: Any) -> None:
    cases = {
        "level:warn+": (10, 100),
        "!order": (100, 3000),
        "currency:EUR": (1000, 4000),
        "/REPORT .*\\d+ MB/": (500, 2000),
    }
    async with run(keys=["2"]) as bench:
        panel = panel_of(bench)
        for text, (least, most) in cases.items():
            panel.try_filter(text)
            await bench.frames()
            assert least <= panel.row_count() <= most, text


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
        assert not panel.is_searching


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
        assert panel.record is not None
        group = panel.record.group
        await bench.press("p")
        assert not panel.filter_text
        assert [each for each in bench.session.asked if each[0] == "pin"] == [("pin", (group,)), ("pin", ())]
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


def json_line(number: int, **fields: Any) -> LogRecord:
    return LogRecord(timestamp_ms=NOW_MS + number, message=f"line-{number}", group="/aws/lambda/g", fields=fields)


async def test_json_is_shown_behind_the_message_then_as_columns_one_can_choose(run: Any) -> None:
    async with run(keys=["2"], quiet=True) as bench:
        records = tuple(json_line(n, id=f"o-{n}", total=n * 10, user={"id": n}) for n in range(9, 12))
        plain = LogRecord(timestamp_ms=NOW_MS + 99, message="no json here", group="/aws/lambda/g")
        bench.store.apply(Batch(source="logs", records=(*records, plain)))
        await bench.frames()
        await bench.misses("o-11")
        await bench.press("e")
        await bench.sees("line-11  id=o-11  total=110")
        await bench.press("e")
        text = bench.text
        head = next(line for line in text.splitlines() if "user.id" in line)
        row = next(line for line in text.splitlines() if "o-11" in line)
        other = next(line for line in text.splitlines() if "no json here" in line)
        assert head.index("id ") == row.index("o-11") == other.index("no json here")
        assert head.index("total") + 5 == row.index("110") + 3
        assert head.index("message") == row.index("line-11")
        await bench.press("E")
        await bench.write("user.id,nope")
        await bench.sees("no line has nope")
        await bench.misses("o-11")
        await bench.press("escape")
        await bench.sees("o-11")
        await bench.press("e")
        await bench.misses("o-11")


async def test_columns_leave_the_message_room(run: Any) -> None:
    async with run((80, 24), keys=["2", "e", "e"]) as bench:
        head = next(line for line in bench.painted() if "message" in line)
        assert head.index("message") <= 80 - 20


async def test_a_window_moves_with_the_time(run: Any) -> None:
    async with run(keys=["2", "w"], quiet=True) as bench:
        bench.store.apply(lines(0, 3))
        await bench.frames(12)
        assert panel_of(bench).row_count() == 3
        await bench.app.context.clock.advance(59)
        bench.store.apply(lines(58_000, 1))
        await bench.frames(12)
        assert panel_of(bench).row_count() == 4
        await bench.app.context.clock.advance(2)
        await bench.frames(12)
        assert panel_of(bench).row_count() == 1
        await bench.sees("last 1m")


async def test_finding_counts_takes_a_regex_and_says_what_is_wrong(run: Any) -> None:
    async with run(keys=["2"], quiet=True) as bench:
        bench.store.apply(lines(0, 200))
        await bench.frames()
        await bench.press("ctrl+f")
        await bench.write("/line-0001.5/")
        await bench.sees("10 lines")
        await bench.press("enter")
        panel = panel_of(bench)
        await bench.until(lambda: panel.record is not None and panel.record.message == "line-000195")
        await bench.press("n")
        await bench.press("ctrl+f")
        await bench.write("/(/")
        await bench.sees("is not a regular expression")


async def test_K26_highlighting_takes_a_bounded_time_per_frame(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with run(keys=["2"], quiet=True) as bench:
        bench.store.apply(lines(0, 20))
        await bench.frames()
        panel, clock = panel_of(bench), bench.app.context.clock
        panel.apply_find("/line/")
        searched: list[str] = []
        spans = Expression.spans

        def slow(expression: Expression, text: str) -> list[tuple[int, int]]:
            searched.append(text)
            clock._elapsed_s += 0.004
            return spans(expression, text)

        monkeypatch.setattr(Expression, "spans", slow)
        panel.generation += 1
        bench.painted()
        assert 1 <= len(searched) <= 4
        await bench.until(lambda: bool(bench.painted()) and panel._is_highlighted)
        assert len(searched) == len(set(searched)), "a text is searched once"
        highlighted = [panel.row_line(index, 100) for index in range(20)]
        assert all(any(tone is Tone.HIT for _, tone in line) for line in highlighted)


async def test_K26_highlighting_that_is_given_up_is_said_on_the_screen(run: Any) -> None:
    async with run(keys=["2"], quiet=True, notifications=True) as bench:
        bench.store.apply(lines(0, 20))
        await bench.frames()
        panel = panel_of(bench)
        panel.apply_find("/(a|a)*$/")
        await bench.until(lambda: panel.is_searching)
        slow = LogRecord(NOW_MS + 30, "a" * 60 + "!", "/aws/lambda/g", level=Level.INFO)
        bench.store.apply(Batch(source="logs", records=(slow,)))
        await bench.sees("stopped after 20 ms")
        await bench.sees("is highlighted")
        await bench.until(lambda: not panel.is_searching)
        await bench.sees("line-000019")


async def test_what_was_entered_before_comes_back_on_every_screen_and_a_draft_is_kept(run: Any) -> None:
    async with run(keys=["2"]) as bench:
        panel = panel_of(bench)
        for text in ("level:error", "currency:EUR", "level:error"):
            await bench.press("slash")
            panel.screen.query_one(FilterLine).value = text
            await bench.press("enter")
        assert bench.app.context.entered["filter"] == ["currency:EUR", "level:error"]
        bench.app.open_logs("")
        await bench.frames()
        await bench.press("slash")
        await bench.write("dra")
        box = bench.app.screen.query_one(FilterLine)
        found = []
        for key in ("up", "up", "up", "down", "down"):
            await bench.press(key)
            found.append(box.value)
        assert found == ["level:error", "currency:EUR", "currency:EUR", "level:error", "dra"]


async def test_new_lines_are_counted_when_old_ones_are_let_go_too(run: Any) -> None:
    async with run(keys=["2"], quiet=True) as bench:
        bench.store.apply(lines(0, 50_000))
        await bench.frames()
        await bench.press("ctrl+u")
        bench.store.apply(lines(50_000, 3_000))
        await bench.frames()
        await bench.sees("+3,000 new, f follows")


async def test_a_pin_is_of_that_group_alone(run: Any) -> None:
    async with run(keys=["2"], quiet=True) as bench:
        for group in ("/aws/lambda/shop", "/aws/lambda/shop-api"):
            bench.store.apply(lines(0, 2, group=group))
        await bench.frames()
        panel = panel_of(bench)
        await bench.press("g")
        record = panel.record
        assert record is not None
        await bench.press("p")
        assert panel.filter_text == f"group:={record.group.rpartition('/')[2]}"
        assert panel.row_count() == 2


async def test_late_lines_and_lost_ones_are_marked(run: Any) -> None:
    async with run(keys=["2"], quiet=True) as bench:
        bench.store.apply(lines(0, 1, late_ms=7_000))
        bench.store.apply(lines(1, 1, kind="dropped"))
        status = SourceStatus(source="logs:g", phase=SourcePhase.LIVE, fresh_at=START, late=1, sampled=2, dropped=3)
        bench.store.apply(Batch(source="logs:g", status=status))
        await bench.frames(12)
        await bench.sees("late 7s line-000000")
        await bench.sees("lines lost line-000001")
        await bench.sees("1 late · 2 sampled by Live Tail · 3 dropped")


async def test_copies_of_a_line_carry_its_time_and_group_and_the_record_everything(run: Any) -> None:
    async with run(keys=["2"], quiet=True) as bench:
        bench.store.apply(lines(0, 3, request_id="r-1"))
        await bench.frames()
        await bench.press("k", "y")
        assert bench.app.clipboard == "2026-01-15T12:00:00.001Z INFO /aws/lambda/g line-000001"
        await bench.press("Y")
        assert json.loads(bench.app.clipboard)["request_id"] == "r-1"


async def test_the_mouse_marks_text_over_wide_characters_and_y_copies_it(run: Any) -> None:
    async with run(keys=["2"], quiet=True) as bench:
        for number, message in enumerate(("注文 失敗 first", "second 注文 end")):
            record = LogRecord(timestamp_ms=NOW_MS + number, message=message, group="/aws/lambda/g")
            bench.store.apply(Batch(source="logs", records=(record,)))
        await bench.frames()
        panel = panel_of(bench)
        rows = bench.painted()
        cells = [[character for character in line for _ in range(cell_len(character))] for line in rows]
        top = next(y for y, line in enumerate(rows) if "first" in line)
        left = panel.region.x
        await bench.pilot.mouse_down(panel, offset=(cells[top].index("失") - left, top - panel.region.y))
        end = cells[top + 1].index("文")
        await bench.pilot.hover(panel, offset=(end - left, top + 1 - panel.region.y))
        await bench.pilot.mouse_up(panel, offset=(end - left, top + 1 - panel.region.y))
        await bench.frames()
        await bench.press("y")
        marked = bench.app.clipboard.splitlines()
        assert marked[0] == "失敗 first"
        assert marked[1].startswith("12:00:00.001")
        assert marked[1].rstrip("文").endswith("second 注")


async def test_the_cursor_stays_on_its_line_when_a_filter_comes_and_goes(run: Any) -> None:
    async with run(keys=["2", "ctrl+f"]) as bench:
        await bench.write("KeyError")
        await bench.press("enter")
        panel = panel_of(bench)
        await bench.until(lambda: panel.cursor_key is not None)
        before, words = panel.cursor_key, panel.record.message if panel.record else ""
        panel.try_filter("level:error")
        await bench.frames()
        bench.store.apply(lines(0, 50))
        await bench.frames()
        panel.try_filter("")
        await bench.frames()
        assert panel.cursor_key == before
        assert panel.record is not None
        assert panel.record.message == words
        index = panel.cursor_index
        assert index is not None
        assert panel.scroll_offset.y <= index < panel.scroll_offset.y + panel.room
