"""The service map on the screen: reached from anywhere, three sizes by design, one key from an edge to its traces."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from prodwatch.model.signal import Batch, ServiceEdge, ServiceGraph, ServiceNode, SourcePhase, SourceStatus
from prodwatch.tui.preferences import Preferences
from prodwatch.tui.screens.service_map import ServiceMapScreen
from prodwatch.tui.screens.traces import TracesScreen
from prodwatch.tui.widgets.service_map_panel import ServiceMapPanel
from prodwatch.tui.widgets.trace_list_panel import TraceListPanel
from tests.support.scene.services import LAMBDA, ORDERS, OUTSIDE


async def test_one_key_leads_there_from_anywhere_and_esc_leads_back(run: Any) -> None:
    async with run() as bench:
        for before in ([], ["1"], ["2"], ["3", "enter"], ["1", "S"], ["S", "enter"]):
            await bench.press(*before, "S")
            assert isinstance(bench.app.screen, ServiceMapScreen), before
            maps = [each for each in bench.app.screen_stack if isinstance(each, ServiceMapScreen)]
            assert len(maps) == 1, before
            await bench.press("escape")
            assert not isinstance(bench.app.screen, ServiceMapScreen), before


async def test_the_palette_knows_it_by_name(run: Any) -> None:
    async with run(keys=["colon"]) as bench:
        await bench.write("service map")
        await bench.until(lambda: "traces: service map" in bench.text.split("Search")[-1])
        await bench.press("down", "enter")
        await bench.until(lambda: isinstance(bench.app.screen, ServiceMapScreen))


async def test_edges_stand_worst_first_with_before_and_now(run: Any) -> None:
    async with run(keys=["S"]) as bench:
        await bench.sees("5 of 6 edges need attention")
        rows = [line for line in bench.painted() if "→" in line and "ms" in line]
        assert "✘ FAULT" in rows[0]
        assert "clients → shop-api" in rows[0]
        assert re.search(r"0.1 % →  2.\d %", rows[0])
        assert "! SLOW" in rows[3]
        assert re.search(r" 2\d ms →   \d{3} ms", rows[3])
        assert "+ NEW" in rows[4]
        await bench.sees("faults begin in")
        assert re.search(r"bottleneck +shop-orders \(function\): \d\d % of the time, \d\d % before", bench.text)
        assert re.search(r"orders \(table\): \d+ ms more per request", bench.text)
        await bench.sees("up to the release at 11:56:48")


async def test_a_small_screen_keeps_what_matters_most(run: Any) -> None:
    async with run((80, 24), keys=["S"]) as bench:
        for words in ("FAULT", "faults", "p95 about", "bottleneck"):
            await bench.sees(words)
        assert not [words for words in ("4xx", "took up to") if words in bench.text]


async def test_ascii_has_no_other_character(run: Any) -> None:
    async with run(keys=["S"], preferences=Preferences(fps=0, ascii=True)) as bench:
        await bench.sees("caller > callee")
        assert {each for each in bench.text if not each.isascii()} <= set("·…–↵")


async def test_without_a_release_it_says_that_before_is_not_known(run: Any) -> None:
    async with run(moment="before", keys=["S"]) as bench:
        await bench.sees("no comparison: no release has been seen")
        await bench.sees("5 edges")


async def test_enter_shows_the_traces_through_an_edge_and_esc_comes_back_to_it(run: Any) -> None:
    async with run(keys=["S", "j", "j"]) as bench:
        assert isinstance(bench.app.screen, ServiceMapScreen)
        edge = bench.app.screen.query_one(ServiceMapPanel).cursor_key
        await bench.press("enter")
        assert isinstance(bench.app.screen, TracesScreen)
        panel = bench.app.screen.query_one(TraceListPanel)
        assert panel.through == (LAMBDA, ORDERS)
        assert panel.row_count() == len(bench.store.traces.summaries)
        await bench.press("escape")
        assert isinstance(bench.app.screen, ServiceMapScreen)
        assert bench.app.screen.query_one(ServiceMapPanel).cursor_key == edge


async def test_an_edge_that_no_kept_trace_took_says_why_there_is_nothing(run: Any) -> None:
    async with run(keys=["S", "j", "j", "j", "j", "enter"]) as bench:
        await bench.sees("traces in memory goes through this edge")


async def test_the_cursor_moves_the_details_and_what_is_copied(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with run(keys=["S", "j", "j", "j"]) as bench:
        copied: list[str] = []
        monkeypatch.setattr(bench.app, "copy_to_clipboard", copied.append)
        await bench.sees("shop-orders (function) → orders (table)")
        await bench.press("y", "Y", "o")
        assert copied[0] == "shop-orders → orders"
        assert json.loads(copied[1])["state"] == "slow"
        assert "#xray:service-map" in copied[2]


async def test_a_trace_filter_without_a_match_says_how_to_clear_it(run: Any) -> None:
    async with run(keys=["3", "slash"]) as bench:
        await bench.write("nosuchword")
        await bench.sees("no trace matches; esc clears the filter")
        await bench.press("escape")
        await bench.misses("no trace matches")


async def test_a_filter_narrows_the_list(run: Any) -> None:
    async with run(keys=["S", "slash"]) as bench:
        await bench.write("table")
        await bench.press("enter")
        assert bench.app.screen.query_one(ServiceMapPanel).row_count() == 1
        await bench.sees("Service map  table")


async def test_denied_says_which_action_to_allow_and_leaves_the_traces_alone(run: Any) -> None:
    async with run(quiet=True, keys=["S"]) as bench:
        status = SourceStatus(
            source="service-map", phase=SourcePhase.DENIED, message="AWS refused", action="xray:GetServiceGraph"
        )
        bench.store.apply(Batch(source="service-map", status=status))
        await bench.sees("Allow xray:GetServiceGraph")
        await bench.press("escape")
        assert "GetServiceGraph" not in bench.text


async def test_hostile_names_are_drawn_as_text(run: Any) -> None:
    async with run(quiet=True, keys=["S"]) as bench:
        evil = ServiceNode("[/x] \x1b[2J 注文\tservice " + "long" * 200, "AWS::Lambda::Function")
        edges = (
            ServiceEdge(caller=OUTSIDE, callee=evil, ok=30, faults=9, time_s=3.0, times=((0.1, 39),)),
            ServiceEdge(caller=evil, callee=ServiceNode("[@click=app.bell]x[/]", "remote"), ok=3, time_s=1.0),
        )
        graph = ServiceGraph(part="now", start_ms=0, end_ms=600_000, edges=edges)
        bench.store.apply(Batch(source="service-map", records=(graph,)))
        await bench.sees("[/x]")
        await bench.sees("注文")
        await bench.sees("[@click=app.bell]x[/]")
        assert "\x1b" not in bench.text
        await bench.press("j", "enter")
        assert isinstance(bench.app.screen, TracesScreen)
