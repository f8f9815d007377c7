"""Every member of every enumeration of AWS's models that the code reads has a meaning; a new one fails here first."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from prodwatch.aws.credentials import shared_loader
from prodwatch.aws.error_codes import CALLER_RATE, is_throttle
from prodwatch.model.signal import ReleasePhase
from prodwatch.probes.alarm.probe import _alarm
from prodwatch.probes.lambda_.probe import OWN_LIMITS
from prodwatch.sources.alarms import _TYPES
from prodwatch.sources.release.alias_weights import AliasState
from prodwatch.sources.release.deployment_documents import deployment_of
from prodwatch.sources.release.release_state import Deployment, LifecycleEvent, release_state, with_rollbacks

START = datetime(2026, 1, 1, tzinfo=UTC)


def members(service: str, shape: str) -> set[str]:
    """Return the members of an enumeration of a service's model."""
    return set(shared_loader().load_service_model(service, "service-2")["shapes"][shape]["enum"])


def deployment(id_: str = "d-1", minute: int = 0, **more: Any) -> Deployment:
    known: dict[str, Any] = {"status": "Succeeded", "function": "f", "alias": "live", "current": "41", "target": "42"}
    return Deployment(id=id_, created_at=START.replace(minute=minute), **(known | more))


STATUSES = {
    "Created": ReleasePhase.NOT_STARTED,
    "Queued": ReleasePhase.NOT_STARTED,
    "Ready": ReleasePhase.NOT_STARTED,
    "InProgress": ReleasePhase.NOT_STARTED,
    "Baking": ReleasePhase.BAKING,
    "Succeeded": ReleasePhase.SUCCEEDED,
    "Failed": ReleasePhase.FAILED,
    "Stopped": ReleasePhase.STOPPED,
}


def test_every_status_of_a_deployment_has_a_phase() -> None:
    assert members("codedeploy", "DeploymentStatus") == set(STATUSES)
    for status, phase in STATUSES.items():
        assert release_state("f", "live", None, [deployment(status=status)], at=START).phase is phase


LIFECYCLE = {
    "Pending": ReleasePhase.SHIFTING,
    "InProgress": ReleasePhase.SHIFTING,
    "Succeeded": ReleasePhase.SHIFTING,
    "Skipped": ReleasePhase.SHIFTING,
    "Unknown": ReleasePhase.SHIFTING,
    "Failed": ReleasePhase.FAILED,
}


def test_every_status_of_a_lifecycle_event_has_a_phase() -> None:
    assert members("codedeploy", "LifecycleEventStatus") == set(LIFECYCLE)
    for status, phase in LIFECYCLE.items():
        stage = LifecycleEvent("AllowTraffic", status, started_at=START)
        found = release_state("f", "live", None, [deployment(status="InProgress", lifecycle=(stage,))], at=START)
        assert found.phase is phase


ROUTING = {
    "AllAtOnce": ({}, 1.0),
    "TimeBasedCanary": ({"timeBasedCanary": {"canaryPercentage": 10, "canaryInterval": 5}}, 0.1),
    "TimeBasedLinear": ({"timeBasedLinear": {"linearPercentage": 20, "linearInterval": 1}}, 0.2),
}


def test_every_kind_of_traffic_routing_has_a_first_step() -> None:
    assert members("codedeploy", "TrafficRoutingType") == set(ROUTING)
    for kind, (more, share) in ROUTING.items():
        info = {"deploymentId": "d", "createTime": START}
        config = {"trafficRoutingConfig": {"type": kind, **more}}
        assert deployment_of(info, {}, config, str).step_share == share


UNDOING = {"codeDeployRollback", "CloudFormationRollback"}
DEPLOYING = {"user", "autoscaling", "CodeDeploy", "CodeDeployAutoUpdate", "CloudFormation", "autoscalingTermination"}


