from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.formats.lambda_record import LineParser
from prodwatch.model.identity import GroupId
from prodwatch.model.signal import (
    AlarmState,
    Level,
    LogRecord,
    MetricKey,
    MetricPoint,
    MetricSeries,
    ReleaseEvent,
    ReleasePhase,
    ReleaseState,
    Trace,
    TraceSummary,
)
from prodwatch.store.error_signatures import ErrorShapes, SignatureStore
from prodwatch.store.logs import LogStore
from prodwatch.store.metrics import MetricStore, merge_points
from prodwatch.store.release import ReleaseStore
from prodwatch.store.traces import MAX_DETAILS, TraceStore
from prodwatch.testing.clock import START
from prodwatch.views.release import FunctionReleases

KEY = MetricKey("AWS/Lambda", "Errors")
POINTS = st.lists(st.builds(MetricPoint, st.integers(0, 40).map(lambda n: n * 60), st.floats(0, 9)), max_size=30)


def summary(trace_id: str, revision: int = 0, **more: object) -> TraceSummary:
    return TraceSummary(id=trace_id, start_ms=0, duration_s=0.1, revision=revision, **more)  # type: ignore[arg-type]


def test_the_highest_revision_of_a_trace_wins() -> None:
    book = TraceStore(10)
    book.add([summary("a", 2, status=500), summary("a", 1, status=200)])
    assert book.summaries["a"].status == 500
    book.add([summary("a", 3, status=404)])
    assert book.summaries["a"].status == 404


def test_the_oldest_traces_go_and_are_counted() -> None:
    book = TraceStore(3)
    book.add([summary(each) for each in "abcde"])
    assert (list(book.summaries), book.dropped) == (["c", "d", "e"], 2)


def test_whole_traces_are_bounded_and_go_with_their_summary() -> None:
    book = TraceStore(1)
    book.add([summary("a")])
    book.add_detail(Trace(id="a", spans=()))
    book.add([summary("b")])
    assert book.detail("a") is None
    for number in range(MAX_DETAILS + 5):
        book.add_detail(Trace(id=str(number), spans=()))
    assert len(book.details) == MAX_DETAILS


@given(POINTS, POINTS)
def test_merged_points_are_sorted_one_per_period_and_the_new_ones_win(old_raw: Any, new_raw: Any) -> None:
    old = merge_points((), tuple(old_raw))
    merged = merge_points(old, tuple(new_raw))
    times = [point.timestamp_s for point in merged]
    assert times == sorted(set(times))
    assert set(times) == {point.timestamp_s for point in (*old, *new_raw)}
    newest = {point.timestamp_s: point for point in new_raw}
    for point in merged:
        if point.timestamp_s in newest:
            assert point == newest[point.timestamp_s]


def test_series_are_bounded_in_points_and_in_number() -> None:
    book = MetricStore(points_per_series=5, capacity=1)
    points = tuple(MetricPoint(60 * n, float(n)) for n in range(8))
    book.add([MetricSeries(key=KEY, points=points), MetricSeries(key=MetricKey("X", "Y"), points=points)])
    assert [point.value for point in book.series[KEY].points] == [3.0, 4.0, 5.0, 6.0, 7.0]
    assert (len(book.series), book.left_out) == (1, 1)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("user 12 not found", "user 99 not found", True),
        ("took 12.5 ms", "took 3.25 ms", True),
        ("id 8f2c41d7-52be-4b1e-9d5e-0c7a3e1b6f42", "id 00000000-52be-4b1e-9d5e-0c7a3e1b6f42", True),
        ("KeyError: 'currency' ⏎ File 1", "KeyError: 'currency' ⏎ File 2", True),
        ("KeyError: 'currency'", "KeyError: 'total'", False),
        ("v2 handler broke", "v3 handler broke", True),
    ],
    ids=["number", "decimals", "uuid", "first-line-only", "other-key", "names-with-digits"],
)
def test_shapes(left: Any, right: Any, same: Any) -> None:
    shapes = ErrorShapes()
    assert (shapes.of(error(left, 1)) == shapes.of(error(right, 1))) is same


def error(message: str, at: int, version: str | None = None) -> LogRecord:
    return LogRecord(timestamp_ms=at, message=message, group="g", level=Level.ERROR, version=version)


