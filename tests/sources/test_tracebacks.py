"""A traceback printed line by line is one record; nothing else is joined, and no line gets lost."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.formats.lambda_record import LineParser
from prodwatch.model.environment import LogTarget
from prodwatch.model.signal import Level, LogRecord
from prodwatch.sources.logs.events import RawEvent
from prodwatch.sources.logs.source import LogSource
from prodwatch.sources.logs.tracebacks import join_tracebacks, may_have_tracebacks
from prodwatch.testing.aws import ScriptedAws
from prodwatch.testing.clock import START, FakeClock
from prodwatch.text.redact import Redactor

PYTHON = """\
Traceback (most recent call last):
  File "/var/task/app.py", line 7, in handler
    place(order)
    ~~~~~^^^^^^^
KeyError: 'currency'"""
CHAINED = f"""\
{PYTHON}

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/var/task/app.py", line 9, in handler
    raise OrderRefused(order) from None
shop.errors.OrderRefused"""
JAVA = """\
java.lang.IllegalStateException: no currency
\tat com.shop.Orders.place(Orders.java:42)
\tat com.shop.Handler.handleRequest(Handler.java:7)
Caused by: java.lang.NullPointerException
\tat com.shop.Prices.of(Prices.java:3)
\t... 2 more"""
NODE = """\
TypeError: Cannot read properties of undefined (reading 'currency')
    at place (/var/task/orders.js:3:11)
    at async Runtime.handler (/var/task/index.js:9:3) {
  code: 'ENOCURRENCY'"""
NET = """\
Unhandled exception. System.InvalidOperationException: no currency
   at Shop.Orders.Place(Order order) in /src/Orders.cs:line 42
   at Shop.Function.Handler(Order order)"""
GO = """\
panic: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x4a]

goroutine 1 [running]:
main.place(0xc000, {0x1, 0x2})
\t/src/main.go:12 +0x1d
github.com/aws/aws-lambda-go/lambda.(*Handler).Invoke(...)
\t/go/pkg/handler.go:7
created by main.main
\t/src/main.go:3 +0x2f
exit status 2"""
RUBY = """\
/var/task/orders.rb:3:in 'Object#place': no currency (RuntimeError)
\tfrom /var/task/app.rb:9:in 'Object#handler'
\tfrom /var/runtime/lib/runtime.rb:7:in 'block'"""
RUST = """\
thread 'main' panicked at src/main.rs:10:5:
called `Option::unwrap()` on a `None` value
stack backtrace:
   0: rust_begin_unwind
             at /rustc/library/std/src/panicking.rs:595:5
   1: shop::place
