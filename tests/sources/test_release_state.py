"""The state of a release is a pure function of API responses, also when observed afterwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from prodwatch.model.signal import ReleasePhase
from prodwatch.sources.release.alias_weights import AliasState, state_from_alias
from prodwatch.sources.release.release_state import Deployment, LifecycleEvent, events_of, release_state, share_of

T0 = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def deployment(status: str = "InProgress", *stages: LifecycleEvent, **more: Any) -> Deployment:
    values: dict[str, Any] = {
        "id": "d-1",
        "status": status,
        "function": "shop-orders",
        "alias": "live",
        "current": "41",
        "target": "42",
        "created_at": T0,
        "lifecycle": stages,
        "canary_s": 300.0,
    }
    return Deployment(**(values | more))


HOOK = LifecycleEvent("BeforeAllowTraffic", "InProgress", at(5))
HOOK_DONE = LifecycleEvent("BeforeAllowTraffic", "Succeeded", at(5), at(9))
SHIFTING = LifecycleEvent("AllowTraffic", "InProgress", at(10))
SHIFTED = LifecycleEvent("AllowTraffic", "Succeeded", at(10), at(310))
AFTER = LifecycleEvent("AfterAllowTraffic", "InProgress", at(311))
SPLIT = AliasState("41", {"42": 0.1})
OLD = AliasState("41", {})
NEW = AliasState("42", {})
UNDO = deployment("Succeeded", id="d-2", rollback_of="d-1", current="42", target="41", created_at=at(120))

CASES: dict[str, tuple[AliasState | None, list[Deployment], ReleasePhase]] = {
    "nothing known": (None, [], ReleasePhase.NONE),
    "one version, no deployment": (OLD, [], ReleasePhase.NONE),
    "weights without CodeDeploy": (SPLIT, [], ReleasePhase.SHIFTING),
    "created": (OLD, [deployment("Created")], ReleasePhase.NOT_STARTED),
    "first hook runs": (OLD, [deployment("InProgress", HOOK)], ReleasePhase.HOOK),
    "traffic shifts": (SPLIT, [deployment("InProgress", HOOK_DONE, SHIFTING)], ReleasePhase.SHIFTING),
    "last hook runs": (NEW, [deployment("InProgress", HOOK_DONE, SHIFTED, AFTER)], ReleasePhase.HOOK),
    "baking": (NEW, [deployment("Baking", SHIFTED)], ReleasePhase.BAKING),
    "succeeded": (NEW, [deployment("Succeeded", SHIFTED)], ReleasePhase.SUCCEEDED),
    "failed": (OLD, [deployment("Failed", error="HOOK_EXECUTION_FAILURE")], ReleasePhase.FAILED),
    "stopped by hand": (OLD, [deployment("Stopped", error="MANUAL_STOP")], ReleasePhase.STOPPED),
    "rolled back": (OLD, [UNDO, deployment("Stopped", error="ALARM_ACTIVE: shop")], ReleasePhase.ROLLED_BACK),
    "roll-back still running": (SPLIT, [deployment("Stopped", rolled_back_by="d-2")], ReleasePhase.ROLLED_BACK),
    "moved back by hand": (OLD, [deployment("Succeeded", SHIFTED)], ReleasePhase.ROLLED_BACK),
}


@pytest.mark.parametrize("case", CASES)
def test_every_situation_has_its_name(case: str) -> None:
    alias, deployments, phase = CASES[case]
    assert release_state("shop-orders", "live", alias, deployments, at=at(60)).phase is phase


@pytest.mark.parametrize(
    ("primary", "extra", "version", "previous"),
    [
        ("42", {}, "42", None),
        ("41", {"42": 0.1}, "42", "41"),
        ("42", {"41": 0.9}, "42", "41"),
        ("9", {"10": 0.5}, "10", "9"),
        ("$LATEST", {}, "$LATEST", None),
    ],
)
def test_K27_the_newest_version_with_traffic_is_under_release(
    primary: str, extra: dict[str, float], version: str, previous: str | None
) -> None:
    found = state_from_alias("shop-orders", "live", AliasState(primary, extra))
    assert (found.version, found.previous) == (version, previous)
    assert sum(found.weights.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("alias", "phase"),
    [
        (AliasState("40", {}), ReleasePhase.ROLLED_BACK),
        (AliasState("40", {"41": 0.5}), ReleasePhase.ROLLED_BACK),
        (AliasState("40", {"42": 0.1}), ReleasePhase.SHIFTING),
        (AliasState("43", {}), ReleasePhase.ROLLED_BACK),
    ],
)
def test_K29_an_alias_moved_by_hand_while_a_deployment_runs_is_named(alias: AliasState, phase: ReleasePhase) -> None:
    running = deployment("InProgress", HOOK_DONE, SHIFTING)
    found = release_state("shop-orders", "live", alias, [running], at=at(60))
    assert (found.phase, found.version, found.previous) == (phase, "42", "41")
    assert found.cause == f"the alias was moved to version {alias.primary} by hand while the deployment runs"


@pytest.mark.parametrize("alias", [OLD, SPLIT, NEW, None, AliasState("41", {"40": 0.0})])
def test_K29_a_deployment_that_moves_its_own_versions_has_no_cause(alias: AliasState | None) -> None:
    running = deployment("InProgress", HOOK_DONE, SHIFTING)
    found = release_state("shop-orders", "live", alias, [running], at=at(60))
    assert (found.phase, found.cause) == (ReleasePhase.SHIFTING, None)


@pytest.mark.parametrize(("status", "ended"), [("Succeeded", True), ("InProgress", False)])
def test_K11_a_release_that_is_over_has_an_end(status: str, ended: bool) -> None:
    moved = deployment(status, HOOK_DONE, SHIFTED, ended_at=at(320) if ended else None)
    assert release_state("shop-orders", "live", NEW, [moved], at=at(400)).ended_at == (at(320) if ended else None)


def test_while_traffic_shifts_the_next_step_is_known() -> None:
    shifting = deployment("InProgress", SHIFTING)
    state = release_state("shop-orders", "live", SPLIT, [shifting], at=at(60))
    assert (state.version, state.previous, state.weights) == ("42", "41", {"41": 0.9, "42": 0.1})
    assert (state.started_at, state.next_shift_at) == (at(10), at(310))
    linear = replace(shifting, canary_s=None, linear_s=60.0)
    assert release_state("shop-orders", "live", SPLIT, [linear], at=at(75)).next_shift_at == at(130)


def test_a_rollback_names_its_cause_and_still_speaks_of_the_new_version() -> None:
    state = release_state("shop-orders", "live", OLD, CASES["rolled back"][1], at=at(200))
    assert (state.version, state.previous, state.cause) == ("42", "41", "ALARM_ACTIVE: shop")
    assert state.weights == {"41": 1.0}


def test_a_deployment_tells_its_story_in_order() -> None:
    done = replace(deployment("Stopped", HOOK_DONE, SHIFTING), ended_at=at(100), error="ALARM_ACTIVE")
    reported = events_of(done)
    assert [event.what for event in reported] == [
        "deployment created",
        "BeforeAllowTraffic started",
        "BeforeAllowTraffic succeeded",
        "AllowTraffic started",
        "deployment stopped",
    ]
    assert [event.at for event in reported] == sorted(event.at for event in reported)
    assert reported[-1].detail == "ALARM_ACTIVE"


@pytest.mark.parametrize(
    ("reported", "alias_share", "step_share", "share"),
    [
        (0.1, None, None, 0.1),
        (10.0, None, None, 0.1),
        (100.0, None, None, 1.0),
        (1.5, None, None, 0.015),
        (0.0, None, None, 0.0),
        (-1.0, None, None, 0.0),
        (250.0, None, None, 1.0),
        (1.0, None, None, 1.0),
        (1.0, 0.01, None, 0.01),
        (1.0, 1.0, 0.01, 1.0),
        (1.0, None, 0.01, 0.01),
        (1.0, None, 0.1, 0.01),
        (1.0, 0.9, None, 1.0),
    ],
)
def test_a_weight_is_read_as_percentage_or_fraction(
    reported: float, alias_share: float | None, step_share: float | None, share: float
) -> None:
    assert share_of(reported, alias_share=alias_share, step_share=step_share) == pytest.approx(share)


@pytest.mark.parametrize("reported", [0.1, 10.0], ids=["fraction", "percentage"])
def test_without_the_alias_codedeploy_tells_the_shares(reported: float) -> None:
    shifting = deployment("InProgress", SHIFTING, reported_weight=reported, step_share=0.1)
    state = release_state("shop-orders", "live", None, [shifting], at=at(60))
    assert state.weights == {"41": 0.9, "42": 0.1}


def test_the_last_step_of_a_linear_shift_is_followed_by_none() -> None:
    linear = deployment("InProgress", SHIFTING, canary_s=None, linear_s=60.0, step_share=0.25)
    due = [release_state("f", "live", SPLIT, [linear], at=at(10 + 60 * n)).next_shift_at for n in range(5)]
    assert due == [at(70), at(130), at(190), None, None]


def test_a_canary_that_is_overdue_promises_nothing() -> None:
    shifting = deployment("InProgress", SHIFTING)
    assert release_state("f", "live", SPLIT, [shifting], at=at(400)).next_shift_at is None


def test_the_rollback_of_a_rollback_belongs_to_the_first_release() -> None:
    again = deployment("Succeeded", id="d-3", rollback_of="d-2", created_at=at(200))
    state = release_state("shop-orders", "live", OLD, [again, UNDO, deployment("Stopped")], at=at(300))
    assert (state.phase, state.deployment) == (ReleasePhase.ROLLED_BACK, "d-1")


def test_a_new_attempt_after_a_rollback_is_what_counts() -> None:
    retry = deployment("InProgress", SHIFTING, id="d-3", target="43", created_at=at(500))
    state = release_state("f", "live", AliasState("41", {"43": 0.1}), [retry, UNDO, deployment("Stopped")], at=at(520))
    assert (state.phase, state.version, state.deployment) == (ReleasePhase.SHIFTING, "43", "d-3")
