"""Time from visible to shown, on a virtual clock, with pages and a quota as CloudWatch has them."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from prodwatch.model.environment import LogTarget
from prodwatch.model.signal import Batch, LogRecord
from prodwatch.sources.logs.source import LogSource
from prodwatch.testing.clock import FakeClock
from tests.support.log_fault_regimes import GROUP, Screen, plain_line, shown
from tests.support.uneven_log_pages import UnevenPages

TICK_S = 0.05
P99_S = 1.2
LATE_S = 10.0
WARM_S = 5.0
"""Time for which a group that was quiet may take longer."""


class Latencies(Screen):
    """Lines shown, each with the time at which it was."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.clock = clock
        self.shown_s: dict[str, float] = {}
        self.twice = 0

    def show(self, batch: Batch) -> None:
        for record in batch.records:
            if isinstance(record, LogRecord):
                self.twice += record.message in self.shown_s
                self.shown_s[record.message] = self.clock.now().timestamp()


async def measure(clock: FakeClock, per_s: float, seconds: float, *, share: float = 1.0, late: bool = False) -> None:
    """Write lines at a rate and judge what a reader shows."""
    door = UnevenPages(clock, share=share)
    door.region.logs.create_group(GROUP)
    source = LogSource(
        door, [LogTarget(group=GROUP)], clock=clock, parse=plain_line, since=clock.now() - timedelta(seconds=60)
    )
    screen = Latencies(clock)
    visible_s: dict[str, float] = {}
    late_s: dict[str, float] = {}
    async with shown(source, screen):
        count = 0
        for tick in range(int(seconds / TICK_S)):
            now_s = clock.now().timestamp()
            due = int((tick + 1) * TICK_S * per_s)
            lines = [(int(now_s * 1000), f"line {number}") for number in range(count, due)]
            count = due
            door.region.logs.put(GROUP, "s", lines, visible_ms=int(now_s * 1000))
            if tick * TICK_S >= WARM_S:
                visible_s |= dict.fromkeys((text for _, text in lines), now_s)
            if late and tick % 100 == 50:
                stamp_ms = int((now_s - 30 - tick % 15) * 1000)
                door.region.logs.put(GROUP, "t", [(stamp_ms, f"late {tick}")], visible_ms=int(now_s * 1000))
                late_s[f"late {tick}"] = now_s
            await clock.advance(TICK_S)
        await clock.advance(LATE_S + 5.0)
    assert screen.twice == 0
    assert len(screen.shown_s) == count + len(late_s)
    took_s = sorted(screen.shown_s[text] - at_s for text, at_s in visible_s.items())
    assert took_s[int(len(took_s) * 0.99)] <= P99_S
    assert max((screen.shown_s[text] - at_s for text, at_s in late_s.items()), default=0.0) <= LATE_S + P99_S


@pytest.mark.parametrize("share", [1.0, 0.3], ids=["full pages", "partial pages"])
async def test_B15_lines_are_shown_within_a_second_although_each_scan_ends_in_an_empty_page(
    share: float,
) -> None:
    await measure(FakeClock(), 50, 60, share=share)


async def test_A18_lines_without_an_id_are_shown_once_each_over_overlapping_scans() -> None:
    """Equal lines of one millisecond are as many as were written, wherever pages end."""
    clock = FakeClock()
    door = UnevenPages(clock, share=0.002, members=frozenset({"eventId", "ingestionTime"}))
    door.region.logs.create_group(GROUP)
    source = LogSource(
        door, [LogTarget(group=GROUP)], clock=clock, parse=plain_line, since=clock.now() - timedelta(seconds=60)
    )
    screen, written = Screen(), Counter[tuple[int, str]]()
    async with shown(source, screen):
        for tick in range(60):
            now_ms = int(clock.now().timestamp() * 1000)
            for delay_ms in (0, 0, 20_000):
                line = (now_ms, f"equal {tick // 2 * 2}")
                door.region.logs.put(GROUP, "s", [line] * (tick % 3 + 1), visible_ms=now_ms + delay_ms)
                written[line] += tick % 3 + 1
            await clock.advance(1.0)
        await clock.advance(120.0)
    assert screen.lines == written


@pytest.mark.parametrize(
    ("share", "seconds"),
    [pytest.param(1.0, 25, marks=pytest.mark.slow, id="full pages"), pytest.param(2 / 3, 15, id="partial pages")],
)
async def test_B15_two_thousand_lines_a_second(share: float, seconds: float) -> None:
    await measure(FakeClock(), 2000, seconds, share=share)


async def test_B15_late_lines_are_shown_within_ten_seconds_where_the_window_is_small() -> None:
    await measure(FakeClock(), 20, 120, late=True)


@pytest.mark.parametrize("groups", [1, 22])
async def test_the_first_line_of_a_quiet_group_is_shown_within_ten_seconds(groups: int) -> None:
    clock = FakeClock()
    door = UnevenPages(clock, is_uneven=False)
    names = [f"{GROUP}-{number}" for number in range(groups)]
    for name in names:
        door.region.logs.create_group(name)
    source = LogSource(
        door, [LogTarget(group=name) for name in names], clock=clock, parse=plain_line, since=clock.now()
    )
    screen, visible_s = Latencies(clock), dict[str, float]()
    async with shown(source, screen):
        await clock.advance(60.0)
        for number, name in enumerate(names * (12 // groups or 1)):
            text, now_s = f"line {number}", clock.now().timestamp()
            door.region.logs.put(name, "s", [(int(now_s * 1000), text)], visible_ms=int(now_s * 1000))
            visible_s[text] = now_s
            # Long enough for a single group to become quiet, and every phase of its pauses is met.
            await clock.advance(61.7 if groups == 1 else 0.7)
        await clock.advance(20.0)
    assert screen.shown_s.keys() == visible_s.keys()
    assert max(screen.shown_s[text] - at_s for text, at_s in visible_s.items()) <= LATE_S
