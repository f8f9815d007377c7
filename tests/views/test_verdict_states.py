"""The verdict over every state there is: what it says, why, how sure, what next, and never a false green."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from prodwatch.judge.decision import Rule
from prodwatch.model.signal import (
    AlarmState,
    Batch,
    MetricKey,
    MetricPoint,
    MetricSeries,
    Record,
    ReleasePhase,
    ReleaseState,
    SourcePhase,
    SourceStatus,
)
from prodwatch.model.status import Reason, Status
from prodwatch.store import Store
from prodwatch.testing.clock import START, FakeClock
from prodwatch.views.time_window import Window
from prodwatch.views.verdict import WORDS, verdict_line

UNDER_WAY = ReleaseState(
    function="shop-orders",
    phase=ReleasePhase.SHIFTING,
    version="42",
    previous="41",
    started_at=START - timedelta(minutes=3),
    next_shift_at=START + timedelta(seconds=108),
)
BAKING = ReleaseState(function="shop-orders", phase=ReleasePhase.BAKING, version="42", previous="41", started_at=START)
DONE = ReleaseState(function="shop-orders", phase=ReleasePhase.SUCCEEDED, version="42", previous="41", started_at=START)
WRONG = ReleaseState(function="shop-orders", phase=ReleasePhase.ROLLED_BACK, version="42", previous="41", cause="alarm")
SERVED = MetricSeries(
    key=MetricKey("AWS/Lambda", "Invocations", (("FunctionName", "shop-orders"),), "rate", "42", "requests/s"),
    unit="Count/Second",
    points=tuple(MetricPoint(int((START - timedelta(minutes=3)).timestamp()) + 60 * n, 5.0667) for n in range(3)),
)
FIRING = AlarmState(name="errors", state="ALARM", since=START - timedelta(minutes=2), reason="too many")


def told(
    store: Store, *records: Record, source: str = "release", phase: SourcePhase = SourcePhase.LIVE, **more: Any
) -> None:
    store.apply(Batch(source=source, records=records, status=SourceStatus(source=source, phase=phase, **more)))


def green(checks: Any, rounds: int = 30, count: int = 2) -> None:
    for number in range(count):
        checks.define(f"c{number}")
    for number in range(count):
        checks.rounds(f"c{number}", *[Status.PASS] * rounds)


def healthy_release(checks: Any) -> None:
    green(checks)
    told(checks.store, UNDER_WAY)
    told(checks.store, SERVED, source="metrics")


def baking_release(checks: Any) -> None:
    green(checks)
    told(checks.store, BAKING)


def finished_release(checks: Any) -> None:
    green(checks)
    told(checks.store, DONE)


def failing_release(checks: Any) -> None:
    green(checks)
    checks.define("orders")
    checks.rounds("orders", Status.FAIL, Status.FAIL, Status.FAIL, message="status is 500")
    told(checks.store, UNDER_WAY)


def firing_alarm(checks: Any) -> None:
    green(checks)
    told(checks.store, FIRING, source="alarms")


def no_release(checks: Any) -> None:
    green(checks)


def nothing_defined(checks: Any) -> None:
    del checks


def zero_checks(checks: Any) -> None:
    checks.store.define([])


def not_one_round(checks: Any) -> None:
    checks.define("a")


def half_a_round(checks: Any) -> None:
    checks.define("a")
    checks.define("b")
    checks.rounds("a", Status.PASS)


def too_little(checks: Any) -> None:
    green(checks)
    checks.define("orders")
    checks.rounds("orders", Status.INCONCLUSIVE, message="4 samples, 30 are needed", reason_code=Reason.MIN_SAMPLES)


def wrong_version(checks: Any) -> None:
    green(checks)
    checks.define("orders")
    checks.rounds("orders", Status.INCONCLUSIVE, message="v41 answered, not v42", reason_code=Reason.VERSION_MISMATCH)


def not_measurable(checks: Any) -> None:
    green(checks)
    checks.define("orders")
    checks.rounds("orders", Status.ERROR, message="lambda:InvokeFunction is denied")


def all_skipped(checks: Any) -> None:
    for name in "ab":
        checks.define(name)
        checks.rounds(name, Status.SKIPPED, message="protected: needs --allow-writes")


def critical_skipped(checks: Any) -> None:
    green(checks)
    checks.define("c", critical=True)
    checks.rounds("c", Status.SKIPPED, message="blocked by orders")


def old_results(checks: Any) -> None:
    checks.define("a")
    checks.rounds("a", Status.PASS, age_s=1200)


def degraded(checks: Any) -> None:
    green(checks)
    checks.define("slow")
    checks.rounds("slow", Status.DEGRADED, message="latency is 420 ms, not < 300ms")


def denied(source: str) -> Callable[[Any], None]:
    def given(checks: Any) -> None:
        green(checks)
        told(checks.store, source=source, phase=SourcePhase.DENIED, message=f"{source} is not allowed")

    return given


def unread(source: str) -> Callable[[Any], None]:
    def given(checks: Any) -> None:
        green(checks)
        told(checks.store, source=source, phase=SourcePhase.STARTING)

    return given


def silent(source: str) -> Callable[[Any], None]:
    def given(checks: Any) -> None:
        green(checks)
        told(checks.store, source=source, fresh_at=START - timedelta(minutes=7))

    return given


def throttled(fresh_at: datetime | None) -> Callable[[Any], None]:
    def given(checks: Any) -> None:
        green(checks)
        told(checks.store, source="alarms", phase=SourcePhase.THROTTLED, fresh_at=fresh_at)

    return given


def in_part(checks: Any) -> None:
    green(checks)
    told(checks.store, source="alarms", unread=("there is no alarm shop-errors",))


def one_of_two_rolled_back(checks: Any) -> None:
    green(checks)
    told(checks.store, UNDER_WAY, replace(WRONG, function="shop-inbox"))


def failed_with_retry(checks: Any) -> None:
    green(checks)
    told(
        checks.store,
        source="alarms",
        phase=SourcePhase.FAILED,
        message="no route",
        retry_at=START + timedelta(seconds=20),
    )


def rolled_back(checks: Any) -> None:
    green(checks)
    told(checks.store, WRONG)


def session_broken(checks: Any) -> None:
    checks.define("a")
    told(checks.store, source="session", phase=SourcePhase.FAILED, message="no credentials: run aws sso login")


STATES = [
    pytest.param(
        healthy_release,
        "pass",
        "PASS · so far",
        "all 2 checks pass",
        "912 requests on v42",
        "next shift in 1:48",
        id="healthy release",
    ),
    pytest.param(
        baking_release, "pass", "PASS · so far", "all 2 checks pass", "30 looks each", "while it bakes", id="baking"
    ),
    pytest.param(
        finished_release,
        "pass",
        "PASS · succeeded",
        "all 2 checks pass",
        "1 in 10",
        "looked at again",
        id="release done",
    ),
    pytest.param(
        failing_release,
        "fail",
        "FAIL · roll back",
        "orders: status is 500",
        "3 rounds in a row",
        "next shift",
        id="failing",
    ),
    pytest.param(
        firing_alarm,
        "fail",
        "FAIL · production is not healthy",
        "alarm errors is firing: too many",
        None,
        "looked at again",
        id="alarm",
    ),
    pytest.param(
        no_release,
        "pass",
        "PASS · production is healthy",
        "all 2 checks pass",
        "1 in 10",
        "looked at again every 30s",
        id="no release",
    ),
    pytest.param(nothing_defined, "inconclusive", "WAITING", "not been read yet", None, None, id="before anything"),
    pytest.param(
        zero_checks,
        "inconclusive",
        "UNSURE · nothing is measured",
        "no checks are selected",
        None,
        "prodwatch schema checks",
        id="zero checks",
    ),
    pytest.param(
        not_one_round,
        "inconclusive",
        "WAITING",
        "no checks have finished",
        None,
        "first round of 1 check",
        id="no round",
    ),
    pytest.param(
        half_a_round,
        "inconclusive",
        "WAITING",
        "1 of 2 checks have finished",
        None,
        "looked at again",
        id="half a round",
    ),
    pytest.param(
        too_little,
        "inconclusive",
        "UNSURE · too little evidence",
        "30 are needed",
        "unsure in 1 round so far",
        "looked at again",
        id="not enough data",
    ),
    pytest.param(
        wrong_version,
        "inconclusive",
        "UNSURE · another version answered",
        "v41 answered",
        "1 round",
        "looked at again",
        id="wrong version",
    ),
    pytest.param(
        not_measurable,
        "error",
        "ERROR · could not verify",
        "is denied",
        "1 round",
        "looked at again",
        id="not measurable",
    ),
    pytest.param(
        all_skipped,
        "inconclusive",
        "UNSURE · nothing was measured",
        "all 2 checks were skipped",
        None,
        None,
        id="all skipped",
    ),
    pytest.param(
        critical_skipped,
        "inconclusive",
        "UNSURE · a critical check was skipped",
        "blocked by",
        "1 round",
        None,
        id="critical skipped",
    ),
    pytest.param(old_results, "inconclusive", "STALE", "20m old", None, "looked at again", id="stale"),
    pytest.param(
        degraded,
        "degraded",
        "WARN · production is healthy",
        "latency is 420 ms",
        "1 round",
        "looked at again",
        id="degraded",
    ),
    pytest.param(
        denied("alarms"),
        "inconclusive",
        "UNSURE · not everything can be seen",
        "alarms cannot be read",
        None,
        "looked at",
        id="alarms denied",
    ),
    pytest.param(
        denied("release"),
        "inconclusive",
        "UNSURE · not everything can be seen",
        "release cannot be read",
        None,
        "looked",
        id="release denied",
    ),
    pytest.param(
        denied("metrics"),
        "inconclusive",
        "UNSURE · not everything can be seen",
        "metrics cannot be read",
        None,
        "looked",
        id="metrics denied",
    ),
    pytest.param(
        denied("logs:/aws/lambda/o"),
        "inconclusive",
        "UNSURE · not everything can be seen",
        "cannot be read",
        None,
        "looked",
        id="logs denied",
    ),
    pytest.param(
        unread("alarms"),
        "inconclusive",
        "WAITING",
        "not read yet: alarms",
        None,
        "looked at again",
        id="alarms not read yet",
    ),
    pytest.param(
        unread("metrics"),
        "inconclusive",
        "WAITING",
        "not read yet: metrics",
        None,
        "looked at again",
        id="metrics not read yet",
    ),
    pytest.param(
        silent("alarms"),
        "inconclusive",
        "STALE",
        "alarms: last read 7m ago",
        None,
        "looked at again",
        id="alarms silent",
    ),
    pytest.param(
        throttled(None),
        "inconclusive",
        "WAITING",
        "not read yet: alarms",
        None,
        "looked at again",
        id="alarms throttled from the start",
    ),
    pytest.param(
        throttled(START - timedelta(minutes=7)),
        "inconclusive",
        "STALE",
        "alarms: last read 7m ago",
        None,
        "looked at again",
        id="alarms throttled for long",
    ),
    pytest.param(
        in_part,
        "inconclusive",
        "UNSURE · not everything can be seen",
        "alarms cannot be read as a whole: there is no alarm shop-errors",
        None,
        "looked at again",
        id="alarms read in part",
    ),
    pytest.param(
        one_of_two_rolled_back,
        "degraded",
        "WARN · shop-inbox v42 rolled back",
        "shop-inbox: v42 rolled back: alarm",
        None,
        "next shift",
        id="one of two rolled back",
    ),
    pytest.param(
        failed_with_retry,
        "inconclusive",
        "UNSURE · not everything can be seen",
        "no route",
        None,
        "next try in 20s",
        id="failed, retries",
    ),
    pytest.param(
        rolled_back, "degraded", "ROLLED BACK · v42 withdrawn", "v42 rolled back: alarm", None, None, id="rolled back"
    ),
    pytest.param(
        session_broken,
        "error",
        "ERROR · could not verify",
        "aws sso login",
        None,
        "nothing is measured until",
        id="cannot start",
    ),
]


@pytest.mark.parametrize(("given", "status", "title", "reason", "evidence", "outlook"), STATES)
def test_the_verdict_says_status_reason_evidence_and_what_comes_next(
    checks: Any,
    now: datetime,
    given: Callable[[Any], None],
    status: str,
    title: str,
    reason: str,
    evidence: str | None,
    outlook: str | None,
) -> None:
    given(checks)
    line = verdict_line(checks.store, now)
    assert (line.status, line.title) == (status, title)
    assert reason in line.reasons[0]
    assert evidence is None or evidence in (line.evidence or "")
    assert outlook is None or outlook in (line.outlook or "")


@pytest.mark.parametrize(("given", "status", "title", "reason", "evidence", "outlook"), STATES)
def test_triage_is_never_greener_and_tells_nobody_to_roll_back(
    checks: Any,
    now: datetime,
    given: Callable[[Any], None],
    status: str,
    title: str,
    reason: str,
    evidence: str | None,
    outlook: str | None,
) -> None:
    given(checks)
    line = verdict_line(checks.store, now, window=Window(start=now - timedelta(hours=1)))
    # After a rollback production itself may be healthy: that the release is out is one of the things that changed.
    assert line.status == ("pass" if status == "degraded" and "rolled back" in title.casefold() else status)
    assert "roll back" not in line.title
    assert "promote" not in line.title
    assert line.reasons[1].startswith("what changed: ")


@pytest.mark.parametrize(("given", "status", "title", "reason", "evidence", "outlook"), STATES)
def test_a_window_that_has_ended_is_never_green(
    checks: Any,
    now: datetime,
    given: Callable[[Any], None],
    status: str,
    title: str,
    reason: str,
    evidence: str | None,
    outlook: str | None,
) -> None:
    given(checks)
    line = verdict_line(checks.store, now, window=Window(start=now - timedelta(hours=1), end=now))
    assert line.status in {"inconclusive", "degraded", "fail"}
    assert "healthy" not in line.title
    assert line.evidence == "checks are not judged as of then: they speak only of the present"


def test_since_when_is_the_oldest_of_what_is_wrong(checks: Any, now: datetime) -> None:
    checks.define("a")
    checks.rounds("a", Status.PASS, Status.FAIL, Status.FAIL)
    told(checks.store, FIRING, source="alarms")
    assert verdict_line(checks.store, now).since == START - timedelta(minutes=2)


def test_nobody_has_asked_and_nobody_has_answered() -> None:
    line = verdict_line(Store(FakeClock()), START, window=Window(start=START - timedelta(hours=1), end=START))
    assert (line.status, line.title) == ("inconclusive", "WAITING · reading the window")


@pytest.mark.parametrize(
    ("state", "status", "title", "serving"),
    [
        (replace(WRONG, weights={"41": 1.0}), "degraded", "ROLLED BACK · v42 withdrawn", "production answers on v41"),
        (WRONG, "degraded", "ROLLED BACK · v42 withdrawn", None),
        (
            replace(WRONG, weights={"41": 0.5, "42": 0.5}),
            "inconclusive",
            "ROLLED BACK · v42 still serves 50 %",
            "production answers on v41 and v42",
        ),
        (
            replace(WRONG, phase=ReleasePhase.STOPPED, weights={"41": 0.9, "42": 0.1}),
            "inconclusive",
            "STOPPED · v42 still serves 10 %",
            "production answers on v41 and v42",
        ),
        (replace(WRONG, phase=ReleasePhase.FAILED), "inconclusive", "FAILED · v42 may still serve", None),
    ],
    ids=["back", "back, weights unknown", "half back", "stopped", "failed, weights unknown"],
)
def test_K29_a_release_that_went_wrong_says_what_serves_as_measured(
    checks: Any, now: datetime, state: ReleaseState, status: str, title: str, serving: str | None
) -> None:
    green(checks)
    told(checks.store, state)
    line = verdict_line(checks.store, now)
    assert (line.status, line.title) == (status, title)
    assert line.reasons[1] == "all 2 checks pass again" + (f", {serving}" if serving else "")


@pytest.mark.parametrize(
    ("phase", "weights", "step"),
    [
        (
            ReleasePhase.STOPPED,
            {"41": 0.9, "42": 0.1},
            "v42 stopped and still gets 10 % of shop-orders: remove the weight",
        ),
        (
            ReleasePhase.FAILED,
            {"42": 1.0},
            "v42 failed and still gets 100 % of shop-orders: move the alias back to v41",
        ),
        (
            ReleasePhase.ROLLED_BACK,
            {"41": 0.5, "42": 0.5},
            "v42 rolled back and still gets 50 % of shop-orders: its rollback is not over",
        ),
        (ReleasePhase.STOPPED, {"41": 1.0}, None),
        (ReleasePhase.ROLLED_BACK, {"41": 1.0, "42": 0.0}, None),
    ],
)
def test_K29_what_still_serves_is_named_with_what_to_do(
    checks: Any, now: datetime, phase: ReleasePhase, weights: dict[str, float], step: str | None
) -> None:
    green(checks)
    told(checks.store, replace(WRONG, phase=phase, weights=weights))
    reasons = verdict_line(checks.store, now).reasons
    assert [each for each in reasons if "still gets" in each] == ([step] if step else [])


def test_K29_an_alias_moved_by_hand_is_named_while_the_deployment_runs(checks: Any, now: datetime) -> None:
    green(checks)
    moved = "the alias was moved to version 40 by hand while the deployment runs"
    told(checks.store, replace(UNDER_WAY, weights={"40": 0.9, "42": 0.1}, cause=moved))
    assert f"v42: {moved}" in verdict_line(checks.store, now).reasons


def test_K11_a_rollback_of_weeks_ago_is_not_the_state_of_production(checks: Any, now: datetime) -> None:
    green(checks)
    told(checks.store, replace(WRONG, weights={"41": 1.0}, started_at=START - timedelta(days=21)))
    line = verdict_line(checks.store, now)
    assert (line.status, line.title) == ("pass", "PASS · production is healthy")


@pytest.mark.parametrize(
    ("given", "said"),
    [(healthy_release, True), (baking_release, True), (finished_release, False), (no_release, False)],
)
def test_a13_green_over_two_versions_says_that_they_are_not_compared(
    checks: Any, now: datetime, given: Callable[[Any], None], said: bool
) -> None:
    given(checks)
    line = verdict_line(checks.store, now)
    assert line.status == "pass"
    assert (line.evidence or "").startswith("versions are not compared; ") is said


def test_a13_a_warning_over_two_versions_says_so_too(checks: Any, now: datetime) -> None:
    degraded(checks)
    told(checks.store, UNDER_WAY)
    assert verdict_line(checks.store, now).evidence == "versions are not compared; degraded in 1 round so far"


def test_a_rollback_next_to_what_could_not_be_measured_names_both(checks: Any, now: datetime) -> None:
    not_measurable(checks)
    told(checks.store, WRONG)
    told(checks.store, source="alarms", phase=SourcePhase.DENIED, message="alarms are not allowed")
    line = verdict_line(checks.store, now)
    assert (line.status, line.title) == ("error", "ROLLED BACK · v42 withdrawn")
    assert line.reasons[1:] == (
        "2 of 3 checks pass now",
        "orders: lambda:InvokeFunction is denied",
        "alarms cannot be read: alarms are not allowed",
    )


def test_advisory_checks_alone_pass_with_a_notice(checks: Any, now: datetime) -> None:
    checks.define("a", advisory=True)
    checks.rounds("a", Status.FAIL)
    line = verdict_line(checks.store, now)
    assert (line.status, line.title) == ("pass", "PASS · only advisory checks")
    assert line.reasons == ("only advisory checks are selected, which never gate; not green: 1 of 1",)


def test_every_rule_of_a_session_has_words() -> None:
    assert set(WORDS) == set(Rule) - {Rule.INTERRUPTED}
