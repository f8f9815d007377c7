"""Rows of the log stand in order of time whatever order they came in, and keep their names while they are kept."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.model.signal import LogRecord
from prodwatch.store.ring import Ring
from prodwatch.tui.widgets.log_rows import TIMED_S, LogRows, display_time_ms
from prodwatch.views.log_filter import parse_filter

GROUPS = ("a", "b", "c")
STAMPS = st.integers(1, 60)


def line(stamp: int, group: str = "a", **more: Any) -> LogRecord:
    return LogRecord(stamp, f"line {stamp}", group, **more)


LINES = st.builds(
    line,
    STAMPS,
    st.sampled_from(GROUPS),
    late_ms=st.sampled_from([0, 0, 0, 30]),
    ingested_ms=st.sampled_from([0, 0, 40]),
)
BATCHES = st.lists(st.lists(LINES, max_size=12), max_size=12)


@given(st.integers(1, 60), BATCHES, st.sampled_from(["", "group:=b", "!line"]))
def test_rows_are_the_kept_lines_in_order_of_time(capacity: int, batches: list[list[LogRecord]], wanted: str) -> None:
    ring: Ring[LogRecord] = Ring(capacity)
    rows = LogRows(ring, lambda: 0.0)
    rows.set_filter(parse_filter(wanted), 0)
    number = 0
    all_of: dict[int, LogRecord] = {}
    for batch in batches:
        seen = number - 1
        ring.extend(batch)
        all_of.update(enumerate(batch, number))
        number += len(batch)
        rows.update(0)
        kept = [n for n in range(ring.head, ring.tail) if rows.filter.matches(all_of[n])]
        expected = sorted(kept, key=lambda n: (display_time_ms(all_of[n]), n))
        assert list(rows.numbers()) == expected
        assert [rows.index_of(n) for n in expected] == list(range(len(expected)))
        assert rows.after(seen) == sum(n > seen for n in kept)
        assert [rows.record_at(index) for index in range(len(rows))] == [all_of[n] for n in expected]


def test_lines_of_groups_polled_apart_take_their_place_at_once() -> None:
    ring: Ring[LogRecord] = Ring(100)
    rows = LogRows(ring, lambda: 0.0)
    for group, stamps in (("a", (1, 4, 8)), ("b", (2, 5)), ("c", (3, 9))):
        ring.extend([line(stamp, group) for stamp in stamps])
        rows.update(0)
    assert [record.timestamp_ms for record in rows.newest(100)] == [1, 2, 3, 4, 5, 8, 9]


def test_a_late_line_stands_where_it_came_and_one_of_the_future_where_it_was_taken_in() -> None:
    ring: Ring[LogRecord] = Ring(100)
    rows = LogRows(ring, lambda: 0.0)
    ring.extend([line(1_000), line(9_000), line(2_000, late_ms=7_500), line(600_000, ingested_ms=9_200), line(10_000)])
    rows.update(0)
    assert [record.timestamp_ms for record in rows.newest(100)] == [1_000, 9_000, 600_000, 2_000, 10_000]


def test_a_rank_names_its_line_whatever_comes_before_it() -> None:
    ring: Ring[LogRecord] = Ring(100)
    rows = LogRows(ring, lambda: 0.0)
    ring.extend([line(10), line(20)])
    rows.update(0)
    rank = rows.rank_at(1)
    assert rank is not None
    ring.extend([line(15, "b")])
    rows.update(0)
    assert rows.row_of_rank(rank) == 2
    assert rows.rank_at(3) is None


SLOW = "/(a|a)*$/"
ENDLESS = "a" * 40 + "!"


def test_K26_a_filter_that_does_not_end_is_given_up_and_hides_no_line() -> None:
    ring: Ring[LogRecord] = Ring(100)
    rows = LogRows(ring, lambda: 0.0)
    ring.extend([msgspec.structs.replace(line(1), message=ENDLESS), line(2)])
    rows.set_filter(parse_filter(SLOW), 0)
    rows.update(0)
    assert rows.problem is not None
    assert "was stopped" in rows.problem
    rows.update(0)
    assert len(rows) == 2


def test_K26_a_filter_with_an_expression_takes_a_bounded_time_per_frame() -> None:
    ring: Ring[LogRecord] = Ring(1000)
    ticks = itertools.count()
    rows = LogRows(ring, lambda: next(ticks) * TIMED_S / 4)
    ring.extend([line(number) for number in range(100)])
    rows.set_filter(parse_filter("/line/"), 0)
    rows.update(0)
    assert 0 < len(rows) < 10
    assert rows.unfinished
    for _ in range(50):
        rows.update(0)
    assert len(rows) == 100
