"""Streams write each record once, in order, whole lines only; what is left out is counted."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from prodwatch.cli.live.colour import Style
from prodwatch.cli.live.line_writer import LineWriter
from prodwatch.cli.live.log_output import HOLD_S, LogStream, ShortLines, TextLines, is_error, ndjson, raw
from prodwatch.cli.live.metric_output import MetricTable, PointLines, value_text
from prodwatch.cli.live.source_status import SourceStatusReporter
from prodwatch.cli.live.trace_output import OPEN_FOR_S, TraceStream, text, verdict, waterfall_text
from prodwatch.cli.live.trace_output import ndjson as trace_json
from prodwatch.model.identity import GroupId
from prodwatch.model.result import Usage
from prodwatch.model.signal import (
    Batch,
    LambdaReport,
    Level,
    LogRecord,
    MetricKey,
    MetricPoint,
    MetricSeries,
    SourcePhase,
    SourceStatus,
    Span,
    Trace,
    TraceSummary,
)
from prodwatch.session.stream_completion import FAILED_FOR_S, SETTLE_S, THROTTLED_FOR_S, StreamCompletion
from prodwatch.testing.clock import START, FakeClock
from prodwatch.views.log_filter import parse_filter

START_MS = int(START.timestamp() * 1000)
PLAIN = Style(color=False)


def line(at_ms: int, message: str = "hello", **keys: Any) -> LogRecord:
    keys = {"group": "/aws/lambda/shop-orders", "level": Level.INFO, **keys}
    return LogRecord(timestamp_ms=START_MS + at_ms, message=message, **keys)


class Out(io.BytesIO):
    @property
    def lines(self) -> list[str]:
        return self.getvalue().decode().splitlines()


def stream(out: Out, clock: FakeClock, **keys: Any) -> LogStream:
    return LogStream(LineWriter(out), lambda record: record.message, clock=clock, **keys)


def test_lines_of_several_groups_come_in_order_while_groups_are_first_read() -> None:
    out, clock = Out(), FakeClock()
    logs = stream(out, clock)
    logs.take([line(30, "c"), line(10, "a")])
    logs.tick(caught_up=False)
    logs.take([line(20, "b")])
    assert out.lines == []
    logs.tick(caught_up=True)
    assert out.lines == ["a", "b", "c"]
    logs.take([line(41, "e"), line(40, "d")])
    assert out.lines == ["a", "b", "c", "d", "e"]
    assert logs.summary() == "5 lines"


async def test_a_slow_group_holds_the_others_up_for_a_moment_only() -> None:
    out, clock = Out(), FakeClock()
    logs = stream(out, clock)
    logs.take([line(1, "a")])
    await clock.advance(HOLD_S)
    logs.tick(caught_up=False)
    assert out.lines == ["a"]


@pytest.mark.parametrize(
    ("keys", "shown"),
    [
        ({"only_errors": True}, ["boom", "report", "dropped"]),
        ({"selects_version": lambda _, version: version == "42"}, ["boom"]),
        ({"chosen_by": parse_filter("!boom level:info")}, ["fine"]),
        ({"until": START + timedelta(milliseconds=1)}, ["fine", "boom"]),
    ],
    ids=["errors", "version", "filter", "until"],
)
def test_only_what_was_asked_for_is_shown(keys: dict[str, Any], shown: list[str]) -> None:
    out = Out()
    logs = stream(out, FakeClock(), **keys)
    logs.take(
        [
            line(0, "fine", version="41"),
            line(1, "boom", level=Level.ERROR, version="42"),
            line(2, "report", level=Level.PLATFORM, report=LambdaReport(duration_ms=1, status="timeout")),
            line(3, "dropped", level=Level.PLATFORM, kind="dropped"),
        ]
    )
    logs.finish()
    assert out.lines == shown
    assert logs.summary() == f"{len(shown)} {'line' if len(shown) == 1 else 'lines'} of 4 read"
    assert list(logs.shortcomings().values()) == [2 if "selects_version" in keys else 0, 1]


def test_an_error_is_more_than_a_level() -> None:
    assert is_error(line(0, level=Level.FATAL))
    assert not is_error(line(0, report=LambdaReport(duration_ms=1, status="success")))
    assert not is_error(line(0, level=Level.WARN))


def test_short_and_raw_leave_out_what_pipes_do_not_want() -> None:
    short = ShortLines(PLAIN, today=START, zone=UTC)
    assert short(line(7, "a\nb")).splitlines() == ["12:00:00.007 a", "             b"]
    assert short(line(-86_400_000)) == "2026-01-14 12:00:00.000 hello"
    assert raw(line(0, "a\nb")) == "a\nb"
    assert raw(line(0, "told", fields={"message": "told", "n": [1, None]})) == '{"message":"told","n":[1,null]}'


def test_what_is_denied_from_the_start_ends_even_a_stream_that_follows() -> None:
    clock = FakeClock()
    ending = StreamCompletion(["a", "b"], clock=clock)
    ending.update(Batch(source="a", status=SourceStatus(source="a", phase=SourcePhase.DENIED)))
    assert not ending.done()
    ending.update(Batch(source="b", status=SourceStatus(source="b", phase=SourcePhase.DENIED, fresh_at=START)))
    assert not ending.done(), "one that was read once may be read again"
    ending.update(Batch(source="b", status=SourceStatus(source="b", phase=SourcePhase.DENIED)))
    assert ending.done()
    assert ending.unread() == ["a", "b"]


async def test_a_source_that_is_throttled_for_minutes_is_given_up() -> None:
    clock = FakeClock()
    ending = StreamCompletion(["a"], clock=clock, idle_s=0.0)
    throttled = Batch(source="a", status=SourceStatus(source="a", phase=SourcePhase.THROTTLED))
    ending.update(throttled)
    await clock.advance(THROTTLED_FOR_S - 1)
    ending.update(throttled)
    assert not ending.done()
    await clock.advance(1)
    assert ending.done()
    assert ending.unread() == ["a"]


def test_text_has_aligned_columns_and_keeps_tracebacks_below_their_message() -> None:
    render = TextLines(
        PLAIN, today=START, groups=[GroupId("/aws/lambda/shop-orders"), GroupId("/shop/worker")], zone=UTC
    )
    assert render(line(7, "a\nb", version="42", level=Level.ERROR)).splitlines() == [
        "12:00:00.007 ERROR shop-orders:42 a",
        "                                  b",
    ]
    assert render(line(8, group="/shop/worker", late_ms=65_000)) == "12:00:00.008 INFO  worker         late 1m hello"
    yesterday = line(-86_400_000)
    assert render(yesterday).startswith("2026-01-14 12:00:00.000 INFO  shop-orders")


def test_one_group_needs_no_name_and_colour_is_never_alone() -> None:
    plain = TextLines(PLAIN, today=START, groups=[GroupId("/shop/worker")], zone=UTC)
    assert plain(line(0, group="/shop/worker")).split() == ["12:00:00.000", "INFO", "hello"]
    painted = TextLines(Style(color=True), today=START, zone=UTC)(line(0, level=Level.ERROR))
    assert "\x1b[31mERROR" in painted


def test_ndjson_is_one_object_a_line_with_times_in_utc() -> None:
    record = line(7, "a\nb", event_id="e", ingested_ms=START_MS + 90, late_ms=3, fields={"k": [1]})
    written = ndjson(record)
    assert "\n" not in written
    assert json.loads(written) == {
        "timestamp": "2026-01-15T12:00:00.007Z",
        "level": "INFO",
        "message": "a\nb",
        "group": "/aws/lambda/shop-orders",
        "event_id": "e",
        "function": "shop-orders",
        "ingested_at": "2026-01-15T12:00:00.090Z",
        "late_ms": 3,
        "fields": {"k": [1]},
    }


class Gone(Out):
    def flush(self) -> None:
        raise BrokenPipeError


class Full(Out):
    def flush(self) -> None:
        raise OSError(28, "No space left on device")


def test_a_reader_that_went_away_ends_the_stream_and_is_no_error() -> None:
    told: list[str] = []
    sink = LineWriter(Gone())
    sink.on_end(lambda: told.append("end"))
    sink.write(["a"])
    sink.write(["b"])
    assert (sink.gone, sink.error, sink.lines, told) == (True, None, 0, ["end"])


def test_a_full_disk_is_an_error() -> None:
    sink = LineWriter(Full())
    assert sink.write(["a"]) == 0
    assert (sink.gone, str(sink.error)) == (False, "[Errno 28] No space left on device")


def status(name: str, phase: SourcePhase = SourcePhase.LIVE, fresh: datetime | None = None, **keys: Any) -> Batch:
    return Batch(source=name, status=SourceStatus(source=name, phase=phase, fresh_at=fresh, **keys))


async def test_idle_is_proven_by_a_reading_that_began_after_the_pause() -> None:
    clock = FakeClock()
    ending = StreamCompletion(["logs:a", "logs:b"], clock=clock, idle_s=5)
    ending.update(status("logs:a", fresh=START + timedelta(seconds=6)))
    before = ending.caught_up
    ending.update(status("logs:b", fresh=START + timedelta(seconds=4)))
    assert (before, ending.caught_up) == (False, True)
    assert not ending.done()
    ending.update(status("logs:b", fresh=START + timedelta(seconds=5)))
    assert ending.done()
    await clock.advance(3)
    ending.restart_idle()
    assert not ending.done()


def test_a_window_is_complete_when_it_has_settled_and_old_ones_at_once() -> None:
    ending = StreamCompletion(["logs:a"], clock=FakeClock(), until=START)
    ending.update(status("logs:a", fresh=START + timedelta(seconds=SETTLE_S - 1)))
    assert not ending.done()
    ending.update(status("logs:a", fresh=START + timedelta(seconds=SETTLE_S)))
    assert ending.done()
    assert ending.unread() == []


@pytest.mark.parametrize("phase", [SourcePhase.DENIED, SourcePhase.EXPIRED, SourcePhase.WAITING])
def test_what_cannot_be_read_does_not_hold_a_script_up_and_is_named(phase: SourcePhase) -> None:
    ending = StreamCompletion(["logs:a"], clock=FakeClock(), idle_s=0)
    ending.update(status("logs:a", phase))
    assert ending.done()
    assert ending.unread() == ["logs:a"]


def test_what_was_read_in_part_is_complete_and_no_success() -> None:
    ending = StreamCompletion(["metrics"], clock=FakeClock(), idle_s=0)
    ending.update(status("metrics", fresh=START, unread=("account pay is denied",)))
    assert (ending.done(), ending.unread()) == (True, ["metrics"])
    ending.update(status("metrics", fresh=START))
    assert ending.unread() == []


async def test_a_failing_source_is_given_up_after_a_while() -> None:
    clock = FakeClock()
    ending = StreamCompletion(["logs:a"], clock=clock, idle_s=0)
    ending.update(status("logs:a", SourcePhase.FAILED))
    assert not ending.done()
    await clock.advance(FAILED_FOR_S)
    assert ending.done()


def test_following_never_ends_by_itself() -> None:
    ending = StreamCompletion([], clock=FakeClock())
    assert ending.follows
    assert not ending.done()


async def test_trouble_is_said_once_then_again_after_a_minute_and_recovery_too() -> None:
    said: list[str] = []
    clock = FakeClock()
    teller = SourceStatusReporter(said.append, clock)
    throttled = SourceStatus(source="logs:/g", phase=SourcePhase.THROTTLED, message="slow down")
    denied = SourceStatus(source="traces", phase=SourcePhase.DENIED, message="no", action="xray:GetTraceSummaries")
    for each in (throttled, throttled, denied, SourceStatus(source="logs:/g", phase=SourcePhase.LIVE, late=3)):
        teller.update(each)
    assert said == [
        "/g: throttled: slow down",
        "traces: denied: no; allow xray:GetTraceSummaries (prodwatch iam-policy prints the whole policy)",
        "/g: reading again",
    ]
    await clock.advance(60)
    teller.update(throttled)
    assert said[3:] == ["/g: throttled: slow down"]
    usage = Usage(calls={"a:B": 2}, throttles=1, cost_usd=0.5)
    assert teller.summary("5 lines", usage, {"left out": 0}) == (
        "5 lines · traces denied · 2 calls, 0.5000 USD · 1 throttled"
    )


async def test_expired_credentials_are_one_trouble_however_many_sources_meet_it_and_however_long() -> None:
    said: list[str] = []
    clock = FakeClock()
    teller = SourceStatusReporter(said.append, clock)
    expired = [
        SourceStatus(source=name, phase=SourcePhase.EXPIRED, message="expired; run `aws sso login`")
        for name in ("logs:/a", "logs:/b")
    ]
    for _ in range(10):
        for status in expired:
            teller.update(status)
        await clock.advance(60)
    assert said == ["expired; run `aws sso login`; waiting for new credentials"]
    for status in expired:
        teller.update(replace(status, phase=SourcePhase.LIVE, message=None))
    assert said[1:] == ["the credentials are valid again; reading continues where it stopped"]
    teller.update(expired[0])
    assert len(said) == 3, "the next time is news again"


def trace(id_: str = "1-a", **keys: Any) -> TraceSummary:
    return TraceSummary(id=id_, start_ms=START_MS, **{"duration_s": 0.2, **keys})


async def test_a_trace_is_shown_once_when_it_is_whole_or_has_been_open_long_enough() -> None:
    out, clock = Out(), FakeClock()
    traces = TraceStream(LineWriter(out), lambda each: each.id, clock=clock)
    assert traces.take([trace("1-b", partial=True), trace("1-a")]) == 1
    traces.take([trace("1-b", revision=2)])
    traces.take([trace("1-c", partial=True)])
    traces.tick(caught_up=True)
    assert out.lines == ["1-a", "1-b"]
    await clock.advance(OPEN_FOR_S)
    traces.tick(caught_up=True)
    assert out.lines == ["1-a", "1-b", "1-c"]
    traces.take([trace("1-c", revision=2)])
    assert traces.shortcomings()["grew after they were shown"] == 1
    assert traces.summary() == "3 traces"


@pytest.mark.parametrize(
    ("keys", "word"),
    [
        ({"fault": True, "error": True}, "fault"),
        ({"throttle": True, "error": True}, "throttle"),
        ({"error": True}, "error"),
        ({"duration_s": 1.5}, "slow"),
        ({"partial": True}, "open"),
        ({}, "ok"),
    ],
    ids=str,
)
def test_the_worst_word_counts(keys: dict[str, Any], word: str) -> None:
    assert verdict(trace(**keys)) == word


def test_errors_and_slow_ones_are_chosen() -> None:
    out = Out()
    traces = TraceStream(LineWriter(out), lambda each: each.id, clock=FakeClock(), only_errors=True, slow_s=1.0)
    traces.take([trace("1-ok"), trace("1-bad", fault=True), trace("1-slow", duration_s=1.0)])
    assert sorted(out.lines) == ["1-bad", "1-slow"]
    assert traces.summary() == "2 traces of 3 read"


def test_a_trace_reads_as_a_row_and_as_json() -> None:
    told = trace(
        "1-x", method="GET", url="https://h/orders?a=1", status=500, fault=True, version="42", root_cause="x → y"
    )
    row = text(PLAIN, 1.0, UTC)(told)
    assert row.split() == ["12:00:00.000", "fault", "200", "ms", "500", "v42", "GET", "/orders", "x", "→", "y", "1-x"]
    document = json.loads(trace_json(1.0)(told))
    assert document["start"] == "2026-01-15T12:00:00.000Z"
    assert (document["duration_ms"], document["verdict"], document["root_cause"]) == (200, "fault", "x → y")


def test_a_waterfall_fits_its_width_and_says_what_went_wrong() -> None:
    spans = (
        Span(id="a", name="api", start_s=0.0, end_s=1.0),
        Span(id="b", parent_id="a", name="orders", start_s=0.5, end_s=1.0, fault=True, exceptions=("KeyError: 'x'",)),
    )
    lines = waterfall_text(Trace(id="1-a", spans=spans), PLAIN, width=80)
    assert lines[0] == "1-a  1.00 s  2 spans"
    assert max(map(len, lines)) <= 80
    assert "fault · KeyError: 'x'" in lines[3]
    assert lines[2].index("█") > lines[1].index("█")
    assert "█" not in "".join(waterfall_text(Trace(id="1-a", spans=spans), PLAIN, width=80, unicode=False))


def series(*points: tuple[int, float, bool], label: str = "errors", unit: str = "Count") -> MetricSeries:
    key = MetricKey("AWS/Lambda", "Errors", (("FunctionName", "f"),), "Sum", "42", label)
    found = tuple(MetricPoint(START_MS // 1000 + at, value, settled) for at, value, settled in points)
    return MetricSeries(key=key, unit=unit, points=found)


def test_points_are_lines_once_and_again_when_they_changed() -> None:
    out = Out()
    points = PointLines(LineWriter(out))
    points.take([series((0, 1.0, True), (60, 2.0, False))])
    points.take([series((0, 1.0, True), (60, 3.0, True))])
    found = [json.loads(each) for each in out.lines]
    assert [(each["value"], each["settled"]) for each in found] == [(1.0, True), (2.0, False), (3.0, True)]


def test_a_series_without_data_is_shown_as_such_never_as_zero() -> None:
    out, table = Out(), Out()
    points, rows = PointLines(LineWriter(out)), MetricTable(LineWriter(table), PLAIN, zone=UTC)
    for each in (points, rows):
        each.take([series()])
        each.finish()
        assert "1" in str(list(each.shortcomings().values()))
    assert "value" not in json.loads(out.lines[0])
    assert table.lines[1].split() == ["errors", "v42", "no", "data"]


def test_the_table_shows_the_latest_value_and_is_written_anew_when_it_changed() -> None:
    out = Out()
    table = MetricTable(LineWriter(out), PLAIN, zone=UTC)
    table.take([series((0, 1.0, True), (60, 4.0, False), unit="ms")])
    table.tick(caught_up=True)
    table.tick(caught_up=True)
    assert [each.split() for each in out.lines] == [
        ["metric", "version", "latest", "at", "UTC"],
        ["errors", "v42", "4.0", "ms", "12:01", "unsettled", "▃█"],
    ]
    table.take([replace(series((120, 5.0, True)), unit="ms")])
    table.tick(caught_up=True)
    assert out.lines[-1].split()[2:4] == ["5.0", "ms"]


@pytest.mark.parametrize(
    ("value", "unit", "text_"),
    [
        (1840.0, "Milliseconds", "1.84 s"),
        (1.5, "Seconds", "1.50 s"),
        (0.012, "Seconds", "12 ms"),
        (0.00004, "Seconds", "40 µs"),
        (40.0, "Microseconds", "40 µs"),
        (2048, "Bytes", "2.0 kB"),
        (0.5, "Percent", "0.5 %"),
        (1234567.0, "Count", "1,234,567"),
        (0.25, None, "0.25"),
        (4.833, "Count/Second", "4.83/s"),
        (3, "Widgets", "3 Widgets"),
    ],
)
def test_values_have_their_unit(value: float, unit: str | None, text_: str) -> None:
    assert value_text(value, unit) == text_
