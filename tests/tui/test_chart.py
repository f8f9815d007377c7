"""The chart: its cursor stays on its minute, and what is behind the lines is said."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from prodwatch.model.signal import Batch, MetricKey, MetricPoint, MetricSeries
from prodwatch.testing.clock import START
from prodwatch.tui.preferences import Preferences
from prodwatch.tui.widgets.chart_panel import ChartPanel
from prodwatch.tui.widgets.signals_panel import SignalsPanel


async def test_the_cursor_stays_on_its_minute_while_time_and_values_move_on(run: Any) -> None:
    async with run(keys=["4", "j", "enter", "left", "left"]) as bench:
        chart = bench.app.screen.query_one(ChartPanel)
        minute, said = chart.cursor_s, str(chart.border_subtitle)
        assert minute == int(START.timestamp()) - 120
        assert said.startswith("11:58 · v41")
        assert "%" in said
        await bench.app.context.clock.advance(300)
        late = MetricSeries(
            key=MetricKey("n", "m", label="a new metric"), points=(MetricPoint(int(START.timestamp()), 1.0),)
        )
        bench.store.apply(Batch(source="metrics", records=(late,)))
        await bench.frames(24)
        assert (chart.cursor_s, str(chart.border_subtitle)) == (minute, said)
        await bench.press("w")
        assert chart.cursor_s == minute
        assert bench.app.screen.query_one(SignalsPanel).cursor_key == chart.label == "p95"


async def test_versions_are_named_at_their_ends_and_every_mark_is_explained(run: Any) -> None:
    for plain in (False, True):
        async with run((80, 24), keys=["4", "j"], preferences=Preferences(fps=0, ascii=plain)) as bench:
            await bench.sees("usual: v41 in the hour before the release")
            lines = bench.painted()
            assert any(line.rstrip("│| ").endswith(" v42") for line in lines)
            assert any(line.rstrip("│| ").endswith(" v41") for line in lines)
            await bench.sees(": release" if plain else "┊ release")


async def test_a_minute_long_ago_widens_the_window_to_reach_it(run: Any) -> None:
    async with run() as bench:
        at_s = int((START - timedelta(hours=2)).timestamp())
        bench.app.open_metric("p95", at_s=at_s)
        await bench.frames()
        chart = bench.app.screen.query_one(ChartPanel)
        await bench.until(lambda: chart.cursor_s == at_s)
        await bench.sees("10:00")
        bench.app.screen.action_console()
        assert "#metricsV2:graph=~(metrics~(" in bench.app.clipboard
