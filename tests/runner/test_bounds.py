"""Bounds from outside: hosts and services, requests that never end, accounts that are not ours."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.aws.interface import AwsError
from prodwatch.clock import SystemClock
from prodwatch.model.environment import AwsTarget, StackReference
from prodwatch.model.status import Reason
from prodwatch.runner import RunOptions, find_journal
from prodwatch.runner.bounds.concurrency import Slots, limit_key
from prodwatch.runner.bounds.time_limits import TaskTimeouts, bounded
from prodwatch.runner.step.stop_reason import StopCause, StopSignal
from prodwatch.testing.check_runner import Bench
from prodwatch.testing.definitions import environment, flow, plain, step
from prodwatch.testing.probes import refused
from tests.support.waiting import turn


@pytest.mark.parametrize(
    ("service", "params", "key"),
    [
        (None, {"url": "https://Shop.Example:8443/a?b#c"}, "shop.example"),
        (None, {"url": "https://user:pw@shop.example/"}, "shop.example"),
        (None, {"url": "http://[::1]:8080/x"}, "::1"),
        (None, {"url": "redis://cache.example:6379/0"}, "cache.example"),
        (None, {"host": "DB.example", "port": 5432}, "db.example"),
        (None, {"argv": ["true"]}, None),
        (None, {"url": 7}, None),
        ("dynamodb", {"table": "t"}, "aws dynamodb  "),
        ("*", {"service": "sqs"}, "aws sqs  "),
    ],
)
def test_what_a_request_counts_against(service: Any, params: Any, key: Any) -> None:
    assert limit_key(service, params, None, None) == key


def test_another_account_or_region_counts_apart() -> None:
    assert limit_key("sqs", {}, "a", None) != limit_key("sqs", {}, "b", None) != limit_key("sqs", {}, "b", "eu-west-1")


@given(st.text(max_size=30))
def test_no_url_crashes(url: Any) -> None:
    limit_key(None, {"url": url}, None, None)


class TestSlots:
    async def test_those_who_have_begun_go_first(self) -> None:
        slots = Slots(1)
        await slots.acquire()
        order: list[str] = []

        async def wait(name: str, *, urgent: bool) -> None:
            await slots.acquire(urgent=urgent)
            order.append(name)
            slots.release()

        tasks = [
            asyncio.create_task(wait("late", urgent=False)),
            asyncio.create_task(wait("later", urgent=False)),
            asyncio.create_task(wait("begun", urgent=True)),
        ]
        await turn()
        slots.release()
        await asyncio.gather(*tasks)
        assert order == ["begun", "late", "later"]

    async def test_a_cancelled_waiter_loses_no_slot(self) -> None:
        slots = Slots(1)
        await slots.acquire()
        waiting = [asyncio.create_task(slots.acquire()) for _ in range(3)]
        await turn()
        slots.release()  # handed to the first …
        waiting[0].cancel()  # … which goes before it wakes
        waiting[1].cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert waiting[2].done()
        assert not waiting[2].cancelled()
        slots.release()
        assert slots.try_acquire()
        assert not slots.try_acquire()


class TestTheMachinesClock:
    async def test_a_probe_that_never_ends_is_ended(self, bench: Bench) -> None:
        async def endless(_params: Any, _context: Any) -> Any:
            await asyncio.Event().wait()

        bench.clock = SystemClock()  # type: ignore[assignment]
        bench.script("endless")
        bench._probes["endless"] = endless
        check = plain(type="endless", expect=["ok == true"], timeout_s=0.001)
        result = await bench.run(check, *(plain(f"c{n}", type="pass") for n in range(3)))
        assert (result.checks[0].status, result.checks[0].reason_code) == ("fail", "timeout")
        assert result.summary.passed == 3

    async def test_cleanup_still_runs_after_it(self, bench: Bench) -> None:
        async def endless(_params: Any, _context: Any) -> Any:
            await asyncio.Event().wait()

        bench.clock = SystemClock()  # type: ignore[assignment]
        bench.script("endless")
        removing = bench.script("removing", {"ok": True})
        bench._probes["endless"] = endless
        check = flow("f", step("a", "endless", timeout_s=0.001), cleanup=(step("z", "removing"),))
        assert (await bench.one(check)).cleanup[0].status == "pass"
        assert len(removing.requests) == 1

    async def test_bounded_ends_what_takes_too_long_and_returns_what_does_not(self) -> None:
        with pytest.raises(TimeoutError):
            await bounded(SystemClock(), 0.001, asyncio.Event().wait())
        assert await bounded(SystemClock(), 5, asyncio.to_thread(lambda: "done")) == "done"

    async def test_one_timer_watches_all(self) -> None:
        timeouts = TaskTimeouts()
        ended: list[str] = []

        async def work(name: str, seconds: float) -> None:
            with pytest.raises(TimeoutError), timeouts.limit(seconds):
                await asyncio.Event().wait()
            ended.append(name)

        await asyncio.gather(work("b", 0.01), work("a", 0.001), work("c", 0.02))
        # On a slow machine all are overdue at the same look: in which order they end is no promise.
        assert sorted(ended) == ["a", "b", "c"]
        with timeouts.limit(60):
            await turn()
        timeouts.close()

    async def test_a_cancellation_by_somebody_else_stays_one(self) -> None:
        timeouts = TaskTimeouts()

        async def work() -> None:
            with timeouts.limit(60):
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await turn()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        timeouts.close()


class TestWrongAccount:
    @pytest.fixture
    def other(self, bench: Bench) -> Bench:
        bench.environment = environment(
            aws=AwsTarget(account="111111111111"), stacks={"shop": StackReference(name="shop")}
        )
        error = AwsError(
            "the credentials belong to account 222222222222, not to 111111111111",
            code="WrongAccount",
            reason=Reason.WRONG_ACCOUNT,
            service="sts",
            operation="GetCallerIdentity",
        )

        async def refuse(_account: str | None = None) -> str:
            raise error

        bench.aws.account_id = refuse  # type: ignore[assignment,method-assign]
        return bench

    @pytest.mark.parametrize(
        "check",
        [
            plain("a", type="table", expect=["ok == true"]),
            plain("a", expect=["ok == true"], url="${stack.shop.Url}"),
        ],
        ids=["a call", "a stack"],
    )
    async def test_the_run_stops_before_the_first_other_call(self, other: Any, check: Any) -> None:
        table = other.script("table", {"ok": True}, service="dynamodb")
        web = other.script("scripted", {"ok": True})
        result = await other.run(check, plain("b", expect=["ok == true"]))
        assert (result.verdict.status, result.verdict.exit_code) == ("error", 3)
        assert {(each.status, each.reason_code) for each in result.checks} == {("error", "wrong_account")}
        assert "222222222222" in result.verdict.reason
        assert table.requests == web.requests == other.aws.calls == []

    async def test_checks_that_need_no_aws_are_not_asked_who_they_are(self, other: Any) -> None:
        other.script("scripted", {"ok": True})
        assert (await other.run(plain("b", expect=["ok == true"]))).verdict.exit_code == 0


class TestCleanupOfARun:
    async def test_interrupted_twice_it_lists_what_is_left_and_keeps_the_journal(self, bench: Bench) -> None:
        bench.script("making", {"ok": True})
        bench.script("removing", refused())
        make = step("make", "making", mutates=True)
        flows = [flow(f"f{n}", make, cleanup=(step("rm", "removing", mutates=True),), mutates=True) for n in range(2)]
        await bench.run(*flows, run_id="run-1")
        hanging = bench.script("removing", {"ok": True}, takes_s=1000)
        bench.clock._auto = False
        task = asyncio.create_task(bench.runner(flows).clean_up("run-1", RunOptions()))
        await hanging.asked.wait()
        for _ in range(2):
            task.cancel()
            await turn(30)
        result = await task
        assert (result.verdict.status, result.verdict.exit_code) == ("aborted", 130)
        assert len(result.checks) == len(hanging.requests) == 1
        assert len(find_journal(bench.journal_dir, "run-1").unfinished) == 2


def test_the_first_cause_of_a_stop_counts() -> None:
    stop = StopSignal()
    stop.set(StopCause.DEADLINE, "5 s")
    stop.set(StopCause.INTERRUPTED)
    conclusion = stop.conclusion(begun=True)
    assert (conclusion.reason, "deadline of 5 s" in (conclusion.message or "")) == (Reason.DEADLINE, True)
