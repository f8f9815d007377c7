"""Lines of every runtime and logger: an error is found wherever, and however, the logger reports it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.support.case_project import CaseProject
from tests.support.forged_aws import World
from tests.support.warm_command_line import Control

ID = "f6e6096f-5d28-57bd-99a3-6959252efd02"
NET = f"2026-11-30T08:36:06.483Z\t{ID}\t"
EMF = (
    '{"_aws": {"Timestamp": 1764489600000, "CloudWatchMetrics": [{"Namespace": "Shop", "Dimensions": [["service"]], '
    '"Metrics": [{"Name": "Orders", "Unit": "Count"}]}]}, "service": "s", "Orders": 1'
)
LONG = '{"timestamp":"2026-11-30T08:00:00.123456789+00:00","service":"a-rather-long-service-name-that-pushes",'

LESS_KNOWN: dict[str, str] = {
    ".NET fail": f"{NET}fail\tpayment provider refused the order 4711",
    ".NET crit": f"{NET}crit\tcannot reach the vault, giving up",
    ".NET, JSON behind info": f'{NET}info\t{{"cold_start": false, "level": "Error", "message": "stock is negative"}}',
    ".NET console, JSON": '{"level": "fail", "message": "dotnet console json fail"}',
    "Node, JSON behind INFO": f'{NET}INFO\t{{"level": "error", "message": "a JSON error", "orderId": "77"}}',
    "Node, pino behind a label": f'{NET}INFO\trequest\t{{"level": 50, "msg": "behind a label", "orderId": "77"}}',
    "Python, JSON behind INFO": f'[INFO]\t2026-11-30T08:52:33.477Z\t{ID}\t{{"level": "error", "msg": "JSON message"}}',
    "JSON with NaN behind a long key": f'{LONG}"level":"ERROR","message":"late level and a NaN","ratio":NaN}}',
    "JSON with a cut emoji": f'{LONG}"level":"error","message":"cut emoji \\ud83d"}}',
    "Serilog": '{"@t": "2026-11-30T08:00:00Z", "@l": "Error", "@m": "serilog compact error", "@x": "x"}',
    "ECS, nested": '{"@timestamp": "2026-11-30T08:00:00Z", "log": {"level": "error"}, "message": "ecs nested error"}',
    "python-json-logger": '{"levelname": "ERROR", "message": "python-json-logger levelname"}',
    "one letter": '{"level": "E", "msg": "short level letter"}',
    "GELF": '{"level": 3, "short_message": "gelf syslog level 3", "version": "1.1", "host": "x"}',
    "number as text": '{"level": "50", "msg": "numeric level as text"}',
    "logrus": 'level=error msg="logrus text formatter failed" order=7',
    "Go panic": "panic: runtime error: index out of range [5] with length 3\ngoroutine 1 [running]:\nmain.handler()\n",
    "Rust panic": "thread 'main' panicked at src/main.rs:10:5:\ncalled `Option::unwrap()` on a `None` value",
    "PHP fatal": "PHP Fatal error:  Uncaught Exception: nope in /var/task/index.php:3\nStack trace:\n#0 {main}",
    "ANSI colours": "\x1b[2m2026-11-30T08:00:00Z\x1b[0m \x1b[31mERROR\x1b[0m \x1b[2mshop\x1b[0m: rust tracing failed",
    "extension crashed": "EXTENSION\tName: agent\tState: Failed\tEvents: []\tError Type: Extension.Crash",
    "runtimeDone with an error": json.dumps(
        {
            "time": "2026-11-30T08:00:00.000Z",
            "type": "platform.runtimeDone",
            "record": {"requestId": ID, "status": "error", "errorType": "Runtime.ExitError"},
        }
    ),
    "EMF with an error": f'{EMF}, "level": "ERROR", "message": "order failed after payment"}}',
}
"""Errors of less known loggers, one per logger."""

USUAL: dict[str, str] = {
    "exception in the text": f"{NET}fail\tSystem.ApplicationException: order broken\n   at Shop.Function.Handler()\n",
    "Python, JSON format": '{"log_level": "ERROR", "errorMessage": "boom", "errorType": "E", "requestId": "1"}',
    "Rust tracing, JSON": '{"level": "ERROR", "fields": {"message": "rust failed to charge", "n": 7}, "target": "s"}',
    "JSON with NaN": '{"level":"ERROR","message":"python NaN error","ratio":NaN}',
    "pino": '{"time": 1732950000000, "level": 50, "msg": "pino error"}',
    "ECS": '{"@timestamp": "2026-11-30T08:00:00.000Z", "log.level": "error", "message": "ecs error"}',
    "structlog": '{"event": "structlog error happened", "level": "error", "logger": "shop"}',
    "severity": '{"severity": "ERROR", "message": "severity error"}',
    "java.util.logging": '{"level": "SEVERE", "message": "java util logging severe"}',
    ".NET, LogLevel": '{"LogLevel": "Critical", "Message": "dotnet json console critical", "Category": "X"}',
    "slog": 'time=2026-11-30T08:00:00.000Z level=ERROR msg="slog text handler failed" order=7',
    "zap": '{"level":"error","ts":1732950000.1,"caller":"a.go:1","msg":"zap error"}',
    "Ruby": "E, [2026-11-30T08:00:00.000000 #8] ERROR -- : ruby logger error",
    "log4j": "08:00:01.123 [main] ERROR com.shop.Handler - log4j failed",
    "Node, Invoke Error": f'{NET}ERROR\tInvoke Error \t{{"errorType": "ReferenceError", "errorMessage": "x"}}',
    "runtime exited": f"RequestId: {ID} Error: Runtime exited with error: signal: killed\nRuntime.ExitError",
    "timed out": f"2026-11-30T08:00:00.000Z {ID} Task timed out after 3.00 seconds",
    "init timed out": "INIT_REPORT Init Duration: 10012.44 ms\tPhase: init\tStatus: timeout",
    "extension's own error": "DD_EXTENSION | ERROR | could not flush traces",
}
"""Errors of the usual loggers and runtimes."""

NO_ERRORS: dict[str, str] = {
    ".NET info": f"{NET}info\tstarting checkout",
    ".NET warn": f"{NET}warn\tslow answer",
    "a word in a sentence": "no error was found in 3 orders",
    "a count of none": '{"level": "info", "errors": 0, "message": "error rate is 0"}',
    "a field named fail": '{"level": "info", "fail": "soft", "message": "done"}',
    "a metric named Error": EMF.replace("Orders", "Error") + "}",
    "runtimeDone": '{"type": "platform.runtimeDone", "record": {"requestId": "1", "status": "success"}}',
    "extension ready": "EXTENSION\tName: agent\tState: Ready\tEvents: [INVOKE, SHUTDOWN]",
    "logrus info": 'level=info msg="an error page was shown"',
    "GELF notice": '{"level": 5, "short_message": "notice", "version": "1.1", "host": "x"}',
}
"""Lines that mention errors and are none."""

MESSAGES = {
    "Serilog": "serilog compact error",
    "GELF": "gelf syslog level 3",
    "Rust tracing, JSON": "rust failed to charge",
    "structlog": "structlog error happened",
    "EMF with an error": "order failed after payment",
    ".NET, JSON behind info": "stock is negative",
    "Node, pino behind a label": "behind a label",
    "Python, JSON behind INFO": "JSON message",
    "JSON with NaN": "python NaN error",
    ".NET fail": "payment provider refused the order 4711",
}

Lines = dict[str, dict[str, Any]]


class Corpus:
    """All lines in one log group, and what the command shows of them: by name, then by option."""

    def __init__(self, project: CaseProject, world: World, group: str) -> None:
        self.project, self.group = project, group
        lines = USUAL | LESS_KNOWN | NO_ERRORS
        base_ms = int(time.time() * 1000) - 100_000
        self._names = {base_ms + number: name for number, name in enumerate(lines)}
        for at_ms, name in self._names.items():
            world.aws.logs.put(group, "2026/11/30/[7]ab", [(at_ms, lines[name])])
        self.every = self.shown()
        self.errors = self.shown("--errors")

    def shown(self, *options: str) -> Lines:
        """Return the lines that the command shows, by their names."""
        ended = self.project.run("logs", self.group, "--since", "5m", "--no-follow", "--json", *options)
        assert ended.code == 0, ended.said
        found = [json.loads(line) for line in ended.out.splitlines()]
        return {self._names[_ms(each["timestamp"])]: each for each in found}


def _ms(text: str) -> int:
    from datetime import datetime

    return round(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, warm: Control, served_world: World) -> Corpus:
    folder = tmp_path_factory.mktemp("corpus")
    project = CaseProject(folder, warm, environ=served_world.environ, url="http://127.0.0.1:1")
    return Corpus(project, served_world, "/aws/lambda/every-logger")


def test_A9_every_line_is_shown(corpus: Corpus) -> None:
    assert set(corpus.every) == {*USUAL, *LESS_KNOWN, *NO_ERRORS}


@pytest.mark.parametrize("name", USUAL)
def test_A9_an_error_is_found(name: str, corpus: Corpus) -> None:
    assert name in corpus.errors
    assert corpus.every[name]["level"] in {"ERROR", "FATAL"}


@pytest.mark.parametrize("name", LESS_KNOWN)
def test_A9_an_error_of_a_less_known_logger_is_found(name: str, corpus: Corpus) -> None:
    assert name in corpus.errors
    assert corpus.every[name]["level"] in {"ERROR", "FATAL"}


@pytest.mark.parametrize("name", NO_ERRORS)
def test_A9_a_line_that_only_mentions_an_error_is_none(name: str, corpus: Corpus) -> None:
    assert name not in corpus.errors


def test_A9_a_warning_of_dotnet_is_a_warning(corpus: Corpus) -> None:
    assert corpus.every[".NET warn"]["level"] == "WARN"


@pytest.mark.parametrize("name", MESSAGES)
def test_A9_the_message_is_found_where_the_logger_puts_it(name: str, corpus: Corpus) -> None:
    message = corpus.every[name]["message"].splitlines()[0].strip()
    assert message in {MESSAGES[name], f"request {MESSAGES[name]}", f"request\t{MESSAGES[name]}"}


def test_A9_fields_behind_a_prefix_can_be_searched(corpus: Corpus) -> None:
    assert set(corpus.shown("--filter", "orderId:77")) == {"Node, JSON behind INFO", "Node, pino behind a label"}


FIELDS = """
[[check]]
name = "fields"
type = "logs"
group = "/aws/lambda/every-logger"
fields = { orderId = "77" }
expect = ["count == 2"]

