"""Shown events are remembered exactly, in a few bytes per event, and forgetting is reported."""

from __future__ import annotations

import sys
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from prodwatch.sources.logs.deduplication import BUCKET_IDS, MAX_IDS, SeenIds
from prodwatch.sources.logs.events import RawEvent
from prodwatch.sources.logs.merge_live_tail_and_polling import REMEMBER_S, LiveTailMerge
from prodwatch.sources.logs.scan_plan import PROMISED, PROMISED_S, TIERS

BASE_MS = 1_768_478_400_000
EVENTS = st.builds(
    lambda at, id_: RawEvent(BASE_MS + at, "m", str(id_)), st.integers(0, 9_000), st.integers(0, 50).map(lambda n: n**9)
)


def event_id(stamp: int, number: int) -> str:
    """Return an id in CloudWatch's form: 56 digits, beginning with the time."""
    return f"{(stamp << 144) | (number << 20):056d}"


@given(st.lists(st.lists(EVENTS, max_size=30), max_size=12))
def test_an_event_is_new_once_in_whatever_order_ids_and_pages_come(pages: list[list[RawEvent]]) -> None:
    seen, oracle = SeenIds(), set[tuple[int, str]]()
    for page in pages:
        fresh, unsure = seen.add_new(page)
        expected = []
        for event in page:
            key = event.timestamp // 1000, event.event_id
            if key not in oracle:
                oracle.add(key)
                expected.append(event)
        assert (fresh, unsure) == (expected, 0)
    assert len(seen) == len(oracle)


def test_an_id_takes_eight_bytes_and_little_more() -> None:
    tracemalloc.start()
    try:
        seen = SeenIds()
        for second in range(60):
            stamp = BASE_MS + second * 1000
            seen.add_new([RawEvent(stamp, "m", event_id(stamp, second * 1000 + n)) for n in range(1000)])
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert taken / len(seen) < 12
    # All 64 bits are needed.
    assert sys.hash_info.width == 64


def test_the_cap_covers_what_is_promised_at_five_thousand_lines_a_second() -> None:
    needed_s = PROMISED_S + TIERS[PROMISED].every_s + 40  # and the time a middle scan takes
    assert 5_000 * needed_s * 0.95 <= MAX_IDS * 9 / 10


def test_what_the_cap_lets_go_of_is_not_shown_again_but_counted() -> None:
    seen = SeenIds(cap=100)
    events = [RawEvent(BASE_MS + n * 100, "m", str(n)) for n in range(200)]
    seen.add_new(events)
    assert seen.enforce_cap()
    assert len(seen) <= 90
    kept = [event for event in events if event.timestamp >= seen.floor_ms]
    assert seen.add_new(events) == ([], len(events) - len(kept))


def test_the_reach_of_a_quiet_group_is_longer_than_that_of_a_busy_one() -> None:
    room = 10_000
    starts = []
    for per_s in (1, 100):
        seen = SeenIds()
        for second in range(1000):
            stamp = BASE_MS + second * 1000
            seen.add_new([RawEvent(stamp, "m", f"{second}/{n}") for n in range(per_s)])
        starts.append((BASE_MS + 1_000_000 - seen.start_of_last(room)) / 1000)
    assert starts == [room // (1 + BUCKET_IDS), room // (100 + BUCKET_IDS)]


def test_live_and_polled_lines_are_remembered_only_while_the_other_way_may_bring_them() -> None:
    merge, peak = LiveTailMerge(), 0
    merge.begin_session(0.0)
    for second in range(600):
        event = [RawEvent(second * 1000 + n, f"line {n}", f"{second}/{n}", "s") for n in range(20)]
        if second % 3:
            assert all(merge.add_live(each, float(second)) for each in event)
        assert all(merge.add_polled(each, float(second)) != bool(second % 3) for each in event)
        merge.prune(float(second))
        peak = max(peak, len(merge))
    assert peak <= 20 * (REMEMBER_S * 4 / 3 + 2)


def test_a_live_line_that_polling_has_yet_to_bring_is_not_forgotten() -> None:
    merge = LiveTailMerge()
    merge.begin_session(0.0)
    line = RawEvent(0, "late to be polled", "1", "s")
    assert merge.add_live(line, 0.0)
    for second in range(900):
        merge.prune(float(second))
    assert not merge.add_polled(line, 900.0)
