"""Metrics in log lines become series by the minute; invalid ones are skipped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.formats.lambda_record import LineParser
from prodwatch.model.signal import Batch, LogRecord, MetricKey, MetricPoint, MetricSeries
from prodwatch.store.emf_metrics import EmbeddedMetrics
from prodwatch.store.store import Store, StoreLimits, Topic
from prodwatch.testing.clock import START, FakeClock
from prodwatch.views.signals import signals

MINUTE_S = int(START.timestamp()) // 60 * 60
LINES = LineParser()


def line(at_s: float = 0.0, *, version: str = "7", directives: Any = None, **fields: Any) -> LogRecord:
    """Return a record of one EMF line of the minute MINUTE_S, `at_s` later."""
    stamp_ms = int((MINUTE_S + at_s) * 1000)
    metrics = [{"Name": name, "Unit": "Milliseconds" if name.endswith("Ms") else "Count"} for name in fields]
    reported = (
        [{"Namespace": "Shop", "Dimensions": [["service"]], "Metrics": metrics}] if directives is None else directives
    )
    root = {"_aws": {"Timestamp": stamp_ms, "CloudWatchMetrics": reported}, "service": "orders", **fields}
    return LINES.parse(json.dumps(root), group="g", timestamp_ms=stamp_ms, stream=f"2026/01/01/[{version}]a")


def read(records: Sequence[LogRecord], now_s: float = 0.0, capacity: int = 10) -> list[MetricSeries]:
    return EmbeddedMetrics(capacity).read(records, MINUTE_S + now_s)


def test_counts_add_up_and_all_else_is_a_mean() -> None:
    orders, took = read([line(1, Orders=1, TookMs=10), line(59, Orders=[1, 2], TookMs=20), line(60, Orders=5)], 70)
    assert (orders.key.namespace, orders.key.metric, orders.key.stat) == ("Shop", "Orders", "Sum")
    assert orders.key.dimensions == (("service", "orders"),)
    assert (orders.key.version, orders.key.label, orders.unit) == ("7", "Orders · orders", "Count")
    assert orders.points == (MetricPoint(MINUTE_S, 4.0, False), MetricPoint(MINUTE_S + 60, 5.0, False))
    assert (took.key.stat, took.unit) == ("Average", "Milliseconds")
    assert took.points == (MetricPoint(MINUTE_S, 15.0, False, samples=2.0),)


def test_a_minute_settles_when_no_line_of_it_can_come_in_time_and_a_late_one_still_corrects_it() -> None:
    embedded = EmbeddedMetrics(10)
    assert [each.points for each in embedded.read([line(Orders=1)], MINUTE_S + 1)] == [
        (MetricPoint(MINUTE_S, 1.0, False),)
    ]
    assert embedded.read([], MINUTE_S + 239) == []
    assert [each.points for each in embedded.read([], MINUTE_S + 240)] == [(MetricPoint(MINUTE_S, 1.0, True),)]
    assert embedded.read([], MINUTE_S + 300) == []
    late = embedded.read([line(2, Orders=1)], MINUTE_S + 301)
    assert [each.points for each in late] == [(MetricPoint(MINUTE_S, 2.0, True),)]


def test_the_versions_stand_side_by_side_on_the_dashboard() -> None:
    store = Store(FakeClock())
    before = store.revision(Topic.METRICS)
    store.apply(Batch(source="logs:g", records=(line(Orders=3), line(Orders=4, version="8"))))
    assert store.revision(Topic.METRICS) > before
    (row,) = signals(store, START).rows
    assert (row.label, row.unit) == ("Orders · orders", "Count")
    assert {key.version for key in row.keys} == {"7", "8"}
    assert [record.kind for record in store.logs.ring.window(0, 2)] == ["emf", "emf"]


def test_what_cloudwatch_tells_is_listed_first() -> None:
    store = Store(FakeClock())
    store.apply(Batch(source="logs:g", records=(line(Orders=3),)))
    errors = MetricSeries(key=MetricKey("AWS/Lambda", "Errors", label="errors"), points=(MetricPoint(MINUTE_S, 1.0),))
    store.apply(Batch(source="metrics", records=(errors,)))
    assert [row.label for row in signals(store, START).rows] == ["errors", "Orders · orders"]


def test_of_several_sets_of_dimensions_the_shortest_counts() -> None:
    directive = {
        "Namespace": "Shop",
        "Dimensions": [["service", "order"], ["service"]],
        "Metrics": [{"Name": "Orders"}],
    }
    (series,) = read([line(directives=[directive], Orders=1, order="o-1")])
    assert series.key.dimensions == (("service", "orders"),)


def test_equal_names_of_two_namespaces_are_not_one_metric() -> None:
    two: list[dict[str, Any]]
    two = [{"Namespace": space, "Dimensions": [], "Metrics": [{"Name": "Orders"}]} for space in ("A", "B")]
    assert [each.key.label for each in read([line(directives=two, Orders=1)])] == ["Orders · A", "Orders · B"]
    two = [{"Namespace": space, "Dimensions": [["service"]], "Metrics": [{"Name": "Orders"}]} for space in ("A", "B")]
    labels = [each.key.label for each in read([line(directives=two, Orders=1)])]
    assert labels == ["Orders · orders", "Orders · orders · B"]


def test_a_time_far_from_the_lines_own_does_not_count() -> None:
    stray = line(Orders=1)
    assert stray.fields is not None
    for stamp in (10**30, -1, True, "now", None):
        stray.fields["_aws"]["Timestamp"] = stamp
        assert read([stray])[0].points[0].timestamp_s == MINUTE_S


def test_series_beyond_the_capacity_are_counted_and_reported_once() -> None:
    store = Store(FakeClock(), limits=StoreLimits(embedded_series=2))
    for number in range(4):
        store.apply(Batch(source="logs:g", records=(line(directives=None, **dict[str, Any]({f"Orders{number}": 1})),)))
    assert len(store.metrics.series) == 2
    assert store.embedded.refused == 2
    assert [(notice.code, "more than 2 metric series" in notice.message) for notice in store.notices] == [
        ("embedded_metrics", True)
    ]


def test_minutes_of_long_ago_make_room_and_do_not_come_back_in_part() -> None:
    embedded = EmbeddedMetrics(1)
    embedded.read([line(60 * minute, Orders=1) for minute in range(121)], MINUTE_S)
    assert embedded.read([line(Orders=1)], MINUTE_S) == []
    assert embedded.refused == 1


@pytest.mark.parametrize("value", ["text", None, True, {"a": 1}, [], ["x"], 10**400], ids=repr)
def test_what_is_no_value_is_no_point(value: Any) -> None:
    record = line(Orders=1)
    assert record.fields is not None
    record.fields["Orders"] = value
    assert read([record]) == []


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Namespace", "Dimensions", "Metrics", "Name", "Unit", "a"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(ANY, ANY)
def test_no_line_breaks_the_reading(directives: Any, value: Any) -> None:
    for series in read(
        [line(directives=[directives, {"Namespace": "S", "Metrics": [directives, {"Name": "a"}]}], a=value)]
    ):
        assert series.points


def test_numbers_without_end_are_refused_before_they_are_added_up() -> None:
    assert read([line(Orders=[1e308, 1.0])])[0].points[0].value == 1.0
