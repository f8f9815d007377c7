"""Rounds of a dashboard or gate."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.model.event import CheckFinished
from prodwatch.runner import RoundPlan, RunOptions
from prodwatch.testing.check_runner import Bench
from prodwatch.testing.definitions import environment, flow, plain, step


def test_each_check_at_its_own_pace() -> None:
    checks = [plain("a"), plain("b", check={"every_s": 90.0}), plain("c", check={"mutates": True})]
    plan = RoundPlan(checks, every_s=30)
    runs: dict[int, tuple[str, ...]] = {}
    for now in range(0, 200, 30):
        due = plan.due(now)
        plan.started(due, now)
        runs[now] = due
    assert runs[0] == ("a", "b", "c")
    assert [now for now, due in runs.items() if "b" in due] == [0, 90, 180]
    assert [now for now, due in runs.items() if "c" in due] == [0]
    assert [now for now, due in runs.items() if "a" in due] == list(range(0, 200, 30))


def test_what_mutates_repeats_only_when_its_every_is_written() -> None:
    plan = RoundPlan([plain("a", check={"mutates": True, "every_s": 60.0})], every_s=30)
    plan.started(["a"], 0)
    assert plan.due(59) == ()
    assert plan.due(60) == ("a",)


@given(st.lists(st.floats(0.1, 100), min_size=1, max_size=20))
def test_late_rounds_are_not_made_up_for(delays: Any) -> None:
    plan = RoundPlan([plain("a")], every_s=10)
    now = 0.0
    for delay in delays:
        plan.started(plan.due(now), now)
        assert plan.due(now) == ()
        assert now < plan.next_s() <= now + 10
        now += delay


@pytest.fixture
def shop(bench: Bench) -> Bench:
    bench.script("scripted", {"ok": True})
    return bench


async def test_a_round_runs_the_given_checks_once_and_tells_the_listener(shop: Any) -> None:
    runner = shop.runner([plain(f"c{n}", expect=["ok == true"]) for n in range(3)])
    results = await runner.run_round(["c2", "c0"], RunOptions(mode="dashboard"))
    assert [each.id for each in results] == ["c0", "c2"]
    assert sorted(each.result.id for each in shop.events if isinstance(each, CheckFinished)) == ["c0", "c2"]
    await runner.close()


async def test_rounds_share_one_run_id_but_never_a_uid(shop: Any) -> None:
    probe = shop.script("scripted", {"ok": True})
    runner = shop.runner([plain("a", expect=["ok == true"], run="${run.id}", uid="${uid}")])
    for _ in range(3):
        await runner.run_round(["a"], RunOptions())
    await runner.close()
    assert len({request.params["run"] for request in probe.requests}) == 1
    assert len({request.params["uid"] for request in probe.requests}) == 3


async def test_a_stack_that_could_not_be_read_is_asked_again_next_round(shop: Any) -> None:
    from prodwatch.model.environment import StackReference
    from prodwatch.model.status import Reason

    shop.environment = environment(stacks={"shop": StackReference(name="shop")})
    shop.aws.fail("cloudformation:DescribeStacks", Reason.THROTTLED)
    runner = shop.runner([plain("a", expect=["ok == true"], url="${stack.shop.Url}")])
    (first,) = await runner.run_round(["a"], RunOptions())
    shop.aws.failing.clear()
    shop.aws.answers["cloudformation:DescribeStacks"] = lambda _params: {
        "Stacks": [{"Outputs": [{"OutputKey": "Url", "OutputValue": "u"}]}]
    }
    (second,) = await runner.run_round(["a"], RunOptions())
    (third,) = await runner.run_round(["a"], RunOptions())
    assert [first.status, second.status, third.status] == ["error", "pass", "pass"]
    assert shop.aws.count("cloudformation:DescribeStacks") == 2
    await runner.close()


async def test_the_outputs_of_a_stack_are_read_again_after_five_minutes(shop: Any) -> None:
    from prodwatch.model.environment import StackReference

    shop.environment = environment(stacks={"shop": StackReference(name="shop")})
    shop.aws.answers["cloudformation:DescribeStacks"] = lambda _params: {
        "Stacks": [{"Outputs": [{"OutputKey": "Url", "OutputValue": "u"}]}]
    }
    runner = shop.runner([plain("a", expect=["ok == true"], url="${stack.shop.Url}")])
    reads = []
    for pause_s in (1000, 300, 1, 299):
        await shop.clock.advance(pause_s)
        await runner.run_round(["a"], RunOptions())
        reads.append(shop.aws.count("cloudformation:DescribeStacks"))
    assert reads == [1, 1, 2, 2]
    await runner.close()


async def test_a_cancelled_round_cleans_up_before_it_gives_way(shop: Any) -> None:
    hanging = shop.script("hanging", {"ok": True}, takes_s=1000)
    removing = shop.script("removing", {"deleted": True})
    shop.clock._auto = False
    runner = shop.runner([flow("f", step("hang", "hanging", timeout_s=900.0), cleanup=(step("rm", "removing"),))])
    task = asyncio.create_task(runner.run_round(["f"], RunOptions()))
    await hanging.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(removing.requests) == 1
    await runner.close()


async def test_D_a_mutating_check_that_its_precondition_skipped_is_due_again(shop: Any) -> None:
    shop.script("scripted", {"depth": 3}, {"depth": 0}, {"ok": True})
    first = msgspec.structs.replace(step("empty", expect=["depth == 0"]), precondition=True)
    check = flow("f", first, step("send", mutates=True, expect=["ok == true"]), mutates=True)
    plan = RoundPlan([check], every_s=30)
    runner = shop.runner([check])
    statuses = []
    for _ in range(3):
        due = plan.due(shop.clock.monotonic_s())
        results = await runner.run_round(due, RunOptions(mode="dashboard"), plan=plan)
        statuses += [str(each.status) for each in results]
        await shop.clock.sleep(30)
    await runner.close()
    assert statuses == ["skipped", "pass"]


async def test_a_request_by_hand_sends_no_mutation_again_that_only_its_check_needs(shop: Any) -> None:
    making = shop.script("making", {"ok": True})
    made = plain("made", type="making", expect=["ok == true"], check={"mutates": True})
    checks = [made, plain("a", expect=["ok == true"], check={"needs": ("made",)})]
    runner, plan = shop.runner(checks), RoundPlan(checks, every_s=30)
    for ids in (["made", "a"], ["a"], ["made"]):
        results = await runner.run_round(ids, RunOptions(mode="dashboard"), plan=plan, requested=True)
        assert {str(each.status) for each in results} == {"pass"}
        await shop.clock.sleep(1)
    await runner.close()
    # The first and the last of the three requests name it.
    assert len(making.requests) == 2
