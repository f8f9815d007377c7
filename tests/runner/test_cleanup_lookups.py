"""A cleanup may look for what there is to clean: what a check caused, not only what it sent."""

from __future__ import annotations

from typing import Any

from prodwatch.model.check import CheckDefinition
from prodwatch.runner import RunOptions
from prodwatch.testing.check_runner import Bench
from prodwatch.testing.definitions import flow, step
from prodwatch.testing.probes import refused

MUTATING = step("send", mutates=True, expect=["ok == true"])


def swept(*steps: Any) -> CheckDefinition:
    remove = step("remove", "remover", mutates=True, for_each="${steps.find.items}", id="${each.id}")
    return flow("f", *(steps or (MUTATING,)), cleanup=(remove, step("find", "finder")), mutates=True)


async def test_every_element_that_a_cleanup_found_is_cleaned(bench: Bench) -> None:
    bench.script("scripted", {"ok": True})
    bench.script("finder", {"items": [{"id": "a"}, {"id": "b"}]})
    remover = bench.script("remover", {"deleted": True})
    check = await bench.one(swept())
    assert [each.params["id"] for each in remover.requests] == ["a", "b"]
    assert (check.status, [each.status for each in check.cleanup]) == ("pass", ["pass", "pass", "pass"])


async def test_what_was_found_before_a_crash_is_looked_for_again(bench: Bench) -> None:
    bench.script("scripted", {"ok": True})
    finder = bench.script("finder", {"items": [{"id": "a"}]}, {"items": [{"id": "a"}, {"id": "late"}]})
    remover = bench.script("remover", refused(), {"deleted": True})
    check = swept()
    runner = bench.runner([check])
    result = await runner.run([check], RunOptions())
    assert result.checks[0].status == "degraded"
    again = await runner.clean_up(result.run.id, RunOptions())
    assert (again.checks[0].status, again.verdict.exit_code) == ("skipped", 0)
    assert len(finder.requests) == 2
    assert [each.params["id"] for each in remover.requests] == ["a", "a", "late"]


async def test_a_cleanup_that_cannot_look_leaves_everything_and_says_so(bench: Bench) -> None:
    bench.script("scripted", {"ok": True})
    bench.script("finder", refused())
    remover = bench.script("remover", {"deleted": True})
    check = await bench.one(swept())
    assert not remover.requests
    assert check.status == "degraded"
    assert "remover id (each.id unknown)" in (check.message or "")


async def test_a_step_keeps_its_name_against_a_cleanup_of_the_same_name(bench: Bench) -> None:
    bench.script("scripted", {"ok": True, "items": [{"id": "of the step"}]})
    bench.script("finder", {"items": [{"id": "of the cleanup"}]})
    remover = bench.script("remover", {"deleted": True})
    await bench.one(swept(step("find", mutates=True, expect=["ok == true"])))
    assert [each.params["id"] for each in remover.requests] == ["of the step"]
