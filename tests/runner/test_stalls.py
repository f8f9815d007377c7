"""Times in which this machine was stalled are no evidence about a target, in whatever way a check would use them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.clock import SystemClock
from prodwatch.model.check import Poll, Retry
from prodwatch.model.quantity import Duration
from prodwatch.model.result import CheckResult
from prodwatch.model.spec import Field
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Failure
from prodwatch.probes.registry import spec as spec_of
from prodwatch.runner.bounds.loop_lag import BEAT_S, LOADING_S, MIN_LAG_S, LoopLag
from prodwatch.testing.check_runner import Bench
from prodwatch.testing.clock import FakeClock
from prodwatch.testing.definitions import flow, plain, step
from prodwatch.testing.probes import ScriptedProbe

TIMED_OUT = Failure(status=Status.FAIL, reason=Reason.TIMEOUT, message="no response within 2 s", transient=True)
SLOW = {"status": 200, "latency": Duration.from_s(0.8)}
FAST = {"status": 200, "latency": Duration.from_s(0.1)}
WRONG = {"status": 500, "latency": Duration.from_s(0.8)}
EXPECT = ["status == 200", "latency < 500ms"]
FIELDS = (Field(name="status", kind="integer", doc="."), Field(name="latency", kind="duration", doc="."))


def stalling(bench: Bench, *answers: Any, stalls: Any = None) -> ScriptedProbe:
    """Answer by script, each request in one second; the machine is stalled during those that `stalls` lists."""
    left = list(stalls) if stalls is not None else [True] * 50

    def during(answer: Any) -> Callable[[Mapping[str, Any]], Any]:
        def answered(_params: Mapping[str, Any]) -> Any:
            if left.pop(0) if left else False:
                now_s = bench.clock.monotonic_s()
                bench.lag.record(now_s - 0.6, now_s)
            return answer

        return answered

    return bench.script("scripted", *map(during, answers), takes_s=1.0, fields=FIELDS)


class SteppedSystemClock(SystemClock):
    """The system clock, with monotonic time that a test sets."""

    at_s = 0.0

    def monotonic_s(self) -> float:
        return self.at_s


def outcome(check: CheckResult) -> tuple[str, str | None, bool]:
    return check.status.value, check.reason_code and check.reason_code.value, "stalled" in check.flags


STALLED = ("inconclusive", "stalled", True)


class TestOneStep:
    @pytest.mark.parametrize("answer", [TIMED_OUT, SLOW], ids=["timeout", "latency"])
    async def test_b10_it_is_repeated_once_and_then_inconclusive(self, bench: Bench, answer: Any) -> None:
        probe = stalling(bench, answer)
        check = await bench.one(plain(expect=EXPECT))
        assert outcome(check) == STALLED
        assert len(probe.requests) == 2
        assert check.message is not None
        assert check.message.startswith("this machine was too slow to measure it (it did not run for 0.60 s of 1.00 s)")

    @pytest.mark.parametrize(
        ("second", "expected"), [(FAST, ("pass", None, True)), (SLOW, ("fail", "assertion", True))]
    )
    async def test_b10_the_second_try_decides(self, bench: Bench, second: Any, expected: Any) -> None:
        stalling(bench, TIMED_OUT, second, stalls=[True, False])
        check = await bench.one(plain(expect=EXPECT))
        assert outcome(check) == expected
        assert "flaky" not in check.flags

    @pytest.mark.parametrize("answer", [TIMED_OUT, SLOW, WRONG], ids=["timeout", "latency", "status"])
    async def test_without_a_stall_it_fails_at_once(self, bench: Bench, answer: Any) -> None:
        probe = stalling(bench, answer, stalls=[])
        check = await bench.one(plain(expect=EXPECT))
        assert (check.status, "stalled" in check.flags) == ("fail", False)
        assert len(probe.requests) == 1

    async def test_a_false_claim_about_something_else_stays_a_failure(self, bench: Bench) -> None:
        probe = stalling(bench, WRONG)
        assert outcome(await bench.one(plain(expect=EXPECT))) == ("fail", "assertion", False)
        assert len(probe.requests) == 1

    async def test_a_claim_that_a_longer_time_makes_true_does_not_pass(self, bench: Bench) -> None:
        stalling(bench, SLOW)
        assert outcome(await bench.one(plain(expect=["status == 200", "latency > 500ms"]))) == STALLED

    async def test_what_holds_in_spite_of_the_stall_passes(self, bench: Bench) -> None:
        probe = stalling(bench, FAST)
        assert outcome(await bench.one(plain(expect=EXPECT))) == ("pass", None, False)
        assert len(probe.requests) == 1

    async def test_a_false_warning_is_repeated_and_then_degraded_for_that_reason(self, bench: Bench) -> None:
        probe = stalling(bench, SLOW)
        check = await bench.one(plain(expect=["status == 200"], warn=["latency < 500ms"]))
        assert outcome(check) == ("degraded", "stalled", True)
        assert len(probe.requests) == 2

    @pytest.mark.parametrize("idempotent", [False, True])
    async def test_a_mutating_step_is_never_repeated(self, bench: Bench, idempotent: bool) -> None:
        probe = stalling(bench, TIMED_OUT)
        mutating = step(mutates=True, idempotent=idempotent, expect=EXPECT)
        assert outcome(await bench.one(flow("f", mutating, mutates=True))) == STALLED
        assert len(probe.requests) == 1

    async def test_a_step_that_must_not_be_repeated_is_not(self, bench: Bench) -> None:
        probe = stalling(bench, TIMED_OUT)
        assert outcome(await bench.one(plain(expect=EXPECT, retry=Retry(times=0, delay_s=0.1)))) == STALLED
        assert len(probe.requests) == 1

    async def test_a_document_with_times_of_a_service_is_evidence(self, bench: Bench) -> None:
        bench.lag.record(0.0, 1.0)
        fields = (Field(name="p95", kind="duration", doc="."),)
        bench.script("scripted", {"p95": Duration.from_s(9)}, takes_s=1.0, fields=fields, service="xray")
        assert (await bench.one(plain(expect=["p95 < 1s"]))).status == "fail"


class TestWaiting:
    async def test_a_poll_takes_one_more_look_after_its_budget(self, bench: Bench) -> None:
        probe = stalling(bench, SLOW, SLOW, FAST, stalls=[True, True, False])
        check = await bench.one(plain(expect=EXPECT, poll=Poll(within_s=1.5, every_s=0.5)))
        assert outcome(check) == ("pass", None, True)
        assert len(probe.requests) == 3

    async def test_a_poll_that_changes_data_takes_no_look_after_its_budget(self, bench: Bench) -> None:
        probe = stalling(bench, SLOW, SLOW, FAST, stalls=[True, True, False])
        changing = step(mutates=True, expect=EXPECT, poll=Poll(within_s=1.5, every_s=0.5))
        assert outcome(await bench.one(flow("f", changing, mutates=True))) == STALLED
        assert len(probe.requests) == 2

    async def test_a_poll_that_only_sees_stalls_is_inconclusive(self, bench: Bench) -> None:
        stalling(bench, SLOW)
        assert outcome(await bench.one(plain(expect=EXPECT, poll=Poll(within_s=3, every_s=1)))) == STALLED

    async def test_stop_when_about_a_time_does_not_stop_during_a_stall(self, bench: Bench) -> None:
        stalling(bench, SLOW, FAST, stalls=[True, False])
        poll = Poll(within_s=5, every_s=1, stop_when=("latency > 500ms",))
        assert (await bench.one(plain(expect=EXPECT, poll=poll))).status == "pass"

    async def test_a_stall_does_not_reach_what_is_waited_for(self, bench: Bench) -> None:
        stalling(bench, SLOW, FAST, stalls=[True])
        poll = Poll(within_s=5, every_s=1, until=("latency > 500ms",))
        assert outcome(await bench.one(plain(expect=["status == 200"], poll=poll))) == ("fail", "assertion", True)

    async def test_what_was_reached_before_a_stall_stays_reached(self, bench: Bench) -> None:
        stalling(bench, SLOW, FAST, stalls=[False, True, True, True])
        poll = Poll(within_s=5, every_s=1, until=("latency > 500ms",))
        check = await bench.one(plain(expect=["status == 200"], poll=poll, hold_s=2.5))
        assert outcome(check) == ("pass", None, False)

    async def test_a_sample_of_hold_is_taken_again(self, bench: Bench) -> None:
        stalling(bench, FAST, SLOW, FAST, stalls=[False, True, False])
        assert outcome(await bench.one(plain(expect=EXPECT, hold_s=2.5))) == ("pass", None, True)


class TestFlows:
    async def test_the_time_of_a_flow_is_no_evidence_either(self, bench: Bench) -> None:
        stalling(bench, FAST)
        steps = [step(f"s{n}", expect=["status == 200"]) for n in range(3)]
        assert outcome(await bench.one(flow("f", *steps, timeout_s=2.0))) == STALLED

    async def test_nor_is_it_while_it_waits(self, bench: Bench) -> None:
        stalling(bench, FAST)
        steps = [step("ask", expect=["status == 200"]), step("pause", "wait", **{"for": "5s"})]
        assert outcome(await bench.one(flow("f", *steps, timeout_s=2.0))) == STALLED

    @pytest.mark.parametrize(
        ("claim", "expected"),
        [
            ("steps.ask.latency < 500ms", STALLED),
            ("steps.ask.status == 201", ("fail", "assertion", False)),
            ("steps.other.latency < 500ms", ("fail", "assertion", False)),
        ],
    )
    async def test_its_own_claims_about_a_stalled_step(self, bench: Bench, claim: str, expected: Any) -> None:
        stalling(bench, SLOW, stalls=[True, False])
        steps = [step(name, expect=["status == 200"]) for name in ("ask", "other")]
        assert outcome(await bench.one(flow("f", *steps, expect=(claim,)))) == expected


async def test_the_run_reports_that_this_machine_is_too_slow(bench: Bench) -> None:
    stalling(bench, SLOW)
    result = await bench.run(plain(expect=EXPECT))
    notice = next(each.message for each in result.notices if each.code == "stalled")
    assert notice.startswith("this machine is too slow: prodwatch did not run for 1.20 s of 2.20 s; 1 check that was")
    assert result.verdict.exit_code == 4


async def test_a_run_without_a_stall_has_no_notice(bench: Bench) -> None:
    stalling(bench, SLOW, stalls=[])
    assert not [each for each in (await bench.run(plain(expect=EXPECT))).notices if each.code == "stalled"]


class TestLoopLag:
    async def test_a_late_beat_is_a_stall_and_one_in_time_is_not(self) -> None:
        clock = FakeClock()
        lag = LoopLag(clock)
        lag.beat()
        await clock.advance(BEAT_S + MIN_LAG_S / 2)
        lag.beat()
        assert lag.stalled_s(0, 10) == 0
        await clock.advance(BEAT_S + 0.5)
        lag.beat()
        assert lag.stalled_s(0, 10) == pytest.approx(0.5)

    async def test_the_stall_that_is_still_going_on_counts(self) -> None:
        clock = FakeClock()
        lag = LoopLag(clock)
        lag.beat()
        await clock.advance(2.0)
        assert lag.stalled_s(1.0, 1.5) == pytest.approx(0.5)
        assert lag.slow_ms() == pytest.approx(1980)

    async def test_it_is_forgotten_after_some_seconds(self) -> None:
        clock = FakeClock()
        lag = LoopLag(clock)
        lag.record(0.0, 0.9)
        await clock.advance(1.0)
        assert lag.slow_ms() == 900
        await clock.advance(6.0)
        assert lag.slow_ms() is None

    def test_a_short_stall_of_a_long_request_spoils_nothing(self) -> None:
        lag = LoopLag(FakeClock())
        lag.record(1.0, 1.1)
        assert lag.stall(0.0, 5.0) is None
        assert lag.stall(0.9, 1.2) is not None

    @given(st.lists(st.tuples(st.floats(0.02, 1), st.floats(0.02, 1)), max_size=30), st.floats(0, 40), st.floats(0, 40))
    def test_the_overlap_is_the_sum_of_the_parts(self, pauses: Any, start: float, end: float) -> None:
        start, end = sorted((start, end))
        lag, at, expected = LoopLag(FakeClock()), 0.0, 0.0
        for pause_s, stall_s in pauses:
            at += pause_s
            lag.record(at, at + stall_s)
            expected += max(0.0, min(end, at + stall_s) - max(start, at))
            at += stall_s
        assert lag.stalled_s(start, end) == pytest.approx(expected)

    def test_its_memory_is_bounded(self) -> None:
        lag = LoopLag(FakeClock())
        for n in range(10_000):
            lag.record(float(n), n + 0.5)
        assert lag.stalled_s(0.0, 10_000.0) == pytest.approx(4096 * 0.5)

    async def test_the_timer_runs_on_the_clock_of_the_machine(self) -> None:
        clock = SteppedSystemClock()
        lag = LoopLag(clock)
        lag.start()
        clock.at_s = 5.0
        assert lag.slow_ms() is None, "this process loads what it runs"
        assert lag.stalled_s(0.0, 5.0) == pytest.approx(4.98), "what was measured meanwhile is spoiled all the same"
        clock.at_s = LOADING_S + 5.0
        assert lag.slow_ms() == pytest.approx(14980)
        lag.stop()
        assert lag.slow_ms() is None

    async def test_virtual_time_that_jumps_is_no_stall(self) -> None:
        clock = FakeClock()
        lag = LoopLag(clock)
        lag.start()
        await clock.advance(5.0)
        assert lag.slow_ms() is None


@pytest.mark.parametrize(
    ("type_", "timed"),
    [
        ("http", {"latency", "phases"}),
        ("tcp", {"connect", "dns"}),
        ("ping", {"rtt", "rtt_min", "rtt_max", "loss", "received"}),
        ("tls", {"connect", "handshake"}),
        ("command", {"duration"}),
        ("dynamodb", {"latency"}),
        ("traces", set()),
        ("metric", set()),
    ],
)
def test_the_fields_that_this_machine_measures(type_: str, timed: set[str]) -> None:
    spec = spec_of(type_)
    assert spec is not None
    assert spec.timed == timed
