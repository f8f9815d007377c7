"""Panels and screens with alarms and log groups of one name in two regions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from prodwatch.model.identity import HOME, Place
from prodwatch.model.signal import AlarmState, Batch, Level, LogRecord
from prodwatch.testing.clock import START
from tests.support.placed_aws import EAST
from tests.tui.test_panel_states import STATES, painted, tell

SIZE = (200, 60)
AT_MS = int(START.timestamp() * 1000) - 5_000


def line(place: Place, message: str) -> LogRecord:
    return LogRecord(AT_MS, message, "/aws/lambda/pay", level=Level.ERROR, place=place)


def alarm(place: Place, name: str = "pay-errors") -> AlarmState:
    return AlarmState(name=name, state="ALARM", since=START - timedelta(minutes=3), place=place)


def apply(bench: Any, *records: Any) -> None:
    tell(bench, STATES["live"])
    bench.store.apply(Batch(source="test", records=records))


async def test_K19_panels_say_the_region_of_namesakes(run: Any) -> None:
    async with run(SIZE, quiet=True) as bench:
        apply(bench, alarm(HOME), alarm(EAST), line(HOME, "boom at home"), line(EAST, "boom in the east"))
        await bench.frames(12)
        alarms, errors, logs = (painted(bench, panel) for panel in ("alarms", "signatures", "logs"))
        assert alarms.count("pay-errors") == 2
        assert alarms.count("pay-errors in us-east-1") == 1
        assert errors.count("boom") == 2
        assert "pay in us-east-1" in logs
        assert logs.count("in us-east-1") == 1


async def test_K19_panels_do_not_say_the_region_of_a_name_that_is_alone(run: Any) -> None:
    async with run(SIZE, quiet=True) as bench:
        apply(bench, alarm(EAST), line(EAST, "boom"))
        await bench.frames(12)
        for panel in ("alarms", "signatures", "logs"):
            assert "us-east-1" not in painted(bench, panel)


async def test_K19_pinning_a_group_shows_it_in_its_region_only(run: Any) -> None:
    async with run(SIZE, quiet=True) as bench:
        apply(bench, line(HOME, "boom at home"), line(EAST, "boom in the east"))
        await bench.press("2", "p")
        await bench.frames(12)
        shown = [each for each in ("boom at home", "boom in the east") if each in bench.text]
        assert len(shown) == 1
        pinned = [groups for asked, groups in bench.session.asked if asked == "pin"]
        expected = "us-east-1:/aws/lambda/pay" if shown == ["boom in the east"] else "/aws/lambda/pay"
        assert pinned == [(expected,)]
        await bench.press("p")
        await bench.frames(12)
        assert all(each in bench.text for each in ("boom at home", "boom in the east"))
        assert bench.session.asked[-1] == ("pin", ())
