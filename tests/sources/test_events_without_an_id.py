"""Events without an id get one that is the same whenever the same page is read again."""

from __future__ import annotations

from prodwatch.sources.logs.events import Occurrences, RawEvent


def event(timestamp: int, message: str) -> RawEvent:
    return RawEvent(timestamp=timestamp, message=message)


def ids(numbering: Occurrences, *events: RawEvent) -> list[str]:
    return [each.event_id for each in numbering.identified(events)]


def test_equal_events_are_different_ones_and_have_the_same_ids_when_they_are_read_again() -> None:
    numbering = Occurrences()
    first, *equal = ids(numbering, event(1000, "a"), event(2000, "x"), event(2000, "x"))
    assert len({first, *equal}) == 3
    numbering.forget(from_ms=2000)
    assert ids(numbering, event(2000, "x"), event(2000, "x"), event(2000, "x"))[:2] == equal


def test_events_before_those_that_are_read_again_stay_counted() -> None:
    numbering = Occurrences()
    first = ids(numbering, event(1999, "a"), event(2000, "x"))[0]
    numbering.forget(from_ms=2000)
    assert ids(numbering, event(1999, "a")) != [first]


def test_an_id_that_an_event_has_is_kept() -> None:
    given = RawEvent(timestamp=1, message="a", event_id="given")
    assert ids(Occurrences(), given, event(1, "a"))[0] == "given"