@pytest.mark.parametrize("status", ["InProgress", "Succeeded"])
@pytest.mark.parametrize("original", [True, False], ids=["after the release", "alone"])
@pytest.mark.parametrize("creator", sorted(UNDOING | DEPLOYING))
def test_W1_a_deployment_back_is_a_rollback_whoever_created_it(creator: str, original: bool, status: str) -> None:
    assert members("codedeploy", "DeploymentCreator") == UNDOING | DEPLOYING
    back = deployment("d-2", 5, current="42", target="41", creator=creator, status=status)
    known = with_rollbacks([back, deployment()] if original else [back])
    found = release_state("f", "live", AliasState("41", {}), known, at=START)
    assert (found.phase, found.version, found.previous) == (ReleasePhase.ROLLED_BACK, "42", "41")
    assert found.cause
    if creator == "CloudFormationRollback":
        assert found.cause == "CloudFormation rolled the stack back"


@pytest.mark.parametrize("creator", sorted(DEPLOYING))
def test_W1_a_deployment_forward_is_a_release_whoever_created_it(creator: str) -> None:
    known = with_rollbacks([deployment(creator=creator)])
    found = release_state("f", "live", AliasState("42", {}), known, at=START)
    assert (found.phase, found.version, found.previous) == (ReleasePhase.SUCCEEDED, "42", "41")


def test_W1_a_release_after_a_rollback_is_a_release() -> None:
    back = deployment("d-2", 5, current="42", target="41", creator="CloudFormationRollback")
    again = deployment("d-3", 9, current="41", target="43")
    found = release_state("f", "live", AliasState("43", {}), with_rollbacks([again, back, deployment()]), at=START)
    assert (found.phase, found.version, found.previous) == (ReleasePhase.SUCCEEDED, "43", "41")


def test_W1_a_rollback_of_another_function_undoes_nothing_here() -> None:
    back = deployment("d-2", 5, current="42", target="41", creator="CloudFormationRollback", function="g")
    (undo,) = [each for each in with_rollbacks([back, deployment()]) if each.function == "g"]
    assert undo.rollback_of == ""


def test_W1_a_rollback_that_failed_has_not_brought_the_old_version_back() -> None:
    back = deployment("d-2", 5, current="42", target="41", creator="CloudFormationRollback", status="Failed")
    found = release_state("f", "live", None, with_rollbacks([back]), at=START)
    assert (found.phase, found.version) == (ReleasePhase.FAILED, "42")


def test_W2_the_states_of_an_alarm_and_of_its_evaluation_are_read() -> None:
    assert members("cloudwatch", "StateValue") == {"OK", "ALARM", "INSUFFICIENT_DATA"}
    for evaluation in members("cloudwatch", "EvaluationState"):
        found = _alarm({"AlarmName": "a", "StateValue": "OK", "EvaluationState": evaluation}, "metric")
        assert found["evaluation"] == evaluation


def test_every_kind_of_alarm_is_read() -> None:
    assert members("cloudwatch", "AlarmType") == set(_TYPES.values())


def test_every_status_of_a_series_has_a_meaning() -> None:
    assert members("cloudwatch", "StatusCode") == {"Complete", "PartialData", "InternalError", "Forbidden"}


def test_every_reason_of_a_throttled_invocation_has_a_meaning() -> None:
    assert members("lambda", "ThrottleReason") == {*OWN_LIMITS, CALLER_RATE}


@pytest.mark.parametrize("reason", [None, *sorted(OWN_LIMITS), CALLER_RATE])
def test_W6_only_the_callers_rate_slows_the_caller_down(reason: str | None) -> None:
    assert is_throttle("TooManyRequestsException", 429, reason=reason) is (reason in {None, CALLER_RATE})


def test_every_state_of_an_update_has_a_meaning() -> None:
    assert members("lambda", "LastUpdateStatus") == {"Successful", "InProgress", "Failed"}
    assert members("lambda", "PackageType") == {"Zip", "Image"}


def test_every_destination_of_traces_has_a_meaning() -> None:
    assert members("xray", "TraceSegmentDestination") == {"XRay", "CloudWatchLogs"}
    assert members("xray", "TraceSegmentDestinationStatus") == {"PENDING", "ACTIVE"}