[[check]]
name = "levels"
type = "logs"
group = "/aws/lambda/every-logger"
fields = { orderId = "77" }
expect = ["all lines[*].level == 'ERROR'"]
"""


def test_A9_a_check_reads_fields_behind_a_prefix(corpus: Corpus) -> None:
    assert corpus.project.checked(FIELDS).statuses == {"fields": "pass", "levels": "pass"}


@pytest.mark.parametrize("source", ["a{99999999999}", "(" * 2000, "[[a]x"], ids=["count", "depth", "warning"])
def test_K33_an_expression_that_is_refused_is_a_usage_error(source: str, corpus: Corpus) -> None:
    ended = corpus.project.run("logs", corpus.group, "--since", "5m", "--no-follow", "--filter", f"/{source}/")
    assert ended.code == 2, ended.said
    assert "is not a regular expression" in ended.err


def test_K26_a_filter_that_does_not_end_is_given_up_and_hides_no_line(corpus: Corpus, served_world: World) -> None:
    group = "/aws/lambda/slow-filter"
    base_ms = int(time.time() * 1000) - 60_000
    for number, text in enumerate(["first", "a" * 60 + "!", "last"]):
        served_world.aws.logs.put(group, "2026/11/30/[7]ab", [(base_ms + number, text)])
    ended = corpus.project.run("logs", group, "--since", "5m", "--no-follow", "--filter", "/(a|a)*$/", "--json")
    assert ended.code == 3, ended.said
    assert "was stopped after 20 ms" in ended.err
    assert len(ended.out.splitlines()) == 3


TWICE = '{"level": "error", "status": "ok", "id": 7, "status": "broken"}'


@pytest.mark.parametrize(
    ("claim", "fields", "status"),
    [
        ("count == 1", "", "pass"),
        ("lines[0].json.id == 7", "", "pass"),
        ("lines[0].json.status == 'broken'", "", "inconclusive"),
        ("none lines[*].json.status == 'ok'", "", "inconclusive"),
        ("lines == []", "", "inconclusive"),
        ("count == 0", "fields = { id = 7 }", "fail"),
        ("count == 0", 'fields = { status = "ok" }', "inconclusive"),
        ("count > 0", 'fields = { status = "broken" }', "inconclusive"),
    ],
)
def test_A11_a_member_that_a_line_has_twice_is_undecided(
    claim: str, fields: str, status: str, project: CaseProject, name: str, world: World
) -> None:
    world.aws.logs.put(name, "s", [(int(time.time() * 1000) - 20_000, TWICE)])
    head = f'[[check]]\nname = "a"\ntype = "logs"\ngroup = "{name}"\n{fields}\n'
    found = project.checked(f"{head}expect = [{json.dumps(claim)}]\n")["a"]
    assert found["status"] == status, found["message"]
    if status == "inconclusive":
        assert '"status" twice' in found["message"]
