"""Alarms, functions, stacks and log groups of one name in several accounts and regions are told apart."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from prodwatch.model.identity import HOME, AlarmId, GroupId, Place
from prodwatch.model.signal import AlarmState, Batch, Level, LogRecord, Record, ReleaseEvent
from prodwatch.session.past import PastAlarms
from prodwatch.store import Store
from prodwatch.testing.clock import START, FakeClock
from prodwatch.views.alarm_and_error_rows import signature_rows
from prodwatch.views.events_in_window import Change, changes
from prodwatch.views.time_window import Window
from prodwatch.views.timeline import timeline
from tests.support.placed_aws import EAST, PAY, PLACES
from tests.support.read_logs import groups_of, note_read

HOUR = Window(start=START - timedelta(hours=1))


def store_of(*records: Record) -> Store:
    store = Store(FakeClock())
    store.apply(Batch(source="test", records=records))
    note_read(store, groups_of(records), START - timedelta(hours=6))
    return store


def rows(*records: Record) -> list[Change]:
    return list(changes(store_of(*records), HOUR, START).rows)


def fired(place: Place, minutes_ago: float = 9.0, name: str = "pay-errors") -> ReleaseEvent:
    at = START - timedelta(minutes=minutes_ago)
    return ReleaseEvent(at=at, source="alarm", subject=name, what="alarm ALARM", from_="OK", to="ALARM", place=place)


def alarm(place: Place, state: Any, **more: Any) -> AlarmState:
    return AlarmState(name="pay-errors", state=state, place=place, since=START - timedelta(minutes=9), **more)


@pytest.mark.parametrize("firing", PLACES, ids=["home", "region", "account"])
def test_K4_past_alarms_of_one_name_do_not_overwrite_each_other(firing: Place) -> None:
    alarms = PastAlarms(START)
    for place in PLACES:
        alarms.add(AlarmState(name="pay-errors", state="OK", since=START + timedelta(minutes=5), place=place))
        event = fired(place, -5.0)
        alarms.add_change(replace(event, from_="ALARM" if place == firing else "OK", to="OK"))
    states = {each.id: each.state for each in alarms.states()}
    assert states == {AlarmId("pay-errors", place): "ALARM" if place == firing else "OK" for place in PLACES}


def test_K16_an_alarm_elsewhere_that_does_not_gate_is_one_row_and_not_bad() -> None:
    (row,) = rows(alarm(EAST, "ALARM", gate=False), fired(EAST))
    assert (row.text, row.bad, row.place) == ("alarm pay-errors fired, still firing now", False, EAST)


def test_K16_namesakes_are_rows_of_their_own_with_their_places() -> None:
    found = rows(
        alarm(HOME, "OK"), fired(HOME), alarm(EAST, "ALARM", gate=False), fired(EAST), alarm(PAY, "ALARM"), fired(PAY)
    )
    assert [(each.text, each.bad) for each in found] == [
        ("alarm pay-errors fired, OK again", True),
        ("alarm pay-errors in pay fired, still firing now", True),
        ("alarm pay-errors in us-east-1 fired, still firing now", False),
    ]


def test_K16_stacks_of_one_name_are_told_apart() -> None:
    def event(place: Place, status: str) -> ReleaseEvent:
        at = START - timedelta(minutes=8)
        return ReleaseEvent(at=at, source="cloudformation", subject="shop/shop", what=status, place=place)

    found = rows(event(HOME, "UPDATE_COMPLETE"), event(EAST, "UPDATE_ROLLBACK_COMPLETE"))
    assert {(each.text, each.bad) for each in found} == {
        ("stack shop: UPDATE_COMPLETE", False),
        ("stack shop in us-east-1: UPDATE_ROLLBACK_COMPLETE", True),
    }


def test_K16_events_of_one_second_in_two_places_are_two_events() -> None:
    store = store_of(fired(HOME), fired(EAST), fired(EAST))
    assert [each.place for each in store.release.events] == [HOME, EAST]
    assert [each.name for each in timeline(store, START).rows] == ["pay-errors in us-east-1", "pay-errors"]


def line(place: Place, minutes_ago: float, message: str, *, group: str = "/aws/lambda/pay", n: int = 1) -> list[Any]:
    at_ms = int((START - timedelta(minutes=minutes_ago)).timestamp() * 1000)
    return [LogRecord(at_ms + k, message, group, level=Level.ERROR, version="42", place=place) for k in range(n)]


TIMED_OUT = "Task timed out after 3.00 seconds"


@pytest.mark.parametrize(
    ("group", "place"), [("/aws/lambda/pay", EAST), ("/aws/lambda/pay", PAY), ("/aws/lambda/reports", HOME)]
)
def test_K20_an_error_that_another_group_always_logged_is_new_in_this_one(group: str, place: Place) -> None:
    store = store_of(*line(place, 300, TIMED_OUT, group=group), *line(HOME, 5, TIMED_OUT, n=200))
    table = signature_rows(store, START, since=START - timedelta(minutes=30))
    assert {(each.signature.group, each.new, each.signature.count) for each in table.rows} == {
        (GroupId("/aws/lambda/pay"), True, 200),
        (GroupId(group, place), False, 1),
    }
    (row,) = changes(store, HOUR, START).rows
    assert (row.group, row.count) == (GroupId("/aws/lambda/pay"), 1)
    assert "200×" in row.text


def test_K20_one_new_error_in_two_groups_names_both() -> None:
    found = rows(
        *line(HOME, 5, TIMED_OUT), *line(EAST, 5, TIMED_OUT), *line(HOME, 5, TIMED_OUT, group="/aws/lambda/reports")
    )
    assert {each.text for each in found} == {
        f"new error in pay, 1×: {TIMED_OUT}",
        f"new error in pay in us-east-1, 1×: {TIMED_OUT}",
        f"new error in reports, 1×: {TIMED_OUT}",
    }
