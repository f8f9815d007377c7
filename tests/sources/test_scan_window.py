"""Scans alternate: new lines never wait for a wide scan, and a wide scan always finishes."""

from __future__ import annotations

from itertools import pairwise

import pytest

from prodwatch.sources.logs.scan_plan import (
    DEEP,
    FAST_LATENESS_MIN_S,
    PROMISED,
    PROMISED_S,
    SKEW_S,
    TIERS,
    WHOLE,
    ScanPlan,
)

T0_S = 1_000_000.0


def caught_up(**more: float) -> ScanPlan:
    """Return a plan whose first scan is complete."""
    plan = ScanPlan(since_ms=0, **more)  # type: ignore[arg-type]
    plan.begin(T0_S)
    plan.complete()
    return plan


@pytest.mark.parametrize("turn_s", [0.1, 0.7, 1.2, 5.0])
def test_both_scans_get_on_however_rare_a_group_s_turns_are(turn_s: float) -> None:
    plan = caught_up()
    now_s, wide_pages, fast = T0_S + TIERS[PROMISED].every_s, 0, 0
    for _ in range(12):
        scan = plan.begin(now_s)
        now_s += turn_s
        if scan.tier == 0:
            fast += 1
            plan.complete()
            continue
        wide_pages += 1
        if wide_pages == 5:
            plan.complete()
            break
        scan.token = f"{wide_pages}"
    assert wide_pages == 5
    assert plan.swept_s() == T0_S + TIERS[PROMISED].every_s
    assert fast >= min(4, int(4 * turn_s))


def test_windows_begin_before_the_last_complete_scan_of_their_kind_began() -> None:
    plan = caught_up()
    starts = {}
    for after_s in range(1, 1801):
        scan = plan.begin(T0_S + after_s)
        starts[scan.tier] = scan.start_ms / 1000
        plan.complete()
    assert starts[0] == T0_S + 1798 - TIERS[0].lateness_s - SKEW_S
    # Each scan takes no page here, so the middle tier is read at its shortest interval.
    assert starts[PROMISED] == T0_S + 1780 - PROMISED_S - SKEW_S
    assert starts[DEEP] == T0_S + 1200 - TIERS[DEEP].lateness_s - SKEW_S
    assert starts[WHOLE] == T0_S - TIERS[WHOLE].lateness_s - SKEW_S


@pytest.mark.parametrize(
    ("pages", "groups", "interval_s"), [(1, 1, 10), (4, 1, 10), (8, 1, 20), (40, 1, 60), (1, 50, 20), (2, 50, 40)]
)
def test_B15_the_middle_window_is_read_as_often_as_the_calls_allow(pages: int, groups: int, interval_s: int) -> None:
    plan = caught_up()
    plan.watched = range(groups)
    began = []
    for after_s in range(1, 200):
        scan = plan.begin(T0_S + after_s)
        scan.pages = pages
        if scan.tier == PROMISED:
            began.append(scan.began_s - T0_S)
        plan.complete()
    assert {later - earlier for earlier, later in pairwise(began)} == {interval_s}


def test_B15_a_fast_scan_is_read_to_its_end_before_a_page_of_a_wide_one() -> None:
    plan = caught_up()
    wide = plan.begin(T0_S + 60)
    wide.token = "w"
    order = []
    for turn in range(3):
        for page in range(3):
            scan = plan.begin(T0_S + 62 + turn * 2)
            order.append(scan.tier)
            scan.token = f"{page}"
        plan.complete()
        scan = plan.begin(T0_S + 64 + turn * 2)
        order.append(scan.tier)
    assert order == [0, 0, 0, PROMISED] * 3


def test_the_fast_window_narrows_as_lines_grow_and_no_further_than_three_seconds() -> None:
    plan = caught_up()
    for rate, lateness_s in ((0.0, 15.0), (100.0, 15.0), (1_000.0, 4.0), (50_000.0, FAST_LATENESS_MIN_S)):
        plan.rate = rate
        scan = plan.begin(T0_S + 2)
        assert scan.start_ms == int((T0_S - lateness_s - SKEW_S) * 1000)
        plan.complete()
        plan = caught_up()


def test_a_clock_minutes_behind_makes_wide_windows_longer_and_fast_ones_not() -> None:
    plan = caught_up(ahead_s=-300.0)
    assert plan.begin(T0_S + 1).start_ms == int((T0_S + 300 - TIERS[0].lateness_s - SKEW_S) * 1000)
    plan = caught_up(ahead_s=-300.0)
    assert plan.begin(T0_S + 61).start_ms == int((T0_S - PROMISED_S - 300) * 1000)


def test_a_last_look_does_not_wait_for_its_turn() -> None:
    plan, idle = caught_up(), []
    idle.append(plan.idle)
    plan.sweep_s = T0_S + 5
    idle.append(plan.idle)
    assert plan.begin(T0_S + 5).tier == PROMISED
    plan.complete()
    idle.append(plan.idle)
    assert plan.begin(T0_S + 6).tier == 0
    assert idle == [True, False, True]


def test_B15_a_wide_scan_leaves_the_calls_that_the_next_fast_scan_needs() -> None:
    plan = caught_up()
    plan.begin(T0_S + 10).token = "w"
    plan.begin(T0_S + 10).pages = 3
    plan.complete()
    pages = 0
    while not plan.paused:
        assert plan.begin(T0_S + 10.1).tier == PROMISED
        pages += 1
    assert pages == 2
    assert plan.begin(T0_S + 11).tier == 0
