"""Every kind of line that Lambda, its runtimes and its loggers write; no line is rejected."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.formats.lambda_record import LineParser, parse_report, version_of_stream
from prodwatch.model.identity import GroupId
from prodwatch.model.signal import LambdaReport, Level, LogRecord
from prodwatch.text.redact import MASK, Redactor

ID = "8f5d9e2a-1111-4222-8333-123456789abc"
TRACE = "1-5f84c7a5-cd52b1d2e1c4a3b2c1d0e9f8"
REPORT = (
    f"REPORT RequestId: {ID}\tDuration: 12.34 ms\tBilled Duration: 13 ms\tMemory Size: 512 MB\tMax Memory Used: 90 MB\t"
)


def parse(message: str, *, stream: str = "", redactor: Redactor | None = None) -> LogRecord:
    return LineParser(redactor).parse(message, group="/aws/lambda/f", timestamp_ms=1, stream=stream, event_id="e")


def platform(type_: str, **record: Any) -> str:
    return json.dumps({"time": "2026-11-20T10:00:00.000Z", "type": f"platform.{type_}", "record": record})


TEXT_LINES: list[tuple[str, dict[str, Any]]] = [
    (
        f"START RequestId: {ID} Version: 7\n",
        {"kind": "start", "level": Level.PLATFORM, "request_id": ID, "version": "7"},
    ),
    (f"START RequestId: {ID} Version: $LATEST\n", {"kind": "start", "version": "$LATEST"}),
    (f"END RequestId: {ID}\n", {"kind": "end", "level": Level.PLATFORM, "request_id": ID, "version": None}),
    (
        "INIT_START Runtime Version: python:3.13.v1\tRuntime Version ARN: arn:aws:lambda:x",
        {"kind": "init", "level": Level.PLATFORM},
    ),
    ("INIT_REPORT Init Duration: 9999.80 ms\tPhase: init\tStatus: timeout", {"kind": "init", "level": Level.ERROR}),
    ("INIT_REPORT Init Duration: 99.80 ms\tPhase: invoke", {"kind": "init", "level": Level.PLATFORM}),
    (
        f"{REPORT}Status: timeout\n",
        {"report": LambdaReport(duration_ms=12.34, billed_ms=13, memory_mb=512, used_mb=90, status="timeout")},
    ),
    (
        f"{REPORT}\n",
        {
            "kind": "report",
            "request_id": ID,
            "report": LambdaReport(duration_ms=12.34, billed_ms=13, memory_mb=512, used_mb=90),
        },
    ),
    (
        f"{REPORT}Init Duration: 301.50 ms\t\nXRAY TraceId: {TRACE}\tSegmentId: 0a\tSampled: true\t\n",
        {
            "trace_id": TRACE,
            "report": LambdaReport(duration_ms=12.34, billed_ms=13, memory_mb=512, used_mb=90, init_ms=301.5),
        },
    ),
    (
        f"{REPORT}Restore Duration: 201.10 ms\tBilled Restore Duration: 202 ms\t",
        {"report": LambdaReport(duration_ms=12.34, billed_ms=13, memory_mb=512, used_mb=90, init_ms=201.1)},
    ),
    (
        f"{REPORT}Status: error\tError Type: Runtime.OutOfMemory\t",
        {
            "report": LambdaReport(
                duration_ms=12.34,
                billed_ms=13,
                memory_mb=512,
                used_mb=90,
                status="error",
                error_type="Runtime.OutOfMemory",
            )
        },
    ),
    ("EXTENSION\tName: agent\tState: Ready\tEvents: [INVOKE]", {"kind": "platform", "level": Level.PLATFORM}),
    (
        f"[INFO]\t2026-11-20T10:00:00.123Z\t{ID}\torder placed\n",
        {"kind": "app", "level": Level.INFO, "request_id": ID, "message": "order placed"},
    ),
    (
        "[ERROR] KeyError: 'currency'\rTraceback (most recent call last):\r  File \"/var/task/a.py\", line 3, in f",
        {
            "level": Level.ERROR,
            "message": "KeyError: 'currency'\nTraceback (most recent call last):\n"
            '  File "/var/task/a.py", line 3, in f',
        },
    ),
    (
        f"2026-11-20T10:00:00.123Z\t{ID}\tWARN\tslow query",
        {"level": Level.WARN, "request_id": ID, "message": "slow query"},
    ),
    ("2026-11-20T10:00:00.123Z\tundefined\tERROR\tUncaught", {"level": Level.ERROR, "request_id": None}),
    (
        f"2026-11-20T10:00:03.123Z {ID} Task timed out after 3.00 seconds\n\n",
        {"level": Level.ERROR, "request_id": ID, "message": "Task timed out after 3.00 seconds"},
    ),
    (
        f"RequestId: {ID} Error: Runtime exited with error: signal: killed\nRuntime.ExitError",
        {"level": Level.ERROR, "request_id": ID},
    ),
    ("20:10:00 ERROR com.shop.Orders - boom", {"level": Level.ERROR}),
    ("Traceback (most recent call last):", {"level": Level.ERROR}),
    ("java.lang.IllegalStateException: no\n\tat com.shop.Orders.place(Orders.java:42)\n", {"level": Level.ERROR}),
    ("12:00 WARN slow\n\tat com.shop.Orders.place(Orders.java:42)\n", {"level": Level.WARN}),
    ("items\n  atlas", {"level": Level.UNKNOWN}),
    ("look at this", {"level": Level.UNKNOWN}),
    ("plain text", {"level": Level.UNKNOWN, "kind": "app", "message": "plain text", "fields": None}),
    ("NO_ERRORS here", {"level": Level.UNKNOWN}),
    (f"called with Root={TRACE};Sampled=1", {"trace_id": TRACE}),
    ("", {"message": "", "level": Level.UNKNOWN}),
    ("{broken json", {"message": "{broken json", "fields": None}),
    ("[1, 2]", {"message": "[1, 2]", "fields": None}),
]


@pytest.mark.parametrize(("message", "expected"), TEXT_LINES, ids=[message[:40] for message, _ in TEXT_LINES])
def test_text_lines(message: str, expected: dict[str, Any]) -> None:
    record = parse(message)
    assert {name: getattr(record, name) for name in expected} == expected


JSON_LINES: list[tuple[str, dict[str, Any]]] = [
    (
        platform("start", requestId=ID, version="7", tracing={"value": f"Root={TRACE};Parent=0a;Sampled=1"}),
        {"kind": "start", "level": Level.PLATFORM, "request_id": ID, "version": "7", "trace_id": TRACE},
    ),
    (platform("initStart", functionVersion="7", phase="init"), {"kind": "init", "version": "7"}),
    (platform("runtimeDone", requestId=ID, status="success"), {"kind": "end", "level": Level.PLATFORM}),
    (
        platform(
            "report",
            requestId=ID,
            status="success",
            metrics={
                "durationMs": 12.34,
                "billedDurationMs": 13,
                "memorySizeMB": 512,
                "maxMemoryUsedMB": 90,
                "initDurationMs": 301.5,
            },
        ),
        {
            "kind": "report",
            "level": Level.PLATFORM,
            "report": LambdaReport(duration_ms=12.34, billed_ms=13, memory_mb=512, used_mb=90, init_ms=301.5),
            "message": f"REPORT RequestId: {ID} Duration: 12.34 ms Billed Duration: 13 ms Memory Size: 512 MB "
            "Max Memory Used: 90 MB Init Duration: 301.50 ms",
        },
    ),
    (
        platform("report", requestId=ID, status="timeout", metrics={"durationMs": 3000}),
        {"level": Level.ERROR, "report": LambdaReport(duration_ms=3000, status="timeout")},
    ),
    (
        platform(
            "report",
            requestId=ID,
            status="error",
            errorType="Runtime.OutOfMemory",
            metrics={"durationMs": 9, "memorySizeMB": 128, "maxMemoryUsedMB": 128},
        ),
        {
            "level": Level.ERROR,
            "report": LambdaReport(
                duration_ms=9, memory_mb=128, used_mb=128, status="error", error_type="Runtime.OutOfMemory"
            ),
        },
    ),
    (
        platform("logsDropped", droppedBytes=12345, droppedRecords=123, reason="slow"),
        {"kind": "dropped", "level": Level.ERROR},
    ),
    (platform("spinDownStart", phase="x"), {"kind": "platform", "message": "platform.spinDownStart phase=x"}),
    (
        json.dumps({
            "level": "ERROR",
            "location": "place:88",
            "message": "no currency",
            "function_request_id": ID,
            "function_version": "7",
            "xray_trace_id": TRACE,
            "exception_name": "KeyError",
            "exception": "Traceback …\nKeyError: 'currency'",
        }),
        {
            "kind": "app",
            "level": Level.ERROR,
            "request_id": ID,
            "trace_id": TRACE,
            "version": "7",
            "message": "no currency\nTraceback …\nKeyError: 'currency'",
        },
    ),
    (
        json.dumps({"Level": "Information", "Message": "ok", "FunctionRequestId": ID, "XrayTraceId": TRACE}),
        {"level": Level.INFO, "message": "ok", "request_id": ID, "trace_id": TRACE},
    ),
    (
        json.dumps({"log_level": "ERROR", "errorMessage": "boom", "errorType": "ValueError", "requestId": ID,
                    "stackTrace": ["  line 1\n", "  line 2\n"]}),
        {"level": Level.ERROR, "message": "ValueError: boom\n  line 1\n  line 2", "request_id": ID},
    ),
    (json.dumps({"errorMessage": "boom"}), {"level": Level.ERROR, "message": "boom"}),
    (json.dumps({"level": 50, "msg": "pino"}), {"level": Level.ERROR, "message": "pino"}),
    (json.dumps({"level": 10, "msg": "pino"}), {"level": Level.TRACE}),
    (json.dumps({"level": True, "msg": "odd"}), {"level": Level.UNKNOWN}),
    (json.dumps({"severity": "CRITICAL", "message": {"a": 1}}), {"level": Level.FATAL, "message": '{"a":1}'}),
    (json.dumps({"status": "200"}), {"message": '{"status": "200"}', "level": Level.UNKNOWN}),
    (json.dumps({"message": "w3c", "trace_id": "5f84c7a5cd52b1d2e1c4a3b2c1d0e9f8"}), {"trace_id": TRACE}),
    (json.dumps({"type": "platform.report", "record": "no table"}), {"kind": "app"}),
    (
        json.dumps({
            "_aws": {"CloudWatchMetrics": [{"Namespace": "Shop", "Metrics": [{"Name": "Orders"}, {"Name": "Ms"}]}]},
            "Orders": 1,
            "Ms": 12.5,
        }),
        {"kind": "emf", "level": Level.INFO, "message": "metrics Shop: Orders=1 Ms=12.5"},
    ),
    (json.dumps({"_aws": {"CloudWatchMetrics": [None, {"Metrics": [3]}]}}), {"kind": "emf"}),
    (json.dumps({"_aws": {"CloudWatchMetrics": [{"Metrics": True}]}}), {"kind": "emf"}),
    (json.dumps({"_aws": {"CloudWatchMetrics": True}}), {"kind": "emf", "message": "metrics "}),
]  # fmt: skip


@pytest.mark.parametrize(("message", "expected"), JSON_LINES, ids=[message[:60] for message, _ in JSON_LINES])
def test_json_lines(message: str, expected: dict[str, Any]) -> None:
    record = parse(message)
    assert {name: getattr(record, name) for name in expected} == expected
    assert record.fields == json.loads(message)


SPELLINGS: dict[str, Callable[[Sequence[str]], str]] = {
    "snake": "_".join,
    "kebab": "-".join,
    "dotted": ".".join,
    "upper": lambda words: "_".join(words).upper(),
    "Pascal": lambda words: "".join(map(str.capitalize, words)),
    "camel": lambda words: words[0] + "".join(map(str.capitalize, words[1:])),
    "one word": "".join,
}


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_powertools_keys_are_known_in_any_spelling(spell: Callable[[Sequence[str]], str]) -> None:
    reported = {
        "log level": "WARNING",
        "message": "no currency",
        "function request id": ID,
        "xray trace id": TRACE,
        "function version": "7",
        "stack trace": "Traceback …",
    }
    record = parse(json.dumps({spell(words.split()): value for words, value in reported.items()}))
    assert (record.level, record.message) == (Level.WARN, "no currency\nTraceback …")
    assert (record.request_id, record.trace_id, record.version) == (ID, TRACE, "7")


@pytest.mark.parametrize(
    ("stream", "version"),
    [
        ("2026/11/20/[7]ab12cd", "7"),
        ("2026/11/20/[$LATEST]ab12cd", "$LATEST"),
        ("2026/11/20/shop-orders[12]ab12cd", "12"),
        ("i-0123", None),
        ("", None),
    ],
)
def test_the_stream_names_the_version_of_every_line(stream: str, version: str | None) -> None:
    assert version_of_stream(stream) == version
    assert parse("plain", stream=stream).version == version
    assert parse(json.dumps({"message": "m", "function_version": "3"}), stream=stream).version == (version or "3")


@pytest.mark.parametrize(
    ("stream", "function"),
    [
        ("2026/11/20/[7]ab12cd", None),
        ("2026/11/20/shop-orders[12][ab12cd]", "shop-orders"),
        ("2026/11/20/shop_orders[$LATEST]ab12cd", "shop_orders"),
        ("i-0123", None),
    ],
)
def test_W10_the_stream_names_the_function_in_a_group_of_several(stream: str, function: str | None) -> None:
    record = parse("plain", stream=stream)
    assert record.function == function
    assert record.writer == GroupId(f"/aws/lambda/{function or 'f'}")


def test_a_report_is_found_inside_a_log_tail() -> None:
    tail = f"START RequestId: {ID} Version: 7\nhello\nEND RequestId: {ID}\n{REPORT}Init Duration: 1.00 ms\t\n"
    report = parse_report(tail)
    assert report is not None
    assert (report.duration_ms, report.init_ms) == (12.34, 1.0)
    assert parse_report("nothing here") is None


def test_control_characters_become_visible_in_text_and_json() -> None:
    assert parse("a\x1b[2Jb").message == "a␛[2Jb"
    record = parse(json.dumps({"message": "a\x1b[2Jb", "key\u202e": "x\u202e"}))
    assert record.message == "a␛[2Jb"
    assert record.fields == {"message": "a␛[2Jb", "key\ufffd": "x\ufffd"}


@pytest.mark.parametrize(
    "line",
    [
        "token is supersecret!",
        json.dumps({"message": "supersecret!", "nested": {"supersecret!": ["supersecret!"]}}),
        '{"message": "\\u0073upersecret!"}',
        '{"message": "supersecret!"',
    ],
)
def test_secrets_are_masked_wherever_they_hide(line: str) -> None:
    record = parse(line, redactor=Redactor(["supersecret"]))
    assert "supersecret" not in repr(record)
    assert MASK in repr(record)


def test_a_very_long_line_is_cut_and_says_so() -> None:
    for message in ("x" * 50_000, json.dumps({"message": "x" * 50_000})):
        assert parse(message).message.endswith("(+40000 characters)")


@given(st.text())
def test_no_text_is_refused(text: str) -> None:
    record = parse(text)
    assert "\x1b" not in record.message


@given(
    st.dictionaries(
        st.sampled_from(["level", "message", "type", "record", "_aws", "exception", "requestId", "stackTrace", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
            max_leaves=8,
        ),
    )
)
def test_no_json_is_refused(fields: dict[str, Any]) -> None:
    record = parse(json.dumps(fields))
    assert isinstance(record.message, str)
