"""Staged releases of the demo whose verdict takes a whole bake, through a whole gate in virtual time.

The embedded AWS, its shop, the sources, the checks of the demo's project and the judge run as they are; only the clock
is virtual.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from prodwatch.demo.aws.faults import Fault
from prodwatch.demo.shop.scenario import Scenario, load
from prodwatch.demo.shop.shop import Shop
from prodwatch.model.result import RunResult
from prodwatch.model.status import Status
from prodwatch.session.gate import GateOptions, GateState, live_gate
from prodwatch.settings import Project, load_project
from prodwatch.settings.project_lookup import demo_root
from prodwatch.testing.idle_clock import IdleClock, run_idle

pytestmark = pytest.mark.slow

BAKE_S = 600.0


async def watch(scenario: Scenario, *faults: Fault) -> tuple[RunResult, list[GateState]]:
    """Run one gate on a scenario that is held during its release; return its document and its looks."""
    clock = IdleClock()
    shop = Shop(scenario, at="during", wall=lambda: clock.now().timestamp(), sleep=clock.sleep)
    url = await shop.start()
    try:
        await shop.ready()
        shop.aws.faults.add(*faults)
        loaded = load_project(root=demo_root(), env="demo", environ=os.environ)
        aws = replace(loaded.environment.aws, endpoint_url=url, profile="")
        environment = replace(loaded.environment, aws=aws, demo=None)
        project = Project(loaded.root, environment, loaded.checks, referenced=loaded.referenced)
        looks: list[GateState] = []
        gate = live_gate(project, clock, GateOptions(bake_s=BAKE_S), listener=looks.append)
        await gate.run()
        return gate.result("demo"), looks
    finally:
        await shop.stop()


@pytest.mark.parametrize(("scenario", "code"), [("good", 0), ("slow-burn", 1)])
def test_a_staged_release_of_ten_minutes_ends_in_the_verdict_that_it_deserves(
    scenario: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "demo")
    monkeypatch.setenv("PRODWATCH_STATE_DIR", str(tmp_path))
    result, looks = run_idle(watch(load(scenario)))
    assert result.verdict.exit_code == code, result.verdict
    assert result.release is not None
    assert (result.release.version, result.release.previous) == ("42", "41")
    errors = next(each for each in result.comparisons if each.kind == "errors")
    assert errors.canary.requests > 1000
    # Nothing is green before the bake has ended.
    assert not any(each.decision.verdict.status == "pass" for each in looks if each.phase in {"resolve", "settle"})


def test_a_slower_release_whose_logs_are_denied_fails_by_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "demo")
    monkeypatch.setenv("PRODWATCH_STATE_DIR", str(tmp_path))
    good = load("good")
    usual = good.of("42")
    slower = replace(usual, latency_ms=tuple((share, 1.5 * ms) for share, ms in usual.latency_ms))
    scenario = replace(good, behaviour={**good.behaviour, "42": slower})
    denied = Fault(operation="logs:FilterLogEvents", kind="access_denied")
    result, _ = run_idle(watch(scenario, denied))
    assert result.verdict.exit_code == 1, result.verdict
    latency = next(each for each in result.comparisons if each.kind == "latency")
    assert (latency.status, latency.basis, latency.gate) == (Status.FAIL, "counts", True)
    assert "by count because its log group cannot be read" in (latency.message or "")
    assert latency.id in {each.id for each in result.verdict.blocking}
    errors = next(each for each in result.comparisons if each.kind == "errors")
    assert errors.status is not Status.FAIL
