"""Alarms, stacks and releases: what is there, what is not, and what nobody could say."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from prodwatch.clock import SystemClock
from prodwatch.demo.aws import CompositeAlarm, Deployment, DeploymentStep, Fault, Function, FunctionVersion, MetricAlarm
from prodwatch.model.environment import ReleaseTarget, StackReference
from prodwatch.model.status import Reason, Status


def alarms(bench: Any) -> None:
    bench.world.alarms.put(MetricAlarm(name=f"{bench.name}-a", namespace="S", metric="M", missing="ignore"))
    bench.world.alarms.put(MetricAlarm(name=f"{bench.name}-b", namespace="S", metric="M", missing="ignore"))
    rule = f'ALARM("{bench.name}-b")'
    bench.world.alarms.put(CompositeAlarm(name=f"{bench.name}-c", rule=rule))
    bench.world.alarms.set_state(f"{bench.name}-a", "OK", "fine")
    bench.world.alarms.set_state(f"{bench.name}-b", "ALARM", "too many errors")


async def test_alarms_of_every_kind_by_prefix(bench: Any) -> None:
    alarms(bench)
    found = await bench.run("alarm", {"prefix": f"{bench.name}-"})
    assert found.failure is None
    told = {each["name"][-1]: each for each in found.document["alarms"]}
    assert [told[name]["kind"] for name in "abc"] == ["metric", "metric", "composite"]
    assert told["b"]["state"] == "ALARM"
    assert told["b"]["reason"] == "too many errors"
    assert isinstance(told["b"]["since"], datetime)
    assert f"{bench.name}-b" in found.document["firing"]
    assert f"{bench.name}-a" not in found.document["firing"]


@pytest.mark.parametrize("many", [False, True])
async def test_alarms_by_name(bench: Any, many: bool) -> None:
    alarms(bench)
    names: Any = [f"{bench.name}-a", f"{bench.name}-c"] if many else f"{bench.name}-a"
    found = await bench.run("alarm", {"names": names})
    assert len(found.document["alarms"]) == (2 if many else 1)


async def test_a_named_alarm_that_does_not_exist_is_a_fail(bench: Any) -> None:
    alarms(bench)
    found = await bench.run("alarm", {"names": [f"{bench.name}-a", "no-such-alarm"]})
    assert found.failure.status is Status.FAIL
    assert found.failure.message == "alarm no-such-alarm does not exist"


async def test_a_prefix_that_finds_nothing_is_inconclusive(bench: Any) -> None:
    found = await bench.run("alarm", {"prefix": "no-such-prefix"})
    assert (found.failure.status, found.failure.reason) == (Status.INCONCLUSIVE, Reason.NO_DATA)
    assert found.failure.message == "no alarm name begins with no-such-prefix"


async def test_an_endpoint_that_knows_no_log_alarms_is_asked_without(bench: Any) -> None:
    from prodwatch.aws.interface import AwsError

    class Old:
        async def pages(self, _service: str, operation: str, params: Any, **_: Any) -> Any:
            if "LogAlarm" in params["AlarmTypes"]:
                raise AwsError("bad", code="ValidationError", reason=Reason.API_ERROR, service="c", operation=operation)
            yield {"MetricAlarms": [{"AlarmName": "a", "StateValue": "ALARM"}], "CompositeAlarms": []}

        def region_name(self, _account: str | None = None) -> str:
            return "eu-west-1"

    found = await bench.run("alarm", {"prefix": "a"}, aws=Old())
    assert found.document["firing"] == ["a"]


TEMPLATE = json.dumps(
    {
        "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
        "Outputs": {"ApiUrl": {"Value": "https://api.example/{id}"}},
    }
)


@pytest.mark.parametrize("way", ["own name", "alias", "key stack"])
async def test_a_stack_with_its_outputs(bench: Any, way: str) -> None:
    await bench.call("cloudformation", "CreateStack", {"StackName": bench.name, "TemplateBody": TEMPLATE})
    bench.environment = msgspec.structs.replace(bench.environment, stacks={"shop": StackReference(name=bench.name)})
    params = {
        "own name": {"name": bench.name},
        "alias": {"name": "shop"},
        "key stack": {"name": "the shop is settled", "stack": "shop"},
    }[way]
    found = await bench.run("stack", params)
    assert found.failure is None
    assert found.document["status"] == "CREATE_COMPLETE"
    assert found.document["outputs"] == {"ApiUrl": "https://api.example/{id}"}
    assert found.document["updated"].tzinfo is not None


async def test_a_missing_stack_is_a_fail(bench: Any) -> None:
    found = await bench.run("stack", {"name": "no-such-stack"})
    assert found.failure.status is Status.FAIL
    assert found.failure.message == 'there is no stack "no-such-stack" in eu-west-1'


async def test_a_denied_stack_is_an_error(bench: Any) -> None:
    bench.world.faults.add(Fault(operation="cloudformation:*", kind="access_denied"))
    found = await bench.run("stack", {"name": "x"})
    assert (found.failure.status, found.failure.reason) == (Status.ERROR, Reason.ACCESS_DENIED)


def function(bench: Any, weights: dict[str, float] | None = None, primary: str = "7") -> dict[str, str]:
    versions = [FunctionVersion(version=each, published_s=0) for each in ("7", "8")]
    bench.world.functions.put(Function(name=bench.name, versions=versions))
    bench.world.functions.put_alias(bench.name, "live", primary, weights)
    return {"function": bench.name, "alias": "live"}


async def test_an_alias_on_one_version_is_stable(bench: Any) -> None:
    found = await bench.run("release", function(bench))
    assert found.failure is None
    assert found.document == {"version": "7", "weights": {"7": Decimal(1)}, "state": "stable"}


async def test_a_weighted_alias_is_shifting(bench: Any) -> None:
    found = await bench.run("release", function(bench, {"8": 0.1}))
    assert found.document["state"] == "shifting"
    assert (found.document["version"], found.document["previous"]) == ("8", "7")
    assert found.document["weights"] == {"7": Decimal("0.9"), "8": Decimal("0.1")}


def deployed(bench: Any, *steps: DeploymentStep) -> None:
    bench.environment = msgspec.structs.replace(bench.environment, release=ReleaseTarget(codedeploy=(bench.name,)))
    bench.world.deployments.put(
        Deployment(
            id=f"d-{bench.name.upper()[:9]}",
            application=bench.name,
            group="orders",
            function=bench.name,
            alias="live",
            current="7",
            target="8",
            created_s=SystemClock().now().timestamp() - 600,
            events=steps,
        )
    )


async def test_a_deployment_in_progress(bench: Any) -> None:
    params = function(bench)
    deployed(
        bench,
        DeploymentStep(
            after_s=1, status="InProgress", lifecycle="AllowTraffic", lifecycle_status="InProgress", weight=0.1
        ),
    )
    found = await bench.run("release", params)
    assert found.document["state"] == "shifting"
    assert found.document["deployment"]["status"] == "InProgress"
    assert found.document["weights"] == {"7": Decimal("0.9"), "8": Decimal("0.1")}


async def test_a_deployment_that_was_stopped_is_failed(bench: Any) -> None:
    params = function(bench)
    deployed(
        bench,
        DeploymentStep(
            after_s=1, status="InProgress", lifecycle="AllowTraffic", lifecycle_status="InProgress", weight=0.1
        ),
        DeploymentStep(after_s=60, status="Stopped", weight=0.0, error_code="ALARM_ACTIVE", message="alarm"),
    )
    found = await bench.run("release", params)
    assert found.document["state"] in {"failed", "rolled_back"}
    assert found.document["deployment"]["status"] == "Stopped"


async def test_without_codedeploys_word_the_end_is_unknown(bench: Any) -> None:
    params = function(bench)
    deployed(bench)
    bench.world.faults.add(Fault(operation="codedeploy:*", kind="access_denied"))
    found = await bench.run("release", params)
    assert found.failure is None
    assert "state" not in found.document
    assert not found.complete
    assert (found.unread.status, found.unread.reason) == (Status.INCONCLUSIVE, Reason.ACCESS_DENIED)
    assert "permission codedeploy:ListDeploymentGroups is missing" in found.unread.message


async def test_a_missing_alias_is_a_fail(bench: Any) -> None:
    params = function(bench)
    found = await bench.run("release", params | {"alias": "nope"})
    assert found.failure.status is Status.FAIL
    assert found.document["error"]["code"] == "ResourceNotFoundException"


STOPPED = (
    DeploymentStep(after_s=1, status="InProgress", lifecycle="AllowTraffic", lifecycle_status="InProgress", weight=0.1),
    DeploymentStep(after_s=60, status="Stopped", weight=0.0, error_code="ALARM_ACTIVE", message="alarm"),
)


def with_other_application(bench: Any) -> None:
    """Let the environment name a second application, before its own."""
    other = f"{bench.name}-other"
    release = ReleaseTarget(codedeploy=(other, *bench.environment.release.codedeploy))
    bench.environment = msgspec.structs.replace(bench.environment, release=release)
    bench.world.deployments.put(
        Deployment(
            id=f"d-{bench.name.upper()[:8]}X",
            application=other,
            group="prices",
            function=other,
            alias="live",
            current="1",
            target="2",
            created_s=SystemClock().now().timestamp() - 60,
            events=(DeploymentStep(after_s=1, status="Succeeded"),),
        )
    )


async def test_D_the_deployments_of_several_applications_are_read(bench: Any) -> None:
    params = function(bench)
    deployed(bench, *STOPPED)
    with_other_application(bench)
    found = await bench.run("release", params)
    assert found.complete
    assert found.document["deployment"]["status"] == "Stopped"
    assert found.document["state"] in {"failed", "rolled_back"}
