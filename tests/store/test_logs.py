from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from prodwatch.model.identity import GroupId
from prodwatch.model.signal import LambdaReport, Level, LogRecord
from prodwatch.store.logs import LogStore

IDS = st.one_of(st.none(), st.sampled_from(["r1", "r2", "r3"]))


GROUP = GroupId("/aws/lambda/a")


def line(number: int, request_id: str | None = None, trace_id: str | None = None, **more: object) -> LogRecord:
    values = {"timestamp_ms": number, "message": f"m{number}", "group": "/aws/lambda/a"}
    return LogRecord(**{**values, "request_id": request_id, "trace_id": trace_id, **more})  # type: ignore[arg-type]


@given(st.integers(1, 40), st.lists(st.lists(st.tuples(IDS, IDS), max_size=25), max_size=20))
def test_indexes_find_exactly_the_kept_lines_that_carry_an_id(capacity: Any, batches: Any) -> None:
    book = LogStore(capacity)
    number = 0
    for batch in batches:
        records = [line(number + offset, request, trace) for offset, (request, trace) in enumerate(batch)]
        number += len(batch)
        book.add(records, 0.0)
    kept = list(book.ring)
    for expected in ("r1", "r2", "r3", "never"):
        assert book.find([expected]) == [each for each in kept if each.request_id == expected]
        assert book.find((), expected) == [each for each in kept if each.trace_id == expected]
        both = [each for each in kept if expected in {each.request_id, each.trace_id}]
        assert book.find([expected], expected) == both


def test_the_rate_looks_back_ten_seconds() -> None:
    book = LogStore(1000)
    book.add([line(n) for n in range(50)], 0.0)
    book.add([line(n) for n in range(50)], 5.0)
    assert book.rate_per_s(5.0) == 10.0
    assert book.rate_per_s(12.0) == 5.0
    assert book.rate_per_s(60.0) == 0.0


def test_groups_count_lines_errors_and_late_ones() -> None:
    book = LogStore(10)
    book.add([line(1), line(2, level=Level.ERROR, late_ms=900), line(3, level=Level.FATAL)], 0.0)
    tally = book.groups[GROUP]
    assert (tally.lines, tally.errors, tally.late, tally.newest_ms) == (3, 2, 1, 3)


def test_report_lines_count_invocations_per_version() -> None:
    book = LogStore(10)
    cold = LambdaReport(duration_ms=5, used_mb=80, init_ms=300.0)
    late = LambdaReport(duration_ms=5, used_mb=90, status="timeout")
    book.add([line(1, version="42", report=cold), line(2, version="42", report=late), line(3, version="41")], 0.0)
    tally = book.invocations[GROUP, "42"]
    assert (tally.count, tally.cold_starts, tally.timeouts, tally.max_memory_mb) == (2, 1, 1, 90)
    assert list(book.invocations) == [(GROUP, "42")]


def test_an_empty_batch_changes_nothing() -> None:
    book = LogStore(10)
    book.add([], 0.0)
    assert (len(book.ring), book.rate_per_s(0.0)) == (0, 0.0)


def test_what_lambda_says_it_dropped_is_counted() -> None:
    book = LogStore(10)
    reported = {"type": "platform.logsDropped", "record": {"droppedRecords": 123, "reason": "slow"}}
    book.add([line(1, kind="dropped", fields=reported), line(2, kind="dropped"), line(3)], 0.0)
    assert book.lost == 124


def test_lines_of_one_request_are_found_in_order_of_time() -> None:
    book = LogStore(10)
    book.add([line(5, "r1"), line(9, "r1")], 0.0)
    book.add([line(7, "r1")], 0.0)
    assert [each.timestamp_ms for each in book.find(["r1"])] == [5, 7, 9]
