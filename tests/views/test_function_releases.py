"""A version number means something only together with its function: every row is judged by its own release."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from prodwatch.model.identity import HOME, GroupId, Place
from prodwatch.model.signal import (
    Batch,
    Level,
    LogRecord,
    MetricKey,
    MetricPoint,
    MetricSeries,
    ReleasePhase,
    ReleaseState,
)
from prodwatch.store import Store
from prodwatch.testing.clock import START, FakeClock
from prodwatch.views.alarm_and_error_rows import signature_groups, signature_rows, was_before
from prodwatch.views.baseline import usual_range
from prodwatch.views.evidence import requests_on
from prodwatch.views.signals import SignalRow, signals
from tests.support.read_logs import groups_of, note_read

ABROAD = Place(region="us-east-1")


def shifting(function: str, previous: str, version: str, *, minutes: float, place: Place = HOME) -> ReleaseState:
    return ReleaseState(
        function=function,
        alias="live",
        phase=ReleasePhase.SHIFTING,
        version=version,
        previous=previous,
        weights={previous: 0.9, version: 0.1},
        started_at=START - timedelta(minutes=minutes),
        place=place,
    )


PAY = shifting("pay", "41", "42", minutes=10)
ORDERS = shifting("orders", "17", "18", minutes=20)
CART = shifting("cart", "39", "41", minutes=30)
PAY_ABROAD = shifting("pay", "6", "41", minutes=40, place=ABROAD)


def series(
    function: str, version: str | None, value: float, *, metric: str = "Errors", place: Place = HOME
) -> MetricSeries:
    minute_s = int(START.timestamp()) // 60 * 60
    key = MetricKey(
        "AWS/Lambda",
        metric,
        (("FunctionName", function), ("Resource", f"{function}:live")),
        "share" if metric == "Errors" else "rate",
        version,
        f"{metric} {function}{f' in {place}' if place else ''}",
        place=place,
        function=function,
    )
    points = tuple(MetricPoint(minute_s - 60 * each, value) for each in range(45, 1, -1))
    return MetricSeries(key=key, points=points, unit="Percent" if metric == "Errors" else "Count/Second")


def store_of(states: Iterable[ReleaseState]) -> Store:
    store = Store(FakeClock())
    figures = (
        series("pay", "41", 0.0),
        series("pay", "42", 1.0),
        series("orders", "17", 2.0),
        series("orders", "18", 50.0),
        series("cart", "39", 3.0),
        series("cart", "41", 30.0),
        series("mail", "42", 4.0),
        series("pay", "6", 5.0, place=ABROAD),
        series("pay", "41", 60.0, place=ABROAD),
    )
    store.apply(Batch(source="x", records=(*states, *figures)))
    return store


def row_of(store: Store, label: str) -> SignalRow:
    return next(each for each in signals(store, START).rows if each.label == label)


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize(
    ("label", "old", "new", "versions", "minutes"),
    [
        ("Errors pay", 0.0, 1.0, ("41", "42"), 10),
        ("Errors orders", 2.0, 50.0, ("17", "18"), 20),
        ("Errors cart", 3.0, 30.0, ("39", "41"), 30),
        ("Errors pay in us-east-1", 5.0, 60.0, ("6", "41"), 40),
        ("Errors mail", 4.0, None, (None, None), None),
    ],
)
def test_K12_every_function_has_the_figures_of_its_own_release(
    turn: int, label: str, old: float, new: float | None, versions: tuple[str | None, str | None], minutes: int | None
) -> None:
    states = [PAY, ORDERS, CART, PAY_ABROAD]
    store = store_of(states[turn:] + states[:turn])
    row = row_of(store, label)
    assert (row.old, row.new) == (old, new)
    assert (row.old_version, row.new_version) == versions
    table = signals(store, START)
    assert (row.mark is None) if minutes is None else (row.mark == table.slots - 1 - minutes)
    assert not table.share_versions


@pytest.mark.parametrize("state", [PAY, PAY_ABROAD], ids=["at home", "abroad"])
def test_K12_requests_of_a_namesake_are_not_counted(state: ReleaseState) -> None:
    store = Store(FakeClock())
    records = [
        series("pay", state.version, 10.0, metric="Invocations"),
        series("pay", state.version, 10.0, metric="Invocations", place=ABROAD),
        series("orders", state.version, 10.0, metric="Invocations"),
    ]
    store.apply(Batch(source="metrics", records=tuple(records)))
    assert state.started_at is not None
    minutes = round((START - state.started_at).total_seconds() / 60) - 1
    assert requests_on(store, state) == f"{minutes * 600:,} requests on v{state.version}"


def test_K12_the_usual_range_is_that_of_the_functions_own_release() -> None:
    store = store_of((PAY, ORDERS, CART))
    keys = tuple(each.key for each in store.metrics.series.values() if each.key.function == "cart")
    found = usual_range(store, keys, START)
    assert found is not None
    assert (found.low, found.high, found.over) == (3.0, 3.0, "v39 in the hour before the release")


def error(group: str, version: str, message: str, at: datetime, place: Place = HOME) -> LogRecord:
    at_ms = int(at.timestamp() * 1000)
    return LogRecord(timestamp_ms=at_ms, message=message, group=group, version=version, level=Level.ERROR, place=place)


@pytest.mark.parametrize(
    ("read_before", "new"), [(timedelta(minutes=10), True), (timedelta(seconds=30), False), (None, False)]
)
def test_an_error_of_a_function_with_a_log_group_of_its_own_is_new_where_that_group_was_read(
    read_before: timedelta | None, new: bool
) -> None:
    orders = replace(ORDERS, log_group="/shop/all")
    store = store_of((orders,))
    assert orders.started_at is not None
    at = orders.started_at + timedelta(minutes=1)
    line = replace(error("/shop/all", "18", "orders", at), function="orders")
    store.apply(Batch(source="logs:/shop/all", records=(line,)))
    # A group of the usual name exists, too, and says nothing about these lines.
    note_read(store, (GroupId("/aws/lambda/orders"),), orders.started_at - timedelta(hours=1))
    if read_before is not None:
        note_read(store, (GroupId("/shop/all"),), orders.started_at - read_before)
    (row,) = signature_rows(store, START).rows
    assert row.new is new
    ((_, members),) = signature_groups(store)
    assert was_before(store, members, orders.started_at) is (False if new else None)


def test_K12_errors_are_new_by_the_release_of_the_function_that_wrote_them() -> None:
    store = store_of((PAY, replace(ORDERS, log_group="/shop/all"), CART, PAY_ABROAD))
    at = START - timedelta(minutes=15)  # after all releases but pay's at home
    records = (
        error("/aws/lambda/pay", "41", "pay", at),
        error("/shop/all", "18", "orders", at),
        error("/aws/lambda/cart", "41", "cart", at),
        error("/aws/lambda/pay", "41", "abroad", at, ABROAD),
        error("/aws/lambda/mail", "42", "mail", START - timedelta(minutes=5)),
    )
    store.apply(Batch(source="logs", records=records))
    note_read(store, groups_of(records), START - timedelta(hours=1))
    found = {each.signature.sample: (each.new, each.on_new) for each in signature_rows(store, START).rows}
    assert found == {
        "pay": (False, 0),
        "orders": (True, 1),
        "cart": (True, 1),
        "abroad": (True, 1),
        "mail": (True, 0),
    }