def test_signatures_count_by_version_and_keep_the_latest_sample() -> None:
    book = SignatureStore(10)
    assert book.add([error("no 1", 5, "41"), error("no 2", 9, "42"), error("no 3", 7, "42")])
    (only,) = book.signatures.values()
    assert (only.count, only.by_version, only.first_ms, only.last_ms) == (3, {"41": 1, "42": 2}, 5, 9)
    assert only.sample == "no 2"


def test_lines_without_an_error_are_no_signature() -> None:
    book = SignatureStore(10)
    assert not book.add([LogRecord(timestamp_ms=1, message="fine", group="g", level=Level.INFO)])


def test_signatures_beyond_the_limit_are_counted() -> None:
    book = SignatureStore(1)
    book.add([error("a", 1), error("b", 2), error("a", 3)])
    assert (len(book.signatures), book.dropped) == (1, 2)


def event(second: int, to: str = "InProgress") -> ReleaseEvent:
    return ReleaseEvent(at=START + timedelta(seconds=second), source="codedeploy", subject="d-1", what="status", to=to)


def test_an_event_reported_twice_is_one_event() -> None:
    book = ReleaseStore(10)
    assert [book.add_event(event(1)), book.add_event(event(1)), book.add_event(event(2))] == [True, False, True]
    assert len(book.events) == 2


def test_events_are_bounded() -> None:
    book = ReleaseStore(10)
    for second in range(25):
        book.add_event(event(second))
    assert len(book.events) <= 10
    assert book.events.tail == 25


def test_an_alarm_that_changes_is_on_the_time_line_once() -> None:
    book = ReleaseStore(10)
    ok = AlarmState(name="a", state="OK", since=START)
    fires = AlarmState(name="a", state="ALARM", since=START + timedelta(seconds=5))
    changes = [book.set_alarm(each, START) for each in (ok, ok, fires, fires, ok)]
    assert changes == [False, False, True, False, True]
    assert [(each.from_, each.to) for each in book.events] == [("OK", "ALARM"), ("ALARM", "OK")]


@pytest.mark.parametrize(
    ("alarm", "reported"),
    [
        (AlarmState(name="a", state="OK", since=START), False),
        (AlarmState(name="a", state="ALARM", since=START), True),
        (AlarmState(name="a", state="INSUFFICIENT_DATA"), False),
    ],
    ids=["quiet", "firing", "unknown-since"],
)
def test_the_first_sight_of_an_alarm_is_news_only_when_it_fires_since_a_known_moment(alarm: Any, reported: Any) -> None:
    assert ReleaseStore(10).set_alarm(alarm, START) is reported


def test_an_alarm_reported_by_state_and_history_is_one_event() -> None:
    book = ReleaseStore(10)
    book.set_alarm(AlarmState(name="a", state="ALARM", since=START, reason="too many"), START)
    reported = ReleaseEvent(at=START, source="alarm", subject="a", what="alarm ALARM", from_="OK", to="ALARM")
    assert not book.add_event(reported)
    assert [each.detail for each in book.events] == ["too many"]


def test_W10_versions_and_errors_of_functions_that_share_a_group_are_apart() -> None:
    parser = LineParser()
    records = [
        parser.parse(
            text, group="/shop", timestamp_ms=number, stream=f"2026/11/30/{function}[42]ab", event_id=f"{number}"
        )
        for number, (function, text) in enumerate(
            [
                ("inbox", "ERROR cannot charge"),
                ("orders", "ERROR cannot charge"),
                ("inbox", "REPORT RequestId: 8f5d9e2a-1111-4222-8333-123456789abc\tDuration: 3.00 ms"),
            ]
        )
    ]
    book = SignatureStore(10)
    book.add(records)
    inbox, orders = GroupId("/aws/lambda/inbox"), GroupId("/aws/lambda/orders")
    assert {each.group: dict(each.by_version) for each in book.signatures.values()} == {
        inbox: {"42": 1},
        orders: {"42": 1},
    }
    logs = LogStore(10)
    logs.add(records, 0.0)
    assert {key: tally.count for key, tally in logs.invocations.items()} == {(inbox, "42"): 1}
    states = [
        ReleaseState(function=name, log_group="/shop", phase=ReleasePhase.SHIFTING, version="42", started_at=START)
        for name in ("inbox", "orders")
    ]
    releases = FunctionReleases(states, START)
    assert [getattr(releases.of_group(group), "function", None) for group in (inbox, orders)] == ["inbox", "orders"]
