"""A gate follows one release through its phases, in virtual time, and defines the outcome of each story."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from prodwatch.model.environment import Compare, FunctionTarget, MetricTarget, ReleaseTarget
from prodwatch.model.result import SignalResult, StepResult
from prodwatch.model.signal import (
    Batch,
    EvaluatedSignals,
    ReleasePhase,
    ReleaseState,
    RollbackAlarms,
    SourcePhase,
    SourceStatus,
)
from prodwatch.model.status import Reason, Status
from prodwatch.session import gate_evidence
from prodwatch.store import check_history
from prodwatch.testing.clock import START
from prodwatch.testing.definitions import plain
from tests.support.gate_world import MOVING, PAY, GateWorld, again, result_of
from tests.support.verdict_facts import comparison

BACK = again(MOVING, phase=ReleasePhase.ROLLED_BACK, weights={"41": 1.0}, cause="an alarm fired")
DONE = again(MOVING, phase=ReleasePhase.SUCCEEDED, weights={"42": 1.0}, ended_at=START + timedelta(minutes=5))
NOTHING = ReleaseState(function="pay", alias="live", version="41", weights={"41": 1.0})
SHIP = again(MOVING, function="ship", version="8", previous="7", weights={"7": 0.9, "8": 0.1}, deployment="d-2")
BOTH = (PAY, FunctionTarget(name="ship", alias="live"))


async def test_a_harmless_release_passes_at_the_end_of_the_bake_and_never_earlier() -> None:
    world = GateWorld()
    result = await world.run()
    assert (result.verdict.status, result.verdict.exit_code) == ("pass", 0)
    assert world.took_s == 600
    assert world.phases == ["resolve", "attest", "settle", "bake", "decide"]
    assert not any(
        each.decision.verdict.status == "pass" for each in world.states if each.phase in {"resolve", "settle"}
    )
    assert result.release is not None
    assert (result.release.version, result.release.attested) == ("42", True)
    assert (result.release.code_sha256, result.release.configuration_sha256) == ("bb", "cc")
    assert world.stops == 1


async def test_checks_run_from_one_minute_after_the_shift() -> None:
    world = GateWorld()
    result = await world.run()
    assert world.rounds_at == START + timedelta(seconds=60)
    assert [(each.planned, each.measured) for each in result.rounds] == [(19, 19)]


async def test_an_alarm_that_fires_before_the_shift_ends_the_gate() -> None:
    world = GateWorld(release=again(MOVING, phase=ReleasePhase.NOT_STARTED, weights={"41": 1.0}))
    world.alarm("ALARM")
    result = await world.run()
    assert (result.verdict.status, result.verdict.reason_code) == ("inconclusive", Reason.PREREQUISITE)
    assert "pay errors" in result.verdict.reason
    assert world.took_s == 0


async def test_an_alarm_that_begins_to_fire_while_the_gate_waits_ends_it_too() -> None:
    world = GateWorld(release=NOTHING)
    world.after(30, lambda: world.alarm("ALARM"))
    result = await world.run()
    assert result.verdict.reason_code is Reason.PREREQUISITE
    assert world.took_s == 30


@pytest.mark.parametrize(
    ("since_s", "status"),
    [pytest.param(-30, "inconclusive", id="before the shift"), pytest.param(30, "fail", id="after the shift")],
)
async def test_a_late_gate_knows_when_an_alarm_began_to_fire(since_s: int, status: str) -> None:
    world = GateWorld(began_s=120)
    world.alarm("ALARM", since=START + timedelta(seconds=since_s))
    assert (await world.run()).verdict.status == status


async def test_an_alarm_fails_the_gate_at_once_even_while_it_settles() -> None:
    world = GateWorld()
    world.after(20, lambda: world.alarm("ALARM"))
    result = await world.run()
    assert (result.verdict.status, world.took_s) == ("fail", 20)


async def test_an_alarm_that_does_not_gate_is_shown_only() -> None:
    world = GateWorld()
    world.alarm("ALARM", gate=False)
    assert (await world.run()).verdict.status == "pass"


async def test_a_session_that_cannot_start_is_an_error() -> None:
    world = GateWorld()
    status = SourceStatus(source="session", phase=SourcePhase.FAILED, message="the credentials belong to 210987654321")
    world.store.apply(Batch(source="session", status=status))
    result = await world.run()
    assert (result.verdict.status, result.verdict.exit_code) == ("error", 3)
    assert result.verdict.reason == "The credentials belong to 210987654321."
    assert (world.took_s, world.rounds_at) == (0, None)


async def test_the_first_reading_is_waited_for() -> None:
    world = GateWorld(release=None)
    world.sources["release"] = SourcePhase.STARTING
    world.after(20, lambda: world.release(MOVING))
    world.after(20, lambda: world.source("release", SourcePhase.LIVE))
    assert (await world.run()).verdict.status == "pass"
    assert world.states[0].phase == "resolve"
    assert next(each.at for each in world.states if each.phase == "attest") == START + timedelta(seconds=20)


@pytest.mark.parametrize(
    ("alarms", "notice"),
    [
        pytest.param([], "no alarm is watched, so it is not known whether one rolls this release back", id="absent"),
        pytest.param([{"actions_enabled": False}], "the actions of alarm pay errors are disabled", id="disabled"),
        pytest.param([{}], None, id="present"),
    ],
)
async def test_a_rollback_alarm_that_does_nothing_is_a_notice(alarms: list[Any], notice: str | None) -> None:
    world = GateWorld()
    for each in alarms:
        world.alarm("OK", **each)
    result = await world.run()
    assert result.verdict.status == "pass"
    assert next((each.message for each in result.notices if each.code == "rollback_alarm"), None) == notice


GROUP = RollbackAlarms(group="pay-live", alarms=("pay errors",))


@pytest.mark.parametrize(
    ("group", "alarm", "notices"),
    [
        pytest.param(GROUP, {}, [], id="present"),
        pytest.param(
            GROUP, None, ["alarm pay errors of deployment group pay-live does not exist or was not read"], id="absent"
        ),
        pytest.param(
            GROUP,
            {"muted_by": "night"},
            ["alarm pay errors of deployment group pay-live is muted by rule night"],
            id="muted",
        ),
        pytest.param(
            GROUP, {"actions_enabled": False}, ["the actions of alarm pay errors are disabled"], id="actions disabled"
        ),
        pytest.param(
            replace(GROUP, enabled=False),
            {},
            ["the alarms of deployment group pay-live are disabled, so none rolls pay back"],
            id="alarms disabled",
        ),
        pytest.param(
            replace(GROUP, alarms=()), {}, ["deployment group pay-live has no alarm, so none rolls pay back"], id="none"
        ),
        pytest.param(
            replace(GROUP, alarms=(), unread="GetDeploymentGroup: access denied"),
            {},
            ["the alarms that roll pay back are not known: GetDeploymentGroup: access denied"],
            id="not read",
        ),
        pytest.param(
            replace(GROUP, rolls_back=False, ignores_unread=True),
            {},
            [
                "deployment group pay-live does not roll back a deployment that an alarm stops",
                "deployment group pay-live continues when CodeDeploy cannot read its alarms",
            ],
            id="weak",
        ),
    ],
)
async def test_a_deployment_group_whose_alarms_may_not_roll_back_is_a_notice(
    group: RollbackAlarms, alarm: dict[str, Any] | None, notices: list[str]
) -> None:
    world = GateWorld(release=again(MOVING, rollback=group))
    if alarm is not None:
        world.alarm("OK", **alarm)
    result = await world.run()
    assert result.verdict.status == "pass"
    assert [each.message for each in result.notices if each.code == "rollback_alarm"] == notices


async def test_the_expected_version_is_waited_for() -> None:
    world = GateWorld(release=NOTHING)
    shifted = again(MOVING, started_at=START + timedelta(seconds=300))
    world.after(300, lambda: world.release(shifted))
    result = await world.run(versions={"": "42"})
    assert result.verdict.status == "pass"
    assert world.took_s == 900  # the bake counts from the shift
    assert world.rounds_at == START + timedelta(seconds=360)


async def test_another_version_that_serves_is_named_after_ten_minutes() -> None:
    world = GateWorld()
    result = await world.run(versions={"": "43"})
    assert (result.verdict.status, result.verdict.exit_code) == ("inconclusive", 4)
    assert result.verdict.reason_code is Reason.VERSION_MISMATCH
    assert result.verdict.reason == "Version 43 has not served (version 41 and 42 serves) within 10 min."
    assert (world.took_s, world.rounds_at) == (600, None)


async def test_without_a_release_the_gate_is_inconclusive() -> None:
    world = GateWorld(release=NOTHING)
    result = await world.run()
    assert (result.verdict.status, world.took_s) == ("inconclusive", 600)
    assert result.verdict.reason == "No release has begun in the 10m before this gate or within 10 min."


async def test_yesterdays_release_is_not_taken_for_the_one_to_judge() -> None:
    ended = START - timedelta(hours=20)
    world = GateWorld(release=again(DONE, started_at=ended, ended_at=ended))
    assert (await world.run()).verdict.status == "inconclusive"
    world = GateWorld(release=again(BACK, started_at=ended, ended_at=ended))
    assert (await world.run()).verdict.status == "inconclusive"


async def test_a_rollback_while_the_gate_waits_fails_it() -> None:
    world = GateWorld(release=again(MOVING, phase=ReleasePhase.HOOK, weights={"41": 1.0}))
    world.after(40, lambda: world.release(again(BACK, phase=ReleasePhase.FAILED)))
    result = await world.run()
    assert (result.verdict.status, result.verdict.exit_code, world.took_s) == ("fail", 1, 40)
    assert world.rounds_at is None


async def test_a_rollback_in_the_middle_of_the_bake_fails_it_at_once() -> None:
    world = GateWorld()
    world.after(200, lambda: world.release(BACK))
    result = await world.run()
    assert (result.verdict.status, world.took_s) == ("fail", 200)
    assert "rolled back: an alarm fired" in result.verdict.reason


@pytest.mark.parametrize(
    "later",
    [
        pytest.param(again(MOVING, version="43", previous="42", deployment="d-9"), id="another version"),
        pytest.param(again(MOVING, deployment="d-9"), id="another deployment of the same version"),
        pytest.param(again(MOVING, configuration={"41": "cc", "42": "dd"}), id="other configuration"),
        pytest.param(again(MOVING, code={"41": "aa", "42": "ee"}), id="other code"),
    ],
)
async def test_a_second_release_ends_the_gate_without_a_verdict_on_either(later: ReleaseState) -> None:
    world = GateWorld()
    world.after(200, lambda: world.release(later))
    result = await world.run()
    assert (result.verdict.status, world.took_s) == ("inconclusive", 200)
    assert result.verdict.reason_code is Reason.VERSION_MISMATCH
    assert "42" in result.verdict.reason


async def test_a_rollback_and_a_second_release_between_two_looks_leave_the_first_without_a_verdict() -> None:
    world = GateWorld()
    second = again(MOVING, version="43", deployment="d-2", started_at=START + timedelta(seconds=250))

    def asleep() -> None:
        world.clock.skip(60)
        world.release(BACK)
        world.release(second)

    world.after(200, asleep)
    result = await world.run()
    assert (result.verdict.status, result.verdict.reason_code) == ("inconclusive", Reason.VERSION_MISMATCH)
    assert result.verdict.reason == "Version 43 of pay:live was released during the bake of version 42."


async def test_a_hash_that_is_read_late_is_not_a_second_release() -> None:
    world = GateWorld(release=again(MOVING, code={}, configuration={}))
    world.after(200, lambda: world.release(MOVING))
    assert (await world.run()).verdict.status == "pass"


async def test_a_version_with_the_code_and_the_configuration_of_the_old_one_is_a_notice() -> None:
    world = GateWorld(release=again(MOVING, code={"41": "aa", "42": "aa"}))
    notices = {each.code: each.message for each in (await world.run()).notices}
    assert notices["same_version"] == "version 42 of pay has the code and the configuration of version 41"
    world = GateWorld(release=again(MOVING, code={"41": "aa", "42": "aa"}, configuration={"41": "c", "42": "d"}))
    assert "same_version" not in {each.code for each in (await world.run()).notices}


async def test_all_functions_have_to_pass() -> None:
    world = GateWorld(functions=BOTH)
    world.release(SHIP)
    assert (await world.run()).verdict.status == "pass"

    world = GateWorld(functions=BOTH)
    world.release(SHIP)
    world.after(200, lambda: world.release(again(SHIP, phase=ReleasePhase.ROLLED_BACK, weights={"7": 1.0})))
    result = await world.run()
    assert (result.verdict.status, world.took_s) == ("fail", 200)


async def test_each_named_version_has_to_serve() -> None:
    world = GateWorld(functions=BOTH)
    world.release(again(SHIP, weights={"7": 1.0}, phase=ReleasePhase.NOT_STARTED))
    shifted = again(SHIP, started_at=START + timedelta(seconds=90))
    world.after(90, lambda: world.release(shifted))
    result = await world.run(versions={"pay": "42", "ship": "8"})
    assert (result.verdict.status, world.took_s) == ("pass", 690)  # from the last shift on

    world = GateWorld(functions=BOTH)
    world.release(SHIP)
    result = await world.run(versions={"pay": "42", "ship": "9"})
    assert result.verdict.reason == "Version 9 of ship has not served (version 7 and 8 serves) within 10 min."


async def test_a_named_gate_leaves_other_functions_out() -> None:
    world = GateWorld(functions=BOTH)
    world.release(again(SHIP, phase=ReleasePhase.ROLLED_BACK, weights={"7": 1.0}))
    assert (await world.run(versions={"pay": "42"})).verdict.status == "pass"


async def test_a_release_of_all_traffic_at_once_cannot_exclude_harm_without_a_baseline() -> None:
    world = GateWorld(release=again(DONE, ended_at=START))
    world.proves = False
    result = await world.run()
    assert (result.verdict.status, world.took_s) == ("inconclusive", 600)
    world = GateWorld(release=again(DONE, ended_at=START), compare=Compare(require="none"))
    world.proves = False
    result = await world.run()
    assert result.verdict.status == "pass"
    assert "uncompared" in {each.code for each in result.notices}


async def test_a_function_without_an_alias_serves_its_latest_code() -> None:
    latest = ReleaseState(function="pay", version="$LATEST", code={"$LATEST": "aa"}, configuration={"$LATEST": "cc"})
    world = GateWorld(release=latest, functions=(FunctionTarget(name="pay"),))
    result = await world.run(versions={"": "$LATEST"})
    assert result.verdict.status == "inconclusive"  # nothing to compare it with
    assert "not compared" in result.verdict.reason
    world = GateWorld(release=latest, functions=(FunctionTarget(name="pay"),), compare=Compare(require="none"))
    assert (await world.run(versions={"": "$LATEST"})).verdict.status == "pass"
    world = GateWorld(release=latest, functions=(FunctionTarget(name="pay"),), compare=Compare(require="none"))
    world.after(200, lambda: world.release(again(latest, configuration={"$LATEST": "dd"})))
    assert (await world.run(versions={"": "$LATEST"})).verdict.status == "inconclusive"


async def test_without_a_baseline_no_proof_is_asked_for() -> None:
    world = GateWorld()
    world.environment = replace(world.environment, release=ReleaseTarget(baseline="none"))
    world.proves = False
    assert (await world.run()).verdict.status == "pass"


async def test_a_check_that_is_red_twice_in_a_row_ends_the_bake() -> None:
    world = GateWorld(checks={"a": lambda number: Status.FAIL if number in {3, 4} else Status.PASS})
    result = await world.run()
    assert (result.verdict.status, world.took_s) == ("fail", 60 + 4 * 30)


async def test_one_red_round_does_not_end_the_bake() -> None:
    world = GateWorld(checks={"a": lambda number: Status.FAIL if number == 3 else Status.PASS})
    result = await world.run()
    assert (result.verdict.status, world.took_s) == ("pass", 600)


async def test_a_red_round_at_the_end_is_not_a_pass() -> None:
    world = GateWorld(checks={"a": lambda number: Status.FAIL if number == 18 else Status.PASS})
    assert (await world.run()).verdict.status == "inconclusive"


async def test_failures_in_every_second_round_are_not_a_pass() -> None:
    world = GateWorld(checks={"a": lambda number: Status.FAIL if number % 2 else Status.PASS})
    result = await world.run(bake_s=60 + 40 * 30)
    assert result.verdict.status == "fail"


async def test_errors_in_every_second_of_forty_rounds_are_not_a_pass() -> None:
    world = GateWorld(checks={"a": lambda number: Status.PASS if number % 2 else Status.ERROR})
    result = await world.run(bake_s=60 + 40 * 30 - 1)
    assert (result.verdict.status, result.verdict.reason_code) == ("inconclusive", Reason.MIN_SAMPLES)
    assert [(each.measured, each.planned) for each in result.rounds] == [(20, 40)]


async def test_a_long_bake_counts_the_rounds_that_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (check_history, gate_evidence):
        monkeypatch.setattr(module, "MAX_ROUNDS", 20)
    world = GateWorld()
    result = await world.run(bake_s=1200)
    assert result.verdict.status == "pass"
    assert [(each.planned, each.measured) for each in result.rounds] == [(20, 20)]


async def test_a_mutating_check_runs_once_after_the_settling() -> None:
    mutating = plain("order", check={"mutates": True})
    world = GateWorld(checks={"order": lambda _number: Status.PASS}, definitions=(mutating,))
    result = await world.run()
    assert (result.verdict.status, [each.planned for each in result.rounds]) == ("pass", [1])


async def test_traffic_that_stops_is_not_a_pass() -> None:
    world = GateWorld()
    world.traffic_until_s = 200
    result = await world.run()
    assert (result.verdict.status, result.verdict.reason_code) == ("inconclusive", Reason.NO_DATA)
    assert result.verdict.reason == "The new version of pay:live has served no request for 6m, after 2,000."


async def test_no_traffic_is_too_little_evidence() -> None:
    world = GateWorld()
    world.traffic_until_s = 0
    result = await world.run()
    assert (result.verdict.status, result.verdict.exit_code) == ("inconclusive", 4)
    assert result.verdict.reason_code is Reason.MIN_SAMPLES
    assert result.release is not None
    assert result.release.attested is None


async def test_a_laptop_that_slept_through_most_of_the_bake_has_not_measured_it() -> None:
    world = GateWorld()
    world.after(120, lambda: world.clock.skip(2400))
    result = await world.run(bake_s=3600)
    assert (result.verdict.status, result.verdict.exit_code) == ("inconclusive", 4)
    assert "12:42:00 UTC were not measured: this machine slept" in " ".join(
        each.message for each in result.notices if each.code == "gap"
    )
    assert world.took_s == 3600


async def test_a_laptop_that_wakes_after_the_end_has_not_measured_it() -> None:
    world = GateWorld()
    world.after(500, lambda: world.clock.skip(2400))
    result = await world.run()
    assert result.verdict.status == "inconclusive"


async def test_a_short_sleep_is_a_notice() -> None:
    world = GateWorld()
    world.after(300, lambda: world.clock.skip(90))
    result = await world.run(bake_s=1800)
    assert result.verdict.status == "pass"
    assert "gap" in {each.code for each in result.notices}


async def test_a_gate_that_is_restarted_ends_when_the_first_one_would_have() -> None:
    world = GateWorld(began_s=400)
    result = await world.run()
    assert (result.verdict.status, world.took_s) == ("pass", 200)
    assert world.rounds_at == START + timedelta(seconds=400)  # the shift is long over


async def test_a_late_gate_still_sees_two_rounds() -> None:
    world = GateWorld(began_s=590)
    result = await world.run()
    assert (result.verdict.status, world.took_s) == ("pass", 60)
    assert result.rounds[0].measured == 3


async def test_a_bake_until_the_deployment_has_succeeded() -> None:
    world = GateWorld()
    world.after(300, lambda: world.release(DONE))
    result = await world.run(until_deployed=True)
    assert (result.verdict.status, world.took_s) == ("pass", 300)
    world = GateWorld()
    world.after(300, lambda: world.release(DONE))
    assert (await world.run()).verdict.status == "pass"
    assert world.took_s == 600


async def test_credentials_that_expire_in_the_middle_are_not_a_pass() -> None:
    world = GateWorld(checks={"a": lambda number: Status.ERROR if number > 8 else Status.PASS})
    for name in ("release", "alarms", "logs:/aws/lambda/pay"):
        world.after(330, lambda name=name: world.source(name, SourcePhase.EXPIRED))  # type: ignore[misc]
    result = await world.run()
    assert (result.verdict.status, result.verdict.exit_code) == ("error", 3)
    assert {"source"} <= {each.kind for each in result.verdict.blocking}


@pytest.mark.parametrize("phase", [SourcePhase.DENIED, SourcePhase.EXPIRED, SourcePhase.FAILED, SourcePhase.WAITING])
async def test_logs_that_cannot_be_read_are_not_a_pass(phase: SourcePhase) -> None:
    world = GateWorld()
    world.sources["logs:/aws/lambda/pay"] = phase
    result = await world.run()
    assert (result.verdict.status, result.verdict.exit_code) == ("inconclusive", 4)
    assert "logs:/aws/lambda/pay" in {each.id for each in result.verdict.blocking}


METRIC = MetricTarget(name="checkout", namespace="Shop", metric="CheckoutMs", expect=("value <= 800",))


def evaluated(world: GateWorld, status: Status, at_s: float) -> None:
    at = START + timedelta(seconds=at_s)
    result = SignalResult(kind="metric", id="checkout", name="checkout", status=status, at=at, message="because")
    world.store.apply(Batch(source="metrics", records=(EvaluatedSignals(kind="metric", results=(result,)),)))


async def test_a_metric_counts_from_two_minutes_after_the_shift() -> None:
    world = GateWorld(metrics=(METRIC,))
    world.after(70, lambda: evaluated(world, Status.FAIL, 60))
    world.after(250, lambda: evaluated(world, Status.FAIL, 120))
    world.after(400, lambda: evaluated(world, Status.PASS, 180))
    assert (await world.run()).verdict.status == "pass"

    world = GateWorld(metrics=(METRIC,))
    world.after(400, lambda: evaluated(world, Status.FAIL, 180))
    assert (await world.run()).verdict.status == "fail"
    assert world.took_s == 400


async def test_a_metric_without_a_point_since_the_shift_is_not_a_pass() -> None:
    world = GateWorld(metrics=(METRIC,))
    world.after(70, lambda: evaluated(world, Status.PASS, 60))
    result = await world.run()
    assert (result.verdict.status, result.verdict.reason_code) == ("inconclusive", Reason.NO_DATA)


async def test_a_short_bake_waits_for_the_first_point_of_a_metric() -> None:
    world = GateWorld(metrics=(METRIC,))
    world.after(400, lambda: evaluated(world, Status.PASS, 180))
    result = await world.run(bake_s=150)
    assert (result.verdict.status, world.took_s) == ("pass", 420)


async def test_a_worse_version_fails_the_gate_while_it_settles() -> None:
    world = GateWorld()
    worse = comparison(Status.FAIL, id="pay:live errors", function="pay:live")
    world.after(45, lambda: world.store.set_comparisons((worse,), ()))
    result = await world.run()
    assert (result.verdict.status, world.took_s) == ("fail", 45)
    assert (result.verdict.blocking[0].kind, result.verdict.blocking[0].id) == ("comparison", "pay:live errors")


async def test_a_comparison_of_another_release_does_not_count() -> None:
    world = GateWorld()
    worse = comparison(Status.FAIL, id="ship:live errors", function="ship:live")
    own = comparison(Status.PASS, id="pay:live errors", function="pay:live")
    world.after(595, lambda: world.store.set_comparisons((own, worse), ()))
    assert (await world.run()).verdict.status == "pass"


async def test_a_gate_without_functions_judges_checks_alone() -> None:
    world = GateWorld(release=None, functions=())
    result = await world.run()
    assert (result.verdict.status, world.took_s, world.rounds_at) == ("pass", 600, START)


async def test_a_skipped_verification_measures_nothing_and_says_so() -> None:
    world = GateWorld()
    result = await world.run(skip_verification="AWS incident")
    assert (result.verdict.status, result.verdict.reason_code) == ("inconclusive", Reason.EXPLICIT)
    assert result.verdict.reason == "Verification was skipped: AWS incident."
    assert "skip_verification" in {each.code for each in result.notices}
    assert (world.stops, world.took_s) == (0, 0)


@pytest.mark.parametrize("at_s", [0.0, 5.0, 30.0, 300.0], ids=["resolve", "attest", "settle", "bake"])
async def test_an_interruption_in_any_phase_cleans_up_and_aborts(at_s: float) -> None:
    release = again(MOVING, started_at=START + timedelta(seconds=20))
    world = GateWorld(release=NOTHING)
    if at_s == 0:
        world.sources["release"] = SourcePhase.STARTING
    world.after(20, lambda: world.release(release))
    running: asyncio.Task[Any] = asyncio.create_task(world.run())

    def interrupt() -> None:
        assert world.gate is not None
        world.gate.interrupt(130)
        running.cancel()

    world.after(at_s or 0.5, interrupt)
    with pytest.raises(asyncio.CancelledError):
        await running
    assert world.gate is not None
    result = world.gate.result("run")
    assert (result.verdict.status, result.verdict.exit_code, world.stops) == ("aborted", 130, 1)


async def test_data_that_the_last_cleanup_leaves_behind_is_in_the_verdict() -> None:
    check = plain("order", check={"mutates": True})
    world = GateWorld(checks={"order": lambda _number: Status.PASS}, definitions=(check,))
    cleanup = StepResult(name="undo", type="http", status=Status.ERROR, leftovers=("orders/1",))
    world.cleaned = (result_of(check, Status.PASS, START, cleanup=(cleanup,)),)
    result = await world.run()
    assert (result.verdict.status, result.verdict.exit_code) == ("degraded", 3)
    assert result.checks[0].cleanup == (cleanup,)


async def test_a_long_cleanup_does_not_turn_the_verdict() -> None:
    world = GateWorld()
    stop = world.stop

    async def slow_stop() -> Any:
        world.clock.skip(3600)
        return await stop()

    world.stop = slow_stop  # type: ignore[method-assign]
    result = await world.run()
    assert result.verdict.status == "pass"
    assert result.run.duration_ms == 600_000


async def test_each_finished_round_is_reported_once() -> None:
    world = GateWorld()
    result = await world.run()
    finished = [each.id for state in world.states for each in state.finished]
    assert finished == ["a"] * result.rounds[0].finished


async def test_diagnostics_have_no_rounds_of_their_own() -> None:
    definitions = (plain("a"), plain("why", check={"kind": "diagnostic"}))
    result = await GateWorld(definitions=definitions).run()
    assert [each.check for each in result.rounds] == ["a"]


async def test_a_check_that_runs_once_is_not_said_to_run_again() -> None:
    mutating = plain("order", check={"mutates": True})
    world = GateWorld(checks={"order": lambda _number: Status.INCONCLUSIVE}, definitions=(mutating,))
    result = await world.run()
    assert (result.verdict.status, result.verdict.blocking[0].message) == ("inconclusive", "because order")


FLAGS = ReleaseState(
    function="shop/prod/flags",
    kind="configuration",
    phase=ReleasePhase.SHIFTING,
    version="7",
    previous="6",
    weights={"6": 0.5, "7": 0.5},
    started_at=START,
    deployment="d-7",
)


def configured(state: ReleaseState | None) -> GateWorld:
    """Return a world whose environment has a configuration and no function."""
    world = GateWorld(release=state, functions=())
    world.environment = replace(world.environment, release=ReleaseTarget(appconfig=("shop",)))
    return world


SIX = again(FLAGS, version="6", previous="5", phase=ReleasePhase.SUCCEEDED, weights={"6": 1.0}, ended_at=START)


@pytest.mark.parametrize(
    ("state", "versions", "reason"),
    [
        pytest.param(SIX, {"shop/prod/flags": "7"}, "has not served", id="another version is deployed"),
        pytest.param(
            again(FLAGS, phase=ReleasePhase.NOT_STARTED, weights={"6": 1.0}), {}, "has not served", id="never deployed"
        ),
        pytest.param(None, {}, "no release has begun", id="no deployment"),
    ],
)
async def test_a_gate_without_functions_waits_for_a_configuration(
    state: ReleaseState | None, versions: dict[str, str], reason: str
) -> None:
    world = configured(state)
    result = await world.run(versions=versions)
    assert (result.verdict.status, result.verdict.reason_code) == ("inconclusive", Reason.VERSION_MISMATCH)
    assert reason in result.verdict.reason.lower()


async def test_a_configuration_that_is_replaced_ends_the_gate_without_a_verdict() -> None:
    world = configured(FLAGS)
    world.after(130, lambda: world.release(again(FLAGS, version="8", previous="7", deployment="d-8")))
    result = await world.run()
    assert (result.verdict.status, result.verdict.reason_code) == ("inconclusive", Reason.VERSION_MISMATCH)


BY_VERSION = MetricTarget(name="checkout", namespace="Shop", metric="Ms", dimensions={"v": "${release.version}"})


@pytest.mark.parametrize("require", ["errors", "none"])
@pytest.mark.parametrize(
    ("metric", "status"),
    [
        pytest.param(BY_VERSION, "inconclusive", id="gates"),
        pytest.param(replace(BY_VERSION, gate=False), "pass", id="is shown only"),
    ],
)
async def test_a_metric_by_version_that_was_never_compared_is_not_a_pass(
    metric: MetricTarget, status: str, require: Any
) -> None:
    result = await GateWorld(metrics=(metric,), compare=Compare(require=require)).run()
    assert result.verdict.status == status
    if status == "inconclusive":
        assert "checkout: not compared for version 42 of pay:live" in result.verdict.reason


async def test_a_version_that_lost_its_traffic_by_hand_is_not_a_pass() -> None:
    world = GateWorld()
    world.traffic_until_s = 500
    world.after(500, lambda: world.release(again(MOVING, weights={"41": 1.0})))
    result = await world.run()
    assert result.verdict.status == "inconclusive"
    assert "Version 42 of pay gets no traffic any more" in result.verdict.reason
