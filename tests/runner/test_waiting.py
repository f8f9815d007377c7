"""Retry, poll and hold, each exactly as long and as often as written."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodwatch.model.check import Poll, Retry
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Failure, Observation, ProbeContext
from prodwatch.runner.step.attempts import delay_s
from prodwatch.testing.check_runner import Bench
from prodwatch.testing.definitions import flow, plain, step
from prodwatch.testing.probes import denied, refused, throttled

TIMED_OUT = Failure(status=Status.FAIL, reason=Reason.TIMEOUT, message="no answer within 2 s", transient=True)
NO_GROUP = Failure(
    status=Status.INCONCLUSIVE, reason=Reason.NO_DATA, message="there is no such log group yet", transient=True
)
POLL = Poll(within_s=10, every_s=1)
GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "polling-and-retry.md"


class TestRetry:
    async def test_a_transport_failure_is_repeated_once_and_the_pass_is_flagged_flaky(self, bench: Bench) -> None:
        probe = bench.script("scripted", refused(), {"ok": True})
        check = await bench.one(plain(expect=["ok == true"]))
        assert (check.status, check.flags) == ("pass", ("flaky",))
        assert [each.status for each in check.attempts] == ["fail", "pass"]
        assert len(probe.requests) == 2

    async def test_a_throttle_is_repeated_too(self, bench: Bench) -> None:
        bench.script("scripted", throttled(), {"ok": True})
        assert (await bench.one(plain(expect=["ok == true"]))).status == "pass"

    @pytest.mark.parametrize("answer", [{"ok": False}, denied(), TIMED_OUT], ids=["false", "denied", "timed out"])
    async def test_nothing_else_is(self, bench: Bench, answer: Any) -> None:
        probe = bench.script("scripted", answer)
        assert (await bench.one(plain(expect=["ok == true"]))).status != "pass"
        assert len(probe.requests) == 1

    async def test_a_written_retry_repeats_timeouts_and_counts_as_written(self, bench: Bench) -> None:
        probe = bench.script("scripted", TIMED_OUT)
        check = await bench.one(plain(expect=["ok == true"], retry=Retry(times=3, delay_s=0.5)))
        assert len(probe.requests) == 4
        assert check.reason_code == "timeout"
        assert bench.clock.slept.count(0.5) == 3

    @pytest.mark.parametrize(
        ("type_", "status", "reason"), [("scripted", "fail", Reason.TIMEOUT), ("metric", "error", Reason.SERVICE)]
    )
    async def test_a_probe_that_does_not_return_in_time_is_repeated_as_written(
        self, bench: Bench, type_: str, status: str, reason: Reason
    ) -> None:
        probe = bench.script(type_, {"ok": True}, takes_s=600)
        check = await bench.one(plain(type=type_, expect=["ok == true"], timeout_s=2, retry=Retry(times=2)))
        assert (check.status, check.reason_code, len(probe.requests)) == (status, reason, 3)

    @pytest.mark.parametrize(("idempotent", "sent"), [(False, 1), (True, 2)])
    async def test_a_mutating_step_is_sent_once_unless_idempotent(
        self, bench: Bench, idempotent: Any, sent: Any
    ) -> None:
        probe = bench.script("scripted", refused())
        mutating = step(mutates=True, idempotent=idempotent, expect=["ok == true"])
        await bench.one(flow("f", mutating, mutates=True))
        assert len(probe.requests) == sent


class TestPoll:
    async def test_expect_is_waited_for_without_until(self, bench: Bench) -> None:
        probe = bench.script("scripted", {"n": 0}, {"n": 0}, {"n": 1})
        check = await bench.one(plain(expect=["n == 1"], poll=POLL))
        assert check.status == "pass"
        assert [request.at_s for request in probe.requests] == [0, 1, 2]
        assert [each.kind for each in check.attempts] == ["poll"] * 3
        assert "flaky" not in check.flags

    async def test_until_is_waited_for_and_then_expect_is_judged_once(self, bench: Bench) -> None:
        probe = bench.script("scripted", {}, {"item": {"text": "other"}}, {"item": {"text": "right"}})
        poll = Poll(within_s=10, every_s=1, until=("item exists",))
        check = await bench.one(plain(expect=["item.text == 'right'"], poll=poll))
        assert check.status == "fail"
        assert check.message is not None
        assert check.message.startswith("appeared but wrong")
        assert len(probe.requests) == 2

    async def test_expect_is_not_judged_while_until_is_not_met(self, bench: Bench) -> None:
        bench.script("scripted", {"item": None, "ok": False})
        poll = Poll(within_s=2, every_s=1, until=("item != null",))
        check = await bench.one(plain(expect=["ok == true"], warn=["ok == true"], poll=poll))
        assert check.status == "fail"
        assert [(result.expression, result.severity) for result in check.assertions] == [("item != null", "until")]

    @pytest.mark.parametrize(
        ("answer", "expect", "says", "status"),
        [
            ({}, "item.text == 'x'", "never appeared", "fail"),
            ({"count": 0}, "count >= 1", "never appeared", "fail"),
            ({"status": 404}, "status == 200", "never appeared", "fail"),
            ({"status": 500}, "status == 200", "appeared but wrong", "fail"),
            ({"exists": False}, "exists == true", "never appeared", "fail"),
            ({"deleted": False}, "deleted == true", "never appeared", "fail"),
            ({"ready": False}, "ready == true", "appeared but wrong", "fail"),
            ({"item": {"text": "y"}}, "item.text == 'x'", "appeared but wrong", "fail"),
            (refused("nobody there"), "item exists", "request failed: nobody there", "fail"),
            (throttled("too fast"), "item exists", "request failed: too fast", "error"),
            (NO_GROUP, "count > 0", "never appeared: there is no such log group yet", "inconclusive"),
            ({"items": []}, "all items[].ok == true", "never appeared", "inconclusive"),
        ],
        ids=[
            "missing",
            "none counted",
            "not found",
            "broken",
            "no object",
            "nothing deleted",
            "false",
            "wrong",
            "refused",
            "throttled",
            "no data",
            "undecidable",
        ],
    )
    async def test_a_failed_wait_says_which_it_was(
        self, bench: Bench, answer: Any, expect: str, says: str, status: str
    ) -> None:
        bench.script("scripted", answer)
        check = await bench.one(plain(expect=[expect], poll=POLL))
        assert check.status == status
        assert check.message is not None
        assert check.message.startswith(says)
        assert "11 attempts in 10.0 s" in check.message

    @pytest.mark.parametrize(
        ("responses", "kind"),
        [
            ([{}], "never appeared"),
            ([{"n": 2}], "appeared but wrong"),
            ([{"n": 1}, {"n": 2}], "right, then wrong"),
            ([refused("nobody there")], "request failed"),
            ([throttled("too fast")], "request failed"),
        ],
        ids=["never", "wrong", "lost", "refused", "throttled"],
    )
    async def test_the_reason_of_each_kind_of_failed_wait_is_that_of_the_guide(
        self, bench: Bench, responses: list[Any], kind: str
    ) -> None:
        bench.script("scripted", *responses)
        check = await bench.one(plain(expect=["n == 1"], poll=POLL, hold_s=10))
        assert (check.message or "").startswith(kind)
        (row,) = (line for line in GUIDE.read_text(encoding="utf-8").splitlines() if line.startswith(f"| `{kind}`"))
        assert f"`{check.status}`, `{check.reason_code}`" in row

    async def test_the_flows_time_limit_is_the_reason_when_it_ends_a_wait(self, bench: Bench) -> None:
        bench.script("scripted", {})
        waiting = step(expect=["n == 1"], poll=POLL)
        check = await bench.one(flow("f", waiting, timeout_s=3))
        assert (check.status, check.reason_code) == ("fail", "timeout")

    async def test_the_last_look_is_at_the_very_end_of_the_budget(self, bench: Bench) -> None:
        probe = bench.script("scripted", {"n": 0})
        await bench.one(plain(expect=["n == 1"], poll=Poll(within_s=2.5, every_s=1)))
        assert [request.at_s for request in probe.requests] == [0, 1, 2, 2.5]

    async def test_a_hopeless_failure_ends_the_wait(self, bench: Bench) -> None:
        probe = bench.script("scripted", denied())
        check = await bench.one(plain(expect=["n == 1"], poll=POLL))
        assert (check.status, check.reason_code) == ("error", "access_denied")
        assert len(probe.requests) == 1

    async def test_a_wait_whose_last_request_failed_has_the_status_of_that_failure(self, bench: Bench) -> None:
        bench.script("scripted", {"item": None}, throttled("too fast"))
        check = await bench.one(plain(expect=["item != null"], poll=Poll(within_s=2, every_s=1)))
        assert (check.status, check.reason_code) == ("error", "throttled")
        assert (check.message or "").startswith("request failed: too fast")

    async def test_any_of_several_stop_when_ends_the_wait(self, bench: Bench) -> None:
        probe = bench.script("scripted", {"state": "failed"})
        poll = Poll(within_s=10, every_s=1, stop_when=("state == 'cancelled'", "state == 'failed'"))
        check = await bench.one(plain(expect=["state == 'done'"], poll=poll))
        assert (check.status, len(probe.requests)) == ("fail", 1)
        assert "waiting was stopped: `state == 'failed'` is true" in (check.message or "")

    async def test_when_the_flow_is_out_of_time_a_request_that_could_not_be_measured_stays_an_error(
        self, bench: Bench
    ) -> None:
        bench.script("scripted", throttled("too fast"))
        retried = step("a", expect=["ok == true"], retry=Retry(times=3, delay_s=5.0))
        check = await bench.one(flow("f", retried, timeout_s=3.0))
        assert (check.status, check.reason_code) == ("error", "throttled")

    async def test_stop_when_ends_the_wait_at_a_terminal_state(self, bench: Bench) -> None:
        probe = bench.script("scripted", {"state": "RUNNING"}, {"state": "FAILED"})
        poll = Poll(within_s=60, every_s=1, until=("state == 'DONE'",), stop_when=("state == 'FAILED'",))
        check = await bench.one(plain(expect=["state == 'DONE'"], poll=poll))
        assert check.status == "fail"
        assert check.message is not None
        assert "waiting was stopped" in check.message
        assert len(probe.requests) == 2

    async def test_waiting_checks_hold_up_nobody(self, bench: Bench) -> None:
        bench.script("scripted", {"n": 0})
        bench.script("quick", {"ok": True}, takes_s=0.1)
        began = bench.clock.monotonic_s()
        await bench.run(
            *(plain(f"waits{n}", expect=["n == 1"], poll=POLL) for n in range(40)),
            *(plain(f"c{n}", type="quick", expect=["ok == true"]) for n in range(40)),
            jobs=2,
        )
        assert bench.clock.monotonic_s() - began < 14

    def test_back_offs_grow_as_named(self) -> None:
        dice = random.Random(1)
        for backoff, wanted in (
            ("fixed", [1, 1, 1, 1, 1]),
            ("exponential", [1, 2, 4, 8, 16]),
            ("fibonacci", [1, 1, 2, 3, 5]),
        ):
            poll = Poll(within_s=60, every_s=1, backoff=backoff)  # type: ignore[arg-type]
            assert [delay_s(poll, n, dice) for n in range(1, 6)] == wanted

    @given(st.integers(1, 200), st.sampled_from(["fixed", "exponential", "fibonacci"]), st.integers())
    def test_full_jitter_stays_between_nothing_and_the_step(self, n: Any, backoff: Any, seed: Any) -> None:
        plain_poll = Poll(within_s=60, every_s=0.5, backoff=backoff)
        jittered = Poll(within_s=60, every_s=0.5, backoff=backoff, jitter=True)
        dice = random.Random(seed)
        assert 0 < delay_s(jittered, n, dice) <= max(0.01, delay_s(plain_poll, n, dice))

    @settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        within_s=st.floats(0.1, 30),
        every_s=st.floats(0.3, 30),
        backoff=st.sampled_from(["fixed", "exponential", "fibonacci"]),
        jitter=st.booleans(),
        takes_s=st.floats(0, 5),
        timeout_s=st.floats(0.1, 5),
    )
    async def test_totals_are_never_over_within_plus_one_request(
        self,
        tmp_path_factory: Any,
        within_s: Any,
        every_s: Any,
        backoff: Any,
        jitter: Any,
        takes_s: Any,
        timeout_s: Any,
    ) -> None:
        bench = Bench(tmp_path_factory.mktemp("bench"))
        probe = bench.script("scripted", {"n": 0}, takes_s=takes_s)
        poll = Poll(within_s=within_s, every_s=every_s, backoff=backoff, jitter=jitter)
        check = await bench.one(plain(expect=["n == 1"], poll=poll, timeout_s=timeout_s))
        assert check.status in {"fail", "error"}
        last = probe.requests[-1].at_s
        assert last <= within_s + 1e-6
        assert bench.clock.monotonic_s() <= within_s + min(takes_s, timeout_s + 0.1) + 1e-6


class TestHold:
    async def test_from_the_first_success_expect_must_stay_true(self, bench: Bench) -> None:
        probe = bench.script("scripted", {"n": 0}, {"n": 1})
        check = await bench.one(plain(expect=["n == 1"], poll=POLL, hold_s=4.0, hold_every_s=1.0))
        assert check.status == "pass"
        assert [request.at_s for request in probe.requests] == [0, 1, 2, 3, 4, 5]
        assert [each.kind for each in check.attempts] == ["poll", "poll", "hold", "hold", "hold", "hold"]

    async def test_right_then_wrong(self, bench: Bench) -> None:
        bench.script("scripted", {"n": 1}, {"n": 1}, {"n": 2})
        check = await bench.one(plain(expect=["n == 1"], hold_s=15.0, hold_every_s=1.0))
        assert check.status == "fail"
        assert check.message is not None
        assert check.message.startswith("right, then wrong")
        assert "3 attempts in 2.0 s" in check.message

    async def test_must_not_appear_is_absence_held(self, bench: Bench) -> None:
        bench.script("scripted", {"found": True})
        check = await bench.one(plain(expect=["item absent", "found == true"], hold_s=15.0, hold_every_s=1.0))
        assert check.status == "pass"
        assert len(check.attempts) == 16

    async def test_without_a_first_success_nothing_is_held(self, bench: Bench) -> None:
        probe = bench.script("scripted", {"n": 0})
        assert (await bench.one(plain(expect=["n == 1"], hold_s=15.0))).status == "fail"
        assert len(probe.requests) == 1

    async def test_a_sample_that_fails_twice_ends_it(self, bench: Bench) -> None:
        bench.script("scripted", {"n": 1}, refused("gone"))
        check = await bench.one(plain(expect=["n == 1"], hold_s=5.0))
        assert (check.status, check.reason_code) == ("fail", "connect")

    @pytest.mark.parametrize(
        ("later", "complete", "status", "message"),
        [
            ({"ready": False, "ok": False}, True, "fail", "right, then wrong: `ok` is false, not true"),
            ({"ready": True, "ok": False}, True, "fail", "right, then wrong: `ok` is false, not true"),
            ({"ready": False}, False, "inconclusive", "the source could not be read to its end"),
            ({"ready": False, "ok": True}, True, "pass", ""),
        ],
        ids=["both false", "expect false", "both undecidable", "until false"],
    )
    async def test_while_it_is_held_expect_is_judged_whatever_until_is_by_then(
        self, bench: Bench, later: Any, complete: bool, status: str, message: str
    ) -> None:
        first = Observation(document={"ready": True, "ok": True})
        bench.script("scripted", first, Observation(document=later, complete=complete))
        poll = Poll(within_s=5, until=("ready == true",))
        check = await bench.one(plain(expect=["ok == true"], poll=poll, hold_s=5.0))
        assert check.status == status
        assert (check.message or "").startswith(message)

    async def test_undecidable_is_not_held(self, bench: Bench) -> None:
        bench.script("scripted", {"items": [{"ok": True}]}, {"items": []})
        check = await bench.one(plain(expect=["all items[].ok == true"], hold_s=5.0))
        assert (check.status, check.reason_code) == ("inconclusive", "no_data")


async def test_a_probe_knows_how_much_of_its_wait_is_left(bench: Bench) -> None:
    left_s: list[float] = []

    async def looking(_params: Any, context: ProbeContext) -> Observation:
        left_s.append(context.wait_left_s)
        return Observation(document={"ok": False})

    bench.script("scripted")
    bench._probes["scripted"] = looking
    await bench.one(plain(expect=["ok == true"], poll=Poll(within_s=2, every_s=1)))
    assert left_s == [2, 1, 0]
