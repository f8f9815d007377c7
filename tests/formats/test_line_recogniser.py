"""Real lines of every runtime and logger: level and message; a level word in a level position is never lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.formats.lambda_record import LineParser
from prodwatch.formats.level_values import SEVERITY
from prodwatch.model.signal import Level, LogRecord
from prodwatch.text.redact import MASK, Redactor

ID = "8f5d9e2a-1111-4222-8333-123456789abc"
DATE = "2026-11-20T10:00:00.123Z"
SEVERE = (Level.ERROR, Level.FATAL)
NODE, PYTHON = f"{DATE}\t{ID}\tINFO\t", f"[INFO]\t{DATE}\t{ID}\t"


def parse(message: str, redactor: Redactor | None = None) -> LogRecord:
    return LineParser(redactor).parse(message, group="/aws/lambda/f", timestamp_ms=1)


def js(**fields: Any) -> str:
    return json.dumps(fields)


CORPUS: list[tuple[str, str, Level, str]] = [
    # Python
    ("python", f"[ERROR]\t{DATE}\t{ID}\tno currency", Level.ERROR, "no currency"),
    ("python, critical", f"[CRITICAL]\t{DATE}\t{ID}\tvault lost", Level.FATAL, "vault lost"),
    ("python, uncaught", "[ERROR] KeyError: 'x'\rTraceback (most recent call last):", Level.ERROR, "KeyError: 'x'"),
    ("python, import", "[ERROR] Runtime.ImportModuleError: Unable to import module 'a'", Level.ERROR, "Runtime"),
    ("python, basicConfig", "ERROR:root:no currency", Level.ERROR, "ERROR:root:no currency"),
    ("python, dashes", "2026-11-20 10:00:00,123 - shop - error - no currency", Level.ERROR, "2026-11-20"),
    ("python, printed dict", f"{PYTHON}{{'level': 'error', 'message': 'no currency', 'n': 7}}", Level.ERROR, "no curr"),
    ("python, JSON format", js(level="ERROR", message="no currency", requestId=ID), Level.ERROR, "no currency"),
    ("python, level name", js(levelname="CRITICAL", msg="vault lost"), Level.FATAL, "vault lost"),
    ("python, level number", js(levelno=40, message="no currency"), Level.ERROR, "no currency"),
    ("structlog", js(event="no currency", level="error"), Level.ERROR, "no currency"),
    ("structlog, console", "2026-11-20 10:00:00 [error    ] no currency      order=7", Level.ERROR, "2026-11-20"),
    (
        "structlog, colours",
        "\x1b[2m2026-11-20T10:00:00Z\x1b[0m [\x1b[31m\x1b[1merror    \x1b[0m] \x1b[1mno currency\x1b[0m",
        Level.ERROR,
        "2026-11-20T10:00:00Z [error    ] no currency",
    ),
    ("loguru", "2026-11-20 10:00:00.123 | ERROR    | shop.pay:charge:12 - no currency", Level.ERROR, "2026-11-20"),
    (
        "loguru, JSON",
        js(
            text="10:00 | ERROR | no currency\n",
            record={"level": {"name": "ERROR", "no": 40}, "message": "no currency"},
        ),
        Level.ERROR,
        "no currency",
    ),
    ("powertools python", js(level="ERROR", message={"order": 7}, exception="Traceback\nE: x"), Level.ERROR, '{"order'),
    # Node
    ("node", f"{DATE}\t{ID}\tERROR\tno currency", Level.ERROR, "no currency"),
    (
        "node, uncaught",
        f'{DATE}\t{ID}\tERROR\tUncaught Exception \t{{"errorType":"Error","errorMessage":"boom"}}',
        Level.ERROR,
        "Uncaught Exception Error: boom",
    ),
    ("node, rejection", "(node:8) UnhandledPromiseRejectionWarning: Error: boom", Level.ERROR, "(node:8)"),
    (
        "node, printed object",
        f"{NODE}{{ level: 'error', msg: 'no currency', at: [ 1, 2 ] }}",
        Level.ERROR,
        "no currency",
    ),
    ("node, error at INFO", f"{NODE}ERROR no currency", Level.ERROR, "ERROR no currency"),
    (
        "node, JSON format",
        js(level="ERROR", message={"errorType": "TypeError", "errorMessage": "x", "stack": ["TypeError: x", " at a"]}),
        Level.ERROR,
        "TypeError: x",
    ),
    (
        "node, JSON within JSON",
        js(level="INFO", message=js(level="error", msg="no currency")),
        Level.ERROR,
        "no currency",
    ),
    ("pino", js(level=50, time=1, pid=8, hostname="h", msg="no currency"), Level.ERROR, "no currency"),
    (
        "pino, error",
        js(level=50, msg="failed", err={"type": "E", "message": "m", "stack": "E: m\n at x"}),
        Level.ERROR,
        "failed",
    ),
    ("pino-pretty", "[10:00:00.123] ERROR (8): no currency", Level.ERROR, "[10:00"),
    ("winston", js(level="error", message="no currency"), Level.ERROR, "no currency"),
    ("winston, simple", 'error: no currency {"order":7}', Level.ERROR, "error: no currency"),
    ("winston, colours", js(level="\x1b[31merror\x1b[39m", message="no currency"), Level.ERROR, "no currency"),
    ("bunyan", js(name="shop", hostname="h", pid=8, level=60, msg="vault lost", v=0), Level.FATAL, "vault lost"),
    ("log4js", js(level={"level": 40000, "levelStr": "ERROR"}, message="no currency"), Level.ERROR, "no currency"),
    (
        "powertools typescript",
        js(level="ERROR", message="x", error={"name": "TypeError", "location": "a:1", "message": "m", "stack": "at a"}),
        Level.ERROR,
        "x\nTypeError: m\nat a",
    ),
    # Java
    ("log4j2", "10:00:00.123 [main] ERROR com.shop.Handler - no currency", Level.ERROR, "10:00"),
    (
        "log4j2, JSON",
        js(level="ERROR", message="no currency", thrown={"name": "E", "message": "m"}),
        Level.ERROR,
        "no currency\nE: m",
    ),
    ("log4j2, old JSON", js(level={"standardLevel": "ERROR", "intLevel": 200}, message="m"), Level.ERROR, "m"),
    ("logback", "10:00:00.123 [main] error c.s.Handler - no currency", Level.ERROR, "10:00"),
    ("logstash-logback", js(message="m", level="ERROR", level_value=40000), Level.ERROR, "m"),
    ("java.util.logging", "Nov 20, 2026 10:00:00 AM com.shop.X handle\nSEVERE: no currency", Level.ERROR, "Nov 20"),
    ("java, uncaught", 'Exception in thread "main" java.lang.IllegalStateException: x', Level.ERROR, "Exception"),
    ("java, class alone", "java.lang.IllegalStateException: no currency", Level.ERROR, "java.lang"),
    (
        "powertools java",
        js(level="ERROR", message="x", error={"name": "E", "message": "m", "stack": "s"}),
        Level.ERROR,
        "x\nE: m\ns",
    ),
    # .NET
    (".NET", f"{DATE}\t{ID}\tfail\tno currency", Level.ERROR, "no currency"),
    (".NET, console", "fail: Shop.Function[0]\n      no currency", Level.ERROR, "fail: Shop"),
    (".NET, console at info", f"{DATE}\t{ID}\tinfo\tcrit: Shop.Function[0]", Level.FATAL, "crit: Shop"),
    (
        ".NET, JSON console",
        js(EventId=0, LogLevel="Critical", Message="m", Exception="E: x\n at a"),
        Level.FATAL,
        "m\nE: x",
    ),
    (".NET, number", js(LogLevel=4, Message="m"), Level.ERROR, "m"),
    (
        ".NET, uncaught",
        "Unhandled exception. System.InvalidOperationException: x\n   at A.B()",
        Level.ERROR,
        "Unhandled",
    ),
    (
        "serilog, compact",
        js(**{"@t": DATE, "@mt": "order {Id} failed", "Id": 7, "@l": "Error"}),
        Level.ERROR,
        "order 7 failed",
    ),
    ("serilog, text", "[10:00:00 ERR] no currency", Level.ERROR, "[10:00"),
    ("serilog, JSON", js(Timestamp=DATE, Level="Fatal", RenderedMessage="m"), Level.FATAL, "m"),
    ("NLog", "2026-11-20 10:00:00.1234|ERROR|Shop.Handler|no currency", Level.ERROR, "2026-11-20"),
    ("NLog, JSON", js(time=DATE, level="Error", message="m"), Level.ERROR, "m"),
    (
        "powertools .NET",
        js(level="Error", message="m", exception={"type": "E", "message": "x"}),
        Level.ERROR,
        "m\nE: x",
    ),
    # Go
    ("slog", f'time={DATE} level=ERROR msg="no currency" order=7', Level.ERROR, "time="),
    ("slog, JSON", js(time=DATE, level="ERROR", msg="m"), Level.ERROR, "m"),
    (
        "zap",
        js(level="error", ts=1.5, caller="a.go:1", msg="m", stacktrace="main.x\n\t/a.go:1"),
        Level.ERROR,
        "m\nmain.x",
    ),
    ("zap, console", f"{DATE}\terror\tmain.go:12\tno currency", Level.ERROR, f"{DATE}\terror"),
    ("zap, dpanic", js(L="DPANIC", M="m", msg="m"), Level.FATAL, "m"),
    ("zerolog", js(level="error", error="boom", message="m"), Level.ERROR, "m"),
    (
        "zerolog, console",
        "\x1b[90m10:00AM\x1b[0m \x1b[1m\x1b[31mERR\x1b[0m\x1b[0m no currency",
        Level.ERROR,
        "10:00AM ERR",
    ),
    ("logrus", 'level=error msg="no currency" order=7', Level.ERROR, "level=error"),
    ("logrus, terminal", "\x1b[31mERRO\x1b[0m[0007] no currency", Level.ERROR, "ERRO[0007]"),
    ("glog", "E1120 10:00:00.123456       1 main.go:12] no currency", Level.ERROR, "E1120"),
    ("hclog", js(**{"@level": "error", "@message": "m", "@module": "x"}), Level.ERROR, "m"),
    ("go panic", "panic: runtime error: index out of range\ngoroutine 1 [running]:", Level.FATAL, "panic:"),
    ("go, fatal error", "fatal error: all goroutines are asleep - deadlock!", Level.ERROR, "fatal error"),
    ("go, served panic", "2026/11/20 10:00:00 http: panic serving 10.0.0.1:1: boom", Level.ERROR, "2026/11/20"),
    # Rust
    ("tracing", f"{DATE} ERROR shop::pay: no currency", Level.ERROR, DATE),
    ("tracing, JSON", js(timestamp=DATE, level="ERROR", fields={"message": "m"}, target="s"), Level.ERROR, "m"),
    ("env_logger", "[2026-11-20T10:00:00Z ERROR shop] no currency", Level.ERROR, "[2026"),
    ("rust panic", "thread 'main' panicked at src/main.rs:1:5:\nboom", Level.ERROR, "thread"),
    ("rust panic, id", "thread 'tokio-runtime-worker' (27) panicked at src/a.rs:1:5:\nboom", Level.ERROR, "thread"),
    ("rust, main", "Error: ParseIntError { kind: InvalidDigit }", Level.ERROR, "Error:"),
    # Ruby
    ("ruby", "E, [2026-11-20T10:00:00.000000 #8] ERROR -- : no currency", Level.ERROR, "E, ["),
    ("ruby, uncaught", "/var/task/app.rb:3:in 'Object#handler': boom (RuntimeError)", Level.ERROR, "/var"),
    ("ruby, handler", 'Error raised from handler method\n{ "errorMessage": "x" }', Level.ERROR, "Error raised"),
    ("ruby, JSON", js(timestamp=DATE, log_level="ERROR", message="m"), Level.ERROR, "m"),
    # PHP
    ("PHP", "PHP Fatal error:  Uncaught Exception: nope in /var/task/a.php:3", Level.ERROR, "PHP Fatal"),
    ("PHP-FPM", "NOTICE: PHP message: PHP Fatal error:  Uncaught Error: x", Level.ERROR, "NOTICE"),
    ("PHP, parse", "[20-Nov-2026 10:00:00 UTC] PHP Parse error:  syntax error", Level.ERROR, "[20-Nov"),
    ("PHP, warning", "PHP Warning:  Undefined variable $x in /var/task/a.php", Level.WARN, "PHP Warning"),
    (
        "Bref",
        f'{ID}\tInvoke Error\t{{"errorType":"Exception","errorMessage":"boom"}}',
        Level.ERROR,
        f"{ID}\tInvoke Error",
    ),
    ("Monolog", f'[{DATE}] app.CRITICAL: no currency {{"order":7}} []', Level.FATAL, "["),
    ("Monolog, JSON", js(message="m", context={}, level=400, level_name="ERROR", channel="app"), Level.ERROR, "m"),
    ("Monolog, info", js(message="m", level=200, channel="app"), Level.INFO, "m"),
    # Shapes of many loggers
    ("ECS", js(**{"@timestamp": DATE, "log.level": "error", "message": "m"}), Level.ERROR, "m"),
    (
        "ECS, nested",
        js(log={"level": "error"}, message="m", error={"type": "E", "message": "x"}),
        Level.ERROR,
        "m\nE: x",
    ),
    ("GELF", js(version="1.1", host="h", short_message="m", level=3), Level.ERROR, "m"),
    ("OpenTelemetry", js(severity_number=17, severity_text="ERROR2", body="m"), Level.ERROR, "m"),
    ("numeric text", js(level="50", msg="m"), Level.ERROR, "m"),
    ("syslog", "<11>1 2026-11-20T10:00:00Z h shop - - no currency", Level.ERROR, "<11>"),
    ("nginx", "2026/11/20 10:00:00 [error] 8#8: *1 no currency", Level.ERROR, "2026"),
    ("apache", "[Fri Nov 20 10:00:00 2026] [php:error] [pid 8] no currency", Level.ERROR, "[Fri"),
    ("Datadog's status", js(status="error", message="m"), Level.ERROR, "m"),
    ("NaN", '{"a":NaN,"level":"error","message":"m"}', Level.ERROR, "m"),
    ("cut emoji", '{"level":"error","message":"m \\ud83d"}', Level.ERROR, "m \ufffd"),
    ("cut JSON", '{"timestamp":"x","level":"ERROR","message":"the rest was cut o', Level.ERROR, '{"timestamp'),
    ("JSON list", '[{"level":"ERROR","message":"m"}]', Level.ERROR, "[{"),
    ("blanks before JSON", '\ufeff {"level":"ERROR","message":"m"}', Level.ERROR, "m"),
    # AWS itself
    ("timeout", f"{DATE} {ID} Task timed out after 3.00 seconds", Level.ERROR, "Task timed out"),
    ("exit", f"RequestId: {ID} Error: Runtime exited with error: exit status 1\nRuntime.ExitError", Level.ERROR, "Req"),
    ("custom runtime", f"RequestId: {ID} Error: fork/exec /var/task/bootstrap: exec format error", Level.ERROR, "Req"),
    (
        "runtime API",
        "LAMBDA_RUNTIME Failed to post handler success response. Http response code: 413.",
        Level.ERROR,
        "L",
    ),
    (
        "report",
        f"REPORT RequestId: {ID}\tDuration: 1.00 ms\tStatus: error\tError Type: Runtime.ExitError",
        Level.ERROR,
        "R",
    ),
    ("init", "INIT_REPORT Init Duration: 9.80 ms\tPhase: init\tStatus: error\tError Type: X", Level.ERROR, "INIT"),
    ("extension", "EXTENSION\tName: a\tState: Failed\tEvents: []\tError Type: Extension.Crash", Level.ERROR, "EXT"),
    ("fault", js(type="platform.fault", record={"requestId": ID}), Level.ERROR, "platform.fault"),
    (
        "extension, JSON",
        js(type="platform.extension", record={"name": "a", "state": "Failed"}),
        Level.ERROR,
        "platform",
    ),
    ("runtimeDone", js(type="platform.runtimeDone", record={"status": "failure"}), Level.ERROR, "platform"),
    ("restore", js(type="platform.restoreRuntimeDone", record={"status": "error"}), Level.ERROR, "platform"),
    ("Datadog", "DD_EXTENSION | ERROR | could not flush", Level.ERROR, "DD_EXTENSION"),
    (
        "embedded metrics",
        js(
            _aws={"CloudWatchMetrics": [{"Namespace": "S", "Metrics": [{"Name": "N"}]}]},
            N=1,
            level="ERROR",
            message="m",
        ),
        Level.ERROR,
        "m\nmetrics S: N=1",
    ),
]
"""(logger, line, level, beginning of the message)."""

NO_ERRORS = [
    f"{NODE}0 errors in 3 orders",
    f"{NODE}error_rate=0",
    f"{NODE}ERROR: 0",
    f"{NODE}error: none",
    f"{NODE}error rate is 0 %",
    f"{PYTHON}errors=0 warnings=0",
    f"{PYTHON}no error was found",
    f'{PYTHON}{{"level": "info", "error": null, "message": "done"}}',
    "2026-11-20 10:00:00 INFO tests: 3, 0 ERROR",
    "2026-11-20 10:00:00 error rate is 0",
    "no ERROR was found",
    'level=info msg="an ERROR page was shown"',
    js(level="info", message="the error budget is fine", errors=0),
    js(level="info", message="ERROR_COUNT=0"),
    js(level="info", message="done", error={}, err=None, exception=""),
    js(level="INFO", message={"text": "an error page"}),
    js(message="deployed", stack="shop-errors"),
    js(status="500", message="answered"),
    js(level=30, msg="error handler registered"),
    js(_aws={"CloudWatchMetrics": [{"Metrics": [{"Name": "error"}, {"Name": "severity"}]}]}, error=1, severity=0),
    js(type="platform.runtimeDone", record={"status": "success", "metrics": {"errorCount": 0}}),
    "EXTENSION\tName: error-agent\tState: Ready\tEvents: [INVOKE]",
    f"{DATE}\t{ID}\tinfo\tfail-over finished",
    "<14>1 2026-11-20T10:00:00Z h shop - - done",
    "terror alert level lowered",
]


@pytest.mark.parametrize(("line", "level", "message"), [each[1:] for each in CORPUS], ids=[each[0] for each in CORPUS])
def test_A9_level_and_message_of_each_logger(line: str, level: Level, message: str) -> None:
    record = parse(line)
    assert record.level is level
    assert record.message.startswith(message)


@pytest.mark.parametrize("line", NO_ERRORS)
def test_A9_a_line_that_only_mentions_errors_is_none(line: str) -> None:
    assert parse(line).level not in SEVERE


POSITIONS = [
    "{} no currency",
    "[{}] no currency",
    "{}: no currency",
    "10:00:00 [{}] no currency",
    "10:00:00 {} no currency",
    "2026-11-20T10:00:00.123Z {} no currency",
    "2026-11-20 10:00:00 | {:8} | shop - no currency",
    "2026-11-20 10:00:00 - shop - {} - no currency",
    "2026-11-20T10:00:00Z\t{}\tmain.go:1\tno currency",
    'level={} msg="no currency"',
    'time=2026-11-20 LEVEL="{}" msg="no currency"',
    'ts=1 severity={} msg="no currency"',
    '{{"level":"{}","message":"no currency"}}',
    '{{"a":1,"log.level":"{}","message":"no currency"}}',
    '{{"Severity":"{}","msg":"no currency"}}',
    '{{"message":"no currency","level_name":"{}"}}',
    '{{"message":"no currency","level":"info","severity":"{}"}}',
    '{{"level":"{}","message":"cut of',
    f"{DATE}\t{ID}\t{{}}\tno currency",
    f"{NODE}[{{}}] no currency",
    f"{NODE}{{}}: no currency",
    f'{NODE}{{{{"level":"{{}}","msg":"no currency"}}}}',
    f'{PYTHON}level={{}} msg="no currency"',
    "\x1b[31m[{}]\x1b[0m no currency",
]
WORDS = ["error", "fatal", "critical"]
CASES = [str.lower, str.upper, str.capitalize]


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("case", CASES, ids=["lower", "upper", "capital"])
def test_A9_an_error_word_in_a_level_position_is_never_below_ERROR(position: str, word: str, case: Any) -> None:
    if position.startswith("{} "):
        # Without any delimiter only upper case is a level.
        case = str.upper
    assert parse(position.format(case(word))).level in SEVERE


QUIET = st.sampled_from(
    [DATE, "shop", "7", "error_rate=0", "0 errors", "no error", "café", "\t", "|", "(x)", "a=b", "İ"]
)


@given(
    st.sampled_from(WORDS), st.lists(QUIET, max_size=8), st.sampled_from(["[{}]", "| {} |", "level={}", '"level":"{}"'])
)
def test_A9_surroundings_do_not_hide_a_level(word: str, around: list[str], form: str) -> None:
    text = " ".join(around)
    assert parse(f"{form.format(word)} {text}").level in SEVERE
    assert parse(f"{NODE}{text} done").level is Level.INFO


@given(st.sampled_from(CORPUS), st.sampled_from(["INFO", "DEBUG", "WARN"]))
def test_A9_the_prefix_of_a_runtime_never_lowers_a_level(entry: tuple[str, str, Level, str], name: str) -> None:
    bare = parse(entry[1])
    if bare.kind == "app" and entry[1][:1] == "{":
        assert SEVERITY[parse(f"{DATE}\t{ID}\t{name}\t{entry[1]}").level] >= SEVERITY[bare.level]


@pytest.mark.parametrize(
    "line",
    [
        f'{NODE}{{"orderId": "77"}}',
        f'{NODE}request\t{{"orderId": "77"}}',
        f"{NODE}{{ version: 'dev', orderId: '77', nested: {{ list: [ 1, 'a' ], f: [Function: x] }} }}",
        f"{PYTHON}{{'orderId': '77', 'ok': True, 'none': None, 'ratio': 0.5}}",
        'U7b4hR== {"m": "x","orderId":"77"}',
        f'[{DATE}] app.INFO: placed {{"orderId":"77"}} []',
    ],
)
def test_A9_fields_behind_a_prefix_are_read(line: str) -> None:
    fields = parse(line).fields
    assert fields is not None
    assert fields["orderId"] == "77"


@pytest.mark.parametrize(
    "line", ["use {braces}", "f() { return 1 }", "{ a: }", "{'a': 1", "x = {y}", "{ a: 1 } b", "{a:{" * 99]
)
def test_braces_alone_are_no_fields(line: str) -> None:
    assert parse(line).fields is None


@pytest.mark.parametrize(
    "line", [f"{NODE}{{ a: 'hunt\\er22' }}", "hun\x1b[31mter22", '{"message":"hun\\u001b[1mter22"}']
)
def test_no_spelling_that_is_undone_reveals_a_secret(line: str) -> None:
    record = parse(line, Redactor(["hunter22"]))
    assert "hunter22" not in repr(record)
    assert MASK in repr(record)
