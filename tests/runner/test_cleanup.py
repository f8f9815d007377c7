"""Cleanup always runs; what was changed is on the disk before it is sent; a killed run can be finished."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from prodwatch.aws.usage_meter import Meter
from prodwatch.errors import ConfigurationError
from prodwatch.model.check import Capture, CheckDefinition, Poll, Retry, StepDefinition
from prodwatch.model.environment import Limits, SecretReference
from prodwatch.model.result import RunResult
from prodwatch.probes.base import Observation, ProbeContext
from prodwatch.runner import TERMINATED, RunOptions, find_journal, unfinished_journals
from prodwatch.runner.step.compiled import CLEANUP_BUDGET_S, CheckCompiler
from prodwatch.runner.step.journal import ExecutionEntry, JournalError, MutationEntry, RunEntry, RunJournal
from prodwatch.testing.check_runner import Bench
from prodwatch.testing.definitions import environment, flow, spec, step
from prodwatch.testing.probes import denied, refused
from tests.support.waiting import turn


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
def shop(bench: Bench) -> Bench:
    bench.script("making", {"made": 42})
    bench.script("scripted", {"ok": True})
    bench.script("removing", {"deleted": True})
    return bench


async def test_cleanup_runs_in_reverse_order(shop: Any) -> None:
    removing = shop.script("removing", {"deleted": True})
    check = await shop.one(order())
    assert check.status == "pass"
    assert [each.name for each in check.cleanup] == ["second", "first"]
    assert removing.requests[0].params == {"made": 42}
    assert removing.requests[1].params["id"].startswith("TEST-")


async def test_cleanup_calls_aws_when_the_run_has_spent_its_budget_and_the_steps_do_not(shop: Bench) -> None:
    meter = Meter(Limits(api_calls=0))

    def call(_params: Any) -> Any:
        meter.admit("sqs", "DeleteMessage", 1)
        return {"deleted": True, "ok": True}

    shop.script("scripted", call)
    shop.script("removing", call)
    check = await shop.one(order())
    assert [result.status for result in check.steps] == ["pass", "error"]
    assert [result.status for result in check.cleanup] == ["pass", "pass"]


@pytest.mark.parametrize("broken", [{"ok": False}, refused(), RuntimeError("bug")], ids=["false", "refused", "bug"])
async def test_cleanup_runs_after_any_failure(shop: Any, broken: Any) -> None:
    shop.script("scripted", broken)
    check = await shop.one(order())
    assert check.status in {"fail", "error"}
    assert [each.status for each in check.cleanup] == ["pass", "pass"]


async def test_cleanup_runs_after_the_flows_timeout_within_its_own_time(shop: Any) -> None:
    shop.script("scripted", {"ok": True}, takes_s=100)
    slow = shop.script("removing", {"deleted": True}, takes_s=3)
    definition = flow("order", *order().steps, cleanup=order().cleanup, mutates=True, timeout_s=1.0)
    check = await shop.one(definition)
    assert (check.status, check.reason_code) == ("fail", "timeout")
    assert [each.status for each in check.cleanup] == ["pass", "pass"]
    assert len(slow.requests) == 2


async def test_cleanup_may_wait_for_what_arrives_late(shop: Any) -> None:
    removing = shop.script("removing", {"deleted": False}, {"deleted": False}, {"deleted": True})
    check = await shop.one(order(poll=Poll(within_s=5, every_s=1, until=("deleted == true",))))
    assert [each.status for each in check.cleanup] == ["pass", "pass"]
    assert len(removing.requests) == 4


async def test_one_cleanup_step_that_hangs_leaves_the_next_its_own_time(shop: Any) -> None:
    shop.script("removing", {"deleted": False})
    poll = Poll(within_s=400, every_s=1, until=("deleted == true",))
    definition = flow(
        "order",
        *order().steps,
        cleanup=(step("first", "removing2"), step("second", "removing", poll=poll)),
        mutates=True,
    )
    shop.script("removing2", {"deleted": True})
    check = await shop.one(definition)
    assert [(each.name, each.status) for each in check.cleanup] == [("second", "fail"), ("first", "pass")]


@pytest.mark.parametrize(
    ("answers", "sent", "clean"),
    [
        (({"status": 204},), 1, True),
        (({"status": 503}, {"status": 204}), 2, True),
        (({"status": 500}, {"status": 204}), 2, True),
        (({"status": 429}, {"status": 204}), 2, True),
        ((refused(), {"status": 204}), 2, True),
        (({"status": 403}, {"status": 204}), 1, False),
        ((denied(), {"status": 204}), 1, False),
        (({"status": 404},), 1, False),
        (({"status": 503}, {"status": 404}), 2, True),
        (({"status": 503}, {"status": 410}), 2, True),
        (({"status": 503}, {"status": 403}), 2, False),
    ],
    ids=str,
)
async def test_a_cleanup_repeats_only_what_a_repeat_may_change(
    bench: Bench, answers: tuple[Any, ...], sent: int, clean: bool
) -> None:
    bench.script("making", {"made": 42})
    removing = bench.script("http", *answers)
    remove = step("remove", "http", mutates=True, idempotent=True, expect=["status == 204"])
    check = await bench.one(flow("order", step("make", "making", mutates=True), cleanup=(remove,), mutates=True))
    assert len(removing.requests) == sent
    assert [each.status == "pass" for each in check.cleanup] == [clean]
    assert (unfinished_journals(bench.journal_dir) == ()) is clean


async def test_a_response_that_the_cleanup_expects_is_not_asked_for_again(bench: Bench) -> None:
    bench.script("making", {"made": 42})
    removing = bench.script("http", {"status": 503})
    remove = step("remove", "http", mutates=True, idempotent=True, expect=["status == 503"])
    await bench.one(flow("order", step("make", "making", mutates=True), cleanup=(remove,), mutates=True))
    assert len(removing.requests) == 1


async def test_only_the_status_of_http_says_that_a_failure_may_be_temporary(bench: Bench) -> None:
    bench.script("making", {"made": 42})
    removing = bench.script("removing", {"status": 503}, {"status": 204})
    remove = step("remove", "removing", mutates=True, idempotent=True, expect=["status == 204"])
    await bench.one(flow("order", step("make", "making", mutates=True), cleanup=(remove,), mutates=True))
    assert len(removing.requests) == 1


async def test_a_404_proves_no_change_of_a_check_itself_however_often_it_was_sent(bench: Bench) -> None:
    changing = bench.script("http", refused(), {"status": 404})
    change = step("change", "http", mutates=True, idempotent=True, expect=["status == 204"], retry=Retry(times=1))
    check = await bench.one(flow("order", change, mutates=True))
    assert (len(changing.requests), check.status) == (2, "fail")


@pytest.mark.parametrize("answer", [{"status": 503}, {"status": 429}, refused()], ids=str)
async def test_a_cleanup_that_must_not_be_repeated_is_sent_once(bench: Bench, answer: Any) -> None:
    bench.script("making", {"made": 42})
    removing = bench.script("http", answer, {"status": 204})
    remove = step("remove", "http", mutates=True, expect=["status == 204"])
    check = await bench.one(flow("order", step("make", "making", mutates=True), cleanup=(remove,), mutates=True))
    assert len(removing.requests) == 1
    assert all(each.leftovers for each in check.cleanup)


@pytest.mark.parametrize(
    "keys",
    [{}, {"mutates": True, "idempotent": True, "poll": Poll(within_s=3, every_s=1)}],
    ids=["it only reads", "it waits"],
)
async def test_a_404_after_a_failure_proves_a_removal_only_for_a_repeated_removal(
    bench: Bench, keys: dict[str, Any]
) -> None:
    bench.script("making", {"made": 42})
    bench.script("http", {"status": 503}, {"status": 404})
    look = step("look", "http", expect=["status == 204"], **keys)
    check = await bench.one(flow("order", step("make", "making", mutates=True), cleanup=(look,), mutates=True))
    assert [each.status for each in check.cleanup] == ["fail"]


async def test_what_stays_behind_is_listed_and_degrades_a_pass(shop: Any) -> None:
    shop.script("removing", refused("nobody there"))
    result = await shop.run(order(), run_id="run-7")
    check = result.checks[0]
    assert (check.status, check.reason_code) == ("degraded", "cleanup")
    assert "removing made 42" in (check.message or "")
    assert "removing id TEST-" in (check.message or "")
    assert "prodwatch cleanup run-7" in (check.message or "")
    assert [each.code for each in result.notices] == ["leftovers"]
    assert all(each.leftovers for each in check.cleanup)
    assert [each.run.run_id for each in unfinished_journals(shop.journal_dir)] == ["run-7"]


@pytest.mark.parametrize(
    ("ok", "outcome"), [(True, ("error", "internal")), (False, ("fail", "assertion"))], ids=["a pass", "a fail"]
)
async def test_a_bug_in_the_cleanup_makes_a_pass_an_error_and_hides_no_failure(
    shop: Any, monkeypatch: pytest.MonkeyPatch, ok: bool, outcome: tuple[str, str]
) -> None:
    async def broken(*_arguments: Any, **_keys: Any) -> bool:
        raise RuntimeError("bug")

    monkeypatch.setattr("prodwatch.runner.check.run_check.clean_up", broken)
    shop.script("scripted", {"ok": ok})
    result = await shop.run(order(), run_id="run-7")
    (check,) = result.checks
    assert (check.status, check.reason_code) == outcome
    assert [each.code for each in result.notices] == ["leftovers"]
    assert [each.run.run_id for each in unfinished_journals(shop.journal_dir)] == ["run-7"]


async def test_leftovers_of_rounds_are_passed_on_once_masked_and_on_one_line(shop: Any) -> None:
    shop.redactor.add("hunter22")
    check = flow("f", step("make"), cleanup=(step("rm", "removing", id="a hunter22\nb"),))
    shop.script("removing", refused("nobody there"))
    runner = shop.runner([check])
    for _ in range(2):
        await runner.run_round(["f"], RunOptions(run_id="run-7"))
    await runner.close()
    (notice,) = shop.notices
    assert notice.code == "leftovers"
    assert notice.message.startswith("f: cleanup did not finish, left behind: removing id a •••⏎b")
    assert notice.message.endswith("`prodwatch cleanup run-7` tries again")


async def test_a_clean_run_leaves_no_journal(shop: Any) -> None:
    await shop.run(order())
    assert unfinished_journals(shop.journal_dir) == ()


async def test_every_mutation_is_on_the_disk_before_it_is_sent(shop: Any) -> None:
    seen: list[list[dict[str, Any]]] = []

    def look(params: Mapping[str, Any]) -> dict[str, Any]:
        (path,) = shop.journal_dir.glob("*.journal")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        seen.append([json.loads(line) for line in path.read_text().splitlines()])
        return {"made": 42, "sent": params["id"]}

    shop.script("making", look)
    assert (await shop.one(order())).status == "pass"
    kinds = [each["type"] for each in seen[0]]
    assert kinds == ["run", "execution", "values", "mutation"]
    assert seen[0][3]["details"]["id"].startswith("TEST-")


async def test_a_mutation_that_cannot_be_journalled_is_not_sent(shop: Any) -> None:
    shop.journal_dir.write_text("a file where the folder should be")
    making = shop.script("making", {"made": 42})
    check = await shop.one(order())
    assert (check.status, check.reason_code) == ("error", "journal")
    assert "nothing was sent" in (check.message or "")
    assert making.requests == []


async def test_reading_needs_no_journal(shop: Any) -> None:
    shop.journal_dir.write_text("a file where the folder should be")
    assert (await shop.one(flow("f", step("look", expect=["ok == true"])))).status == "pass"


async def test_the_journal_holds_references_never_secrets(shop: Any) -> None:
    shop.environment = environment(
        vars={"auth": "Bearer ${secret.token}"}, secrets={"token": SecretReference(env="TOKEN")}
    )
    shop.environ["TOKEN"] = "s3cr3t-value"
    shop.script("removing", refused())
    definition = flow(
        "order",
        step("make", "making", mutates=True, auth="${vars.auth}", capture={"key": Capture(path="key", secret=True)}),
        cleanup=(step("remove", "removing", auth="${vars.auth}", key="${captured.key}", id="${uid}"),),
        mutates=True,
    )
    shop.script("making", {"key": "captured-secret"})
    await shop.run(definition)
    (path,) = shop.journal_dir.glob("*.journal")
    text = path.read_text()
    assert "s3cr3t" not in text
    assert "captured-secret" not in text
    assert "•••" in text


class TestInterruption:
    async def interrupted(self, bench: Bench, *reasons: str | None) -> RunResult:
        """Run the order while its second step hangs; cancel it `len(reasons)` times."""
        hanging = bench.script("scripted", {"ok": True}, takes_s=10_000)
        bench.clock._auto = False
        task = asyncio.create_task(bench.runner([order()]).run([order()], RunOptions(run_id="run-9")))
        await hanging.asked.wait()
        for reason in reasons:
            task.cancel(reason)
            await turn(30)
        bench.clock._auto = True
        await bench.clock.sleep(1)
        return await task

    async def test_the_first_one_cleans_up_and_gives_a_valid_result(self, shop: Any) -> None:
        result = await self.interrupted(shop, None)
        check = result.checks[0]
        assert (result.verdict.status, result.verdict.exit_code) == ("aborted", 130)
        assert (check.status, check.reason_code) == ("inconclusive", "interrupted")
        assert [each.status for each in check.cleanup] == ["pass", "pass"]
        assert [each.status for each in check.steps] == ["pass", "inconclusive"]
        assert unfinished_journals(shop.journal_dir) == ()

    async def test_terminated_exits_143(self, shop: Any) -> None:
        assert (await self.interrupted(shop, TERMINATED)).verdict.exit_code == 143

    async def test_a_second_one_abandons_cleanup_keeps_the_journal_and_lists_what_is_left(self, shop: Any) -> None:
        shop.script("removing", {"deleted": True}, takes_s=5_000)
        result = await self.interrupted(shop, None, None)
        check = result.checks[0]
        assert result.verdict.status == "aborted"
        assert [each.status for each in check.cleanup] == ["skipped", "skipped"]
        assert all(each.leftovers for each in check.cleanup)
        assert result.notices[0].code == "leftovers"
        assert find_journal(shop.journal_dir, "run-9").unfinished

    async def test_what_had_not_begun_is_skipped(self, shop: Any) -> None:
        hanging = shop.script("scripted", {"ok": True}, takes_s=10_000)
        shop.clock._auto = False
        checks = [flow(f"f{n}", step("look", timeout_s=20_000.0)) for n in range(3)]
        task = asyncio.create_task(shop.runner(checks).run(checks, RunOptions(jobs=1)))
        await hanging.asked.wait()
        task.cancel()
        result = await task
        assert [each.status for each in result.checks] == ["inconclusive", "skipped", "skipped"]
        assert result.verdict.status == "aborted"


class TestAfterACrash:
    async def test_cleanup_finishes_from_the_journal(self, shop: Any) -> None:
        shop.script("removing", refused())
        await shop.run(order(), run_id="run-1")
        removing = shop.script("removing", {"deleted": True})
        result = await shop.runner([order()]).clean_up("run-1", RunOptions())
        assert result.verdict.exit_code == 0
        assert [each.name for each in result.checks[0].cleanup] == ["second", "first"]
        assert removing.requests[0].params == {"made": 42}
        assert removing.requests[1].params["id"].startswith("TEST-")
        assert unfinished_journals(shop.journal_dir) == ()

    async def test_what_was_cleaned_is_not_cleaned_twice(self, shop: Any) -> None:
        shop.script("removing", {"deleted": True}, refused())
        await shop.run(order(), run_id="run-1")
        removing = shop.script("removing", {"deleted": True})
        await shop.runner([order()]).clean_up("run-1", RunOptions())
        assert [set(each.params) for each in removing.requests] == [{"id"}]

    async def test_what_cannot_be_cleaned_again_stays(self, shop: Any) -> None:
        shop.script("removing", refused())
        await shop.run(order(), run_id="run-1")
        result = await shop.runner([order()]).clean_up("run-1", RunOptions())
        assert (result.verdict.status, result.verdict.exit_code) == ("error", 3)
        assert unfinished_journals(shop.journal_dir)

    async def test_a_check_that_is_gone_is_reported_with_the_requests_it_sent(self, shop: Any) -> None:
        shop.script("removing", refused())
        await shop.run(order(), run_id="run-1")
        result = await shop.runner([]).clean_up("run-1", RunOptions())
        assert result.verdict.exit_code == 3
        assert "making id TEST-" in (result.checks[0].message or "")

    @pytest.mark.parametrize("run_id", ["run-2", "../run-1", ""])
    async def test_an_unknown_run_names_those_there_are(self, shop: Any, run_id: Any) -> None:
        shop.script("removing", refused())
        await shop.run(order(), run_id="run-1")
        with pytest.raises(ConfigurationError, match="Runs with leftovers here: run-1"):
            await shop.runner([order()]).clean_up(run_id, RunOptions())

    async def test_a_run_that_is_going_on_is_left_alone(self, shop: Any) -> None:
        async def while_running(params: Mapping[str, Any], context: ProbeContext) -> Observation:
            with pytest.raises(ConfigurationError, match="still be going on"):
                await shop.runner([order()]).clean_up(context.run_id, RunOptions())
            return Observation(document={"made": 1, "sent": params["id"]})

        shop.script("making")
        shop._probes["making"] = while_running
        assert (await shop.one(order())).status == "pass"

    async def crashed(self, bench: Bench, digest: str = "") -> None:
        """Leave the journal of a run that was killed after its one mutation."""
        now = datetime(2026, 1, 15, tzinfo=UTC)
        header = RunEntry(run_id="run-1", environment="test", root="/", started_at=now, host="h", pid=1)
        journal = RunJournal(bench.journal_dir, header)
        await journal.append(
            ExecutionEntry(execution=1, check="order", uid="u", trace_id="t", started_at=now, digest=digest),
            MutationEntry(execution=1, step="make", what="making", at=now, details={"id": "TEST-u"}),
        )
        await journal.finish()

    async def test_a_check_without_a_cleanup_is_reported_as_not_cleaned_up_once(self, shop: Any) -> None:
        await self.crashed(shop)
        check = flow("order", step("make", "making", id="TEST-${uid}", mutates=True), mutates=True)
        result = await shop.runner([check]).clean_up("run-1", RunOptions())
        assert result.checks[0].status == "skipped"
        assert "nothing was cleaned up; it had sent: making id TEST-u" in (result.checks[0].message or "")
        assert unfinished_journals(shop.journal_dir) == ()

    @pytest.mark.parametrize(("digest", "sent"), [("", 1), ("of another definition", 0)])
    async def test_only_a_digest_of_another_definition_keeps_a_cleanup_from_running(
        self, shop: Any, digest: str, sent: int
    ) -> None:
        await self.crashed(shop, digest)
        removing = shop.script("removing", {"deleted": True})
        remove = step("remove", "removing", id="TEST-${uid}", mutates=True)
        check = flow("order", step("make", "making", mutates=True), cleanup=(remove,), mutates=True)
        await shop.runner([check]).clean_up("run-1", RunOptions())
        assert [each.params["id"] for each in removing.requests] == ["TEST-u"] * sent
        assert (unfinished_journals(shop.journal_dir) == ()) is bool(sent)

    def test_a_line_torn_by_the_crash_is_passed_over(self, tmp_path: Path) -> None:
        head = {"type": "run", "run_id": "r", "environment": "e", "root": "/", "started_at": "2026-01-15T12:00:00Z"}
        path = tmp_path / "r.journal"
        path.write_text(json.dumps(head | {"host": "h", "pid": 1}) + '\n{"type":"execution","exec')
        assert find_journal(tmp_path, "r").unfinished == ()

    def test_kill_9_and_then_cleanup(self, tmp_path: Path) -> None:
        """A real process, killed between its mutation and its cleanup; another one finishes."""
        program = textwrap.dedent(
            """
            import asyncio, sys
            from pathlib import Path
            from prodwatch.model.check import Capture
            from prodwatch.runner import RunOptions
            from prodwatch.testing.check_runner import Bench
            from prodwatch.testing.definitions import flow, step

            folder, killed = Path(sys.argv[1]), sys.argv[2] == "run"
            order = flow(
                "order",
                step("make", "making", id="TEST-${uid}", mutates=True, capture={"made": Capture(path="made")}),
                step("hang", "hanging"),
                cleanup=(step("remove", "removing", id="TEST-${uid}", made="${captured.made}"),),
                mutates=True,
            )

            async def hanging(params, context):
                print("hanging", flush=True)
                await asyncio.sleep(60)

            async def main():
                bench = Bench(folder)
                made = bench.script("making", {"made": 42})
                removing = bench.script("removing", {"deleted": True})
                bench.script("hanging")
                bench._probes["hanging"] = hanging
                bench.clock._auto = False
                if killed:
                    await bench.run(order, run_id="run-k")
                else:
                    result = await bench.runner([order]).clean_up("run-k", RunOptions())
                    print(result.verdict.status, removing.requests[0].params)

            asyncio.run(main())
            """
        )
        command = [sys.executable, "-c", program, str(tmp_path)]
        process = subprocess.Popen([*command, "run"], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "hanging\n"
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        done = subprocess.run([*command, "cleanup"], capture_output=True, text=True, check=True)
        status, _, params = done.stdout.partition(" ")
        assert status == "empty"
        assert "'made': 42" in params
        assert "TEST-" in params


async def test_a_disk_that_was_full_for_a_moment_loses_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, full = os.write, [True]

    def write(file: int, text: bytes) -> int:
        if full:
            full.clear()
            real(file, text[: len(text) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(file, text)

    monkeypatch.setattr("prodwatch.runner.step.journal.os.write", write)
    now = datetime(2026, 1, 15, tzinfo=UTC)
    header = RunEntry(run_id="r", environment="prod", root="/", started_at=now, host="h", pid=1)
    journal = RunJournal(tmp_path, header)
    entry = ExecutionEntry(execution=1, check="c", uid="u", trace_id="t", started_at=now)
    with pytest.raises(JournalError, match="so nothing was sent"):
        await journal.append(entry)
    await journal.append(entry)
    await journal.finish()
    assert [each.entry.check for each in find_journal(tmp_path, "r").unfinished] == ["c"]


def inode(path: Path) -> int:
    return path.stat().st_ino


async def test_a_line_is_synchronised_with_the_disk_before_the_mutation_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, synchronised = os.fsync, []

    def fsync(file: int) -> None:
        synchronised.append(os.fstat(file).st_ino)
        real(file)

    monkeypatch.setattr("prodwatch.runner.step.journal.os.fsync", fsync)
    now = datetime(2026, 1, 15, tzinfo=UTC)
    journal = RunJournal(tmp_path, RunEntry(run_id="r", environment="prod", root="/", started_at=now, host="h", pid=1))
    await journal.append(ExecutionEntry(execution=1, check="c", uid="u", trace_id="t", started_at=now))
    assert synchronised == [inode(tmp_path), inode(journal.path)]
    await journal.finish()


@pytest.mark.parametrize(
    ("keys", "budget_s"),
    [
        ({"timeout_s": 4.0}, CLEANUP_BUDGET_S),
        ({"timeout_s": 20.0}, 20.0),
        ({"timeout_s": 10.0, "poll": Poll(within_s=8.0)}, 18.0),
        ({"timeout_s": 10.0, "poll": Poll(within_s=8.0), "hold_s": 5.0}, 23.0),
    ],
)
def test_the_budget_of_a_cleanup_step_is_its_timeout_and_its_waits(keys: dict[str, Any], budget_s: float) -> None:
    check = flow("order", step("make"), cleanup=(step("remove", **keys),))
    compiled = CheckCompiler(environment(), lambda _type: spec()).compile(check)
    assert compiled.cleanup[0].budget_s == budget_s


# Undo


def undo_of(step_name: str, **keys: object) -> StepDefinition:
    return replace(step(f"undo {step_name}", type="remover", mutates=True, **keys), undoes=step_name)


@pytest.mark.parametrize(
    ("answers", "undone"),
    [
        (({"id": "a"}, {"id": "b"}), ["b", "a"]),
        (({"id": "a"}, refused()), ["a"]),
        ((Observation(failure=replace(refused(), unsent=True)), {"id": "b"}), []),
        (
            (
                Observation(document={"id": "a"}, failure=replace(refused(), unsent=True, answered_by=("id",))),
                {"id": "b"},
            ),
            ["b"],
        ),
    ],
    ids=["all sent, the last first", "the second fails", "nothing was sent", "a failure that was expected"],
)
async def test_D_an_undo_runs_only_when_its_step_was_sent(
    bench: Bench, answers: tuple[object, ...], undone: list[str]
) -> None:
    bench.script("scripted", *answers)
    remover = bench.script("remover", {})
    steps = [
        step(name, mutates=True, expect=["id exists"], capture={name: Capture(path="id")}, retry=Retry(times=0))
        for name in ("one", "two")
    ]
    cleanup = (undo_of("one", id="${steps.one.id}"), undo_of("two", id="${steps.two.id}"))
    check = await bench.one(flow("f", *steps, mutates=True, cleanup=cleanup))
    assert [request.params["id"] for request in remover.requests] == undone
    # What may have been sent and cannot be named is left behind, and said so.
    left = [each.name for each in check.cleanup if each.leftovers]
    assert left == (["undo two"] if check.status == "fail" and undone else [])


async def test_D_a_check_that_its_precondition_skips_has_nothing_to_undo(bench: Bench) -> None:
    bench.script("scripted", {"depth": 3})
    remover = bench.script("remover", {})
    first = replace(step("empty", expect=["depth == 0"]), precondition=True)
    put = step("put", mutates=True)
    check = await bench.one(flow("f", first, put, mutates=True, cleanup=(undo_of("put"),)))
    assert (check.status, remover.requests) == ("skipped", [])


async def test_an_undo_that_needs_no_value_runs_only_when_its_step_was_sent(bench: Bench) -> None:
    bench.script("scripted", {"ok": True}, {"ok": False})
    bench.script("later", {"ok": True})
    remover = bench.script("remover", {})
    steps = (step("one", mutates=True), step("look", expect=["ok == true"]), step("two", "later", mutates=True))
    cleanup = (undo_of("one", id="one"), undo_of("two", id="two"))
    check = await bench.one(flow("f", *steps, mutates=True, cleanup=cleanup))
    assert [request.params["id"] for request in remover.requests] == ["one"]
    assert [(each.name, each.status) for each in check.cleanup] == [("undo two", "pass"), ("undo one", "pass")]


async def test_a_cleanup_sends_nothing_where_no_mutation_was_sent(bench: Bench) -> None:
    bench.script("scripted", {"ok": False})
    bench.script("making", {"ok": True})
    removing = bench.script("removing", {"deleted": True})
    steps = (step("look", expect=["ok == true"]), step("make", "making", mutates=True))
    remove = step("remove", "removing", id="fixed", mutates=True)
    check = await bench.one(flow("f", *steps, mutates=True, cleanup=(remove,)))
    assert (check.status, check.cleanup, removing.requests) == ("fail", (), [])
