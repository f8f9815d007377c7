"""Behind a fault proxy that speaks each service's protocol, no check passes on a fault or blames the target for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from prodwatch.clock import SystemClock
from prodwatch.session.live import LiveSession
from prodwatch.settings import load_project
from prodwatch.store.store import Store
from prodwatch.views.verdict import judge_session
from tests.end_to_end.witnesses.conftest import KEYS, Proxy, write
from tests.support.command_line import CommandLine
from tests.support.waiting import until

pytestmark = pytest.mark.slow

NEVER_MEASURED = frozenset({"error", "inconclusive"})
RELAYED = "object"
"""The proxy relays GetObject without a Content-Length.

AWS documents the header for each GetObject response and the model names it, so that such a body may be cut: prodwatch
reports an `error`. The proxy is right by HTTP, AWS's documentation decides.
"""
THROTTLED = {"code": "ThrottlingException", "status": 400}
BROKEN = {"code": "InternalFailure", "status": 500}
DENIED = {"code": "AccessDeniedException", "status": 400}

FAULTS: dict[str, dict[str, Any]] = {
    "every call is throttled": {"error": THROTTLED},
    "every call fails": {"error": BROKEN},
    "every call is denied": {"error": DENIED},
    "every connection is reset": {"reset": True},
    "every response is cut": {"response": {"truncate_frac": 0.5}},
    "every response ends with the connection": {"response": {"abort_frac": 0.3}},
    "every response hangs": {"latency": 60_000},
}
OF_THE_FUNCTION = {"every response is cut", "every response hangs"}
"""Faults in which an invocation is the function's own failure.

The payload of Invoke has no form of its own: half of it under a matching Content-Length is what the function returned.
A function that does not respond in time is the target.
"""


def statuses(commands: CommandLine, *options: str) -> dict[str, tuple[str, str | None, str | None]]:
    """Run the checks; return status, reason and message by name."""
    ended = commands.run("check", "--env", "t", "--json", *options)
    checks = json.loads(ended.out)["checks"]
    return {each["name"]: (each["status"], each["reason_code"], each["message"]) for each in checks}


def test_without_a_fault_everything_passes(commands: CommandLine, proxy: Proxy) -> None:
    proxy.rules()
    write(commands, proxy.url)
    found = statuses(commands)
    assert found.pop(RELAYED)[:2] == ("error", "service")
    assert {name: each for name, each in found.items() if each[0] != "pass"} == {}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_never_a_pass_and_never_the_targets(commands: CommandLine, proxy: Proxy, name: str) -> None:
    proxy.rules({"service": "*", **FAULTS[name]})
    write(commands, proxy.url)
    commands.write("checks/c.toml", '[defaults]\ntimeout = "2s"\n' + (commands.project / "checks/c.toml").read_text())
    found = statuses(commands, "--deadline", "15s")  # a check that is cut off was not measured either
    assert len(found) == 11
    assert "pass" not in {status for status, _, _ in found.values()}
    if name in OF_THE_FUNCTION:
        found = {check: each for check, each in found.items() if check not in {"invoke", "raises"}}
    assert {check: each for check, each in found.items() if each[0] not in NEVER_MEASURED} == {}


LOGS = ("logs", "--env", "t", "--since", "30m", "--until-idle", "2s", "--json")
METRICS = ("metrics", "--env", "t", "--since", "30m", "--no-follow", "--json")
LINES = [f"line {n}{' ERROR' if n == 3 else ''}" for n in range(20)]
SHORT: dict[str, dict[str, Any]] = {
    "throttled": {"error": THROTTLED},
    "failing": {"error": BROKEN},
    "reset": {"reset": True},
    "cut": {"response": {"truncate_frac": 0.5}},
}
"""Faults that end by themselves after some calls."""


def lines_of(out: str) -> list[str]:
    messages = [json.loads(line)["message"] for line in out.splitlines()]
    return [message for message in messages if message.startswith("line ")]


@pytest.mark.parametrize("name", SHORT)
def test_logs_shows_every_line_once_after_a_fault_has_ended(commands: CommandLine, proxy: Proxy, name: str) -> None:
    proxy.rules({"service": "logs", "times": 3, **SHORT[name]})
    before = proxy.fired()
    write(commands, proxy.url)
    ended = commands.run(*LOGS)
    assert lines_of(ended.out) == LINES, ended.err
    assert ended.code == 0
    assert proxy.fired() - before == 3


@pytest.mark.parametrize("name", SHORT)
def test_metrics_shows_the_point_after_a_fault_has_ended(commands: CommandLine, proxy: Proxy, name: str) -> None:
    proxy.rules({"service": "*", "operation": "GetMetricData", "times": 2, **SHORT[name]})
    before = proxy.fired()
    write(commands, proxy.url, signals=True)
    ended = commands.run(*METRICS)
    points = [json.loads(line) for line in ended.out.splitlines()]
    assert [each["value"] for each in points if each["name"] == "latency"] == [120], ended.said
    assert ended.code == 0
    assert proxy.fired() - before == 2


@pytest.mark.parametrize("command", [LOGS, METRICS], ids=["logs", "metrics"])
def test_what_is_refused_is_never_an_empty_success(
    commands: CommandLine, proxy: Proxy, command: tuple[str, ...]
) -> None:
    proxy.rules({"service": "*", "error": DENIED})
    write(commands, proxy.url, signals=True)
    ended = commands.run(*command)
    assert ended.code == 3, ended.said
    shown = [json.loads(line) for line in ended.out.splitlines()]
    assert not [each for each in shown if "value" in each or "message" in each]
    assert "AccessDenied" in ended.err or "denied" in ended.err or "not allowed" in ended.err


@pytest.mark.parametrize("name", ["throttled", "failing", "reset"])
async def test_the_session_of_the_dashboard_is_not_green_behind_a_fault_and_comes_back(
    commands: CommandLine, proxy: Proxy, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    proxy.rules({"service": "*", **SHORT[name]})
    write(commands, proxy.url, signals=True)
    for variable, value in {**KEYS, "XDG_STATE_HOME": str(tmp_path / "state")}.items():
        monkeypatch.setenv(variable, value)
    clock = SystemClock()
    store = Store(clock)
    session = LiveSession(load_project(root=commands.project, env="t", environ=KEYS), store, clock)
    seen: set[str] = set()

    def is_finished() -> bool:
        seen.add(judge_session(store, clock.now()).decision.verdict.status)
        return all(each.status for each in store.checks.tracks.values()) and len(store.sources) > 1

    await session.start()
    try:
        await until(is_finished, f"{store.sources}")
        assert not seen & {"pass", "degraded", "fail"}
        proxy.rules()
        await until(lambda: bool(store.release.alarms and store.release.states), f"{store.sources}")
        await until(lambda: len(store.logs.ring) >= len(LINES), f"{store.sources}")
    finally:
        await session.stop()
