"""A run that ends early keeps what it measured and finishes its cleanups, in whichever phase its end arrives."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from prodwatch.model.check import CheckDefinition, Poll
from prodwatch.model.environment import AwsTarget, FunctionTarget
from prodwatch.model.result import RunResult
from prodwatch.probes.base import Observation
from prodwatch.runner import TERMINATED, RunOptions
from prodwatch.testing.check_runner import Bench
from prodwatch.testing.definitions import flow, plain, step
from tests.support.waiting import turn


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.script("scripted", {"n": 1})
    return bench


async def ended(
    bench: Bench, check: CheckDefinition, *reasons: str | None, begun: asyncio.Event, **options: Any
) -> RunResult:
    """Run the check, cancel the run once for each reason when `begun` is set, and let time pass after that."""
    bench.clock._auto = False
    run = asyncio.create_task(bench.runner([check]).run([check], RunOptions(**options)))
    await begun.wait()
    await turn(30)
    for reason in reasons:
        run.cancel(reason)
        await turn(30)
    bench.clock._auto = True
    await bench.clock.sleep(1)
    return await run


def hangs(bench: Bench, type_: str, *answers: Any) -> asyncio.Event:
    """Script a probe that hangs when its answers are used up; the returned event is set when it does."""
    begun = asyncio.Event()
    left = list(answers)

    async def probe(_params: Any, _context: Any) -> Observation:
        if left:
            return Observation(document=left.pop(0))
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    bench.script(type_)
    bench._probes[type_] = probe
    return begun


async def test_B13_a_wait_that_is_cut_off_keeps_its_attempts_and_its_last_value(bench: Bench) -> None:
    begun = hangs(bench, "looking", {"n": 1}, {"n": 2})
    check = flow("f", step("ask"), step("look", "looking", poll=Poll(within_s=60.0, every_s=0.01), expect=["n == 3"]))
    bench.clock._auto = True
    run = asyncio.create_task(bench.runner([check]).run([check], RunOptions()))
    await begun.wait()
    run.cancel()
    result = (await run).checks[0]
    asked, looked = result.steps
    assert (asked.status, looked.status, looked.reason_code) == ("pass", "inconclusive", "interrupted")
    assert [each.kind for each in looked.attempts] == ["poll"] * 3
    assert looked.attempts[-1].message == "cut off before its response"
    assert "n" in (looked.message or "")
    assert "is 2, not 3" in (looked.message or "")
    assert (result.status, result.reason_code, result.message) == ("inconclusive", "interrupted", looked.message)


@pytest.mark.parametrize("reason", [None, TERMINATED], ids=["interrupted", "terminated"])
async def test_B13_a_request_in_flight_is_an_attempt(reason: str | None, bench: Bench) -> None:
    begun = hangs(bench, "looking")
    result = await ended(bench, plain(type="looking", expect=["n == 3"]), reason, begun=begun)
    (check,) = result.checks
    assert [(each.n, each.status) for each in check.attempts] == [(1, "inconclusive")]
    assert (check.status, check.reason_code) == ("inconclusive", "interrupted")


async def test_B13_the_deadline_keeps_them_too(bench: Bench) -> None:
    bench.script("looking", {"n": 1})
    wait = step("look", "looking", poll=Poll(within_s=60.0), expect=["n == 3"])
    result = await bench.run(flow("f", wait, step("later")), deadline_s=5.0)
    looked, later = result.checks[0].steps
    assert (looked.status, looked.reason_code) == ("inconclusive", "deadline")
    assert len(looked.attempts) == 5
    assert (later.status, later.reason_code) == ("skipped", "prerequisite")


async def test_B13_elements_that_are_finished_are_kept(bench: Bench) -> None:
    begun = hangs(bench, "looking", {"n": 3}, {"n": 3})
    bench.script("finding", {"items": [1, 2, 3, 4]})
    each = step("look", "looking", for_each="${steps.find.items}", expect=["n == 3"])
    result = await ended(bench, flow("f", step("find", "finding"), each), None, begun=begun)
    assert [(one.name, one.status) for one in result.checks[0].steps[1:]] == [
        ("look[0]", "pass"),
        ("look[1]", "pass"),
        ("look[2]", "inconclusive"),
    ]


async def test_B13_a_pause_that_is_cut_off_was_reached(bench: Bench) -> None:
    check = flow("f", step("ask"), step("rest", "wait", **{"for": "60s"}), step("later"))
    result = await bench.run(check, deadline_s=5.0)
    assert [each.status for each in result.checks[0].steps] == ["pass", "inconclusive", "skipped"]
    assert result.checks[0].steps[1].duration_ms == 5000


async def test_B13_a_cleanup_that_is_abandoned_keeps_its_attempts(bench: Bench) -> None:
    begun = hangs(bench, "removing")
    check = flow("f", step("ask"), cleanup=(step("remove", "removing"), step("also", "removing")))
    result = await ended(bench, check, None, None, begun=begun)
    assert [len(each.attempts) for each in result.checks[0].cleanup] == [1, 0]
    assert all(each.leftovers for each in result.checks[0].cleanup)
    assert result.verdict.exit_code == 130


async def test_C2_one_interruption_and_the_deadline_at_once_do_not_end_a_cleanup(bench: Bench) -> None:
    begun = hangs(bench, "looking")
    removing = bench.script("removing", {"gone": True}, takes_s=5.0)
    check = flow("f", step("look", "looking"), cleanup=(step("remove", "removing"),))
    bench.clock._auto = False
    run = asyncio.create_task(bench.runner([check]).run([check], RunOptions(deadline_s=3.0)))
    await begun.wait()
    bench.clock._elapsed_s = 3.0
    bench.clock._wake_next()
    run.cancel()
    bench.clock._auto = True
    await bench.clock.sleep(1)
    result = await run
    assert len(removing.requests) == 1
    assert [each.status for each in result.checks[0].cleanup] == ["pass"]
    assert result.verdict.exit_code == 130


@pytest.mark.parametrize("advisory", [False, True], ids=["gating", "advisory"])
async def test_C2_what_was_left_behind_weighs_in_every_kind_of_check(advisory: bool, bench: Bench) -> None:
    bench.script("removing", RuntimeError("broken"))
    check = flow("f", step("ask"), cleanup=(step("remove", "removing"),), advisory=advisory)
    result = await bench.run(check, plain("other", expect=["n == 1"]))
    assert (result.verdict.status, result.verdict.exit_code) == ("degraded", 3)


async def test_a_bug_in_a_step_costs_no_cleanup(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    removing = bench.script("removing", {"gone": True})

    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("prodwatch.runner.check.flow._keep", broken)
    check = flow("f", step("ask"), step("later"), cleanup=(step("remove", "removing"),))
    result = (await bench.run(check)).checks[0]
    assert (result.status, result.reason_code) == ("error", "internal")
    assert len(removing.requests) == 1


def account_hangs(bench: Bench) -> asyncio.Event:
    asked = asyncio.Event()

    async def account_id(_account: str | None = None) -> str:
        asked.set()
        await asyncio.Event().wait()
        return ""

    bench.environment = replace(bench.environment, aws=AwsTarget(account="123456789012"))
    bench.aws.account_id = account_id  # type: ignore[assignment]
    bench.script("calling", {"n": 1}, service="s3")
    return asked


async def test_N10_the_deadline_bounds_the_question_for_the_account(bench: Bench) -> None:
    account_hangs(bench)
    result = await bench.run(
        plain("a", type="calling", expect=["n == 1"]), plain("b", expect=["n == 1"]), deadline_s=5.0
    )
    assert bench.clock.monotonic_s() == 5.0
    assert {(each.status, each.reason_code) for each in result.checks} == {("inconclusive", "deadline")}
    assert result.verdict.exit_code == 4


async def test_N10_the_question_for_the_account_has_a_bound_of_its_own(bench: Bench) -> None:
    account_hangs(bench)
    result = await bench.run(plain("a", type="calling", expect=["n == 1"]))
    assert bench.clock.monotonic_s() <= 30.0
    assert result.checks[0].status == "pass"


async def test_N9_an_interruption_before_the_first_check_leaves_a_result(bench: Bench) -> None:
    asked = account_hangs(bench)
    result = await ended(bench, plain("a", type="calling", expect=["n == 1"]), TERMINATED, begun=asked)
    assert (result.verdict.status, result.verdict.exit_code) == ("aborted", 143)
    assert [(each.status, each.reason_code) for each in result.checks] == [("skipped", "interrupted")]


def release_hangs(bench: Bench) -> asyncio.Event:
    asked = asyncio.Event()

    async def call(*_: Any, **__: Any) -> dict[str, Any]:
        asked.set()
        await asyncio.Event().wait()
        return {}

    bench.environment = replace(bench.environment, functions=(FunctionTarget(name="orders", alias="live"),))
    bench.aws.call = call  # type: ignore[method-assign]
    return asked


async def test_N9_an_interruption_after_the_last_check_keeps_its_result(bench: Bench) -> None:
    asked = release_hangs(bench)
    done = plain("a", expect=["n == 1"], timeout_s=0.5)
    result = await ended(bench, done, None, begun=asked)
    assert (result.verdict.status, result.verdict.exit_code) == ("aborted", 130)
    assert [each.status for each in result.checks] == ["pass"]


async def test_N10_the_deadline_bounds_the_wait_for_a_release_that_no_check_needs(bench: Bench) -> None:
    release_hangs(bench)
    result = await bench.run(plain("a", expect=["n == 1"]), deadline_s=1.0)
    assert bench.clock.monotonic_s() == 1.0
    assert [each.status for each in result.checks] == ["pass"]


async def test_N10_the_deadline_counts_the_time_before_the_run(bench: Bench) -> None:
    begun = hangs(bench, "looking")
    check = plain("a", type="looking", expect=["n == 1"], timeout_s=50.0)
    await bench.clock.advance(3.0)
    bench.clock._auto = True
    result = await bench.runner([check]).run([check], RunOptions(deadline_s=5.0), since_s=0.0)
    assert begun.is_set()
    assert bench.clock.monotonic_s() == 5.0
    assert (result.checks[0].status, result.checks[0].reason_code) == ("inconclusive", "deadline")


async def test_N10_a_deadline_that_has_passed_before_the_run_sends_nothing(bench: Bench) -> None:
    probe = bench.script("looking", {"n": 1})
    check = plain("a", type="looking", expect=["n == 1"])
    await bench.clock.advance(5.0)
    result = await bench.runner([check]).run([check], RunOptions(deadline_s=5.0), since_s=0.0)
    assert probe.requests == []
    assert (result.checks[0].status, result.checks[0].reason_code) == ("inconclusive", "deadline")
    assert "deadline of 5 s" in (result.checks[0].message or "")
    assert result.verdict.exit_code == 4
