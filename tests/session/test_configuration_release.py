"""A release of a configuration is compared before and after, for each function, and gates like a version."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from prodwatch.model.comparison import RequestBatch, VersionCounts
from prodwatch.model.environment import Compare
from prodwatch.model.identity import FunctionId
from prodwatch.model.signal import ReleasePhase, ReleaseState
from prodwatch.model.status import Reason, Status
from prodwatch.session.configuration_comparison import ConfigurationComparison
from prodwatch.testing.clock import START as GATE_START
from prodwatch.views.release import release_header
from tests.session.test_release_comparison import PAY, START, World
from tests.support.gate_world import GateWorld

FLAGS = ReleaseState(
    kind="configuration",
    function="shop/prod/flags",
    phase=ReleasePhase.SHIFTING,
    version="7",
    previous="6",
    weights={"6": 0.8, "7": 0.2},
    started_at=START,
    deployment="2",
)
STEADY = ReleaseState(function="pay", alias="live", version="41", weights={"41": 1.0})
FUNCTION = FunctionId("pay", "live")


def batch(minute: int, requests: int, failed: int) -> RequestBatch:
    start_ms = int((START + timedelta(minutes=minute)).timestamp()) * 1000
    versions = {"41": VersionCounts(requests=requests, failed=failed)}
    return RequestBatch(function="pay:live", start_ms=start_ms, end_ms=start_ms + 30_000, versions=versions)


def compared(failed: int, *, last_week: bool = True, before: int = 1) -> ConfigurationComparison:
    comparison = ConfigurationComparison(FLAGS, Compare(), 1)
    comparison.update({FUNCTION: [batch(minute, 1000, before) for minute in range(-10, 0)]})
    if last_week:
        comparison.add_last_week(FUNCTION, [batch(minute, 1000, before) for minute in range(10)])
    comparison.update({FUNCTION: [batch(minute, 1000, failed) for minute in range(10)]})
    return comparison


@pytest.mark.parametrize(
    ("failed", "last_week", "status"),
    [
        pytest.param(1, True, Status.PASS, id="as before"),
        pytest.param(50, True, Status.FAIL, id="worse than both windows"),
        pytest.param(50, False, Status.INCONCLUSIVE, id="worse than the only window"),
        pytest.param(12, True, Status.INCONCLUSIVE, id="a little worse"),
    ],
)
def test_errors_are_compared_with_the_time_before_and_a_week_ago(failed: int, last_week: bool, status: Status) -> None:
    errors = next(each for each in compared(failed, last_week=last_week).results() if each.kind == "errors")
    assert (errors.status, errors.basis) == (status, "before/after")
    assert (errors.id, errors.function) == ("shop/prod/flags on pay:live errors", "shop/prod/flags")
    assert (errors.canary.version, errors.canary.requests) == ("7", 10_000)
    assert errors.message.startswith("pay:live: errors ")


def test_durations_of_two_times_are_not_compared() -> None:
    assert "latency" not in {each.kind for each in compared(1).results()}


def test_a_configuration_that_no_function_has_used_is_not_compared() -> None:
    (nothing,) = ConfigurationComparison(FLAGS, Compare(), 1).results()
    assert (nothing.status, nothing.reason_code, nothing.function) == (
        Status.INCONCLUSIVE,
        Reason.NO_DATA,
        "shop/prod/flags",
    )


def test_the_week_before_is_read_for_each_function() -> None:
    comparison = compared(1, last_week=False)
    (wanted,) = comparison.without_last_week()
    assert (wanted.id, wanted.started_at) == (FUNCTION, START)
    comparison.add_last_week(wanted.id, [])
    assert comparison.without_last_week() == ()


def test_the_requests_of_all_versions_before_and_since_the_release_are_read_from_the_lines() -> None:
    world = World(release=STEADY)
    world.comparisons.watch([PAY])
    world.serve(range(-300, 0), "41", per_s=10)
    world.read_up_to(30)
    world.release(FLAGS)
    world.serve(range(300), "41", per_s=5)
    world.serve(range(300), "40", per_s=5, every_failing=10, message="KeyError: 'flag'")
    world.read_up_to(400)
    errors = next(each for each in world.store.comparisons if each.kind == "errors")
    assert (errors.canary.requests, errors.canary.bad) == (3000, 150)
    assert errors.baseline.requests == 3000
    world.release(replace(FLAGS, phase=ReleasePhase.ROLLED_BACK, weights={"6": 1.0}))
    world.read_up_to(430)
    assert world.store.comparisons == ()


def gate_world(state: ReleaseState) -> GateWorld:
    world = GateWorld(release=replace(STEADY, function="pay"))
    world.alarm("OK")
    world.release(replace(state, started_at=GATE_START))
    return world


async def test_a_gate_passes_on_a_configuration_that_does_no_harm() -> None:
    result = await gate_world(FLAGS).run()
    assert result.verdict.status == "pass"
    assert result.release is not None
    assert (result.release.version, result.release.previous) == ("7", "6")


async def test_a_gate_of_a_named_configuration_waits_for_its_version() -> None:
    world = gate_world(FLAGS)
    result = await world.run(versions={"shop/prod/flags": "8"})
    assert result.verdict.reason_code is Reason.VERSION_MISMATCH
    assert "Version 8 of shop/prod/flags has not served (version 6 and 7 serves)" in result.verdict.reason


@pytest.mark.parametrize("cause", ["rolled back by a CloudWatch alarm", "reverted by a user"])
async def test_a_configuration_that_goes_back_in_the_middle_of_the_bake_fails_it(cause: str) -> None:
    world = gate_world(FLAGS)
    back = replace(FLAGS, started_at=GATE_START, phase=ReleasePhase.ROLLED_BACK, weights={"6": 1.0}, cause=cause)
    world.after(100, lambda: world.release(back))
    result = await world.run()
    assert (result.verdict.status, world.took_s) == ("fail", 100)
    assert result.verdict.reason == f"shop/prod/flags: version 7 rolled back: {cause}."


async def test_a_gate_over_a_configuration_without_proof_is_inconclusive() -> None:
    world = gate_world(FLAGS)
    world.proves = False
    assert (await world.run()).verdict.status == "inconclusive"


def test_the_header_shows_a_configuration_where_no_function_is_released() -> None:
    world = World(release=STEADY)
    world.release(FLAGS)
    header = release_header(world.store, START)
    assert header is not None
    assert (header.function, header.version, header.phase) == ("shop/prod/flags", "7", ReleasePhase.SHIFTING)
