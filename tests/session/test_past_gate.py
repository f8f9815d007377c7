"""A gate over a window that is over: harm in it fails, and what could not be read never passes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from prodwatch.model.environment import AlarmTarget, Compare, FunctionTarget, Limits, ReleaseTarget
from prodwatch.model.result import RunResult
from prodwatch.session import past_evidence
from tests.support.past_world import ALARM, FROM, NEW, SHIFT, TO, PastAws, PastWorld, steady


def burst(version: str, at_s: float) -> float:
    return 0.15 if version == NEW and 240 <= at_s < 420 else steady(version, at_s)


def burst_of_both(_version: str, at_s: float) -> float:
    return 0.15 if 240 <= at_s < 420 else steady(_version, at_s)


def burst_later(version: str, at_s: float) -> float:
    return 0.5 if version == NEW and at_s >= (TO - SHIFT).total_seconds() else steady(version, at_s)


def notices(result: RunResult) -> set[str]:
    return {each.code for each in result.notices}


async def test_a_burst_of_errors_of_the_new_version_fails() -> None:
    result = await PastWorld(PastAws(burst)).judge()
    assert (result.verdict.status, result.verdict.exit_code) == ("fail", 1)
    assert "The new version is worse: errors" in result.verdict.reason
    assert result.release is not None
    assert (result.release.version, result.release.previous) == ("42", "41")


async def test_a_steady_release_passes_and_says_that_no_check_was_run() -> None:
    world = PastWorld(PastAws())
    result = await world.judge()
    assert (result.verdict.status, result.verdict.exit_code) == ("pass", 0)
    assert result.verdict.reason == "No check was run then; harm is excluded."
    assert "no_checks" in notices(result)
    assert result.checks == ()
    assert (result.run.mode, result.run.started_at, result.run.ended_at) == ("gate", FROM, TO)
    (errors,) = [each for each in result.comparisons if each.kind == "errors"]
    in_window = [each for each in world.aws.requests if SHIFT.timestamp() * 1000 <= each[0] < TO.timestamp() * 1000]
    assert errors.canary.requests == sum(version == NEW for _, version, _, _ in in_window)


@pytest.mark.parametrize("bad", [burst_of_both, burst_later], ids=["on both versions", "after the window"])
async def test_errors_that_are_not_of_the_release_or_of_the_window_do_not_fail(bad: object) -> None:
    result = await PastWorld(PastAws(bad)).judge()  # type: ignore[arg-type]
    assert result.verdict.status in {"pass", "inconclusive"}


READS = (
    "logs:FilterLogEvents",
    "cloudwatch:GetMetricData",
    "cloudwatch:DescribeAlarms",
    "cloudwatch:DescribeAlarmHistory",
    "codedeploy:ListDeployments",
    "codedeploy:BatchGetDeployments",
    "codedeploy:GetDeploymentTarget",
    "codedeploy:GetDeploymentConfig",
)


@pytest.mark.parametrize("denied", READS)
async def test_a_denied_read_is_never_a_pass(denied: str) -> None:
    aws = PastAws()
    aws.fired = [(FROM - timedelta(minutes=30), "ALARM", "OK")]
    aws.deny(denied)
    result = await PastWorld(aws).judge()
    assert result.verdict.status == "inconclusive"
    assert result.verdict.exit_code == 4
    assert denied.partition(":")[2] in str(result.verdict)


async def test_lines_that_are_cut_are_compared_by_count_and_never_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past_evidence, "MAX_LINES", 1_000)
    result = await PastWorld(PastAws()).judge()
    assert result.verdict.status == "inconclusive"
    assert "more than 1,000 lines" in str(result.verdict.blocking)
    harmful = await PastWorld(PastAws(burst)).judge()
    assert harmful.verdict.status == "fail"
    assert "by count" in harmful.verdict.reason


async def test_the_price_is_stated_before_the_first_paid_call() -> None:
    world = PastWorld(PastAws())
    paid_before: list[int] = []
    world.said = _Spy(lambda: paid_before.append(world.aws.paid()))
    await world.judge()
    assert paid_before == [0]
    assert "costs about $0.0002 for 18 metric series and 2 alarm requests" in world.said[0]
    assert world.aws.paid() > 0


class _Spy(list[str]):
    def __init__(self, heard: object) -> None:
        super().__init__()
        self._heard = heard

    def append(self, sentence: str, /) -> None:
        self._heard()  # type: ignore[operator]
        super().append(sentence)


async def test_a_window_that_costs_more_than_is_allowed_is_not_read() -> None:
    world = PastWorld(PastAws(burst), limits=Limits(api_cost_usd=0.0001))
    result = await world.judge()
    assert result.verdict.status == "inconclusive"
    assert "costs about $0.0002" in result.verdict.reason
    assert "api_cost_usd leaves $0.0001" in result.verdict.reason
    assert world.aws.paid() == 0


async def test_a_window_without_a_release_proves_nothing() -> None:
    result = await PastWorld(PastAws(burst)).judge(FROM - timedelta(minutes=20), FROM)
    assert result.verdict.status == "inconclusive"
    assert "CodeDeploy shows no release of a watched function" in result.verdict.reason


async def test_another_expected_version_is_not_judged() -> None:
    result = await PastWorld(PastAws(burst)).judge(versions={"": "43"})
    assert result.verdict.status == "inconclusive"


async def test_an_alarm_that_fired_in_the_window_fails_though_it_is_ok_now() -> None:
    aws = PastAws()
    aws.fired = [
        (SHIFT + timedelta(minutes=3), "OK", "ALARM"),
        (SHIFT + timedelta(minutes=40), "ALARM", "OK"),
    ]
    result = await PastWorld(aws).judge()
    assert result.verdict.status == "fail"
    assert ALARM in result.verdict.reason


async def test_an_alarm_that_fired_after_the_window_is_as_it_was_then() -> None:
    aws = PastAws()
    aws.fired = [(TO + timedelta(minutes=3), "OK", "ALARM")]
    result = await PastWorld(aws).judge()
    assert result.verdict.status == "pass"


@pytest.mark.parametrize(("minutes", "status"), [(5, "fail"), (30, "pass")], ids=["in the window", "after it"])
async def test_a_deployment_that_was_stopped_fails_the_window_in_which_it_was(minutes: int, status: str) -> None:
    aws = PastAws()
    aws.status, aws.ended_at = "Stopped", SHIFT + timedelta(minutes=minutes)
    result = await PastWorld(aws).judge()
    assert result.verdict.status == status


async def test_without_a_comparison_the_signals_of_the_window_decide() -> None:
    keys = {"functions": (), "release": ReleaseTarget(), "compare": Compare(require="none")}
    assert (await PastWorld(PastAws(), **keys).judge()).verdict.status == "pass"
    alone = await PastWorld(PastAws(), **keys, alarms=()).judge()
    assert alone.verdict.status == "inconclusive"
    assert alone.verdict.reason.startswith("Nothing counts: no check runs in a window that is over")


async def test_a_function_without_an_alias_has_no_release_in_the_past() -> None:
    functions = (FunctionTarget(name="pay", log_group="/aws/lambda/pay"),)
    result = await PastWorld(PastAws(burst), functions=functions, alarms=(AlarmTarget(names=(ALARM,)),)).judge()
    assert result.verdict.status == "inconclusive"
