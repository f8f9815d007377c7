"""Never a false green: one test per way in which production could look better than it is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.model.result import Verdict
from prodwatch.model.signal import AlarmState, Batch, ReleasePhase, ReleaseState, SourcePhase, SourceStatus
from prodwatch.model.status import Status
from prodwatch.store import Store
from prodwatch.testing.clock import START, FakeClock
from prodwatch.views.evidence import certainty, clock_text
from prodwatch.views.verdict import verdict_line

PASS, FAIL, ERROR = Status.PASS, Status.FAIL, Status.ERROR
UNDER_WAY = ReleaseState(
    function="f",
    phase=ReleasePhase.SHIFTING,
    version="42",
    previous="41",
    started_at=START - timedelta(minutes=3),
    next_shift_at=START + timedelta(seconds=108),
)


def apply(store: Store, *records: Any, source: str = "s", phase: SourcePhase = SourcePhase.LIVE) -> None:
    store.apply(Batch(source=source, records=records, status=SourceStatus(source=source, phase=phase)))


def test_before_the_checks_are_read_nothing_is_known(now: datetime) -> None:
    line = verdict_line(Store(FakeClock()), now)
    assert (line.status, line.reasons) == ("inconclusive", ("the checks have not been read yet",))


def test_without_checks_nothing_is_proven(now: datetime) -> None:
    store = Store(FakeClock())
    store.define(())
    assert verdict_line(store, now).status == "inconclusive"
    assert "nothing proves" in verdict_line(store, now).reasons[0]


def test_before_any_round_it_waits(checks: Any, now: datetime) -> None:
    checks.define("a")
    line = verdict_line(checks.store, now)
    assert (line.status, line.title, line.reasons) == ("inconclusive", "WAITING", ("no checks have finished yet",))


def test_while_one_check_is_missing_it_is_not_green(checks: Any, now: datetime) -> None:
    checks.define("a")
    checks.define("b")
    checks.rounds("a", PASS)
    line = verdict_line(checks.store, now)
    assert line.status == "inconclusive"
    assert line.reasons == ("1 of 2 checks have finished, none red; not yet: b",)


def test_all_passing_is_green_and_says_what_it_rests_on(checks: Any, now: datetime) -> None:
    checks.define("a")
    checks.rounds("a", *[PASS] * 30)
    line = verdict_line(checks.store, now)
    assert (line.status, line.title) == ("pass", "PASS · production is healthy")
    assert line.evidence == "30 looks each: fails less than 1 in 10 (95 % sure)"


def test_green_during_a_release_is_only_so_far(checks: Any, now: datetime) -> None:
    checks.define("a")
    checks.rounds("a", PASS)
    apply(checks.store, UNDER_WAY)
    line = verdict_line(checks.store, now)
    assert (line.title, line.outlook) == ("PASS · so far", "next shift in 1:48")


def test_old_results_say_nothing_about_now(checks: Any, now: datetime) -> None:
    checks.define("a")
    checks.rounds("a", PASS, age_s=600)
    line = verdict_line(checks.store, now)
    assert (line.status, line.title) == ("inconclusive", "STALE")
    assert "10m old" in line.reasons[0]


def test_a_mutating_check_that_runs_once_does_not_age(checks: Any, now: datetime) -> None:
    checks.define("a", mutates=True, every_s=None)
    checks.rounds("a", PASS, age_s=6000)
    assert verdict_line(checks.store, now).status == "pass"


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(FAIL, "fail"), (ERROR, "error"), (Status.INCONCLUSIVE, "inconclusive"), (Status.DEGRADED, "degraded")],
)
def test_one_check_that_is_not_green_decides(checks: Any, now: datetime, status: Status, verdict: str) -> None:
    for name in "abc":
        checks.define(name)
    checks.rounds("a", PASS)
    checks.rounds("b", PASS)
    checks.rounds("c", status, message="what happened")
    line = verdict_line(checks.store, now)
    assert line.status == verdict
    assert line.reasons[0] == "c: what happened"


def test_only_skipped_checks_prove_nothing(checks: Any, now: datetime) -> None:
    checks.define("a")
    checks.rounds("a", Status.SKIPPED)
    assert verdict_line(checks.store, now).status == "inconclusive"


def test_a_skipped_check_is_said_beside_green_ones(checks: Any, now: datetime) -> None:
    for name in "ab":
        checks.define(name)
    checks.rounds("a", PASS)
    checks.rounds("b", Status.SKIPPED)
    assert verdict_line(checks.store, now).reasons == ("1 check passes, 1 skipped",)


def test_a_skipped_critical_check_is_not_green(checks: Any, now: datetime) -> None:
    checks.define("a")
    checks.define("b", critical=True)
    checks.rounds("a", PASS)
    checks.rounds("b", Status.SKIPPED)
    assert verdict_line(checks.store, now).status == "inconclusive"


@pytest.mark.parametrize("flag", ["advisory", "muted"])
def test_what_does_not_gate_does_not_decide(checks: Any, now: datetime, flag: str) -> None:
    checks.define("a")
    checks.define("b", **({"advisory": True} if flag == "advisory" else {}))
    checks.rounds("a", PASS)
    checks.rounds("b", FAIL, flags=(flag,))
    assert verdict_line(checks.store, now).status == "pass"


def test_diagnostics_do_not_decide(checks: Any, now: datetime) -> None:
    checks.define("a")
    checks.define("d", kind="diagnostic")
    checks.rounds("a", PASS)
    checks.rounds("d", FAIL, kind="diagnostic")
    assert verdict_line(checks.store, now).status == "pass"


@pytest.mark.parametrize(("gate", "verdict"), [(True, "fail"), (False, "pass")], ids=["gates", "only-shown"])
def test_a_firing_alarm_decides_when_it_gates(checks: Any, now: datetime, gate: bool, verdict: str) -> None:
    checks.define("a")
    checks.rounds("a", PASS)
    apply(checks.store, AlarmState(name="x", state="ALARM", gate=gate, reason="too many"))
    line = verdict_line(checks.store, now)
    assert line.status == verdict
    assert ("alarm x is firing: too many" in line.reasons) is gate


@pytest.mark.parametrize("source", ["alarms", "release"])
@pytest.mark.parametrize("phase", [SourcePhase.DENIED, SourcePhase.EXPIRED, SourcePhase.FAILED, SourcePhase.STOPPED])
def test_evidence_that_cannot_be_read_is_not_good_news(
    checks: Any, now: datetime, source: str, phase: SourcePhase
) -> None:
    checks.define("a")
    checks.rounds("a", PASS)
    apply(checks.store, source=source, phase=phase)
    line = verdict_line(checks.store, now)
    assert line.status == "inconclusive"
    assert f"{source} cannot be read" in line.reasons[0]


@pytest.mark.parametrize(
    ("rounds", "checks_in_all", "critical", "advice"),
    [
        (1, 1, False, "red once; a second red round means roll back"),
        (2, 1, False, "roll back"),
        (1, 1, True, "roll back"),
        (1, 6, False, "red once; two more red rounds mean roll back"),
        (2, 6, False, "red twice; a third red round means roll back"),
        (3, 6, False, "roll back"),
    ],
    ids=["first-round", "second", "critical", "many-checks-first", "many-checks-second", "many-checks-third"],
)
def test_advice_waits_for_enough_red_rounds(
    checks: Any, now: datetime, rounds: int, checks_in_all: int, critical: bool, advice: str
) -> None:
    checks.define("bad", critical=critical)
    checks.rounds("bad", *[FAIL] * rounds)
    for number in range(checks_in_all - 1):
        checks.define(f"good{number}")
        checks.rounds(f"good{number}", PASS)
    apply(checks.store, UNDER_WAY)
    line = verdict_line(checks.store, now)
    assert (line.status, line.title) == ("fail", f"FAIL · {advice}")


def test_a_session_that_cannot_start_is_an_error_with_its_reason(checks: Any, now: datetime) -> None:
    checks.define("a")
    status = SourceStatus(source="session", phase=SourcePhase.FAILED, message="no credentials: run aws sso login")
    checks.store.apply(Batch(source="session", status=status))
    line = verdict_line(checks.store, now)
    assert (line.status, line.reasons) == ("error", ("no credentials: run aws sso login",))


def test_what_was_tried_out_is_named_before_what_was_only_read(checks: Any, now: datetime) -> None:
    for name, kind in (("an alarm check", "alarm"), ("an order", "http")):
        checks.define(name)
        checks.rounds(name, FAIL, FAIL, type=kind, message="broke")
    assert verdict_line(checks.store, now).reasons[0] == "an order: broke"


def test_without_a_release_nobody_is_told_to_roll_back(checks: Any, now: datetime) -> None:
    checks.define("a")
    checks.rounds("a", FAIL, FAIL, FAIL)
    assert verdict_line(checks.store, now).title == "FAIL · production is not healthy"


def test_after_a_rollback_green_checks_do_not_make_the_release_good(play: Any, now: datetime) -> None:
    line = verdict_line(play("after"), now)
    assert (line.status, line.title) == ("degraded", "ROLLED BACK · v42 withdrawn")
    assert line.reasons == (
        "v42 rolled back: alarm shop-orders-errors",
        "all 15 checks pass again, production answers on v41",
    )


def test_the_bad_release_names_what_blocks(play: Any, now: datetime) -> None:
    line = verdict_line(play("during"), now)
    assert (line.status, line.title, line.outlook) == ("fail", "FAIL · roll back", "next shift in 1:48")
    assert line.reasons[0].startswith("order in euros: status == 201: actual 500")
    assert line.reasons[-1].startswith("alarm shop-orders-errors is firing")


def test_quiet_production_is_green(play: Any, now: datetime) -> None:
    assert verdict_line(play("before"), now).status == "pass"


def test_a_verdict_filed_earlier_never_replaces_the_facts_of_now(checks: Any, now: datetime) -> None:
    checks.define("a")
    checks.rounds("a", FAIL)
    checks.store.set_verdict(Verdict(status="pass", exit_code=0, reason="1 of 1 check passed."))
    assert verdict_line(checks.store, now).status == "fail"


STATUSES = st.sampled_from([*Status, None])


@given(st.lists(STATUSES, min_size=1, max_size=8))
def test_green_needs_every_check_green_or_skipped_and_one_measured(statuses: list[Status | None]) -> None:
    from prodwatch.model.check import CheckDefinition, SourcePosition
    from prodwatch.model.event import CheckFinished
    from prodwatch.model.result import CheckResult

    here = SourcePosition("a", 1, 1)
    store = Store(FakeClock())
    names = [f"c{number}" for number in range(len(statuses))]
    store.define(CheckDefinition(id=name, name=name, title=name, type="http", source=here) for name in names)
    for name, status in zip(names, statuses, strict=True):
        if status is not None:
            outcome = CheckResult(
                id=name, name=name, title=name, kind="smoke", type="http", status=status, started_at=START, source=here
            )
            store.apply_event(CheckFinished(result=outcome))
    line = verdict_line(store, START)
    fine = {Status.PASS, Status.SKIPPED}
    assert (line.status == "pass") == (all(status in fine for status in statuses) and Status.PASS in statuses)
    assert line.reasons
    assert all(line.reasons)


@pytest.mark.parametrize(
    ("greens", "text"),
    [
        (1, "1 look each: too early to be sure (20 looks: fails less than 1 in 7)"),
        (19, "19 looks each: too early to be sure (20 looks: fails less than 1 in 7)"),
        (20, "20 looks each: fails less than 1 in 7 (95 % sure)"),
        (30, "30 looks each: fails less than 1 in 10 (95 % sure)"),
        (59, "59 looks each: fails less than 1 in 20 (95 % sure)"),
    ],
)
def test_certainty_quotes_the_bound_rounded_to_the_safe_side(greens: int, text: str) -> None:
    assert certainty(greens) == text


@given(st.integers(20, 10_000))
def test_the_quoted_bound_is_never_better_than_the_exact_one(looks: int) -> None:
    quoted = int(certainty(looks).partition("1 in ")[2].split()[0])
    assert (1 - 1 / quoted) ** looks <= 0.05 < (1 - 1 / (quoted + 1)) ** looks


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (-3, "0:00"), (192, "3:12"), (3792, "1:03:12")])
def test_clock_text(seconds: float, text: str) -> None:
    assert clock_text(seconds) == text
