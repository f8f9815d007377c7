"""CodeDeploy is read by few calls: once for all that look at the same time, and what is final only once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from prodwatch.aws.call_time_limits import STEP_TIME, StepTime
from prodwatch.aws.interface import AwsError
from prodwatch.model.status import Reason
from prodwatch.sources.release.codedeploy import (
    CHANGES_FOR,
    GROUPS_EVERY_S,
    LIST_EVERY_S,
    PER_GROUP,
    SHARED_S,
    deployment_reader,
)
from prodwatch.testing.aws import ScriptedAws
from prodwatch.testing.clock import START, FakeClock
from tests.support.placed_aws import EAST, PAY

ALL = {
    "ListDeploymentGroups": 1,
    "ListDeployments": 2,
    "BatchGetDeployments": 1,
    "ListDeploymentTargets": 4,
    "GetDeploymentTarget": 4,
    "GetDeploymentConfig": 1,
}
"""Calls of the first look at two groups of two deployments."""


class CodeDeploy(ScriptedAws):
    """Two groups with two deployments each; the newest of the second group is in progress."""

    def __init__(self) -> None:
        super().__init__()
        self.running = {"b2"}
        self.answers = {
            "codedeploy:ListDeploymentGroups": lambda _: {"deploymentGroups": ["a", "b"]},
            "codedeploy:ListDeployments": lambda params: {
                "deployments": [f"{params['deploymentGroupName']}{n}" for n in (2, 1)]
            },
            "codedeploy:BatchGetDeployments": lambda params: {
                "deploymentsInfo": [self.info(each) for each in params["deploymentIds"]]
            },
            "codedeploy:ListDeploymentTargets": lambda params: {"targetIds": [f"{params['deploymentId']}:t"]},
            "codedeploy:GetDeploymentTarget": lambda params: {
                "deploymentTarget": {"lambdaTarget": {"lambdaFunctionInfo": {"functionName": params["deploymentId"]}}}
            },
            "codedeploy:GetDeploymentConfig": lambda _: {"deploymentConfigInfo": {}},
        }

    def info(self, id_: str) -> Mapping[str, Any]:
        ended = {} if id_ in self.running else {"completeTime": START - CHANGES_FOR}
        return {
            "deploymentId": id_,
            "createTime": START - timedelta(hours=3 - int(id_[1])),
            "status": "InProgress" if id_ in self.running else "Succeeded",
            "deploymentConfigName": "c",
            **ended,
        }

    def made(self) -> dict[str, int]:
        """Return the calls since the last time."""
        counts = {name.partition(":")[2]: count for name, count in self.usage().calls.items()}
        self.calls.clear()
        return counts


def read(aws: CodeDeploy, clock: FakeClock, **more: Any) -> Any:
    known: dict[str, Any] = {"clean": str, "per_group": PER_GROUP, "listed_within_s": 0}
    return deployment_reader(aws, "shop", clock).read(**(known | more))


async def test_B1_readers_at_one_time_share_one_look() -> None:
    aws, clock = CodeDeploy(), FakeClock()
    results = await asyncio.gather(*(read(aws, clock) for _ in range(20)))
    assert aws.made() == ALL
    assert {tuple(each.id for each in reading.deployments) for reading in results} == {
        tuple(each.id for each in results[0].deployments)
    }
    assert len(results[0].deployments) == 4


async def test_B1_a_later_look_reads_only_what_may_have_changed() -> None:
    aws, clock = CodeDeploy(), FakeClock()
    await read(aws, clock)
    aws.made()
    await clock.advance(SHARED_S + 1)
    await read(aws, clock)
    assert aws.made() == {"ListDeployments": 2, "BatchGetDeployments": 1, "GetDeploymentTarget": 1}
    await read(aws, clock)
    assert aws.made() == {}
    await clock.advance(SHARED_S + 1)
    await read(aws, clock, listed_within_s=LIST_EVERY_S)
    assert aws.made() == {"BatchGetDeployments": 1, "GetDeploymentTarget": 1}
    aws.running.clear()
    await clock.advance(GROUPS_EVERY_S)
    await read(aws, clock)
    aws.made()
    await clock.advance(GROUPS_EVERY_S)
    await read(aws, clock)
    assert aws.made() == {"ListDeploymentGroups": 1, "ListDeployments": 2}


async def test_B7_a_refusal_is_shared_and_asked_again_later() -> None:
    aws, clock = CodeDeploy(), FakeClock()
    aws.fail("codedeploy:ListDeployments", Reason.ACCESS_DENIED)
    outcomes = await asyncio.gather(*(read(aws, clock) for _ in range(5)), return_exceptions=True)
    assert all(isinstance(each, AwsError) and each.reason is Reason.ACCESS_DENIED for each in outcomes)
    assert aws.made()["ListDeployments"] == 2
    aws.failing.clear()
    await clock.advance(SHARED_S + 1)
    assert len((await read(aws, clock)).deployments) == 4


async def test_accounts_and_regions_are_read_apart() -> None:
    aws, clock = CodeDeploy(), FakeClock()
    assert deployment_reader(aws, "shop", clock) is deployment_reader(aws, "shop", clock)
    assert deployment_reader(aws, "shop", clock) is not deployment_reader(aws, "shop", clock, PAY)
    assert deployment_reader(aws, "shop", clock) is not deployment_reader(aws, "shop", clock, EAST)
    assert deployment_reader(aws, "shop", clock) is not deployment_reader(CodeDeploy(), "shop", clock)


async def test_B1_a_shared_reading_is_no_ones_step() -> None:
    aws, clock = CodeDeploy(), FakeClock()
    steps: list[StepTime | None] = []
    answer = aws.answers["codedeploy:ListDeploymentGroups"]

    def noted(params: Mapping[str, Any]) -> dict[str, Any]:
        steps.append(STEP_TIME.get())
        return answer(params)

    aws.answers["codedeploy:ListDeploymentGroups"] = noted
    step = StepTime(clock, 1.0)
    token = STEP_TIME.set(step)
    await read(aws, clock)
    STEP_TIME.reset(token)
    assert steps == [None]
    assert step.elapsed_s() == 0.0


@pytest.mark.parametrize("pages", [1, 3])
async def test_every_page_of_groups_is_read(pages: int) -> None:
    aws, clock = CodeDeploy(), FakeClock()

    async def groups(service: str, operation: str, params: Any = None, **more: Any) -> Any:
        if operation != "ListDeploymentGroups":
            async for page in ScriptedAws.pages(aws, service, operation, params, **more):
                yield page
            return
        for number in range(pages):
            yield {"deploymentGroups": [f"{chr(97 + number)}"]}

    aws.pages = groups  # type: ignore[method-assign]
    assert len((await read(aws, clock)).deployments) == 2 * pages
