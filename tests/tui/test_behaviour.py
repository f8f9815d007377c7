"""What keys do: messages and state first."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from prodwatch.model.event import CheckFinished
from prodwatch.model.result import Notice, SignalResult
from prodwatch.model.signal import Batch, EvaluatedSignals, Level, LogRecord, TraceSummary
from prodwatch.model.status import Status
from prodwatch.session.protocol import SessionFacts
from prodwatch.testing.clock import START
from prodwatch.tui.preferences import Preferences
from prodwatch.tui.screens.check import CheckScreen
from prodwatch.tui.screens.help import HelpScreen
from prodwatch.tui.screens.logs import LogsScreen
from prodwatch.tui.screens.metrics import MetricsScreen
from prodwatch.tui.screens.overview import OverviewScreen
from prodwatch.tui.screens.timeline import TimelineScreen
from prodwatch.tui.screens.trace import TraceScreen
from prodwatch.tui.screens.traces import TracesScreen
from prodwatch.tui.widgets.chart_panel import ChartPanel
from prodwatch.tui.widgets.check_grid_panel import CheckGridPanel
from prodwatch.tui.widgets.log_panel import LogPanel
from prodwatch.tui.widgets.row_list import RowList
from prodwatch.tui.widgets.text_panel import TextPanel
from prodwatch.tui.widgets.timeline_panel import TimelinePanel
from prodwatch.tui.widgets.trace_list_panel import TraceListPanel
from tests.support.scene.checks import FAILED_TRACE_ID, result


async def test_the_first_screen_says_what_is_wrong(run: Any) -> None:
    async with run() as bench:
        for words in ("FAIL · roll back", "order in euros", "v41 90 %", "v42 10 %", "T+3:12", "shift in 1:48", "NEW"):
            await bench.sees(words)


@pytest.mark.parametrize(
    ("key", "screen"),
    [
        ("1", OverviewScreen),
        ("2", LogsScreen),
        ("3", TracesScreen),
        ("4", MetricsScreen),
        ("5", TimelineScreen),
    ],
)
async def test_digits_switch_screens_and_esc_comes_home(run: Any, key: str, screen: type) -> None:
    async with run(keys=[key]) as bench:
        assert isinstance(bench.app.screen, screen)
        await bench.press("escape")
        assert isinstance(bench.app.screen, OverviewScreen)


async def test_enter_opens_a_check_and_esc_comes_back_to_it(run: Any) -> None:
    async with run() as bench:
        await bench.press("j", "enter")
        assert [message.key for message in bench.told(RowList.Opened)] == ["orders/orders-answer-in-time"]
        assert isinstance(bench.app.screen, CheckScreen)
        await bench.sees("overview › orders answer in time")
        await bench.press("escape")
        grid = bench.app.screen.query_one(CheckGridPanel)
        assert (grid.cursor_key, grid.has_focus) == ("orders/orders-answer-in-time", True)


async def test_a_red_check_opens_on_what_was_expected_its_trace_and_its_lines(run: Any) -> None:
    async with run(keys=["enter"]) as bench:
        for words in (
            "json.currency == 'EUR'",
            "the path is missing",
            "expected  201",
            "actual    500",
            "DynamoDB Query orders",
            "most time is spent in DynamoDB",
            "placing order id=TEST-7f3a",
            "ttfb",
        ):
            await bench.sees(words)
        assert ("fetch_trace", (FAILED_TRACE_ID,)) in bench.session.asked


async def test_a_red_assertion_shows_the_things_behind_it(run: Any) -> None:
    async with run() as bench:
        track = bench.store.checks.get("orders/orders-answer-in-time")
        facts = tuple(f"2026-11-30T09:12:0{n}Z ERROR order {n} lost" for n in range(3))
        red = replace(track.latest.assertions[0], facts=facts)
        bench.store.apply_event(CheckFinished(result=replace(track.latest, assertions=(red,))))
        await bench.press("j", "enter")
        await bench.sees("| 2026-11-30T09:12:00Z ERROR order 0 lost")
        await bench.sees("| 2026-11-30T09:12:02Z ERROR order 2 lost")


@pytest.mark.parametrize(
    ("presses", "words"),
    [
        (1, "POST"),
        (2, "Internal Server Error"),
        (3, "status 500"),
        (4, "recent errors"),
        (5, "12:00:0"),
        (6, "connect"),
    ],
    ids=["request", "response", "attempts", "diagnostics", "history", "round-again"],
)
async def test_the_parts_of_a_check(run: Any, presses: int, words: str) -> None:
    async with run(keys=["enter"]) as bench:
        await bench.press(*["right_square_bracket"] * presses)
        facet = bench.app.screen.query_one("#facet", TextPanel)
        shown = "\n".join("".join(text for text, _ in facet.row_line(n, 80)) for n in range(facet.row_count()))
        assert words in shown or words == "12:00:0"


async def test_r_runs_the_check_under_the_cursor_again_and_shift_r_all_red_ones(run: Any) -> None:
    async with run(keys=["r", "R"]) as bench:
        asked = [ids for what, ids in bench.session.asked if what == "rerun"]
        assert asked[0] == ("orders/order-in-euros",)
        assert set(asked[1]) == {"orders/order-in-euros", "orders/orders-answer-in-time", "orders/recent-errors"}


async def test_the_cursor_stays_on_its_check_when_rows_move(run: Any) -> None:
    async with run(keys=["j", "j", "j", "j"]) as bench:
        grid = bench.app.screen.query_one(CheckGridPanel)
        before = grid.cursor_key
        index = grid.cursor_index
        import random

        red = result("orders/order-in-euros", START, False, random.Random(1))
        bench.store.apply_event(CheckFinished(result=red))
        await bench.press("s")
        assert grid.cursor_key == before
        assert grid.cursor_index != index
        await bench.press("slash")
        await bench.write("order")
        await bench.press("escape")
        assert grid.cursor_key == before


async def test_filters_narrow_while_typing_and_esc_puts_things_back(run: Any) -> None:
    async with run(keys=["slash"]) as bench:
        grid = bench.app.screen.query_one(CheckGridPanel)
        await bench.write("euro")
        assert grid.row_count() == 1
        await bench.sees("1 of 18")
        await bench.press("enter")
        assert (grid.row_count(), grid.has_focus) == (1, True)
        await bench.press("escape")
        assert grid.row_count() == 18


async def test_space_pauses_the_display_but_not_verdict_and_clock(run: Any) -> None:
    async with run(keys=["2", "space"]) as bench:
        panel = bench.app.screen.query_one(LogPanel)
        before = panel.row_count()
        await bench.sees("display paused")
        line = LogRecord(
            timestamp_ms=int(START.timestamp() * 1000), message="after the pause", group="g", level=Level.INFO
        )
        bench.store.apply(Batch(source="logs", records=(line,)))
        await bench.frames()
        assert panel.row_count() == before
        await bench.press("space")
        assert panel.row_count() == before + 1
        await bench.sees("after the pause")


async def test_q_leaves_from_any_layer(run: Any) -> None:
    async with run(keys=["2", "enter"]) as bench:
        await bench.pilot.press("q")
        await bench.pilot.pause()
        assert bench.app._exit


async def test_help_explains_what_has_focus_and_shows_remapped_keys(run: Any) -> None:
    preferences = Preferences(fps=0, keymap={"check.rerun": "ctrl+r"})
    async with run(keys=["question_mark"], preferences=preferences) as bench:
        assert isinstance(bench.app.screen, HelpScreen)
        await bench.sees("All checks with their latest status")
        await bench.sees("^r")
        await bench.press("escape", "r")
        assert not bench.session.asked
        await bench.press("ctrl+r")
        assert bench.session.asked


async def test_the_palette_offers_areas_and_verbs_and_runs_them(run: Any) -> None:
    async with run(keys=["colon"]) as bench:
        await bench.write("screen: traces")
        await bench.until(lambda: "screen: traces" in bench.text.split("Search")[-1])
        await bench.press("down", "enter")
        await bench.until(lambda: isinstance(bench.app.screen, TracesScreen))
        assert isinstance(bench.app.screen, TracesScreen)


async def test_t_switches_utc_and_local_time(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        async with run(keys=["t"]) as bench:
            await bench.sees("21:00:00 JST")
            await bench.press("t")
            await bench.sees("12:00:00 UTC")
    finally:
        monkeypatch.setenv("TZ", "UTC")
        time.tzset()


async def test_a_mark_is_on_the_time_line(run: Any) -> None:
    async with run(keys=["m"]) as bench:
        await bench.write("called the team")
        await bench.press("enter", "5")
        await bench.sees("called the team")


async def test_a_change_of_verdict_rings_once(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with run(moment="before") as bench:
        rung: list[int] = []
        monkeypatch.setattr(bench.app, "bell", lambda: rung.append(1))
        await bench.frames(20)
        assert not rung
        import random

        bench.store.apply_event(CheckFinished(result=result("orders/order-in-euros", START, True, random.Random(1))))
        await bench.frames(40)
        assert rung == [1]


async def test_traces_open_as_waterfalls_fold_and_lead_to_their_lines(run: Any) -> None:
    async with run(keys=["3"]) as bench:
        assert bench.app.screen.query_one(TraceListPanel).sort == "worst"
        await bench.press("enter")
        assert isinstance(bench.app.screen, TraceScreen)
        opened = bench.app.screen.trace_id
        assert opened != FAILED_TRACE_ID  # that of an own request comes last
        await bench.press("j")
        await bench.sees("annotation")
        await bench.press("enter")
        await bench.misses("Query orders")
        await bench.press("enter", "L")
        assert isinstance(bench.app.screen, LogsScreen)
        assert bench.app.screen.query_one(LogPanel).filter_text == f"trace:{opened}"


async def test_a_trace_x_ray_does_not_show_says_so(run: Any) -> None:
    async with run() as bench:
        bench.store.apply(Batch(source="traces", records=(TraceSummary(id="1-x", start_ms=9**14, duration_s=1),)))
        bench.app.open_trace("1-x")
        await bench.frames()
        await bench.sees("not in X-Ray yet")


async def test_metrics_chart_follows_the_table_and_has_a_time_cursor(run: Any) -> None:
    async with run(keys=["4", "j", "enter"]) as bench:
        chart = bench.app.screen.query_one(ChartPanel)
        assert (chart.label, chart.has_focus) == ("p95", True)
        await bench.press("left", "left", "left")
        assert chart.cursor_s == int(START.timestamp()) - 180
        assert "v42 " in str(chart.border_subtitle)


async def test_an_alarm_opens_its_events(run: Any) -> None:
    async with run() as bench:
        bench.app.screen.query_one("#alarms").focus()
        await bench.press("enter")
        assert isinstance(bench.app.screen, TimelineScreen)
        panel = bench.app.screen.query_one(TimelinePanel)
        assert panel.filter_text == "shop-orders-errors"
        assert panel.row_count() >= 1


async def test_a_signature_opens_its_lines(run: Any) -> None:
    async with run() as bench:
        bench.app.screen.query_one("#signatures").focus()
        await bench.press("enter")
        assert isinstance(bench.app.screen, LogsScreen)
        panel = bench.app.screen.query_one(LogPanel)
        assert panel.row_count() >= 1
        assert all(panel.record_at(n).message.startswith("KeyError") for n in range(panel.row_count()))  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("keys", "starts"),
    [
        (["y"], "orders/order-in-euros"),
        (["enter", "c"], "curl -X POST"),
        (["enter", "Y"], "{"),
        (["3", "y"], "1-"),
        pytest.param(["2", "y"], "", marks=pytest.mark.slow),
        pytest.param(["4", "y"], "17", marks=pytest.mark.slow),
        pytest.param(["5", "y"], "2026-01-15", marks=pytest.mark.slow),
    ],
    ids=["check", "curl", "check-json", "trace", "line", "metric", "events"],
)
async def test_copying(run: Any, keys: list[str], starts: str) -> None:
    async with run(keys=keys) as bench:
        assert bench.app.clipboard.startswith(starts)
        assert bench.app.clipboard


@pytest.mark.parametrize(
    ("keys", "part"),
    [(["3", "o"], "#xray:traces/"), (["2", "o"], "#logsV2:log-groups"), (["3", "enter", "o"], "#xray:traces/")],
    ids=["trace-table", "line", "trace"],
)
async def test_console_addresses(run: Any, keys: list[str], part: str) -> None:
    async with run(keys=keys) as bench:
        assert part in bench.app.clipboard


async def test_clicking_selects_and_clicking_twice_opens(run: Any) -> None:
    async with run() as bench:
        grid = bench.app.screen.query_one(CheckGridPanel)
        await bench.pilot.click(grid, offset=(5, 4))
        await bench.frames()
        assert grid.cursor_index == 3
        await bench.pilot.click(grid, offset=(5, 2), times=2)
        await bench.frames()
        assert isinstance(bench.app.screen, CheckScreen)


async def test_a_session_that_breaks_is_said_and_the_app_goes_on(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_ids: object) -> None:
        raise RuntimeError("no [/b] workers left")

    async with run(notifications=True) as bench:
        monkeypatch.setattr(bench.session, "rerun", broken)
        await bench.press("r")
        await bench.press("j")
        assert bench.app.is_running
        await bench.sees("no [/b] workers left")


async def test_a_panel_that_breaks_does_not_take_the_others_with_it(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with run() as bench:
        panel = bench.app.screen.query_one("#alarms")

        def broken() -> None:
            raise RuntimeError

        monkeypatch.setattr(panel, "frame", broken)
        await bench.frames()
        await bench.sees("failed, retry in 5s · see /tmp/prodwatch.log")
        await bench.sees("order in euros")


async def test_a_row_that_breaks_is_one_line(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with run() as bench:
        grid = bench.app.screen.query_one(CheckGridPanel)

        def broken(_index: int, _width: int) -> Any:
            raise RuntimeError

        monkeypatch.setattr(grid, "row_line", broken)
        grid.rows_changed()
        await bench.frames()
        await bench.sees("this line could not be drawn")
        await bench.sees("Signals")


async def test_notices_are_told_once_and_listed_in_help(run: Any) -> None:
    async with run(notifications=True) as bench:
        for number in range(5):
            bench.store.notice(Notice(code="c", message=f"notice number {number} [/x]"))
        await bench.frames(12)
        await bench.sees("notice number 4 [/x]")
        await bench.misses("notice number 1")
        bench.app.clear_notifications()
        await bench.frames(30)
        await bench.misses("notice number")
        await bench.press("question_mark")
        await bench.sees("Keys that work here")
        for _ in range(3):  # its end moves while it is laid out
            await bench.frames(2)
            await bench.press("G")
        await bench.sees("notice number 0 [/x]")


async def test_what_is_expected_of_a_metric_stands_beside_it(run: Any) -> None:
    facts = SessionFacts(environment="prod", title="t", expectations={"p95": ("value <= 500ms",)})
    async with run(facts=facts, keys=["4", "j"]) as bench:
        await bench.sees("expected: value <= 500ms")
        await bench.until(lambda: bench.text.count("value <= 500ms") == 2)


@pytest.mark.parametrize(
    ("status", "shown"),
    [(Status.FAIL, "✘ value <= 500ms"), (Status.INCONCLUSIVE, "? value <= 500ms"), (Status.PASS, "✔ value <= 500ms")],
)
async def test_a_metric_shows_how_its_assertions_were_judged(run: Any, status: Status, shown: str) -> None:
    facts = SessionFacts(environment="prod", title="t", expectations={"p95": ("value <= 500ms",)})
    judged = SignalResult(kind="metric", id="p95", name="p95", status=status)
    async with run(facts=facts, keys=["4"]) as bench:
        bench.store.apply(Batch(source="metrics", records=(EvaluatedSignals(kind="metric", results=(judged,)),)))
        await bench.sees(shown)
