"""Scripted deployments through both SDKs: status, weight and lifecycle depend on the wall time alone."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.demo.aws import Deployment, DeploymentStep, EmbeddedAws, Function, FunctionVersion
from prodwatch.demo.aws.codedeploy.model import state_at

over_boto3 = pytest.mark.parametrize("call", ["boto3"], indirect=True)

over_aiobotocore = pytest.mark.parametrize("call", ["aiobotocore"], indirect=True)

STEPS = (
    DeploymentStep(after_s=5, status="InProgress"),
    DeploymentStep(after_s=6, lifecycle="BeforeAllowTraffic", lifecycle_status="InProgress"),
    DeploymentStep(after_s=9, lifecycle="BeforeAllowTraffic"),
    DeploymentStep(after_s=10, lifecycle="AllowTraffic", lifecycle_status="InProgress", weight=0.1),
    DeploymentStep(
        after_s=70,
        status="Stopped",
        weight=0.0,
        error_code="ALARM_ACTIVE",
        message="One or more alarms have been activated",
        rollback_id="d-ROLLBACK",
    ),
)


def script(wall: Any, **more: Any) -> Deployment:
    return Deployment(
        **{
            "id": "d-BAD42",
            "application": "shop",
            "group": "orders",
            "function": "shop-orders",
            "alias": "live",
            "current": "41",
            "target": "42",
            "created_s": wall.now_s,
            "events": STEPS,
            "alarms": ("shop-orders-errors",),
            **more,
        }
    )


@pytest.fixture
def scripted(aws: EmbeddedAws, wall: Any) -> EmbeddedAws:
    aws.deployments.put(script(wall))
    aws.deployments.put(
        script(
            wall,
            id="d-ROLLBACK",
            created_s=wall.now_s + 72,
            current="42",
            target="41",
            events=(DeploymentStep(after_s=3, status="Succeeded", weight=1.0),),
            creator="codeDeployRollback",
            rolled_back_from="d-BAD42",
        )
    )
    versions = [FunctionVersion(version=item, published_s=wall.now_s - 100) for item in ("41", "42")]
    aws.functions.put(Function(name="shop-orders", versions=versions))
    aws.functions.put_alias("shop-orders", "live", "41")
    return aws


async def info(call: Any, key: str = "d-BAD42") -> Any:
    return (await call("codedeploy", "GetDeployment", deploymentId=key))["deploymentInfo"]


async def target(call: Any, key: str = "d-BAD42") -> Any:
    response = await call("codedeploy", "GetDeploymentTarget", deploymentId=key, targetId="shop-orders:live")
    return response["deploymentTarget"]["lambdaTarget"]


async def alias(call: Any) -> Any:
    result = await call("lambda", "GetAlias", FunctionName="shop-orders", Name="live")
    return result["FunctionVersion"], result.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})


async def test_a_canary_that_is_rolled_back(call: Any, scripted: EmbeddedAws, wall: Any) -> None:
    assert (await info(call))["status"] == "Created"
    assert (await target(call))["status"] == "Pending"
    assert await alias(call) == ("41", {})
    wall.now_s += 12
    assert (await info(call))["status"] == "InProgress"
    results = await target(call)
    assert results["lambdaFunctionInfo"] == {
        "functionName": "shop-orders",
        "functionAlias": "live",
        "currentVersion": "41",
        "targetVersion": "42",
        "targetVersionWeight": 0.1,
    }
    assert [(item["lifecycleEventName"], item["status"]) for item in results["lifecycleEvents"]] == [
        ("BeforeAllowTraffic", "Succeeded"),
        ("AllowTraffic", "InProgress"),
        ("AfterAllowTraffic", "Pending"),
    ]
    assert results["lifecycleEvents"][0]["endTime"].timestamp() == wall.now_s - 3
    assert results["lastUpdatedAt"].timestamp() == wall.now_s - 2
    assert await alias(call) == ("41", {"42": 0.1})
    wall.now_s += 60
    stopped = await info(call)
    assert stopped["status"] == "Stopped"
    assert stopped["errorInformation"] == {
        "code": "ALARM_ACTIVE",
        "message": "One or more alarms have been activated",
    }
    assert stopped["rollbackInfo"]["rollbackDeploymentId"] == "d-ROLLBACK"
    assert stopped["completeTime"].timestamp() == wall.now_s - 2
    assert await alias(call) == ("41", {})
    wall.now_s += 10
    back = await info(call, "d-ROLLBACK")
    assert (back["status"], back["creator"]) == ("Succeeded", "codeDeployRollback")
    assert back["rollbackInfo"]["rollbackTriggeringDeploymentId"] == "d-BAD42"
    assert await alias(call) == ("41", {})


async def test_the_revision_of_an_alias_changes_with_its_weights(call: Any, scripted: EmbeddedAws, wall: Any) -> None:
    async def revision() -> Any:
        return (await call("lambda", "GetAlias", FunctionName="shop-orders", Name="live"))["RevisionId"]

    before = await revision()
    assert await revision() == before
    wall.now_s += 12
    assert await revision() != before


async def test_lists_are_newest_first_and_contain_only_created_deployments(
    call: Any, scripted: EmbeddedAws, wall: Any
) -> None:
    async def ids(**params: Any) -> Any:
        return (await call("codedeploy", "ListDeployments", **params))["deployments"]

    assert await ids(applicationName="shop", deploymentGroupName="orders") == ["d-BAD42"]
    with pytest.raises(ClientError) as caught:
        await target(call, "d-ROLLBACK")
    assert caught.value.response["Error"]["Code"] == "DeploymentDoesNotExistException"
    wall.now_s += 80
    assert await ids() == ["d-ROLLBACK", "d-BAD42"]
    assert await ids(includeOnlyStatuses=["Stopped"]) == ["d-BAD42"]
    assert await ids(createTimeRange={"start": wall.now_s - 20}) == ["d-ROLLBACK"]
    assert await ids(deploymentGroupName="none") == []
    both = await call("codedeploy", "BatchGetDeployments", deploymentIds=["d-BAD42", "d-ROLLBACK", "d-NONE"])
    assert [item["deploymentId"] for item in both["deploymentsInfo"]] == ["d-BAD42", "d-ROLLBACK"]
    targets = await call("codedeploy", "ListDeploymentTargets", deploymentId="d-BAD42")
    assert targets["targetIds"] == ["shop-orders:live"]
    batch = await call(
        "codedeploy", "BatchGetDeploymentTargets", deploymentId="d-BAD42", targetIds=["shop-orders:live"]
    )
    assert batch["deploymentTargets"][0]["deploymentTargetType"] == "LambdaTarget"


async def test_the_group_has_its_alarms_and_its_last_deployments(call: Any, scripted: EmbeddedAws, wall: Any) -> None:
    wall.now_s += 80
    response = await call("codedeploy", "GetDeploymentGroup", applicationName="shop", deploymentGroupName="orders")
    group = response["deploymentGroupInfo"]
    assert group["alarmConfiguration"]["alarms"] == [{"name": "shop-orders-errors"}]
    assert group["autoRollbackConfiguration"]["enabled"] is True
    assert group["lastAttemptedDeployment"]["deploymentId"] == "d-ROLLBACK"
    assert group["lastSuccessfulDeployment"]["deploymentId"] == "d-ROLLBACK"
    groups = await call("codedeploy", "ListDeploymentGroups", applicationName="shop")
    assert groups["deploymentGroups"] == ["orders"]
    applications = await call("codedeploy", "ListApplications")
    assert applications["applications"] == ["shop"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "CodeDeployDefault.LambdaCanary10Percent5Minutes",
            {"type": "TimeBasedCanary", "timeBasedCanary": {"canaryPercentage": 10, "canaryInterval": 5}},
        ),
        (
            "CodeDeployDefault.LambdaLinear10PercentEvery1Minute",
            {"type": "TimeBasedLinear", "timeBasedLinear": {"linearPercentage": 10, "linearInterval": 1}},
        ),
        ("CodeDeployDefault.LambdaAllAtOnce", {"type": "AllAtOnce"}),
    ],
)
@over_boto3
async def test_predefined_configurations(call: Any, name: str, expected: Any) -> None:
    result = (await call("codedeploy", "GetDeploymentConfig", deploymentConfigName=name))["deploymentConfigInfo"]
    assert (result["trafficRoutingConfig"], result["computePlatform"]) == (expected, "Lambda")


async def test_a_stopped_deployment_does_not_continue(call: Any, scripted: EmbeddedAws, wall: Any) -> None:
    wall.now_s += 12
    assert (await call("codedeploy", "StopDeployment", deploymentId="d-BAD42"))["status"] == "Succeeded"
    wall.now_s += 100
    result = await info(call)
    assert (result["status"], result["errorInformation"]["code"]) == ("Stopped", "MANUAL_STOP")
    assert result["completeTime"].timestamp() == wall.now_s - 100
    with pytest.raises(ClientError) as caught:
        await call("codedeploy", "StopDeployment", deploymentId="d-BAD42")
    assert caught.value.response["Error"]["Code"] == "DeploymentAlreadyCompletedException"


@pytest.mark.parametrize(
    ("operation", "params", "code"),
    [
        ("GetDeploymentTarget", {"deploymentId": "d-BAD42", "targetId": "x"}, "DeploymentTargetDoesNotExistException"),
        ("GetDeploymentTarget", {"deploymentId": "d-NONE", "targetId": "x"}, "DeploymentDoesNotExistException"),
        (
            "GetDeploymentGroup",
            {"applicationName": "shop", "deploymentGroupName": "none"},
            "DeploymentGroupDoesNotExistException",
        ),
        ("BatchGetDeployments", {"deploymentIds": ["d"] * 26}, "BatchLimitExceededException"),
        ("ListDeployments", {"nextToken": "made up"}, "InvalidNextTokenException"),
        ("GetDeployment", {"deploymentId": "d-NONE"}, "DeploymentDoesNotExistException"),
    ],
    ids=str,
)
@over_aiobotocore
async def test_what_is_refused(call: Any, scripted: EmbeddedAws, operation: str, params: Any, code: str) -> None:
    with pytest.raises(ClientError) as caught:
        await call("codedeploy", operation, **params)
    assert caught.value.response["Error"]["Code"] == code


@given(st.lists(st.floats(0, 200), min_size=1, max_size=10))
def test_the_state_depends_on_the_time_alone(moments: list[float]) -> None:
    class At:
        now_s = 1000.0

    deployment = script(At())
    states = {moment: state_at(deployment, 1000 + moment) for moment in moments}
    for moment in reversed(moments):
        assert state_at(deployment, 1000 + moment) == states[moment]
        assert states[moment].weight == (0.1 if 10 <= moment < 70 else 0.0)