note: run with `RUST_BACKTRACE=full` environment variable to display a verbose backtrace"""
RUST_SHORT = """\
thread 'tokio-runtime-worker' (27) panicked at src/main.rs:10:5:
no currency
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace"""
PHP = """\
PHP Fatal error:  Uncaught Exception: no currency in /var/task/orders.php:3
Stack trace:
#0 /var/task/index.php(9): place()
#1 {main}
  thrown in /var/task/orders.php on line 3"""
TRACEBACKS = {
    "python": PYTHON,
    "python, one out of another": CHAINED,
    "java": JAVA,
    "node": NODE,
    ".net": NET,
    "go": GO,
    "ruby": RUBY,
    "rust": RUST,
    "rust, without frames": RUST_SHORT,
    "php": PHP,
}


def events(text: str, *, at_ms: int = 0, stream: str = "s") -> list[RawEvent]:
    """Return one event for each line."""
    return [
        RawEvent(timestamp=at_ms, message=f"{line}\n", event_id=f"{stream}{at_ms}.{n}", stream=stream, ingested_ms=9)
        for n, line in enumerate(text.split("\n"))
    ]


def texts(results: list[RawEvent]) -> list[str]:
    return [each.message.rstrip("\n") for each in results]


@pytest.mark.parametrize("text", TRACEBACKS.values(), ids=TRACEBACKS)
def test_its_lines_are_one_record_among_others(text: str) -> None:
    before, after = RawEvent(0, "START RequestId: 1\n", stream="s"), RawEvent(0, "[INFO] next order\n", stream="s")
    reported = events(text)
    assert may_have_tracebacks(reported)
    results = join_tracebacks([before, *reported, after])
    assert texts(results) == ["START RequestId: 1", text, "[INFO] next order"]
    assert (results[1].event_id, results[1].stream, results[1].ingested_ms) == (reported[0].event_id, "s", 9)
    record = LineParser().parse_event(results[1], "g", 0)
    assert (record.level in {Level.ERROR, Level.FATAL}, record.message) == (True, text)


@pytest.mark.parametrize("text", TRACEBACKS.values(), ids=TRACEBACKS)
def test_two_streams_may_fail_at_once(text: str) -> None:
    one, other = events(text, stream="a"), events(text, stream="b")
    mixed = [event for pair in zip(one, other, strict=True) for event in pair]
    assert texts(join_tracebacks(mixed)) == [text, text]


ONE, OTHER = "8f5d9e2a-1111-4222-8333-123456789ab1", "8f5d9e2a-1111-4222-8333-123456789ab2"


def prefixed(text: str, request_id: str, level: str = "fail") -> list[RawEvent]:
    """Return one event for each line, each behind the prefix of the runtime of .NET or Node."""
    return events("\n".join(f"2026-11-30T08:00:00.123Z\t{request_id}\t{level}\t{line}" for line in text.split("\n")))


@pytest.mark.parametrize("text", [JAVA, NODE, NET, PYTHON, RUBY], ids=["java", "node", ".net", "python", "ruby"])
def test_lines_of_requests_that_interleave_in_one_stream_are_joined_by_request(text: str) -> None:
    """Managed Instances serve several requests at once, and write their lines into one stream."""
    mixed = [event for pair in zip(prefixed(text, ONE), prefixed(text, OTHER), strict=True) for event in pair]
    assert may_have_tracebacks(mixed)
    records = [LineParser().parse_event(each, "g", 0) for each in join_tracebacks(mixed)]
    assert [(each.request_id, each.message) for each in records] == [(ONE, text), (OTHER, text)]
    assert {each.level for each in records} == {Level.ERROR}


def test_a_whole_panic_in_one_event_takes_no_other_line() -> None:
    whole = RawEvent(0, RUST_SHORT.rpartition("\n")[0], stream="s")
    lines = [whole, RawEvent(1, "next order", stream="s"), RawEvent(2, "  indented", stream="s")]
    assert texts(join_tracebacks(lines)) == texts(lines)


def test_another_line_of_the_same_request_ends_its_traceback() -> None:
    lines = [*prefixed(NET, ONE), *prefixed("next order\n   at noon", ONE, "info")]
    assert len(join_tracebacks(lines)) == 3


def test_a_line_of_a_logger_keeps_its_level_and_takes_its_frames() -> None:
    (whole,) = join_tracebacks(events("12:00:01 ERROR Orders - refused\n\tat com.shop.Orders.place(Orders.java:42)"))
    assert LineParser().parse_event(whole, "g", 0).level is Level.ERROR


def test_what_a_later_page_brings_is_a_record_of_its_own() -> None:
    first, later = events(JAVA)[:2], events(JAVA)[2:]
    assert texts(join_tracebacks(first)) == ["\n".join(JAVA.split("\n")[:2])]
    assert texts(join_tracebacks(later)) == ["\n".join(JAVA.split("\n")[2:])]


@pytest.mark.parametrize(
    "text",
    [
        "order placed\n  items: 3\n  total: 7",
        "prices\n\tat com.shop.Prices.of(Prices.java:3)",
        '{"error": "Error"}\n    at place (orders.js:3:11)',
        "REPORT RequestId: 1\tStatus: error\tError Type: Runtime.Error\n    at place (orders.js:3:11)",
        "Error: refused\nretrying",
    ],
    ids=["indented text", "frames after what is no error", "frames after json", "after a report", "an error alone"],
)
def test_nothing_else_is_joined(text: str) -> None:
    assert texts(join_tracebacks(events(text))) == text.split("\n")


def test_a_second_later_it_is_another_matter() -> None:
    head, *frames = events(JAVA)
    late = [RawEvent(1001, each.message, stream="s") for each in frames]
    assert texts(join_tracebacks([head, *late]))[0] == JAVA.split("\n", maxsplit=1)[0]


def test_blank_lines_after_a_traceback_stay_lines() -> None:
    assert texts(join_tracebacks(events(f"{PYTHON}\n\nnext"))) == [PYTHON, "", "next"]


def test_ordinary_pages_are_not_looked_at_closer() -> None:
    assert not may_have_tracebacks(events("[INFO] a\n{}\n\nTraceback (most recent call last):"))


async def test_the_source_tells_it_once_in_the_order_of_time(aws: ScriptedAws) -> None:
    """As in the dashboard: read again by overlapping scans, redacted, parsed."""
    start_ms = int(START.timestamp() * 1000)
    reported = events(
        f"START RequestId: 1\n{JAVA.replace('no currency', 'no hunter22')}\nEND RequestId: 1", at_ms=start_ms
    )
    aws.answers["logs:FilterLogEvents"] = lambda _: {
        "events": [
            {"timestamp": each.timestamp, "message": each.message, "eventId": each.event_id, "logStreamName": "[7]"}
            for each in reported
        ]
    }
    lines, clock = LineParser(Redactor(["hunter22"])), FakeClock()
    source = LogSource(
        aws,
        [LogTarget(group="g")],
        clock=clock,
        parse=lines.parse_event,
        parse_all=lines.parse_all,
        since=START - timedelta(minutes=1),
    )
    results: list[LogRecord] = []

    async def run() -> None:
        async with aclosing(source.batches()) as batches:  # type: ignore[type-var]
            async for batch in batches:
                results.extend(each for each in batch.records if isinstance(each, LogRecord))

    task = asyncio.create_task(run())
    for _ in range(20):
        await clock.advance(0.5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    whole = JAVA.replace("no currency", "no •••")
    assert [each.message for each in results] == ["START RequestId: 1", whole, "END RequestId: 1"]
    assert [each.level for each in results] == [Level.PLATFORM, Level.ERROR, Level.PLATFORM]
    assert {each.version for each in results} == {"7"}


LINES = st.sampled_from(
    sorted({line for text in TRACEBACKS.values() for line in text.split("\n")} | {"[INFO] a", "  b"})
)


@given(st.lists(st.tuples(LINES, st.sampled_from("ab"), st.integers(0, 400))))
def test_every_line_is_kept_once_and_in_the_order_of_its_stream(made: list[tuple[str, str, int]]) -> None:
    sent, at_ms = [], 0
    for text, stream, pause_ms in made:
        at_ms += pause_ms
        sent.append(RawEvent(at_ms, f"{text}\n", stream=stream))
    results = join_tracebacks(sent)
    for stream in "ab":
        lines = [line for each in results if each.stream == stream for line in each.message.rstrip("\n").split("\n")]
        assert lines == [each.message.rstrip("\n") for each in sent if each.stream == stream]
    assert [each.timestamp for each in results] == sorted(each.timestamp for each in results)
