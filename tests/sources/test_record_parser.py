"""Events are parsed in bulk, and one that cannot be parsed does not affect the others."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from prodwatch.formats.lambda_record import LineParser
from prodwatch.model.signal import LogRecord
from prodwatch.sources.logs.events import RawEvent
from prodwatch.sources.logs.record_parser import RecordParser

EVENTS = [RawEvent(timestamp=n, message=f"line {n}", event_id=str(n)) for n in range(5)]


def parse(event: RawEvent, group: str, late_ms: int) -> LogRecord:
    if event.message == "line 3":
        raise RuntimeError("no such line")
    return LogRecord(event.timestamp, event.message, group, event_id=event.event_id, late_ms=late_ms)


def parse_all(events: Sequence[RawEvent], group: str, *, late_before_ms: int, now_ms: int) -> list[LogRecord]:
    return [parse(each, group, now_ms - each.timestamp if each.timestamp < late_before_ms else 0) for each in events]


@pytest.mark.parametrize("reader", [RecordParser(parse), RecordParser(parse, parse_all)], ids=["one by one", "at once"])
def test_one_broken_line_is_reported_and_the_others_are_shown(
    reader: RecordParser, caplog: pytest.LogCaptureFixture
) -> None:
    records = reader.parse_events(EVENTS, "g", late_before_ms=2, now_ms=10)
    message = "this line could not be parsed (RuntimeError); it has 6 characters"
    assert [each.message for each in records] == ["line 0", "line 1", "line 2", message, "line 4"]
    assert [each.late_ms for each in records] == [10, 9, 0, 0, 0]
    assert [each.event_id for each in records] == ["0", "1", "2", "3", "4"]
    assert "no such line" in caplog.text


def test_both_ways_read_alike() -> None:
    lines = LineParser()
    apart = RecordParser(lines.parse_event).parse_events(EVENTS, "g", late_before_ms=2, now_ms=10)
    assert (
        RecordParser(lines.parse_event, lines.parse_all).parse_events(EVENTS, "g", late_before_ms=2, now_ms=10) == apart
    )
