"""Secrets in every writing and hostile text, planted in every source and answer: no sink writes either."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from prodwatch.demo.aws import MetricAlarm
from prodwatch.demo.aws.functions.model import Function, FunctionVersion
from tests.cases.test_secret_rows import BIDI, ESC, HOSTILE, SECRET, WRITTEN
from tests.support.case_project import CaseProject
from tests.support.command_line import PATIENCE_S, finished
from tests.support.forged_aws import World
from tests.support.raw_web import RawWeb, response
from tests.support.terminal import COLOURS, terminal

CONTROLS = (ESC, BIDI, "\x07", "\x9b")
MARKUP = "[bold red]not markup[/]"
PLANTED = f"planted {MARKUP} {HOSTILE} " + " | ".join(WRITTEN.values())
ENVIRONMENT = """
[secrets]
token = { env = "TOKEN" }
[[function]]
name = "NAME"
[[logs]]
group = "NAME"
[[metric]]
name = "orders"
namespace = "NAME"
metric = "Orders"
dimensions = { note = "${vars.url}" }
gate = true
expect = ["value > 100"]
[[alarm]]
prefix = "NAME-"
"""
CHECKS = """
[[check]]
name = "body and headers"
type = "http"
url = "${vars.url}/echo"
headers = { x-token = "${secret.token}" }
expect = ["body contains 'nothing like this'"]

[[check]]
name = "address"
type = "http"
url = "${vars.url}/x?token=${secret.token}"
expect = ["status == 201"]

[[check]]
name = "lines"
type = "logs"
group = "NAME"
expect = ["lines[0].message contains 'zzz'"]

[[check]]
name = "alarms"
type = "alarm"
prefix = "NAME-"
expect = ["firing == []"]

[[check]]
name = "trace"
type = "traces"
filter = 'service("NAME")'
expect = ["count > 100"]

[[check]]
name = "queue"
type = "sqs"
queue = "NAME"
operation = "peek"
own = "planted"
mutates = true
expect = ["message.body == 'zzz'"]

[[check]]
name = "table"
type = "dynamodb"
table = "no ${secret.token}"
key = { id = "1" }
expect = ["item absent"]

[[check]]
name = "program"
type = "command"
mutates = false
argv = ["cat", "planted.txt"]
expect = ["stdout contains 'zzz'"]

