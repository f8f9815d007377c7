"""AppConfig through an SDK: environments with their alarms, deployments that grow, bake, and go back."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from prodwatch.demo.aws import ConfigurationDeployment, EmbeddedAws


@pytest.fixture
def deployed(aws: EmbeddedAws, wall: Any) -> EmbeddedAws:
    for number, version, started_s, back_s in ((1, "6", -7200, None), (2, "7", 0, 900)):
        aws.configurations.put(
            ConfigurationDeployment(
                application="shop",
                environment="prod",
                profile="flags",
                number=number,
                version=version,
                started_s=wall.now_s + started_s,
                back_s=None if back_s is None else wall.now_s + back_s,
                alarms=("shop-errors",),
            )
        )
    return aws


async def ids(call: Any) -> dict[str, str]:
    (application,) = (await call("appconfig", "ListApplications"))["Items"]
    (environment,) = (await call("appconfig", "ListEnvironments", ApplicationId=application["Id"]))["Items"]
    assert (application["Name"], environment["Name"]) == ("shop", "prod")
    assert environment["Monitors"] == [{"AlarmArn": "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:shop-errors"}]
    return {"ApplicationId": application["Id"], "EnvironmentId": environment["Id"]}


async def test_a_deployment_grows_bakes_and_is_rolled_back(call: Any, deployed: EmbeddedAws, wall: Any) -> None:
    where = await ids(call)
    listed = (await call("appconfig", "ListDeployments", **where))["Items"]
    assert [(each["DeploymentNumber"], each["State"]) for each in listed] == [(2, "DEPLOYING"), (1, "COMPLETE")]
    seen = []
    for minutes in (0, 2, 8, 5):
        wall.now_s += minutes * 60
        deployment = await call("appconfig", "GetDeployment", DeploymentNumber=2, **where)
        seen.append((deployment["State"], deployment["PercentageComplete"], deployment["EventLog"][0]["EventType"]))
    assert seen == [
        ("DEPLOYING", 0.0, "DEPLOYMENT_STARTED"),
        ("DEPLOYING", 20.0, "PERCENTAGE_UPDATED"),
        ("BAKING", 100.0, "PERCENTAGE_UPDATED"),
        ("ROLLED_BACK", 0.0, "ROLLBACK_STARTED"),
    ]
    assert deployment["EventLog"][0]["TriggeredBy"] == "CLOUDWATCH_ALARM"


async def test_what_does_not_exist_is_not_found(call: Any, deployed: EmbeddedAws) -> None:
    where = await ids(call)
    for operation, params in (
        ("ListEnvironments", {"ApplicationId": "absent0"}),
        ("ListDeployments", {**where, "EnvironmentId": "absent0"}),
        ("GetDeployment", {**where, "DeploymentNumber": 9}),
    ):
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            await call("appconfig", operation, **params)
