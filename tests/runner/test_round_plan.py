"""When a session may run each check again: what changes data is never sent twice by an edit, a round or two callers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from prodwatch.model.check import CheckDefinition
from prodwatch.model.result import CheckResult
from prodwatch.model.status import Reason, Status
from prodwatch.runner import RoundPlan
from prodwatch.testing.clock import START
from prodwatch.testing.definitions import plain
from tests.support.waiting import turn

EVERY_S = 30.0


def check(id_: str = "a", *, url: str = "/a", mutates: bool = True, every_s: float | None = None) -> CheckDefinition:
    return plain(id_, url=url, check={"mutates": mutates, "every_s": every_s})


def measured(status: Status = Status.PASS, reason: Reason | None = None, *, begun: bool = True) -> CheckResult:
    return CheckResult(
        id="a",
        name="a",
        title="a",
        kind="smoke",
        type="scripted",
        status=status,
        reason_code=reason,
        started_at=START if begun else None,
        source=check().source,
    )


async def run(plan: RoundPlan, definition: CheckDefinition, now_s: float, result: CheckResult | None = None) -> bool:
    """Run the check if the plan lets it; return whether it did."""
    if await plan.instead(definition, now_s, requested=False) is not None:
        return False
    plan.finished(definition, result or measured(), now_s)
    return True


@pytest.mark.parametrize(
    ("edited", "unrun"),
    [
        ([check()], ()),
        ([check(url="/edited")], ("a",)),
        ([check("renamed")], ("renamed",)),
        ([check("renamed"), check("renamed")], ("renamed",)),
    ],
    ids=["the same", "edited", "renamed", "renamed and loaded twice"],
)
async def test_no_edit_sends_a_mutation_again(edited: list[CheckDefinition], unrun: tuple[str, ...]) -> None:
    plan = RoundPlan([check()], every_s=EVERY_S)
    assert await run(plan, check(), 0)
    assert plan.follow(edited, every_s=EVERY_S) == unrun
    assert plan.due(1000) == ()
    assert not await run(plan, edited[0], 1000)


@pytest.mark.parametrize("back", [check(), check("renamed"), check(url="/edited")], ids=["same", "renamed", "edited"])
async def test_a_file_that_was_empty_for_a_moment_makes_no_mutation_a_new_one(back: CheckDefinition) -> None:
    plan = RoundPlan([check()], every_s=EVERY_S)
    assert await run(plan, check(), 0)
    plan.follow([], every_s=EVERY_S)
    plan.follow([], every_s=EVERY_S)
    plan.follow([back], every_s=EVERY_S)
    assert plan.due(1000) == ()


async def test_one_edit_after_another_sends_no_mutation_again() -> None:
    plan = RoundPlan([check()], every_s=EVERY_S)
    assert await run(plan, check(), 0)
    for url in ("/edited", "/edited/again", "/a"):
        plan.follow([check(url=url)], every_s=EVERY_S)
        assert plan.due(1000) == ()


async def test_a_copy_of_a_mutation_with_an_id_of_its_own_runs_once_too() -> None:
    plan = RoundPlan([check()], every_s=EVERY_S)
    assert await run(plan, check(), 0)
    plan.follow([check(), check("copy")], every_s=EVERY_S)
    assert plan.due(1) == ("copy",)


async def test_a_mutation_that_sent_nothing_stays_due_after_an_edit() -> None:
    plan = RoundPlan([check()], every_s=EVERY_S)
    assert await run(plan, check(), 0, measured(Status.SKIPPED, Reason.MUTED, begun=False))
    plan.follow([check()], every_s=EVERY_S)
    assert (plan.due(EVERY_S - 1), plan.due(EVERY_S)) == ((), ("a",))


async def test_a_check_that_only_reads_is_due_when_it_comes_back() -> None:
    reads = check(mutates=False)
    plan = RoundPlan([reads], every_s=EVERY_S)
    assert await run(plan, reads, 0)
    plan.follow([], every_s=EVERY_S)
    plan.follow([reads], every_s=EVERY_S)
    assert (plan.due(1), plan.latest("a")) == (("a",), None)


async def test_a_check_that_others_refer_to_and_that_only_reads_runs_whenever_it_is_needed() -> None:
    reads = check(mutates=False)
    plan = RoundPlan([], [reads], every_s=EVERY_S)
    assert await run(plan, reads, 0)
    assert await run(plan, reads, 1)


def test_a_check_that_started_late_is_due_by_its_own_pace() -> None:
    plan = RoundPlan([check(mutates=False)], every_s=EVERY_S)
    plan.started(plan.due(0), 0)
    plan.started(plan.due(40), 40)
    assert (plan.due(59), plan.due(60)) == ((), ("a",))


async def test_a_mutation_that_has_not_run_yet_is_due_after_an_edit_too() -> None:
    plan = RoundPlan([check()], every_s=EVERY_S)
    plan.follow([], every_s=EVERY_S)
    assert plan.follow([check("renamed")], every_s=EVERY_S) == ()
    assert plan.due(0) == ("renamed",)


async def test_a_check_that_only_reads_is_due_again_once_it_is_edited_and_keeps_its_result_when_it_is_not() -> None:
    reads = check(mutates=False)
    plan = RoundPlan([reads], every_s=EVERY_S)
    assert await run(plan, reads, 0)
    assert plan.follow([reads], every_s=EVERY_S) == ()
    assert (plan.due(1), plan.latest("a")) == ((), measured())
    assert plan.follow([check(mutates=False, url="/edited")], every_s=EVERY_S) == ()
    assert (plan.due(1), plan.latest("a")) == (("a",), None)


async def test_a_renamed_mutation_has_no_result_under_its_other_name() -> None:
    plan = RoundPlan([check()], every_s=EVERY_S)
    assert await run(plan, check(), 0)
    plan.follow([check("renamed")], every_s=EVERY_S)
    assert plan.latest("renamed") is None


async def test_another_pace_counts_from_the_latest_start() -> None:
    plan = RoundPlan([check(every_s=600.0)], every_s=EVERY_S)
    assert await run(plan, check(every_s=600.0), 0)
    plan.follow([check(every_s=60.0)], every_s=EVERY_S)
    assert (plan.due(59), plan.due(60)) == ((), ("a",))


async def test_a_check_that_has_not_run_is_due_at_once_at_another_pace_too() -> None:
    plan = RoundPlan([check(every_s=600.0)], every_s=EVERY_S)
    plan.follow([check(every_s=60.0)], every_s=EVERY_S)
    assert plan.due(0) == ("a",)


async def test_a_check_that_only_others_refer_to_is_never_due_by_itself() -> None:
    plan = RoundPlan([], [check("other")], every_s=EVERY_S)
    assert (plan.due(1000), plan.next_s()) == ((), float("inf"))
    assert await run(plan, check("other"), 0)


async def test_two_callers_run_a_check_once() -> None:
    plan = RoundPlan([check()], every_s=EVERY_S)
    assert await plan.instead(check(), 0, requested=True) is None
    other = asyncio.create_task(plan.instead(check(), 1, requested=True))
    await turn()
    assert not other.done()
    plan.finished(check(), measured(), 2)
    assert await other == measured()


async def test_a_caller_with_another_definition_waits_and_is_refused() -> None:
    plan = RoundPlan([check()], every_s=EVERY_S)
    assert await plan.instead(check(), 0, requested=True) is None
    plan.follow([check(url="/edited")], every_s=EVERY_S)
    other = asyncio.create_task(plan.instead(check(url="/edited"), 1, requested=False))
    await turn()
    assert not other.done()
    plan.finished(check(), measured(), 2)
    refused = await other
    assert refused is not None
    assert (refused.status, refused.reason_code) == (Status.SKIPPED, Reason.PREREQUISITE)
    assert plan.latest("a") is None


@pytest.mark.parametrize("requested", [True, False])
async def test_a_mutation_that_an_edit_has_replaced_is_not_sent(requested: bool) -> None:
    plan = RoundPlan([check(url="/edited")], every_s=EVERY_S)
    replaced = await plan.instead(check(), 0, requested=requested)
    assert replaced is not None
    assert (replaced.status, replaced.reason_code) == (Status.SKIPPED, Reason.PREREQUISITE)
    assert plan.due(0) == ("a",)


async def test_only_a_request_by_hand_runs_a_mutation_again() -> None:
    plan = RoundPlan([check()], every_s=EVERY_S)
    assert await run(plan, check(), 0)
    kept = await plan.instead(check(), 60, requested=False)
    assert kept is not None
    assert (kept.status, kept.message) == (Status.PASS, "measured 1m ago, not due again yet")
    assert await plan.instead(check(), 60, requested=True) is None


@pytest.mark.parametrize(
    ("result", "due"),
    [
        (measured(), False),
        (measured(Status.FAIL, Reason.ASSERTION), False),
        (measured(Status.SKIPPED, Reason.INTERRUPTED), False),
        (measured(Status.INCONCLUSIVE, Reason.PREREQUISITE), False),
        (measured(Status.SKIPPED, Reason.PREREQUISITE), True),
        (measured(Status.SKIPPED, Reason.MUTED, begun=False), True),
        (measured(Status.ERROR, Reason.JOURNAL, begun=False), True),
        (measured(Status.SKIPPED, Reason.PROTECTED, begun=False), False),
        (measured(Status.SKIPPED, Reason.DISABLED, begun=False), False),
    ],
    ids=str,
)
async def test_a_mutation_is_due_again_only_when_nothing_was_sent_and_that_can_change(
    result: CheckResult, due: bool
) -> None:
    plan = RoundPlan([check()], every_s=EVERY_S)
    assert await run(plan, check(), 0, result)
    assert plan.due(EVERY_S - 1) == ()
    assert plan.due(EVERY_S) == (("a",) if due else ())


async def test_a_check_that_sent_nothing_is_not_due_later_than_by_its_own_pace() -> None:
    fast: Any = check(every_s=5.0)
    plan = RoundPlan([fast], every_s=EVERY_S)
    assert await run(plan, fast, 0, measured(Status.SKIPPED, Reason.MUTED, begun=False))
    assert plan.due(5) == ("a",)
