"""Status, reason and sentence of a step for each way its attempts can end, and the durations of its result."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from prodwatch.model.check import Poll, Retry
from prodwatch.model.result import AssertionResult, AttemptResult
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Failure, Observation
from prodwatch.runner.bounds.loop_lag import Stall
from prodwatch.runner.step.attempts import Attempt, Ending, Outcome
from prodwatch.runner.step.attestation import Attestation
from prodwatch.runner.step.conclusion import Conclusion, conclude, stalled_claims
from prodwatch.runner.step.expectations import Judgement
from prodwatch.testing.check_runner import Bench
from prodwatch.testing.definitions import flow, step
from prodwatch.testing.probes import refused

AT = datetime(2026, 1, 15, 12, 0, 0, tzinfo=UTC)
STALL = Stall(1.5, 2.0)
SLOW = "this machine was too slow to measure it (it did not run for 1.50 s of 2.00 s), so this proves nothing: "
HOLDS = Judgement((AssertionResult(expression="a == 1", ok=True),))
PASS, FAIL, ERROR = Status.PASS, Status.FAIL, Status.ERROR
UNSURE, WARN = Status.INCONCLUSIVE, Status.DEGRADED
REFUSED = Failure(status=FAIL, reason=Reason.CONNECT, message="refused", transient=True)
DENIED = Failure(status=ERROR, reason=Reason.ACCESS_DENIED, message="denied")
NO_DATA = Failure(status=UNSURE, reason=Reason.NO_DATA, message="no data")


def judged(ok: bool | None, *messages: str | None, nothing_there: bool = False) -> Judgement:
    """Return a judgement with one true assertion and one with each message."""
    results = tuple(AssertionResult(expression=f"a == {n}", ok=ok, message=text) for n, text in enumerate(messages, 2))
    return Judgement((*HOLDS.results, *results), ok=ok, nothing_there=nothing_there)


def attempt(**keys: Any) -> Attempt:
    """Return an attempt that took half a second."""
    return Attempt(**{"observation": Observation(), "started_at": AT, "started_s": 1.0, "ended_s": 1.5, **keys})


def outcome(ending: Ending, last: Attempt | None, count: int = 1, **keys: Any) -> Outcome:
    """Return the outcome of `count` attempts within 2.5 s."""
    attempts = tuple(AttemptResult(n=n, status=PASS, duration_ms=1, started_at=AT) for n in range(1, count + 1))
    values = {"retried": False, "stalled": False, "elapsed_s": 2.5, "waited": False, "attempts": attempts, **keys}
    return Outcome(ending=ending, last=last, **values)


FALSE = attempt(expect=judged(False, "wrong"))
UNTIL = attempt(until=judged(False, "not yet"), expect=judged(False, "wrong"))
MET = attempt(until=HOLDS, expect=judged(False, "wrong"))
STOPPED = Judgement((AssertionResult(expression="a == 0", ok=False), AssertionResult(expression="a == 1", ok=True)))


@pytest.mark.parametrize(
    ("given", "status", "reason", "message"),
    [
        (outcome(Ending.ANSWERED, attempt(expect=HOLDS)), PASS, None, None),
        (outcome(Ending.ANSWERED, FALSE), FAIL, Reason.ASSERTION, "wrong"),
        (outcome(Ending.ANSWERED, attempt(expect=judged(False, "x", "y"))), FAIL, Reason.ASSERTION, "x (and 1 more)"),
        (
            outcome(Ending.ANSWERED, attempt(expect=judged(False, "x", "y", "z"))),
            FAIL,
            Reason.ASSERTION,
            "x (and 2 more)",
        ),
        (outcome(Ending.ANSWERED, attempt(expect=judged(None, "x", "y"))), UNSURE, Reason.NO_DATA, "x"),
        (outcome(Ending.ANSWERED, attempt(expect=judged(False, None))), FAIL, Reason.ASSERTION, "`a == 2` is false"),
        (
            outcome(Ending.ANSWERED, attempt(expect=judged(None, None))),
            UNSURE,
            Reason.NO_DATA,
            "`a == 2` is not decidable",
        ),
        (outcome(Ending.ANSWERED, attempt(expect=HOLDS, warn=judged(False, "slow"))), WARN, Reason.WARNING, "slow"),
        (
            outcome(
                Ending.ANSWERED,
                attempt(expect=HOLDS),
                2,
                warned=attempt(expect=HOLDS, warn=judged(False, "slow"), started_at=AT + timedelta(seconds=7)),
            ),
            WARN,
            Reason.WARNING,
            "slow (at 12:00:07 UTC, 2 attempts in 2.5 s)",
        ),
        (
            outcome(
                Ending.ANSWERED,
                attempt(expect=HOLDS, warn=judged(False, "slow")),
                2,
                warned=attempt(expect=HOLDS, warn=judged(False, "slower")),
            ),
            WARN,
            Reason.WARNING,
            "slow",
        ),
        (
            outcome(Ending.ANSWERED, FALSE, 2, warned=attempt(expect=HOLDS, warn=judged(False, "slow"))),
            FAIL,
            Reason.ASSERTION,
            "wrong",
        ),
        (outcome(Ending.ANSWERED, attempt(expect=judged(False, "x"), aside="y")), FAIL, Reason.ASSERTION, "x; y"),
        (outcome(Ending.ANSWERED, attempt(expect=HOLDS, aside="y")), PASS, None, None),
        (
            outcome(Ending.ANSWERED, attempt(expect=judged(None, "x"), unread=DENIED)),
            ERROR,
            Reason.ACCESS_DENIED,
            "denied; x",
        ),
        (outcome(Ending.ANSWERED, attempt(expect=judged(False, "x"), unread=DENIED)), FAIL, Reason.ASSERTION, "x"),
        (
            outcome(Ending.ANSWERED, attempt(attestation=Attestation(reason=Reason.VERSION_MISMATCH, message="old"))),
            UNSURE,
            Reason.VERSION_MISMATCH,
            "old",
        ),
        (
            outcome(
                Ending.ANSWERED,
                attempt(
                    expect=judged(False, "x"), attestation=Attestation(reason=Reason.VERSION_MISMATCH, message="old")
                ),
            ),
            UNSURE,
            Reason.VERSION_MISMATCH,
            "old; the response itself: x",
        ),
        (outcome(Ending.FAILED, attempt(failure=REFUSED)), FAIL, Reason.CONNECT, "refused"),
        (outcome(Ending.FAILED, attempt(failure=REFUSED), 2), FAIL, Reason.CONNECT, "refused"),
        (outcome(Ending.FAILED, attempt(failure=REFUSED), waited=True), FAIL, Reason.CONNECT, "refused"),
        (
            outcome(Ending.FAILED, attempt(failure=REFUSED), 2, waited=True),
            FAIL,
            Reason.CONNECT,
            "request failed: refused (2 attempts in 2.5 s)",
        ),
        (
            outcome(Ending.FAILED, attempt(failure=NO_DATA), 3, waited=True),
            UNSURE,
            Reason.NO_DATA,
            "never appeared: no data (3 attempts in 2.5 s)",
        ),
        (
            outcome(Ending.STOPPED, attempt(stop=STOPPED)),
            FAIL,
            Reason.ASSERTION,
            "waiting was stopped: `a == 1` is true (1 attempt in 2.5 s)",
        ),
        (outcome(Ending.WRONG, UNTIL), FAIL, Reason.ASSERTION, "appeared but wrong: not yet (1 attempt in 2.5 s)"),
        (outcome(Ending.WRONG, MET), FAIL, Reason.ASSERTION, "appeared but wrong: wrong (1 attempt in 2.5 s)"),
        (outcome(Ending.NEVER, FALSE), FAIL, Reason.ASSERTION, "never appeared: wrong (1 attempt in 2.5 s)"),
        (
            outcome(Ending.NEVER, attempt(expect=judged(None, "x"))),
            UNSURE,
            Reason.NO_DATA,
            "never appeared: x (1 attempt in 2.5 s)",
        ),
        (outcome(Ending.LOST, FALSE), FAIL, Reason.ASSERTION, "right, then wrong: wrong (1 attempt in 2.5 s)"),
        (
            outcome(Ending.LOST, FALSE, held=(AT, AT)),
            FAIL,
            Reason.ASSERTION,
            "right, then wrong: wrong (right at 12:00:00 UTC, 1 attempt in 2.5 s)",
        ),
        (
            outcome(Ending.LOST, FALSE, held=(AT, AT + timedelta(seconds=1))),
            FAIL,
            Reason.ASSERTION,
            "right, then wrong: wrong (right from 12:00:00 to 12:00:01 UTC, 1 attempt in 2.5 s)",
        ),
        (
            outcome(Ending.WRONG, FALSE, held=(AT, AT)),
            FAIL,
            Reason.ASSERTION,
            "appeared but wrong: wrong (1 attempt in 2.5 s)",
        ),
        (outcome(Ending.OUT_OF_TIME, None), FAIL, Reason.TIMEOUT, "the limit was over before this step could be sent"),
        (
            outcome(Ending.OUT_OF_TIME, attempt(failure=REFUSED)),
            FAIL,
            Reason.TIMEOUT,
            "the limit was over first: refused (1 attempt in 2.5 s)",
        ),
        (
            outcome(Ending.OUT_OF_TIME, attempt(failure=DENIED)),
            ERROR,
            Reason.ACCESS_DENIED,
            "denied (1 attempt in 2.5 s)",
        ),
        (
            outcome(Ending.OUT_OF_TIME, attempt(expect=HOLDS)),
            FAIL,
            Reason.TIMEOUT,
            "the limit was over first: the expected state could not be shown to last (1 attempt in 2.5 s)",
        ),
        (
            outcome(Ending.OUT_OF_TIME, UNTIL),
            FAIL,
            Reason.TIMEOUT,
            "the limit was over first: not yet (1 attempt in 2.5 s)",
        ),
        (
            outcome(Ending.OUT_OF_TIME, MET),
            FAIL,
            Reason.TIMEOUT,
            "the limit was over first: wrong (1 attempt in 2.5 s)",
        ),
        (
            outcome(Ending.OUT_OF_TIME, attempt(expect=judged(None, "x"))),
            UNSURE,
            Reason.TIMEOUT,
            "the limit was over first: x (1 attempt in 2.5 s)",
        ),
        (outcome(Ending.CUT_OFF, None), UNSURE, Reason.INTERRUPTED, None),
        (
            outcome(Ending.CUT_OFF, attempt(failure=REFUSED)),
            UNSURE,
            Reason.INTERRUPTED,
            "last: refused (1 attempt in 2.5 s)",
        ),
        (
            outcome(Ending.CUT_OFF, attempt(expect=HOLDS)),
            UNSURE,
            Reason.INTERRUPTED,
            "last: every assertion was true (1 attempt in 2.5 s)",
        ),
        (outcome(Ending.CUT_OFF, UNTIL), UNSURE, Reason.INTERRUPTED, "last: not yet (1 attempt in 2.5 s)"),
        (outcome(Ending.CUT_OFF, MET), UNSURE, Reason.INTERRUPTED, "last: wrong (1 attempt in 2.5 s)"),
        (outcome(Ending.CUT_OFF, FALSE), UNSURE, Reason.INTERRUPTED, "last: wrong (1 attempt in 2.5 s)"),
        (
            outcome(Ending.STALLED, attempt(failure=REFUSED, stall=STALL, spoiled=True)),
            UNSURE,
            Reason.STALLED,
            f"{SLOW}refused (1 attempt in 2.5 s)",
        ),
        (
            outcome(Ending.STALLED, attempt(expect=judged(False, "slow"), stall=STALL, spoiled=True)),
            UNSURE,
            Reason.STALLED,
            f"{SLOW}slow (1 attempt in 2.5 s)",
        ),
        (
            outcome(Ending.STALLED, attempt(until=judged(False, "not yet"), expect=HOLDS, stall=STALL, spoiled=True)),
            UNSURE,
            Reason.STALLED,
            f"{SLOW}not yet (1 attempt in 2.5 s)",
        ),
        (
            outcome(Ending.STALLED, attempt(until=HOLDS, expect=judged(False, "slow"), stall=STALL, spoiled=True)),
            UNSURE,
            Reason.STALLED,
            f"{SLOW}slow (1 attempt in 2.5 s)",
        ),
        (
            outcome(Ending.STALLED, attempt(expect=HOLDS, warn=judged(False, "slow"), stall=STALL, spoiled=True)),
            WARN,
            Reason.STALLED,
            f"{SLOW}slow (1 attempt in 2.5 s)",
        ),
    ],
)
def test_the_conclusion_of_each_ending(
    given: Outcome, status: Status, reason: Reason | None, message: str | None
) -> None:
    assert conclude(given, "the limit") == Conclusion(status, reason, message)


def test_measured_times_without_a_message_are_doubted_in_words() -> None:
    doubt = "the measured times may be longer than those of the target"
    assert stalled_claims(STALL, Conclusion(PASS)) == Conclusion(UNSURE, Reason.STALLED, f"{SLOW}{doubt}")


async def test_durations_are_in_milliseconds(bench: Bench) -> None:
    bench.script("scripted", refused(), {"ok": True}, takes_s=2.0)
    ask = step(expect=["ok == true"], retry=Retry(times=1, delay_s=0.5))
    asked, waited = (await bench.one(flow("flows", ask, step("pause", "wait", **{"for": "3s"})))).steps
    assert [each.duration_ms for each in asked.attempts] == [2_000, 2_000]
    assert (asked.status, asked.duration_ms) == ("pass", 4_500)
    assert (waited.status, waited.duration_ms) == ("pass", 3_000)


async def test_the_last_poll_is_at_the_end_of_the_budget(bench: Bench) -> None:
    probe = bench.script("scripted", {"ok": False})
    check = await bench.one(flow("flows", step(expect=["ok == true"], poll=Poll(within_s=2.5, every_s=1))))
    assert len(probe.requests) == 4
    assert [each.n for each in check.steps[0].attempts] == [1, 2, 3, 4]
    assert check.steps[0].duration_ms == 2_500
    assert check.steps[0].message is not None
    assert check.steps[0].message.endswith("(4 attempts in 2.5 s)")
