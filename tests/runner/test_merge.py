"""Shards into one result."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from prodwatch.errors import ConfigurationError
from prodwatch.model.check import CheckDefinition
from prodwatch.model.result import AssertionResult, RunResult, StepResult
from prodwatch.model.status import Status
from prodwatch.runner import RunOptions, Selection, merge_results, select
from prodwatch.testing.check_runner import Bench
from prodwatch.testing.definitions import environment, plain


def check(n: int, **keys: Any) -> CheckDefinition:
    return plain(f"c{n}", expect=["ok == true"], check=keys)


async def shards(bench: Bench, checks: list[CheckDefinition], count: int) -> list[RunResult]:
    found = []
    for index in range(1, count + 1):
        selected = select(checks, Selection(shard=(index, count)), None)
        found.append(await bench.runner(checks).run(selected, RunOptions(shard=(index, count))))
    return found


@pytest.fixture
def green(bench: Bench) -> Bench:
    bench.script("scripted", {"ok": True})
    return bench


async def test_merged_shards_say_what_one_run_says(green: Any) -> None:
    checks = [check(n) for n in range(7)]
    whole = await green.run(*checks)
    merged = merge_results(await shards(green, checks, 3))
    assert sorted(each.id for each in merged.checks) == sorted(each.id for each in whole.checks)
    assert merged.verdict == whole.verdict
    assert merged.summary == whole.summary
    assert merged.run.mode == "merge"
    assert merged.run.shard is None


async def test_one_red_shard_makes_it_red(green: Any) -> None:
    checks = [check(0), plain("red", type="red", expect=["ok == true"])]
    green.script("red", {"ok": False})
    assert merge_results(await shards(green, checks, 2)).verdict.exit_code == 1


async def test_an_empty_shard_exits_0_and_merging_decides(green: Any) -> None:
    parts = await shards(green, [check(0)], 3)
    assert sorted(each.verdict.status for each in parts) == ["empty", "empty", "pass"]
    assert {each.verdict.exit_code for each in parts} == {0}
    assert merge_results(parts).verdict.exit_code == 0
    assert merge_results(await shards(green, [], 2)).verdict.exit_code == 5


async def test_a_missing_shard_is_never_green(green: Any) -> None:
    parts = await shards(green, [check(n) for n in range(6)], 3)
    merged = merge_results(parts[:2])
    assert (merged.verdict.status, merged.verdict.exit_code) == ("inconclusive", 4)
    assert "shard 3/3 missing" in merged.verdict.reason


async def test_an_aborted_shard_makes_it_aborted(green: Any) -> None:
    import msgspec

    one, two = await shards(green, [check(n) for n in range(4)], 2)
    verdict = msgspec.structs.replace(two.verdict, status="aborted", exit_code=130)
    merged = merge_results([one, msgspec.structs.replace(two, verdict=verdict)])
    assert (merged.verdict.status, merged.verdict.exit_code) == ("aborted", 130)


async def test_what_cannot_belong_together_is_refused(green: Any) -> None:
    two, three = await shards(green, [check(0)], 2), await shards(green, [check(0)], 3)
    with pytest.raises(ConfigurationError, match="different divisions"):
        merge_results([two[0], three[1]])
    with pytest.raises(ConfigurationError, match="given twice"):
        merge_results([two[0], two[0]])
    green.environment = environment(name="other")
    with pytest.raises(ConfigurationError, match="different environments"):
        merge_results([two[0], (await shards(green, [check(0)], 2))[1]])
    with pytest.raises(ConfigurationError, match="nothing to merge"):
        merge_results([])


def with_run(part: RunResult, **changes: Any) -> RunResult:
    return replace(part, run=replace(part.run, **changes))


async def test_shards_of_other_files_or_options_are_refused(green: Any) -> None:
    one, two = await shards(green, [check(n) for n in range(4)], 2)
    same = merge_results([with_run(one, digest="a"), with_run(two, digest="a")])
    assert (same.verdict.exit_code, same.notices) == (0, ())
    with pytest.raises(ConfigurationError, match="not of one run"):
        merge_results([with_run(one, digest="a"), with_run(two, digest="b")])


async def test_the_merged_run_is_that_of_the_first_shard_in_whatever_order_the_files_are_named(green: Any) -> None:
    parts = [
        with_run(part, id=f"run-{number}")
        for number, part in enumerate(await shards(green, [check(n) for n in range(6)], 3), 1)
    ]
    merged = merge_results(parts)
    assert merged.run.id == "run-1"
    assert merge_results(parts[::-1]) == merged
    assert merge_results([parts[1], parts[2], parts[0]]) == merged


FALSE = AssertionResult(expression="ok == true", ok=False)
UNDECIDED = AssertionResult(expression="ok == true", ok=None)
WARNED = AssertionResult(expression="ok == true", ok=False, severity="warn")
TRUE = AssertionResult(expression="ok == true", ok=True)


def stepped(status: Status, *assertions: AssertionResult) -> dict[str, Any]:
    return {"assertions": (), "steps": (StepResult(name="s", type="http", status=status, assertions=assertions),)}


@pytest.mark.parametrize(
    ("parts", "refused"),
    [
        ({"assertions": (TRUE,)}, False),
        ({"assertions": (TRUE, FALSE)}, True),
        ({"assertions": (UNDECIDED,)}, True),
        ({"assertions": (WARNED,)}, False),
        (stepped(Status.PASS, TRUE), False),
        (stepped(Status.SKIPPED), False),
        (stepped(Status.PASS, FALSE), True),
        (stepped(Status.FAIL), True),
        (stepped(Status.ERROR, TRUE), True),
        (stepped(Status.INCONCLUSIVE, TRUE), True),
    ],
)
async def test_a_green_check_with_a_part_that_is_not_true_is_refused(green: Any, parts: Any, refused: bool) -> None:
    one, two = await shards(green, [check(0)], 2)
    filled, empty = (one, two) if one.checks else (two, one)
    (whole,) = filled.checks
    edited = replace(filled, checks=(replace(whole, **parts),))
    if refused:
        with pytest.raises(ConfigurationError, match="contradicts itself: c0 is pass"):
            merge_results([edited, empty])
    else:
        assert merge_results([edited, empty]).verdict.exit_code == 0


async def test_usage_and_notices_come_together(green: Any) -> None:
    green.script("scripted", {"ok": True})
    parts = await shards(green, [check(n) for n in range(2)], 2)
    await green.aws.call("lambda", "GetAlias")
    later = await shards(green, [check(n) for n in range(2)], 2)
    assert merge_results([parts[0], later[1]]).usage.calls == {"lambda:GetAlias": 1}


async def test_of_a_check_that_is_there_twice_the_worse_counts(green: Any) -> None:
    good = await green.run(check(0))
    green.script("scripted", {"ok": False})
    bad = await green.run(check(0))
    assert merge_results([good, bad]).verdict.exit_code == 1
    assert merge_results([bad, good]).verdict.exit_code == 1


async def test_whole_runs_never_stand_in_for_a_shard(green: Any) -> None:
    parts = await shards(green, [check(0), check(1)], 2)
    with pytest.raises(ConfigurationError, match="some are whole runs"):
        merge_results([await green.run(check(0)), parts[1]])


async def test_what_was_strict_stays_strict(green: Any) -> None:
    checks = [check(0), plain("warned", expect=["ok == true"], warn=["ok == false"])]
    parts = []
    for index in (1, 2):
        selected = select(checks, Selection(shard=(index, 2)), None)
        parts.append(await green.runner(checks).run(selected, RunOptions(shard=(index, 2), strict=True)))
    assert merge_results(parts).verdict.exit_code == 1
