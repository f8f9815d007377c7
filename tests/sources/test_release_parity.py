"""A run and the dashboard read the same release: version, previous version, phase, shares and cause."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from prodwatch.model.environment import FunctionTarget, ReleaseTarget
from prodwatch.model.release import main_release, present_releases
from prodwatch.model.signal import ReleaseState
from prodwatch.runner.values.read_releases import read_releases
from prodwatch.sources.release.source import ReleaseSource
from prodwatch.testing.aws import ScriptedAws
from prodwatch.testing.clock import START, FakeClock
from prodwatch.testing.definitions import environment

MINUTE = timedelta(minutes=1)
Deployed = tuple[str, str, str, timedelta, dict[str, Any]]
"""Version before, version after, status, how long ago it was created, and further members of the document."""

UP: Deployed = ("41", "42", "Succeeded", 9 * MINUTE, {})
STOPPED: Deployed = ("41", "42", "Stopped", 9 * MINUTE, {"errorInformation": {"code": "ALARM_ACTIVE", "message": "x"}})
UNDO: Deployed = ("42", "41", "Succeeded", 5 * MINUTE, {"rollbackInfo": {"rollbackTriggeringDeploymentId": "d-0"}})
STACK_BACK: Deployed = ("42", "41", "Succeeded", 5 * MINUTE, {"creator": "CloudFormationRollback"})
BY_HAND: Deployed = ("42", "41", "Succeeded", 5 * MINUTE, {"creator": "user"})
RUNNING: Deployed = ("41", "42", "InProgress", 9 * MINUTE, {})
LONG_AGO: Deployed = ("41", "42", "Succeeded", timedelta(days=21), {"completeTime": START - timedelta(days=21)})

STORIES: dict[str, tuple[list[Deployed], tuple[str, dict[str, float]], tuple[str | None, ...]]] = {
    "running": ([RUNNING], ("41", {"42": 0.1}), ("shifting", "42", "41")),
    "succeeded": ([UP], ("42", {}), ("succeeded", "42", "41")),
    "stopped, split left": ([STOPPED], ("41", {"42": 0.1}), ("stopped", "42", "41")),
    "rolled back": ([STOPPED, UNDO], ("41", {}), ("rolled back", "42", "41")),
    "rolled back by the stack": ([UP, STACK_BACK], ("41", {}), ("rolled back", "42", "41")),
    "deployed back by hand": ([UP, BY_HAND], ("41", {}), ("rolled back", "42", "41")),
    "alias moved back by hand": ([UP], ("41", {}), ("rolled back", "42", "41")),
    "alias moved away while it runs": ([RUNNING], ("40", {}), ("rolled back", "42", "41")),
    "history": ([LONG_AGO], ("42", {}), ("none", "42", None)),
    "no deployment": ([], ("42", {}), ("none", "42", None)),
    "canary by hand, new version as primary": ([], ("42", {"41": 0.9}), ("shifting", "42", "41")),
}


def aws_of(deployments: list[Deployed], alias: tuple[str, dict[str, float]]) -> ScriptedAws:
    infos, targets = [], {}
    for number, (current, target, status, ago, more) in enumerate(deployments):
        created: datetime = START - ago
        infos.append({"deploymentId": f"d-{number}", "createTime": created, "status": status} | more)
        info = {"functionName": "pay", "functionAlias": "live", "currentVersion": current, "targetVersion": target}
        shift = {"lifecycleEventName": "AllowTraffic", "status": "InProgress", "startTime": created}
        shift |= {} if status == "InProgress" else {"status": "Succeeded", "endTime": created + MINUTE}
        lambda_target = {"lambdaFunctionInfo": info, "lifecycleEvents": [shift]}
        targets[f"d-{number}"] = {"deploymentTarget": {"lambdaTarget": lambda_target}}
    aws = ScriptedAws()
    aws.answers |= {
        "lambda:GetAlias": lambda _: {
            "FunctionVersion": alias[0],
            "RoutingConfig": {"AdditionalVersionWeights": alias[1]},
        },
        "lambda:GetFunctionConfiguration": lambda _: {"LastModified": "2025-12-01T00:00:00.000+0000"},
        "codedeploy:ListDeploymentGroups": lambda _: {"deploymentGroups": ["live"]},
        "codedeploy:ListDeployments": lambda _: {"deployments": [each["deploymentId"] for each in infos]},
        "codedeploy:BatchGetDeployments": lambda _: {"deploymentsInfo": infos},
        "codedeploy:ListDeploymentTargets": lambda _: {"targetIds": ["t"]},
        "codedeploy:GetDeploymentTarget": lambda params: targets[params["deploymentId"]],
    }
    return aws


def seen(state: ReleaseState | None) -> tuple[Any, ...]:
    assert state is not None
    return (state.phase.value, state.version, state.previous, state.weights, state.cause, state.deployment)


@pytest.mark.parametrize("story", STORIES)
async def test_K24_a_run_and_the_dashboard_name_the_same_release(story: str) -> None:
    deployments, alias, expected = STORIES[story]
    target = environment(
        functions=(FunctionTarget(name="pay", alias="live"),), release=ReleaseTarget(codedeploy=("shop",))
    )
    clock = FakeClock()
    source = ReleaseSource(
        aws_of(deployments, alias), target, clock=clock, since=START - MINUTE, clean=lambda text: text
    )
    states = [each for each in await source.poll() if isinstance(each, ReleaseState)]
    dashboard = main_release(present_releases(states, clock.now()), clock.now())
    run = main_release((await read_releases(target, aws_of(deployments, alias), None, clock)).states, clock.now())
    assert seen(dashboard) == seen(run)
    assert seen(run)[:3] == expected
