"""Mutations: the journal, cleanup and what a later cleanup does with them."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from prodwatch.model.check import Capture, CheckDefinition, SourcePosition
from prodwatch.runner import RunOptions, find_journal, unfinished_journals
from prodwatch.runner.step import journal as journal_module
from prodwatch.runner.step.journal import ExecutionEntry, RunEntry, RunJournal
from prodwatch.testing.check_runner import Bench
from prodwatch.testing.definitions import flow, step
from prodwatch.testing.probes import refused
from tests.support.waiting import PATIENCE_S, turn


def order(**cleanup: Any) -> CheckDefinition:
    """A flow that makes something, looks at it, and has two things to remove."""
    return flow(
        "order",
        step("make", "making", id="TEST-${uid}", mutates=True, capture={"made": Capture(path="made")}),
        step("look", expect=["ok == true"]),
        cleanup=(
            step("first", "removing", id="TEST-${uid}", mutates=True, **cleanup),
            step("second", "removing", made="${captured.made}", mutates=True, **cleanup),
        ),
        mutates=True,
    )


@pytest.fixture
def shop(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.script("making", {"made": 42})
    bench.script("scripted", {"ok": True})
    bench.script("removing", {"deleted": True})
    return bench


def executions(number: int) -> ExecutionEntry:
    now = datetime(2026, 1, 15, tzinfo=UTC)
    return ExecutionEntry(execution=number, check=f"c{number}", uid="u", trace_id="t", started_at=now)


async def test_N22_a_cancelled_append_keeps_the_journal_to_itself_until_its_thread_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening, go_on = threading.Event(), threading.Event()
    real = journal_module._open_locked

    def slowly(path: Path, flags: int) -> int:
        opening.set()
        assert go_on.wait(PATIENCE_S)
        return real(path, flags)

    monkeypatch.setattr(journal_module, "_open_locked", slowly)
    now = datetime(2026, 1, 15, tzinfo=UTC)
    journal = RunJournal(tmp_path, RunEntry(run_id="r", environment="prod", root="/", started_at=now, host="h", pid=1))
    cancelled = asyncio.create_task(journal.append(executions(1)))
    assert await asyncio.to_thread(opening.wait, PATIENCE_S)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    other, closing = asyncio.create_task(journal.append(executions(2))), asyncio.create_task(journal.finish())
    await turn(5)
    assert not other.done()
    assert not closing.done()
    go_on.set()
    await other
    assert not await closing
    assert [each.entry.check for each in find_journal(tmp_path, "r").unfinished] == ["c1", "c2"]


async def test_N22_a_check_cancelled_while_it_is_journalled_has_sent_nothing_and_leaves_nothing(
    shop: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening, go_on = threading.Event(), threading.Event()
    real = journal_module._open_locked

    def slowly(path: Path, flags: int) -> int:
        opening.set()
        assert go_on.wait(PATIENCE_S)
        return real(path, flags)

    monkeypatch.setattr(journal_module, "_open_locked", slowly)
    making = shop.script("making", {"made": 42})
    run = asyncio.create_task(shop.runner([order()]).run([order()], RunOptions(run_id="run-3")))
    assert await asyncio.to_thread(opening.wait, PATIENCE_S)
    run.cancel()
    await turn(5)
    go_on.set()
    result = await run
    assert result.verdict.status == "aborted"
    assert making.requests == []
    assert not list(shop.journal_dir.glob("*.journal"))


async def test_C8_a_line_in_the_middle_of_a_journal_that_cannot_be_read_is_not_passed_over(shop: Bench) -> None:
    shop.script("removing", refused())
    await shop.run(order(), run_id="run-1")
    (path,) = shop.journal_dir.glob("*.journal")
    first, execution, *rest = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join((first, execution, b'{"type": "execution", "exe\n', *rest)))
    shop.script("removing", {"deleted": True})
    result = await shop.runner([order()]).clean_up("run-1", RunOptions())
    assert result.verdict.exit_code == 3
    assert str(path) in result.verdict.reason
    assert path.exists()


async def test_C8_a_cleanup_of_the_second_thing_is_not_left_behind_when_only_the_first_was_made(shop: Bench) -> None:
    shop.script("second", {"made": 43})
    shop.script("scripted", {"ok": False})
    check = await shop.one(
        flow(
            "two",
            step("one", "making", mutates=True, capture={"first": Capture(path="made")}),
            step("look", expect=["ok == true"]),
            step("two", "second", mutates=True, capture={"second": Capture(path="made")}),
            cleanup=(
                step("rm-first", "removing", id="${captured.first}", mutates=True),
                step("rm-second", "removing", id="${captured.second}", mutates=True),
            ),
            mutates=True,
        )
    )
    assert check.status == "fail"
    assert [(each.name, each.status, each.leftovers) for each in check.cleanup] == [
        ("rm-second", "pass", ()),
        ("rm-first", "pass", ()),
    ]
    assert "step two sent nothing" in (check.cleanup[0].message or "")
    assert not list(shop.journal_dir.glob("*.journal"))


async def test_C8_what_may_have_been_made_without_its_id_is_left_behind_with_what_is_known(shop: Bench) -> None:
    shop.script("making", refused("no response"))
    check = await shop.one(order())
    assert check.status == "fail"
    second = check.cleanup[0]
    assert second.leftovers == ("removing made (captured.made unknown)",)


@pytest.mark.parametrize("changed", ["step", "cleanup", "vars"])
async def test_N8_a_changed_definition_is_not_cleaned_up(changed: str, shop: Bench) -> None:
    shop.script("removing", refused())
    before = order()
    await shop.run(before, run_id="run-1")
    other = {
        "step": replace(before, steps=(replace(before.steps[0], params={"id": "other"}), *before.steps[1:])),
        "cleanup": order(idempotent=True),
        "vars": replace(before, vars={"table": "other"}),
    }[changed]
    removing = shop.script("removing", {"deleted": True})
    result = await shop.runner([other]).clean_up("run-1", RunOptions())
    assert removing.requests == []
    assert result.verdict.exit_code == 3
    assert "has changed since run run-1" in (result.checks[0].message or "")
    assert unfinished_journals(shop.journal_dir)


async def test_N8_a_new_title_or_another_place_in_the_file_is_no_change(shop: Bench) -> None:
    shop.script("removing", refused())
    before = order()
    await shop.run(before, run_id="run-1")
    moved = replace(
        before,
        title="another title",
        tags=("new",),
        source=SourcePosition("checks/other.toml", 9),
        cleanup=tuple(replace(each, source=SourcePosition("checks/other.toml", 12)) for each in before.cleanup),
    )
    shop.script("removing", {"deleted": True})
    result = await shop.runner([moved]).clean_up("run-1", RunOptions())
    assert result.verdict.exit_code == 0


async def test_C12_a_cleanup_that_only_reads_or_deletes_is_repeated_for_its_whole_time(shop: Bench) -> None:
    removing = shop.script("removing", refused(), deletes=lambda _params: True)
    check = await shop.one(order())
    assert [each.status for each in check.cleanup] == ["fail", "fail"]
    assert len(removing.requests) > 8
    assert sum(each.duration_ms for each in check.cleanup) > 25_000
