"""Bounded stores drop the least valuable first, never the newest and never the release's, and state the loss."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.formats.lambda_record import LineParser
from prodwatch.model.identity import GroupId
from prodwatch.model.signal import (
    Batch,
    Level,
    LogRecord,
    MetricKey,
    MetricPoint,
    MetricSeries,
    ReleasePhase,
    ReleaseState,
    TraceSummary,
)
from prodwatch.store import Store
from prodwatch.store.store import StoreLimits
from prodwatch.store.traces import TraceStore
from prodwatch.testing.clock import START, FakeClock
from prodwatch.views.alarm_and_error_rows import signature_rows
from prodwatch.views.events_in_window import changes
from prodwatch.views.signals import signals
from prodwatch.views.time_window import Window
from prodwatch.views.verdict import verdict_line
from tests.support.read_logs import note_read

RELEASE = ReleaseState(
    function="pay",
    alias="live",
    phase=ReleasePhase.SHIFTING,
    version="42",
    previous="41",
    weights={"41": 0.9, "42": 0.1},
    started_at=START - timedelta(minutes=10),
)
GROUP = "/aws/lambda/pay"
LINES = LineParser()


def store_of(clock: FakeClock | None = None, *, release: bool = True, **limits: int) -> Store:
    store = Store(clock or FakeClock(START), limits=StoreLimits(**limits))
    if release:
        store.apply(Batch(source="release", records=(RELEASE,)))
        note_read(store, (GroupId(GROUP),), START - timedelta(days=1))
    return store


def error(message: str, minutes_ago: float, version: str | None = None) -> LogRecord:
    at_ms = int((START - timedelta(minutes=minutes_ago)).timestamp() * 1000)
    return LogRecord(at_ms, message, GROUP, level=Level.ERROR, version=version)


def shape(number: int) -> str:
    return f"error {'abcdefghij'[number % 10]}{'abcdefghij'[number // 10 % 10]}{'abcdefghij'[number // 100 % 10]}x"


def apply(store: Store, *records: Any) -> None:
    store.apply(Batch(source="logs:g", records=records))


# K6


def test_K6_a_full_store_still_finds_a_new_error() -> None:
    store = store_of()
    apply(store, *(error(shape(number), 1200) for number in range(500)))
    apply(store, *(error("TypeError: cannot charge card", 5, "42") for _ in range(300)))
    rows = signature_rows(store, START)
    assert (rows.new, rows.rows[0].signature.count) == (1, 300)
    (change,) = changes(store, Window(start=START - timedelta(hours=1)), START).rows
    assert change.text == "new error, 300×: TypeError: cannot charge card"
    assert len(store.signatures.signatures) <= 500


def test_K6_what_was_dropped_is_stated() -> None:
    store = store_of(signatures=20)
    apply(store, *(error(shape(number), 1200) for number in range(21)))
    assert store.signatures.dropped
    line = verdict_line(store, START)
    assert "not kept: 1 error" in (line.evidence or "")


def test_K6_an_error_that_returns_after_it_was_dropped_is_not_new() -> None:
    store = store_of(signatures=10)
    apply(store, error("the old one", 1200))
    apply(store, *(error(shape(number), 1000) for number in range(50)))
    assert "the old one" not in {each.shape for each in store.signatures.signatures.values()}
    apply(store, error("the old one", 1))
    (row,) = (each for each in signature_rows(store, START).rows if each.signature.shape == "the old one")
    assert not row.new


@pytest.mark.parametrize("version", ["42", None], ids=["by its version", "first seen since its start"])
def test_K6_a_flood_of_other_errors_drops_none_of_the_release(version: str | None) -> None:
    store = store_of(signatures=40)
    apply(store, error("TypeError: cannot charge card", 9, version))
    flood = LogRecord(0, "", "/aws/lambda/other", level=Level.ERROR)
    for number in range(400):
        at_ms = int(START.timestamp() * 1000) - 1000 + number
        apply(store, LogRecord(at_ms, shape(number), flood.group, level=Level.ERROR))
    shapes = {each.shape for each in store.signatures.signatures.values()}
    assert {"TypeError : cannot charge card", shape(399)} <= shapes


def test_K6_a_repeated_error_outlasts_a_flood_of_single_ones() -> None:
    store = store_of(release=False, signatures=40)
    apply(store, error("again", 60), error("again", 59), *(error(shape(number), 30) for number in range(400)))
    assert "again" in {each.shape for each in store.signatures.signatures.values()}


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 100), st.booleans()), max_size=80), st.integers(1, 8))
def test_K6_the_latest_line_is_always_kept_and_every_loss_counted(
    lines: list[tuple[int, int, bool]], capacity: int
) -> None:
    store = store_of(signatures=capacity)
    seen = set()
    for number, minutes_ago, new in lines:
        record = error(shape(number), minutes_ago, "42" if new else "41")
        apply(store, record)
        seen.add(shape(number))
        kept = store.signatures.signatures
        assert shape(number) in {each.shape for each in kept.values()}
        assert len(kept) <= capacity
        assert len(kept) + store.signatures.dropped >= len(seen)


# K7, K15


def emf(version: str, second: float, *, unit: str = "Count", value: float = 1.0, name: str = "Orders") -> LogRecord:
    stamp_ms = int((START.timestamp() + second) * 1000)
    directive = {"Namespace": "Shop", "Dimensions": [["service"]], "Metrics": [{"Name": name, "Unit": unit}]}
    root = {"_aws": {"Timestamp": stamp_ms, "CloudWatchMetrics": [directive]}, "service": "checkout", name: value}
    return LINES.parse(json.dumps(root), group=GROUP, timestamp_ms=stamp_ms, stream=f"2026/01/01/[{version}]a")


def versions_of(store: Store) -> dict[str | None, int]:
    counts: dict[str | None, int] = {}
    for key in store.metrics.series:
        counts[key.version] = counts.get(key.version, 0) + 1
    return counts


async def test_K7_the_version_under_release_has_its_metrics_after_many_releases() -> None:
    clock = FakeClock(START)
    store = store_of(clock, release=False)
    for version in ("38", "39", "40", "41", "42"):
        apply(store, *(emf(version, clock.monotonic_s(), name=f"M{number}") for number in range(50)))
        await clock.advance(1200)
    assert versions_of(store) == {"39": 50, "40": 50, "41": 50, "42": 50}
    assert (store.embedded.dropped, store.embedded.refused) == (50, 0)
    assert "50 series of log metrics" in (verdict_line(store, clock.now()).evidence or "")


def test_K7_a_version_under_release_takes_a_place_at_once() -> None:
    store = store_of(embedded_series=10)
    apply(store, *(emf("7", 1, name=f"M{number}") for number in range(20)))
    apply(store, *(emf("42", 2, name=f"M{number}") for number in range(5)))
    assert versions_of(store) == {"7": 5, "42": 5}
    assert store.embedded.dropped == 5


def test_K7_a_minute_whose_values_were_dropped_is_never_shown_in_part() -> None:
    store = store_of(embedded_series=1)
    apply(store, *(emf("7", second) for second in range(5)))
    apply(store, emf("42", 6))
    apply(store, *(emf("7", second) for second in range(7, 20)))
    assert versions_of(store) == {"42": 1}
    assert store.embedded.refused == 13


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 40), st.booleans()), max_size=120), st.integers(1, 4))
def test_K7_every_minute_that_is_shown_has_all_its_values(lines: list[tuple[int, int, bool]], capacity: int) -> None:
    store = store_of(embedded_series=capacity)
    expected: dict[tuple[str, str, int], float] = {}
    for number, minute, new in sorted(lines, key=lambda each: each[1]):
        version, name = "42" if new else "7", f"M{number}"
        apply(store, emf(version, minute * 60, name=name))
        part = (version, name, minute)
        expected[part] = expected.get(part, 0.0) + 1.0
    start_s = int(START.timestamp())
    for key, series in store.metrics.series.items():
        for point in series.points:
            assert point.value == expected[str(key.version), key.metric, (point.timestamp_s - start_s) // 60]
    assert len(store.metrics.series) <= capacity


def test_K15_one_metric_in_two_units_is_two_series() -> None:
    store = store_of(release=False)
    apply(store, emf("7", 1, unit="Milliseconds", value=250.0), emf("7", 2, unit="Seconds", value=0.25))
    apply(store, emf("8", 1, unit="Milliseconds", value=350.0), emf("8", 2, unit="Seconds", value=0.35))
    rows = {(row.label, row.unit): len(row.keys) for row in signals(store, START).rows}
    assert rows == {("Orders · checkout", "Milliseconds"): 2, ("Orders · checkout · Seconds", "Seconds"): 2}
    values = {(key.version, each.unit): each.points[0].value for key, each in store.metrics.series.items()}
    assert values == {
        ("7", "Milliseconds"): 250.0,
        ("7", "Seconds"): 0.25,
        ("8", "Milliseconds"): 350.0,
        ("8", "Seconds"): 0.35,
    }


# K8


def lambda_series(function: str, metric: str, stat: str, version: str | None, at_s: float = 0.0) -> MetricSeries:
    dimensions: tuple[tuple[str, str], ...] = (("FunctionName", function), ("Resource", f"{function}:live"))
    if version is not None:
        dimensions = (*dimensions, ("ExecutedVersion", version))
    key = MetricKey("AWS/Lambda", metric, dimensions, stat, version, f"{metric} {stat} {function}", function=function)
    return MetricSeries(key=key, points=(MetricPoint(int(START.timestamp() + at_s), 1.0),))


FIGURES = (
    ("Errors", "share"),
    ("Duration", "p95"),
    ("Duration", "p50"),
    ("Duration", "p99"),
    ("Invocations", "rate"),
    ("Throttles", "Sum"),
)


def test_K8_many_functions_leave_out_no_configured_metric_nor_the_release() -> None:
    store = store_of(series=200)
    functions = [f"f{number}" for number in range(30)]
    records = [
        lambda_series(function, *figure, version)
        for function in (*functions, "pay")
        for version in (None, "41", "42")
        for figure in FIGURES
    ]
    own = MetricSeries(key=MetricKey("Shop", "Orders", (), "Sum", None, "orders"), points=(MetricPoint(0, 1.0),))
    for _ in range(3):
        store.apply(Batch(source="metrics", records=(*records, own)))
    keys = set(store.metrics.series)
    assert own.key in keys
    assert {each.key for each in records if each.key.function == "pay"} <= keys
    assert {lambda_series(function, "Errors", "share", None).key for function in functions} <= keys, (
        "what decides is kept of every function"
    )
    assert len(keys) == 200
    assert store.metrics.left_out == len(records) + 1 - 200
    assert f"{store.metrics.left_out} metric series" in (verdict_line(store, START).evidence or "")
    assert [notice.code for notice in store.notices] == ["metrics"]


def test_K8_series_of_versions_long_gone_make_room() -> None:
    store = store_of(release=False, series=6)
    old = [lambda_series("pay", *figure, "41") for figure in FIGURES]
    new = [lambda_series("pay", *figure, "43", 7200) for figure in FIGURES]
    store.apply(Batch(source="metrics", records=tuple(old)))
    store.apply(Batch(source="metrics", records=(lambda_series("pay", "Errors", "share", None, 7200),)))
    store.apply(Batch(source="release", records=(RELEASE,)))
    store.apply(Batch(source="metrics", records=tuple(new[:5])))
    assert {key.version for key in store.metrics.series} == {None, "43"}


# Traces


def trace(number: int) -> TraceSummary:
    return TraceSummary(id=f"1-{number}", start_ms=number, duration_s=0.1)


@given(st.permutations(range(60)), st.integers(1, 30))
def test_K8_traces_that_began_first_are_dropped_in_whatever_order_they_arrive(order: list[int], capacity: int) -> None:
    store = TraceStore(capacity)
    for number in order:
        store.add((trace(number),))
    assert {each.start_ms for each in store.summaries.values()} == set(range(60 - capacity, 60))
    assert store.dropped == 60 - capacity
