"""An interrupted run cleans up, writes what it measured and says so by its exit code."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.command_line import PATIENCE_S, CommandLine, Ended, Target, finished

QUICK = '[[check]]\nname = "quick"\ntype = "http"\nurl = "${vars.api}/ok"\nexpect = ["status == 200"]\n'
TRAVELS = """
[[check]]
name = "travels"
type = "flow"
mutates = true
needs = ["quick"]

[[check.step]]
name = "put"
type = "http"
method = "PUT"
url = "${vars.api}/orders/1"

[[check.step]]
name = "wait for it"
type = "http"
url = "${vars.api}/slow"
timeout = "50s"

[[check.cleanup]]
type = "http"
method = "DELETE"
url = "${vars.api}/CLEANUP"
timeout = "50s"
"""


@contextmanager
def waiting(shop: CommandLine, server: Target, *options: str, cleanup: str = "orders/1") -> Iterator[Any]:
    """A run whose flow has written something and hangs in its second step."""
    shop.write("checks/c.toml", QUICK + TRAVELS.replace("CLEANUP", cleanup))
    with shop.start("check", *options) as process:
        try:
            assert server.arrived.acquire(timeout=PATIENCE_S), "the slow step was never asked"
            yield process
        finally:
            process.kill()


def interrupt(process: subprocess.Popen[bytes], number: signal.Signals) -> Ended:
    process.send_signal(number)
    return finished(process)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGINT, 130, id="Ctrl-C"),
        pytest.param(signal.SIGTERM, 143, id="terminated"),
        pytest.param(signal.SIGHUP, 143, id="the terminal went away"),
    ],
)
def test_a_signal_cleans_up_and_leaves_a_valid_result(
    number: signal.Signals, code: int, shop: CommandLine, server: Target
) -> None:
    with waiting(shop, server, "--json") as process:
        ended = interrupt(process, number)
    assert ended.code == code
    result = json.loads(ended.out)
    assert result["verdict"]["status"] == "aborted"
    assert result["verdict"]["exit_code"] == code
    assert server.seen == ["GET /ok", "PUT /orders/1", "GET /slow", "DELETE /orders/1"]
    statuses = {check["id"]: (check["status"], check["reason_code"]) for check in result["checks"]}
    assert statuses["c/quick"] == ("pass", None)
    assert statuses["c/travels"][0] != "pass"
    assert statuses["c/travels"][1] == "interrupted"
    assert not list((shop.home / "state").rglob("*.journal"))
    assert "Traceback" not in ended.err


def test_an_interrupted_stream_still_ends_with_its_result(shop: CommandLine, server: Target) -> None:
    with waiting(shop, server, "--ndjson") as process:
        ended = interrupt(process, signal.SIGINT)
    lines = [json.loads(line) for line in ended.out.splitlines()]
    assert ended.code == 130
    assert lines[0]["check"]["id"] == "c/quick"
    assert lines[-1]["event"] == "result"
    assert lines[-1]["verdict"]["status"] == "aborted"


def test_a_second_ctrl_c_gives_the_cleanup_up_and_says_how_to_finish_it(shop: CommandLine, server: Target) -> None:
    with waiting(shop, server, "--json", cleanup="slow") as process:
        process.send_signal(signal.SIGINT)
        assert server.arrived.acquire(timeout=PATIENCE_S), "the cleanup was never asked"
        ended = interrupt(process, signal.SIGINT)
    assert ended.code == 130
    result = json.loads(ended.out)
    assert result["verdict"]["status"] == "aborted"
    run = result["run"]["id"]
    assert any(f"prodwatch cleanup {run}" in notice["message"] for notice in result["notices"])
    server.release.set()
    assert run in shop.run("cleanup").out
    done = shop.run("cleanup", run)
    assert done.code == 0, done.said
    assert server.seen[-1] == "DELETE /slow"
    assert run not in shop.run("cleanup").said


def test_a_killed_run_is_cleaned_up_later_and_only_where_it_ran(shop: CommandLine, server: Target) -> None:
    shop.write("config/other.toml", 'protected = false\n[vars]\napi = "http://127.0.0.1:9"\n')
    with waiting(shop, server, "--env", "shop") as process:
        assert interrupt(process, signal.SIGKILL).code == -signal.SIGKILL
    run = shop.run("cleanup").out.split()[0]
    wrong = shop.run("cleanup", run, "--env", "other")
    assert wrong.code == 2
    assert f'run {run} ran in environment "shop"' in wrong.err
    done = shop.run("cleanup", run, "--json", environ={"PRODWATCH_ENV": "other"})
    assert done.code == 0, done.said
    assert json.loads(done.out)["environment"]["name"] == "shop"
    assert server.seen[-1] == "DELETE /orders/1"
