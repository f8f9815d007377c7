"""The same project has the same verdict from `prodwatch check` and in the dashboard."""

from __future__ import annotations

import json

import pytest

from prodwatch.clock import SystemClock
from prodwatch.session.live import LiveSession
from prodwatch.settings import load_project
from prodwatch.store.store import Store
from prodwatch.views.verdict import verdict_line
from tests.support.command_line import CommandLine
from tests.support.waiting import until

RED = '[[check]]\nname = "red"\ntype = "fail"\nreason = "broken"\n'
GREEN = '[[check]]\nname = "green"\ntype = "pass"\n'
LATER = '[[check]]\nname = "later"\ntype = "skip"\nreason = "in spring"\n'


@pytest.mark.parametrize(
    ("checks", "status", "code", "reason"),
    [
        (RED + "advisory = true\n", "pass", 0, "Only advisory checks"),
        (RED + "advisory = true\n" + GREEN, "pass", 0, "1 of 1 check passed"),
        (RED + GREEN, "fail", 1, "1 of 2 checks failed"),
        (LATER + "critical = true\n" + GREEN, "inconclusive", 4, "a critical check was skipped"),
        (LATER + "advisory = true\n", "inconclusive", 4, "Nothing was measured"),
    ],
    ids=["advisory alone", "advisory beside a pass", "red", "critical skipped", "advisory skipped"],
)
async def test_check_and_the_dashboard_agree(
    checks: str, status: str, code: int, reason: str, commands: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRODWATCH_STATE_DIR", str(commands.home / "state"))
    monkeypatch.setattr("prodwatch.session.live.JUDGE_EVERY_S", 0.02)
    commands.write("config/prod.toml", 'title = "Prod"\n')
    commands.write("checks/c.toml", checks)
    ended = commands.run("check", "--json")
    document = json.loads(ended.out)
    assert (document["verdict"]["status"], document["verdict"]["exit_code"], ended.code) == (status, code, code)
    assert reason in document["verdict"]["reason"]
    alone = [each["message"] for each in document["notices"] if each["code"] == "advisory_only"]
    only_advisory = checks.count("advisory = true") == checks.count("[[check]]")
    assert [each.startswith("Only advisory checks") for each in alone] == [True] * only_advisory

    clock = SystemClock()
    store = Store(clock)
    session = LiveSession(load_project(root=commands.project, env="prod", environ=commands.environ), store, clock)
    await session.start()
    try:
        await until(lambda: store.verdict is not None)
        assert store.verdict is not None
        assert store.verdict.verdict.status == verdict_line(store, clock.now()).status == status
        assert store.verdict.verdict.reason == document["verdict"]["reason"]
    finally:
        await session.stop()