[[check]]
name = "posts"
type = "http"
method = "POST"
mutates = true
url = "${vars.url}/echo"
json = { token = "${secret.token}" }
expect = ["status == 201"]
"""


def plant(project: CaseProject, web: RawWeb, world: World, name: str) -> None:
    now_s = time.time()
    now_ms = int(now_s * 1000)
    aws = world.aws
    header = PLANTED.encode("ascii", "ignore").decode().replace(ESC, "").replace("\x07", "")
    web.routes["/echo"] = response(PLANTED.encode(), Content_Type="text/plain", X_Planted=header)
    aws.logs.put(name, "s", [(now_ms - 20_000, f"[ERROR] {PLANTED}"), (now_ms - 19_000, json.dumps({"m": PLANTED}))])
    aws.logs.put(f"/aws/lambda/{name}", "2026/11/30/[7]ab", [(now_ms - 18_000, f"[ERROR] {PLANTED}")])
    aws.functions.put(Function(name=name, versions=[FunctionVersion(version="7", published_s=0)]))
    aws.alarms.put(MetricAlarm(name=f"{name}-a", namespace="S", metric="M", missing="ignore"))
    aws.alarms.set_state(f"{name}-a", "ALARM", PLANTED)
    aws.metrics.put(name, "Orders", {"note": project.url}, now_s // 60 * 60 - 120, [3.0])
    start = now_s - 60
    document: dict[str, Any] = {
        "trace_id": f"1-{int(start):08x}-{name[1:9].encode().hex()}00000001",
        "id": "a000000000000001",
        "name": name,
        "start_time": start,
        "end_time": start + 0.5,
        "fault": True,
        "cause": {"exceptions": [{"id": "e000000000000001", "message": PLANTED, "type": "Planted"}]},
        "annotations": {"planted": PLANTED},
        "http": {
            "request": {"url": f"https://shop.example/?t={WRITTEN['percent-encoded']}"},
            "response": {"status": 500},
        },
    }
    aws.traces.put(document)
    made = world.call("sqs", "CreateQueue", {"QueueName": name})
    body = PLANTED.replace(ESC, "").replace("\x07", "")
    world.call("sqs", "SendMessage", {"QueueUrl": made["QueueUrl"], "MessageBody": body})
    project.write("planted.txt", PLANTED)
    project.configure(ENVIRONMENT.replace("NAME", name))
    project.write("checks/c.toml", CHECKS.replace("NAME", name))


def leaked(text: str) -> list[str]:
    """Return the writings of the secret that are in an output."""
    return [form for form, written in WRITTEN.items() if written in text]


def unclean(text: str) -> list[str]:
    return [repr(each) for each in CONTROLS if each in text]


def texts(value: Any) -> list[str]:
    """Return every text of a JSON document, as a reader of it gets them."""
    if isinstance(value, dict):
        return [part for item in value.items() for each in item for part in texts(each)]
    if isinstance(value, list):
        return [part for each in value for part in texts(each)]
    return [value] if isinstance(value, str) else []


def assert_harmless(sink: str, text: str) -> None:
    assert leaked(text) == [], sink
    assert unclean(COLOURS.sub(b"", text.encode()).decode()) == [], sink


OUTPUTS: tuple[tuple[str, ...], ...] = (
    (),
    ("--json",),
    ("--ndjson",),
    ("--tap",),
    ("--nagios",),
    ("--junit", "result"),
    ("--ctrf", "result"),
    ("--json", "result"),
    ("--github-summary",),
    ("--debug",),
)


@pytest.mark.parametrize("options", OUTPUTS, ids=lambda options: " ".join(options) or "console")
def test_no_output_of_a_check_holds_a_secret_or_controls(
    options: tuple[str, ...], project: CaseProject, web: RawWeb, world: World, name: str
) -> None:
    plant(project, web, world, name)
    summary = project.write("summary.md", "")
    environ = {
        "TOKEN": SECRET,
        "GITHUB_STEP_SUMMARY": str(summary),
        "GITHUB_ACTIONS": "true",
        "PRODWATCH_LOG_LEVEL": "debug",
    }
    ended = project.run("check", *options, environ=environ)
    assert ended.code == (2 if "--nagios" in options else 1), ended.said
    assert_harmless("standard output", ended.out)
    assert_harmless("standard error", ended.err)
    assert_harmless("summary", summary.read_text())
    result = project.project / "result"
    written = result.read_text() if result.exists() else ended.out
    assert_harmless("result", written)
    assert "planted" in written + summary.read_text()
    for path in project.home.rglob("*"):
        if path.is_file():
            assert_harmless(str(path), path.read_bytes().decode(errors="replace"))
    if {"--json", "--ctrf"}.intersection(options):
        for text in texts(json.loads(written)):
            assert_harmless("a text of the document", text)


def test_no_history_holds_a_secret_or_controls(project: CaseProject, web: RawWeb, world: World, name: str) -> None:
    plant(project, web, world, name)
    assert project.run("check", "--json", environ={"TOKEN": SECRET}).code == 1
    history = project.home / ".local/share/prodwatch/history"
    assert "planted" in "".join(path.read_text() for path in history.rglob("*.json"))
    for arguments in (
        ("history",),
        ("history", "latest"),
        ("history", "latest", "--json"),
        ("diff", "latest", "latest"),
    ):
        ended = project.run(*arguments)
        assert ended.code == 0
        assert_harmless(" ".join(arguments), ended.said)
    (database,) = history.glob("*.db")
    with contextlib.closing(sqlite3.connect(database)) as connection:
        stored = [
            str(value)
            for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for row in connection.execute(f"SELECT * FROM {table}")
            for value in row
        ]
    assert any("planted" in each for each in stored)
    for each in stored:
        assert_harmless("a value of the history", each)
    for path in history.rglob("*"):
        if path.is_file():
            assert leaked(path.read_bytes().decode(errors="replace")) == [], path


@pytest.mark.parametrize(
    "arguments",
    [
        *(("logs", "NAME", "--format", form) for form in ("text", "short", "raw", "json")),
        ("logs", "NAME", "--json"),
        ("logs", "--errors"),
        ("traces",),
        ("traces", "--json"),
        ("metrics",),
        ("metrics", "--json"),
    ],
    ids=" ".join,
)
def test_no_live_output_holds_a_secret_or_controls(
    arguments: tuple[str, ...], project: CaseProject, web: RawWeb, world: World, name: str
) -> None:
    plant(project, web, world, name)
    words = [name if word == "NAME" else word for word in arguments]
    ended = project.run(*words, "--since", "10m", "--no-follow", environ={"TOKEN": SECRET})
    assert_harmless("standard output", ended.out)
    assert_harmless("standard error", ended.err)
    for line in ended.out.splitlines() if "--json" in words or "json" in words else ():
        for text in texts(json.loads(line)):
            assert_harmless("a text of a line", text)
    if arguments[0] == "logs":
        assert "planted" in ended.out


def test_no_journal_holds_a_secret(project: CaseProject, web: RawWeb, world: World, name: str) -> None:
    plant(project, web, world, name)
    arrived, _ = web.hold("/echo")
    checks = CHECKS.replace("NAME", name)
    project.write("checks/c.toml", checks[checks.rindex("[[check]]") :])
    with project.start("check", "--json", environ={"TOKEN": SECRET}) as process:
        assert arrived.acquire(timeout=PATIENCE_S)
        process.kill()
        finished(process)
    journals = list((project.home / "state").rglob("*.journal"))
    assert journals
    for path in journals:
        assert_harmless(path.name, path.read_text())


@pytest.mark.parametrize("command", [("check", "--record", "f.pw"), ("record", "f.pw", "--for", "4s")], ids=" ".join)
def test_no_recording_holds_a_secret_or_controls(
    command: tuple[str, ...], project: CaseProject, web: RawWeb, world: World, name: str
) -> None:
    """The frames are searched as they are, and decompressed, and every text of every line as a reader gets it."""
    plant(project, web, world, name)
    ended = project.run(*command, environ={"TOKEN": SECRET})
    assert_harmless("standard error", ended.err)
    raw = (project.project / "f.pw").read_bytes()
    assert leaked(raw.decode(errors="replace")) == []
    content = gzip.decompress(raw).decode()
    assert_harmless("recording", content)
    # How much a session of some seconds receives depends on the machine.
    assert ("planted" in content) or command[0] == "record"
    assert '"type":"delivered"' in content
    for line in content.splitlines():
        for text in texts(json.loads(line)):
            assert_harmless("a text of a line", text)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs a terminal")
def test_no_painted_text_holds_a_secret(project: CaseProject, web: RawWeb, world: World, name: str) -> None:
    plant(project, web, world, name)
    environ = project.environ | {"TERM": "xterm-256color", "TOKEN": SECRET}
    with terminal(
        [sys.executable, "-m", "prodwatch"], cwd=project.project, environ=environ, columns=400, rows=60
    ) as here:
        here.wait_for("body and headers", "planted", within_s=PATIENCE_S)
        for key in "2345":
            here.type(key)
            here.wait_for("planted", within_s=PATIENCE_S)
        here.type("q")
        here.wait(PATIENCE_S)
    assert leaked(here.text) == []
    assert BIDI not in here.text
    assert "not markup[/]" in here.text
    for path in Path(project.home).rglob("*"):
        if path.is_file() and os.access(path, os.R_OK):
            assert leaked(path.read_bytes().decode(errors="replace")) == [], path
